//! Words.
pub struct KernelCmdline<'a>(&'a str);
impl<'a> KernelCmdline<'a> {
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }
    fn last(&self, key: &str) -> Option<Option<&'a str>> {
        self.0
            .split_ascii_whitespace()
            .map(|w| match w.split_once('=') {
                Some((k, v)) => (k, Some(v)),
                None => (w, None),
            })
            .filter(|(k, _)| *k == key)
            .last()
            .map(|(_, v)| v)
    }
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.last(key)?
    }
    pub fn flag(&self, key: &str) -> bool {
        match self.last(key) {
            None => false,
            Some(None) => true,
            Some(Some(v)) => !matches!(v, "0" | "no" | "off"),
        }
    }
}
