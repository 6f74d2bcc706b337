//! Downloads against a server of our own that counts, breaks off and changes its mind; signatures against GnuPG.
//!
//! Needs curl; the signatures need gpg and gpgv.

#[path = "../../tests/needs.rs"]
mod needs;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use genpack_host::command_error::Kind;
use genpack_host::fetch::cache::Cache;
use genpack_host::fetch::location::Location;
use genpack_host::fetch::signature::{self, Keyring};
use genpack_host::model::lockfile::Locked;
use genpack_host::runner::Runner;
use genpack_host::ui::{Color, Ui};

/// What the server has and does.
#[derive(Clone, Debug, Default)]
struct Script {
    body: Vec<u8>,
    etag: String,
    /// Breaks off after this many bytes.
    cut: Option<usize>,
    ranges: bool,
    /// First line and the headers that matter, of every request.
    seen: Vec<String>,
}

#[derive(Clone)]
struct Server {
    script: Arc<Mutex<Script>>,
    port: u16,
}

impl Server {
    fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { script: Arc::new(Mutex::new(script)), port };
        let own = server.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| own.answer(stream)));
        server
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = Vec::new();
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let header = |name: &str| {
            lines
                .iter()
                .find_map(|l| l.to_lowercase().starts_with(name).then(|| l[name.len()..].trim().to_owned()))
        };
        let mut script = self.script.lock().unwrap();
        let path = lines.first().and_then(|l| l.split(' ').nth(1)).unwrap_or_default().to_owned();
        let asked: Vec<_> = ["range:", "if-range:", "if-none-match:"]
            .into_iter()
            .filter_map(|name| header(name).map(|value| format!("{name} {value}")))
            .collect();
        script.seen.push(format!("{path} {}", asked.join(" ")).trim().to_owned());
        let etag = &script.etag;
        let from: usize = header("range:")
            .filter(|_| script.ranges && header("if-range:").as_ref() == Some(etag))
            .and_then(|r| r.trim_start_matches("bytes=").trim_end_matches('-').parse().ok())
            .unwrap_or(0);
        let (first, body) = if path != "/f" {
            ("404 Not Found".to_owned(), &[][..])
        } else if header("if-none-match:").as_ref() == Some(etag) {
            ("304 Not Modified".to_owned(), &[][..])
        } else if from > 0 {
            let total = script.body.len();
            (
                format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}", total - 1),
                &script.body[from..],
            )
        } else {
            ("200 OK".to_owned(), &script.body[..])
        };
        let head = format!(
            "HTTP/1.1 {first}\r\nETag: {etag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let sent = script.cut.map_or(body, |cut| &body[..cut.min(body.len())]);
        // Why: who asked may have gone.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
    }

    fn url(&self, path: &str) -> Location {
        Location::Url(format!("http://127.0.0.1:{}{path}", self.port))
    }

    fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().seen)
    }
}

struct Parts {
    dir: tempfile::TempDir,
    ui: Ui,
    runner: Runner,
}

impl Parts {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            ui: Ui::new(false, true, false, Color::Never),
            runner: Runner::default(),
        }
    }

    fn cache(&self, offline: bool) -> Cache<'_> {
        Cache { ui: &self.ui, runner: &self.runner, directory: self.dir.path().to_owned(), offline }
    }
}

fn body() -> Vec<u8> {
    (0..200_000u32).flat_map(u32::to_le_bytes).collect()
}

fn script() -> Script {
    Script { body: body(), etag: "\"one\"".into(), ranges: true, ..Script::default() }
}

#[test]
fn unchanged_file_is_asked_for_and_not_sent_again() {
    if !needs::program("curl") {
        return;
    }
    let (server, parts) = (Server::start(script()), Parts::new());
    let first = parts.cache(false).newest(&server.url("/f")).unwrap();
    assert_eq!(std::fs::read(&first.path).unwrap(), body());
    let second = parts.cache(false).newest(&server.url("/f")).unwrap();
    assert_eq!(first, second);
    assert_eq!(server.seen(), ["/f", "/f if-none-match: \"one\""]);
    assert_eq!(parts.cache(true).newest(&server.url("/f")).unwrap(), first);
    assert_eq!(server.seen(), Vec::<String>::new(), "offline asks nobody");
    server.set(|s| {
        s.body = b"new".to_vec();
        s.etag = "\"two\"".into();
    });
    let third = parts.cache(false).newest(&server.url("/f")).unwrap();
    assert_eq!(std::fs::read(&third.path).unwrap(), b"new");
}

#[test]
fn download_that_broke_off_is_continued() {
    if !needs::program("curl") {
        return;
    }
    let (server, parts) = (Server::start(Script { cut: Some(123_456), ..script() }), Parts::new());
    let error = parts.cache(false).newest(&server.url("/f")).unwrap_err().to_string();
    assert!(error.contains("curl failed"), "{error}");
    server.set(|s| s.cut = None);
    let fetched = parts.cache(false).newest(&server.url("/f")).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), body());
    assert_eq!(server.seen(), ["/f", "/f range: bytes=123456- if-range: \"one\""]);
}

#[test]
fn download_whose_file_changed_meanwhile_begins_again() {
    if !needs::program("curl") {
        return;
    }
    for ranges in [true, false] {
        let (server, parts) = (Server::start(Script { cut: Some(1000), ranges, ..script() }), Parts::new());
        parts.cache(false).newest(&server.url("/f")).unwrap_err();
        server.set(|s| {
            s.cut = None;
            s.etag = "\"two\"".into();
            s.body.reverse();
        });
        let fetched = parts.cache(false).newest(&server.url("/f")).unwrap();
        let expected: Vec<u8> = body().into_iter().rev().collect();
        assert_eq!(std::fs::read(&fetched.path).unwrap(), expected);
    }
}

#[test]
fn missing_file_wrong_hash_and_offline_are_told() {
    if !needs::program("curl") {
        return;
    }
    let (server, parts) = (Server::start(script()), Parts::new());
    let cache = parts.cache(false);
    let error = cache.newest(&server.url("/gone")).unwrap_err().to_string();
    assert!(error.ends_with("the server answers with an error (404)"), "{error}");
    assert_eq!(cache.optional(&server.url("/gone")).unwrap(), None);
    let mut locked = Locked {
        location: server.url("/f").to_string(),
        size: 0,
        sha256: "0".repeat(64),
        timestamp: None,
        commit: None,
    };
    let error = cache.exact(&locked, Path::new("/")).unwrap_err();
    assert!(error.to_string().contains("but genpack.lock says 0000"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("build --update takes what is there now"));
    locked.sha256 = cache.newest(&server.url("/f")).unwrap().sha256;
    server.seen();
    cache.exact(&locked, Path::new("/")).unwrap();
    assert_eq!(server.seen(), Vec::<String>::new(), "what is locked and here needs no server");
    let error = Parts::new().cache(true).newest(&server.url("/f")).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("build once without --offline"));
}

/// A key of our own, its keyring, and what it signs.
struct Signer {
    home: tempfile::TempDir,
}

impl Signer {
    fn new(name: &str) -> Self {
        let signer = Self { home: tempfile::tempdir().unwrap() };
        signer.gpg(&["--quick-generate-key", name, "ed25519", "sign", "never"]);
        signer
    }

    fn gpg(&self, args: &[&str]) {
        let output = Command::new("gpg")
            .env("GNUPGHOME", self.home.path())
            .args(["--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn keyring(&self, armor: bool) -> Keyring {
        let path = self.home.path().join(if armor { "keys.asc" } else { "keys.gpg" });
        let to = path.to_str().unwrap();
        let mut args = vec!["--output", to, "--export"];
        if armor {
            args.insert(0, "--armor");
        }
        self.gpg(&args);
        Keyring::all(path)
    }
}

#[test]
fn signatures_count_only_by_a_key_of_the_keyring() {
    if !needs::program("gpg") || !needs::program("gpgv") {
        return;
    }
    let (signer, other) = (Signer::new("a@example.org"), Signer::new("b@example.org"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "20250101T0/stage3.tar.xz 7\n").unwrap();
    let (clear, detached) = (dir.path().join("file.clear"), dir.path().join("file.asc"));
    signer.gpg(&["--output", clear.to_str().unwrap(), "--clearsign", file.to_str().unwrap()]);
    signer.gpg(&["--armor", "--output", detached.to_str().unwrap(), "--detach-sign", file.to_str().unwrap()]);
    let (runner, what) = (Runner::default(), Location::Path(file.clone()));
    for armor in [true, false] {
        let keyring = signer.keyring(armor);
        let text = signature::check_clear(&runner, &keyring, &clear, &what).unwrap();
        assert_eq!(text.trim_end(), "20250101T0/stage3.tar.xz 7");
        signature::check_detached(&runner, &keyring, &detached, &file, &what).unwrap();
    }
    let error = signature::check_clear(&runner, &other.keyring(false), &clear, &what).unwrap_err();
    assert_eq!(error.kind, Kind::VerifyFailed);
    std::fs::write(&file, "20250101T0/evil.tar.xz 7\n").unwrap();
    let error = signature::check_detached(&runner, &signer.keyring(false), &detached, &file, &what);
    assert_eq!(error.unwrap_err().kind, Kind::VerifyFailed);
    let changed = std::fs::read_to_string(&clear).unwrap().replace("stage3", "stage4");
    std::fs::write(&clear, changed).unwrap();
    let error = signature::check_clear(&runner, &signer.keyring(false), &clear, &what).unwrap_err();
    assert_eq!(error.kind, Kind::VerifyFailed);
}

#[test]
fn published_keys_count_only_by_their_fingerprint() {
    if !needs::programs(&["curl", "gpg", "gpgv"]) {
        return;
    }
    let signer = Signer::new("a@example.org");
    let dir = tempfile::tempdir().unwrap();
    let (file, signature) = (dir.path().join("file"), dir.path().join("file.asc"));
    std::fs::write(&file, "stage3").unwrap();
    signer.gpg(&["--output", signature.to_str().unwrap(), "--detach-sign", file.to_str().unwrap()]);
    let server =
        Server::start(Script { body: std::fs::read(signer.keyring(false).file).unwrap(), ..script() });
    let parts = Parts::new();
    // What a server gives out as Gentoo's keys: a good key, but none of theirs.
    let mut keyring = Keyring::fetched(&parts.cache(false), &server.url("/f")).unwrap();
    let (runner, what) = (Runner::default(), Location::Path(file.clone()));
    let error = signature::check_detached(&runner, &keyring, &signature, &file, &what).unwrap_err();
    assert_eq!(error.kind, Kind::VerifyFailed);
    assert!(error.to_string().contains("whose word does not count here"), "{error}");
    // The same key under its own fingerprint.
    let output = Command::new("gpg")
        .env("GNUPGHOME", signer.home.path())
        .args(["--batch", "--with-colons", "--list-keys"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let own = text.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap();
    keyring.only = Some(vec![own.trim_matches(':').to_owned()]);
    signature::check_detached(&runner, &keyring, &signature, &file, &what).unwrap();
}

#[test]
fn snapshot_with_a_signature_of_something_else_is_not_locked() {
    if !needs::root() || !needs::programs(&["gpg", "gpgv", "tar"]) {
        return;
    }
    let signer = Signer::new("a@example.org");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("o/profiles")).unwrap();
    std::fs::write(path("o/profiles/repo_name"), "genpack-overlay\n").unwrap();
    for name in ["stage3.tar", "snapshot.tar"] {
        let tar = Command::new("tar").arg("-cf").arg(path(name)).arg("-C").arg(dir.path()).arg("o").status();
        assert!(tar.unwrap().success());
    }
    let sign = |what: &str, to: &str| {
        let (what, to) = (path(what), path(to));
        signer.gpg(&["--output", to.to_str().unwrap(), "--detach-sign", what.to_str().unwrap()]);
    };
    sign("stage3.tar", "stage3.tar.asc");
    let definition = format!(
        "{{name: 'a', base: {{gentoo: {{keys: '{}', stage3: 'stage3.tar', snapshot: 'snapshot.tar', overlay: 'o'}}}}}}",
        signer.keyring(true).file.display()
    );
    std::fs::write(path("genpack.json5"), definition).unwrap();
    let lower = || {
        let output = Command::new(env!("CARGO_BIN_EXE_genpack-host"))
            .args(["-C", dir.path().to_str().unwrap(), "lower"])
            .env("GENPACK_CACHE", path("cache"))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    sign("genpack.json5", "snapshot.tar.gpgsig");
    let (status, told) = lower();
    assert_eq!(status, Some(5), "{told}");
    assert!(told.contains("error: checking the signature of ") && told.contains("snapshot.tar"), "{told}");
    assert!(!path("genpack.lock").exists() && !path("work").exists());
    // With its own signature it is locked; that the stage3 is none is told after that.
    sign("snapshot.tar", "snapshot.tar.gpgsig");
    let (status, told) = lower();
    assert_eq!(status, Some(1), "{told}");
    assert!(path("genpack.lock").exists() && !told.contains("without a signature"), "{told}");
}
