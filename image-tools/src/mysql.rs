//! `with-mysql [--datadir D] [--socket S] [--mysql-plugin P]… CMD…`: commands beside a database server of their own.
//!
//! The data directory is made and initialised when it is not there. The server has no network and writes no binary
//! log; it ends when the commands have ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{At, Failure, Result, Words};

const ERRORS: &str = "/tmp/mysqld.err";
const START: Duration = Duration::from_secs(15);

pub(crate) fn run(args: &[String]) -> Result<()> {
    let words = Words::read(args, &["--datadir", "--socket", "--mysql-plugin"], &[])?;
    if words.rest.is_empty() {
        return Err(Failure::usage(
            "usage: with-mysql [--datadir DIR] [--socket S] [--mysql-plugin P]… CMD…",
        ));
    }
    let datadir = PathBuf::from(words.value("--datadir").unwrap_or("/var/lib/mysql"));
    let socket = PathBuf::from(words.value("--socket").unwrap_or("/var/run/mysqld/mysqld.sock"));
    let plugins: Vec<&str> = words.values("--mysql-plugin").collect();
    for dir in [Some(datadir.as_path()), socket.parent()].into_iter().flatten() {
        owned(dir)?;
    }
    let new = !datadir.join("mysql").is_dir();
    if new {
        done(mysqld(&datadir, &["--initialize-insecure"]), "initialising the database")?;
    }
    let mut server =
        mysqld(&datadir, &server_words(&socket, &plugins)).spawn().at(|| "starting mysqld".to_owned())?;
    let result = wait(&mut server, &socket).and_then(|()| work(&socket, new, &words.rest));
    let ended = end(&mut server);
    result.and(ended)
}

fn mysqld<S: AsRef<std::ffi::OsStr>>(datadir: &Path, words: &[S]) -> Command {
    let mut command = Command::new("mysqld");
    command.arg("--user=mysql").arg(format!("--datadir={}", datadir.display()));
    command.arg(format!("--log-error={ERRORS}")).args(words).stdin(Stdio::null());
    command
}

fn server_words(socket: &Path, plugins: &[&str]) -> Vec<String> {
    let mut words = vec!["--skip-networking".to_owned(), "--skip-log-bin".to_owned()];
    words.push(format!("--socket={}", socket.display()));
    words.extend(plugins.iter().map(|p| format!("--plugin-load-add={p}")));
    words
}

fn owned(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).at(|| format!("creating {}", dir.display()))?;
    let mut chown = Command::new("chown");
    chown.arg("mysql:mysql").arg(dir);
    done(chown, "giving a directory to mysql")
}

fn done(mut command: Command, what: &str) -> Result<()> {
    let status = command.status().at(|| what.to_owned())?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{what} failed ({status}); see {ERRORS}")))
    }
}

/// Waits for the server's socket, and for its end.
fn wait(server: &mut Child, socket: &Path) -> Result<()> {
    let started = Instant::now();
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        if let Some(status) = server.try_wait().at(|| "waiting for mysqld".to_owned())? {
            return Err(Failure::new(format!("mysqld ended ({status}); see {ERRORS}")));
        }
        if started.elapsed() > START {
            return Err(Failure::new(format!(
                "mysqld has no socket after {} s; see {ERRORS}",
                START.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn work(socket: &Path, new: bool, commands: &[String]) -> Result<()> {
    if new {
        let socket = socket.display();
        let zones = format!(
            "mysql_tzinfo_to_sql /usr/share/zoneinfo 2>/dev/null | mysql --socket={socket} -u root mysql"
        );
        shell(&zones)?;
    }
    commands.iter().try_for_each(|command| shell(command))
}

fn shell(command: &str) -> Result<()> {
    let status =
        Command::new("/bin/sh").arg("-c").arg(command).status().at(|| "starting a shell".to_owned())?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
    Err(Failure { code, words: format!("{command:?} failed ({status})") })
}

fn end(server: &mut Child) -> Result<()> {
    let mut kill = Command::new("kill");
    kill.arg(server.id().to_string());
    let asked = done(kill, "ending mysqld");
    server.wait().at(|| "waiting for mysqld".to_owned())?;
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_has_no_network_and_all_plugins() {
        assert_eq!(
            server_words(Path::new("/s"), &["a=a.so", "b.so"]),
            [
                "--skip-networking",
                "--skip-log-bin",
                "--socket=/s",
                "--plugin-load-add=a=a.so",
                "--plugin-load-add=b.so"
            ]
        );
    }

    #[test]
    fn status_of_a_command_is_passed_through() {
        assert_eq!(shell("exit 7").unwrap_err().code, 7);
        shell("true").unwrap();
    }
}
