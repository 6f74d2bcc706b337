//! Decides how mksquashfs(1) is called and how its exclude file is written.

use std::path::Path;

use crate::runner::Run;

/// Compressions that GRUB 2.06 cannot read.
const NOT_FOR_GRUB: [&str; 2] = ["zstd", "lz4"];

/// Tells whether GRUB can read an image of this compression.
#[must_use]
pub fn grub_reads(compression: &str) -> bool {
    !NOT_FOR_GRUB.contains(&compression)
}

/// Returns the command that packs `tree` into `image`.
#[must_use]
pub fn command(tree: &Path, image: &Path, exclude: &Path, compression: &str) -> Run {
    let mut run = Run::new("mksquashfs").package("squashfs-tools").arg(tree).arg(image).args([
        "-noappend",
        "-no-exports",
        "-no-progress",
        "-wildcards",
    ]);
    run = run.args(options(compression));
    // Why: mksquashfs takes everything after -ef FILE as options too, so it may stand last.
    let mut run = run.arg("-ef").arg(exclude);
    run.merge_output = true;
    run
}

fn options(compression: &str) -> &'static [&'static str] {
    match compression {
        "xz" => &["-comp", "xz", "-b", "1M"],
        "lzo" => &["-comp", "lzo"],
        "zstd" => &["-comp", "zstd"],
        "none" => &["-noI", "-noD", "-noF", "-noX"],
        _ => &["-comp", "gzip", "-Xcompression-level", "1"],
    }
}

/// Returns the exclude file: one pattern per line, anchored at the root, every special character quoted.
#[must_use]
pub fn exclude_file(paths: &[String]) -> String {
    let mut text = String::new();
    for path in paths {
        // Why: mksquashfs drops one backslash at the begin of a line, so that a name may begin with a blank or #.
        if path.starts_with([' ', '\t', '#', '\\']) || path.starts_with(SPECIAL) {
            text.push('\\');
        }
        for c in path.chars() {
            if SPECIAL.contains(&c) {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('\n');
    }
    text
}

/// What fnmatch(3) with FNM_EXTMATCH gives a meaning to.
const SPECIAL: &[char] = &['*', '?', '[', ']', '\\', '!', '+', '@', '(', ')', '|'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclude_file_quotes_patterns() {
        let paths = ["usr/bin/[", "a/x++", "#b", "[c", "plain/file-1.0~rc"].map(str::to_owned);
        assert_eq!(exclude_file(&paths), "usr/bin/\\[\na/x\\+\\+\n\\#b\n\\\\[c\nplain/file-1.0~rc\n");
    }

    #[test]
    fn command_uses_fast_gzip_unless_told_otherwise() {
        let shell = |c| command(Path::new("/t"), Path::new("/i"), Path::new("/e"), c).shell();
        let head = "mksquashfs /t /i -noappend -no-exports -no-progress -wildcards";
        assert_eq!(shell("gzip"), format!("{head} -comp gzip -Xcompression-level 1 -ef /e"));
        assert_eq!(shell("xz"), format!("{head} -comp xz -b 1M -ef /e"));
        assert_eq!(shell("none"), format!("{head} -noI -noD -noF -noX -ef /e"));
    }

    #[test]
    fn grub_reads_all_but_the_new_ones() {
        assert!(grub_reads("gzip") && grub_reads("xz") && grub_reads("lzo") && grub_reads("none"));
        assert!(!grub_reads("zstd"));
    }
}
