//! A web server on this machine that answers ranges, as far as updates ask it; also one that knows none, or breaks off.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// It knows no ranges.
    pub(crate) plain: bool,
    /// Breaks off after so many bytes in all.
    pub(crate) cut: Option<usize>,
    /// Bytes of the bodies that were sent.
    sent: usize,
}

#[derive(Clone)]
pub(crate) struct Server {
    script: Arc<Mutex<Script>>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { script: Arc::default(), port };
        let own = server.clone();
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            });
        });
        server
    }

    /// Answers requests of one connection until the other side has enough.
    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_owned());
            }
            let path = head[0].split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
            let range = head.iter().find_map(|line| line.strip_prefix("Range: bytes=").map(str::to_owned));
            let mut script = self.script.lock().unwrap();
            let (first, body) = match (script.files.get(&path), range.filter(|_| !script.plain)) {
                (None, _) => ("404 Not Found".to_owned(), Vec::new()),
                (Some(bytes), None) => ("200 OK".to_owned(), bytes.clone()),
                (Some(bytes), Some(range)) => {
                    let (start, end) = range.split_once('-').unwrap();
                    let start: usize = start.parse().unwrap();
                    let end = end.parse().map_or(bytes.len(), |end: usize| end + 1).min(bytes.len());
                    if start >= end {
                        ("416 Range Not Satisfiable".to_owned(), Vec::new())
                    } else {
                        let head = format!(
                            "206 Partial Content\r\nContent-Range: bytes {start}-{}/{}",
                            end - 1,
                            bytes.len()
                        );
                        (head, bytes[start..end].to_vec())
                    }
                }
            };
            let left = script.cut.map_or(usize::MAX, |cut| cut.saturating_sub(script.sent));
            let sent = &body[..body.len().min(left)];
            script.sent += sent.len();
            drop(script);
            let head = format!("HTTP/1.1 {first}\r\nContent-Length: {}\r\n\r\n", body.len());
            let is_sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent)).is_ok();
            if !is_sent || sent.len() < body.len() {
                return;
            }
        }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub(crate) fn sent(&self) -> usize {
        std::mem::take(&mut self.script.lock().unwrap().sent)
    }
}
