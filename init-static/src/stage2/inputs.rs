//! What stage 2 reads before it decides: the configuration, with everything there is to say about it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::tree::Tree;
use genpack_core::contract::paths;
use genpack_core::contract::system_ini::{self, Settings};
use genpack_core::text::diagnostic::{self, Collector, Diagnostic, Severity, Span};
use genpack_core::text::ini;
use rustix::io::Errno;

/// Bytes of a `system.ini` that are read: what the parser looks at, twice for UTF-16, and some more for it to notice.
const MAX_INI: usize = 2 * ini::MAX_BYTES + 16;

/// The configuration with everything there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What can be used.
    pub settings: Settings,
    /// Findings, in the order of the lines.
    pub findings: Vec<Diagnostic>,
    /// The text that the findings' places refer to.
    pub text: String,
}

impl Configuration {
    /// Reads the bytes of a `system.ini`; any bytes are a configuration.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let system_ini::File { text, settings, findings } = system_ini::read(bytes);
        Self { settings, findings, text }
    }

    /// Returns how many findings ask for a repair; notes do not.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|f| f.severity > Severity::Note).count()
    }

    /// Puts what there is to say about the file as a whole before everything else.
    pub fn find_first(&mut self, finding: Option<Diagnostic>) {
        if let Some(finding) = finding {
            self.findings.insert(0, finding);
        }
    }

    /// Returns the text as sections and keys.
    #[must_use]
    pub fn document(&self) -> ini::Document {
        ini::Document::parse(&self.text, &mut Collector::new())
    }

    /// Adds a finding about a key, at its value; the section before the first header has no name.
    pub fn find_fault(&mut self, section: &str, key: &str, message: String) {
        let section = if section.is_empty() { ini::DEFAULT_SECTION } else { section };
        let span = self.document().get(section, key).map_or(Span::default(), |p| p.value_span);
        let finding = Diagnostic { span, severity: Severity::Warning, message, hint: None };
        diagnostic::insert(&mut self.findings, finding);
    }
}

/// Reads a configuration file, of a long one the beginning; a missing one is an empty configuration.
///
/// # Errors
/// The errno of reading.
pub fn read_configuration(tree: &Tree, path: &str) -> Result<Configuration, Errno> {
    match tree.read_beginning(path, MAX_INI) {
        Ok(bytes) => Ok(Configuration::parse(&bytes)),
        Err(Errno::NOENT) => Ok(Configuration::default()),
        Err(e) => Err(e),
    }
}

/// Finds the configuration file of a directory, whatever Windows made of its name, and reads it.
///
/// # Errors
/// As [`read_configuration`].
pub fn find_configuration(tree: &Tree, directory: &str) -> Result<Configuration, Errno> {
    // Why: a directory that cannot be listed has no file that could be read; reading tells why.
    let entries = tree.entries(directory);
    let found = system_ini::choose(&mut entries.iter().map(|entry| entry.name.as_str()));
    let name = found.read.unwrap_or(paths::SYSTEM_INI);
    let mut configuration = read_configuration(tree, &format!("{directory}/{name}"))?;
    configuration.find_first(found.finding());
    Ok(configuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_configuration() {
        let mut noise = Vec::new();
        let mut state: u32 = 1;
        for _ in 0..4096 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push(state.to_be_bytes()[0]);
        }
        assert_eq!(Configuration::parse(&noise).settings, Settings::default());
        assert_eq!(Configuration::parse(b"").errors(), 0);
        assert_eq!(Configuration::parse(b"hostname = a b\nswapfile = no\n").errors(), 1);
    }

    #[test]
    fn added_finding_points_at_the_value() {
        let mut configuration = Configuration::parse(b"hostname = x\ntimezone = Mars/Base\n");
        configuration.find_fault("", "timezone", "no such zone".into());
        let spans: Vec<_> = configuration.findings.iter().map(|f| (f.span.start, f.span.end)).collect();
        assert_eq!(spans, [(24, 33)]);
        assert_eq!(configuration.errors(), 1);
    }
}
