//! Chromium without a window, driven through the DevTools protocol over a pipe
//! (<https://chromedevtools.github.io/devtools-protocol/>): pages as a phone and a desktop show them, what is wrong with
//! them, and pictures.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

mod png;

/// What is said of a page that is open: a list of faults.
const CHECKS: &str = include_str!("checks.js");
/// No answer takes so long, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);
/// Most of a page that a picture shows, in pixels.
const MAX_HEIGHT: f64 = 6000.0;

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_phone: bool,
    pub(crate) is_dark: bool,
}

/// A phone that is narrow, and a desktop.
pub(crate) const VIEWS: [View; 4] = [
    View { name: "phone-light", width: 360, height: 740, is_phone: true, is_dark: false },
    View { name: "phone-dark", width: 360, height: 740, is_phone: true, is_dark: true },
    View { name: "desktop-light", width: 1280, height: 800, is_phone: false, is_dark: false },
    View { name: "desktop-dark", width: 1280, height: 800, is_phone: false, is_dark: true },
];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    events: Vec<Value>,
    session: Option<String>,
    last: u64,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // Why a shell: the browser takes commands from descriptor 3 and answers on 4.
        let mut child = Command::new("timeout")
            .args([
                "900",
                "sh",
                "-c",
                "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "chromium",
            ])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let commands = child.stdin.take().unwrap();
        let mut browser =
            Self { child, commands, messages, events: Vec::new(), session: None, last: 0, _profile: profile };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": page["targetId"], "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    fn message(&self, of: &str) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        message.unwrap_or_else(|e| panic!("{of}: {e}: is chromium installed (tools/setup.sh full)?"))
    }

    /// Sends a command and returns its result; events that come before it are kept.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        // A browser that is gone is told by the missing answer.
        let _ = self.commands.write_all(format!("{command}\0").as_bytes());
        loop {
            let mut message = self.message(method);
            if message["id"] == self.last {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn wait_for(&mut self, event: &str) {
        while !self.events.iter().any(|e| e["method"] == event) {
            let message = self.message(event);
            self.events.push(message);
        }
    }

    /// Returns what an expression is, in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut result = self.call("Runtime.evaluate", parameters);
        assert!(result.get("exceptionDetails").is_none(), "{result}");
        result["result"]["value"].take()
    }

    /// Opens a page; with `has_scripts` false as a browser that runs none.
    pub(crate) fn show(&mut self, page: &Path, view: View, has_scripts: bool) {
        let View { width, height, is_phone, is_dark, .. } = view;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}),
        );
        let scheme = if is_dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !has_scripts}));
        self.events.clear();
        self.call("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        self.wait_for("Page.loadEventFired");
    }

    /// Gives a file to an input of the page.
    pub(crate) fn choose_file(&mut self, input: &str, file: &Path) {
        let root = self.call("DOM.getDocument", json!({}));
        let root = &root["root"]["nodeId"];
        let node = self.call("DOM.querySelector", json!({"nodeId": root, "selector": input}));
        self.call("DOM.setFileInputFiles", json!({"files": [file], "nodeId": node["nodeId"]}));
    }

    /// Returns what is wrong with the page that is open.
    pub(crate) fn faults(&mut self) -> Vec<String> {
        let found = self.evaluate(CHECKS);
        let mut faults: Vec<String> =
            found.as_array().unwrap().iter().map(|fault| fault.as_str().unwrap().to_owned()).collect();
        let mut requests = 0;
        for event in &self.events {
            let said = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    requests += 1;
                    let url = said["request"]["url"].as_str().unwrap();
                    // Its own file, and pictures that stand in it.
                    if requests > 1 && !url.starts_with("data:") {
                        faults.push(format!("asks for {url}"));
                    }
                }
                "Log.entryAdded" => faults.push(format!("log: {}", said["entry"]["text"])),
                "Runtime.exceptionThrown" => faults.push(format!("exception: {said}")),
                "Runtime.consoleAPICalled" => faults.push(format!("console: {said}")),
                _ => {}
            }
        }
        faults
    }

    /// Writes a picture of the page, its first [`MAX_HEIGHT`] pixels, and returns the colours in it, that of the first
    /// pixel before the others.
    pub(crate) fn picture(&mut self, to: &Path) -> (u32, HashSet<u32>) {
        let metrics = self.call("Page.getLayoutMetrics", json!({}));
        let size = &metrics["cssContentSize"];
        let height = size["height"].as_f64().unwrap().min(MAX_HEIGHT);
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1});
        let shot = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true, "clip": clip}));
        let bytes = png::of_base64(shot["data"].as_str().unwrap());
        std::fs::write(to, &bytes).unwrap();
        png::colors(&bytes)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when its pipe does; what does not is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
