//! A server process, and a client that sends exactly what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;
use tempfile::TempDir;

/// Upper bound of every wait; nothing waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_target-server");

/// A running server with a database of its own. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it serves first; `0.0.0.0:0` when that is a unix socket.
    pub(crate) address: SocketAddr,
    /// Where it serves, as it tells.
    pub(crate) places: String,
    pub(crate) folder: TempDir,
    /// Where the admin paths are served, as it is told.
    pub(crate) admin: Option<String>,
    process: Child,
    output: Option<BufReader<ChildStdout>>,
    printed: Vec<String>,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// The last line of stdout.
    pub(crate) counts: serde_json::Value,
    pub(crate) stderr: String,
}

impl Server {
    /// Starts a server on a free port and waits for its line.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), flags)
    }

    /// Starts a server by a command that runs the program in the end, with the words that follow.
    pub(crate) fn start_by(mut command: Command, flags: &[&str]) -> Self {
        command.args(["--listen", "127.0.0.1:0"]).args(flags);
        Self::launch(tempfile::tempdir().unwrap(), &mut command)
    }

    /// Starts a server as the command says, with a database in `folder`, and waits for its line.
    pub(crate) fn launch(folder: TempDir, command: &mut Command) -> Self {
        let database = folder.path().join("requests.db");
        if !command.get_args().any(|arg| arg == "none") {
            command.arg("--database").arg(&database);
        }
        let mut process = command
            // What a parent leaves behind when it is killed goes with the folder.
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let complaint = || std::fs::read_to_string(folder.path().join("stderr")).unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let admin = event["admin"][0].as_str().map(ToOwned::to_owned);
        // Events are objects, and sentences where that is asked for.
        let sentence = event["message"].as_str().unwrap_or(&line);
        let places = sentence.strip_prefix("serving on ").and_then(|rest| rest.split(" (").next());
        let places = places.unwrap_or_else(|| panic!("{line:?} {}", complaint())).to_owned();
        let address = places.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or("0.0.0.0:0").parse().unwrap();
        let printed = vec![line.trim_end().to_owned()];
        Self { address, places, admin, folder, process, output: Some(output), printed }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("requests.db")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn signal(&self, name: &str) {
        send_signal(self.process.id(), name);
    }

    /// What it has complained about so far.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// Process ids of its instances.
    pub(crate) fn children(&self) -> Vec<u32> {
        let pid = self.process.id();
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Ended {
        let status = until("the server's end", || self.process.try_wait().unwrap());
        let mut rest = String::new();
        self.output.iter_mut().for_each(|output| {
            output.read_to_string(&mut rest).unwrap();
        });
        self.printed.extend(rest.lines().map(ToOwned::to_owned));
        // Null where it ends with a sentence.
        let last = rest.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let counts = last.unwrap_or_default();
        Ended { code: status.code(), counts, stderr: self.stderr() }
    }

    /// The next event that it tells.
    pub(crate) fn event(&mut self) -> serde_json::Value {
        let output = self.output.as_mut().unwrap();
        if output.buffer().is_empty() {
            let patience = Timespec::try_from(PATIENCE).unwrap();
            let mut readable = [PollFd::new(output.get_ref(), PollFlags::IN)];
            assert_eq!(poll(&mut readable, Some(&patience)).unwrap(), 1, "it tells nothing");
        }
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        self.printed.push(line.trim_end().to_owned());
        serde_json::from_str(&line).unwrap()
    }

    /// The lines of stdout, all of them once it has ended.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.printed.clone()
    }

    /// Reads what it prints until a line contains this.
    pub(crate) fn read_until(&mut self, words: &'static str) -> String {
        let mut output = self.output.take().unwrap();
        let (found, line) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let lines = std::iter::from_fn(|| {
                let mut line = String::new();
                (output.read_line(&mut line).unwrap() > 0).then_some(line)
            });
            let mut read = Vec::new();
            for line in lines {
                read.push(line.trim_end().to_owned());
                if line.contains(words) {
                    break;
                }
            }
            let _ = found.send((read, output));
        });
        let (read, output) = line.recv_timeout(PATIENCE).expect(words);
        self.output = Some(output);
        self.printed.extend(read);
        self.printed.last().filter(|line| line.contains(words)).expect(words).clone()
    }

    /// Reads nothing of what it prints any more: its stdout is closed at our end.
    pub(crate) fn stop_reading(&mut self) {
        self.output = None;
    }

    /// SIGTERM, then waits for its end.
    pub(crate) fn stop(&mut self) -> Ended {
        self.signal("TERM");
        self.wait()
    }

    /// Rows in its database, as `--inspect` tells, whose integrity is asserted.
    pub(crate) fn rows(&self) -> u64 {
        let output = run(&["--inspect", "--database", self.database().to_str().unwrap()]);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["integrity"], "ok");
        found["rows"].as_u64().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the program to its end.
pub(crate) fn run(flags: &[&str]) -> Output {
    finish(Command::new(PROGRAM).args(flags))
}

/// Runs a command that is to end by itself, and ends it if it does not. Its output must fit into a pipe.
pub(crate) fn finish(command: &mut Command) -> Output {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = patiently(|| child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(ended.is_some(), "it serves instead of refusing: {output:?}");
    output
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<Socket>,
}

/// One answer as it stood on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case, without the date.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("a connection")
    }

    /// `None` when nobody listens.
    pub(crate) fn try_connect(address: SocketAddr) -> Option<Self> {
        TcpStream::connect(address).ok().map(Self::new)
    }

    /// Through the unix socket at `path`.
    pub(crate) fn connect_unix(path: &Path) -> Self {
        Self::new(UnixStream::connect(path).unwrap())
    }

    fn new(stream: impl Into<Socket>) -> Self {
        let stream = stream.into();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        self.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, bytes: &str) -> Answer {
        self.send(bytes);
        self.answer()
    }

    /// Sends a request and reads its answer; `None` when the connection ends instead.
    pub(crate) fn try_ask(&mut self, bytes: &str) -> Option<Answer> {
        self.stream.get_mut().write_all(bytes.as_bytes()).ok()?;
        self.try_answer(false)
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer(false).expect("an answer")
    }

    /// The next answer, of which only the head is sent.
    pub(crate) fn head(&mut self) -> Answer {
        self.try_answer(true).expect("an answer")
    }

    /// The next answer, or `None` when the connection ends before it is whole.
    pub(crate) fn try_answer(&mut self, head_only: bool) -> Option<Answer> {
        let status = self.line()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            match self.line()?.to_ascii_lowercase() {
                end if end.is_empty() => break,
                date if date.starts_with("date: ") => {}
                header => headers.push(header),
            }
        }
        let length = headers.iter().find_map(|header| header.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; if head_only { 0 } else { length.unwrap_or(0) }];
        self.stream.read_exact(&mut body).ok()?;
        Some(Answer { status, headers, body: String::from_utf8(body).unwrap() })
    }

    /// So many bytes.
    pub(crate) fn read(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Everything until the server closes.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text
    }

    /// The length of the next answer's body, read in pieces of at most `piece` bytes with a pause before each.
    pub(crate) fn slowly(&mut self, pause: Duration, piece: usize) -> usize {
        let mut length = 0;
        loop {
            let line = self.line().unwrap().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
        }
        let mut read = 0;
        let mut bytes = vec![0; piece];
        while read < length {
            std::thread::sleep(pause);
            match self.stream.read(&mut bytes).unwrap() {
                0 => break,
                n => read += n,
            }
        }
        read
    }

    /// Whether something has come within `time`, or the connection has ended.
    pub(crate) fn hears(&mut self, time: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(time)).unwrap();
        let outcome = self.stream.fill_buf().map(<[u8]>::len);
        self.stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        !outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Sends what the server may not take any more.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Whether the server has closed, with nothing left to read.
    pub(crate) fn at_end(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    /// Whether nothing can be read right now.
    pub(crate) fn silent(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let outcome = stream.peek(&mut [MaybeUninit::uninit()]);
        stream.set_nonblocking(false).unwrap();
        self.stream.buffer().is_empty()
            && outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        Some(line.strip_suffix("\r\n")?.into())
    }
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

pub(crate) fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn send_signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Looks again and again until `found` has something.
pub(crate) fn until<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    patiently(found).unwrap_or_else(|| panic!("waited in vain: {what}"))
}

#[expect(clippy::disallowed_methods, reason = "an upper bound for a wait")]
fn patiently<T>(mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let thing = found();
        if thing.is_some() || Instant::now() >= deadline {
            return thing;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process runs (a zombie does not).
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
