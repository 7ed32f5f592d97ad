//! What the program says of itself, and what its server answers, looked at from outside.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Longer than any of this takes; then the process is killed, which fails the test that waits for it.
const WATCHDOG: Duration = Duration::from_secs(60);

const PROGRAM: &str = env!("CARGO_BIN_EXE_seed_http");

fn signal(signal: &str, process: u32) {
    let process = process.to_string();
    let sent = Command::new("kill").args([signal, &process]).status();
    assert!(sent.unwrap().success());
}

/// Kills a process unless the sender is dropped before.
fn watch(process: u32) -> Sender<()> {
    let (ended, watchdog) = channel::<()>();
    thread::spawn(move || {
        if watchdog.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            signal("-KILL", process);
        }
    });
    ended
}

fn output(command: &mut Command) -> Output {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let _watchdog = watch(child.id());
    child.wait_with_output().unwrap()
}

/// The lines for the modes.
fn lines(args: &str) -> Vec<String> {
    let output = output(Command::new(PROGRAM).args(args.split(' ')));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_string).collect()
}

/// The number that stands after a word.
fn number(text: &str, word: &str) -> usize {
    let mut words = text.split([' ', ',', '\n']);
    words.find(|found| *found == word).unwrap();
    words.next().unwrap().parse().unwrap()
}

/// `seed_http serve`.
struct Server {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    address: String,
    _watchdog: Sender<()>,
}

impl Server {
    fn start(args: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        let command = command.arg("serve").args(args.split(' '));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let watchdog = watch(child.id());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            address: address.to_string(),
            child,
            stdout,
            _watchdog: watchdog,
        }
    }

    /// Sends a request on a connection of its own.
    fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Asks until so many requests have been read.
    fn until_read(&self, requests: usize) {
        while number(&answer(self.ask("/stats")), "requests") < requests {
            thread::yield_now();
        }
    }

    /// What else it says, and how it ends.
    fn end(mut self) -> (String, ExitStatus) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap())
    }
}

/// Everything until the server closes the connection.
fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn r_d1_three_modes_answer_everyone() {
    let lines = lines("--connections 200");
    assert_eq!(lines.len(), 3);
    for line in &lines {
        assert_eq!(number(line, "answered"), 200, "{line}");
        assert_eq!(number(line, "shed"), 0, "{line}");
        assert_eq!(number(line, "connections"), 200, "all at once: {line}");
    }
    assert_eq!(number(&lines[1], "jobs"), 1);
    assert!((1..=32).contains(&number(&lines[2], "jobs")));
    assert_eq!(number(&lines[2], "threads"), 32);
}

#[test]
fn r_d1_a_full_pool_sheds_and_says_when_to_come_back() {
    let server = Server::start("--mode pool --shed --workers 1 --capacity 1 --work-ms 1000");
    let asked: Vec<_> = (0..5).map(|_| server.ask("/work")).collect();
    let answers: Vec<_> = asked.into_iter().map(answer).collect();
    let is_shed = |answer: &&String| answer.starts_with("HTTP/1.1 503");
    let (shed, done): (Vec<_>, Vec<_>) = answers.iter().partition(is_shed);
    assert!(!shed.is_empty() && !done.is_empty(), "{answers:?}");
    let says_when = |answer: &&String| answer.to_lowercase().contains("\r\nretry-after: 1\r\n");
    assert!(shed.iter().all(says_when), "{shed:?}");
    let is_ok = |answer: &&String| answer.starts_with("HTTP/1.1 200");
    assert!(done.iter().all(is_ok), "{done:?}");
    signal("-INT", server.child.id());
    assert!(server.end().1.success());
}

#[test]
fn r_d1_a_refused_thread_is_an_answer_too() {
    // A stack of 128 TiB: the system has no room for it.
    let lines = lines("--mode threads --connections 5 --thread-stack 140737488355328");
    assert_eq!(number(&lines[0], "shed"), 5);
}

#[test]
fn r_d1_fewer_connections_are_said_aloud() {
    let script = format!("ulimit -n 150 && exec {PROGRAM} --mode pool --connections 1000");
    let output = output(Command::new("sh").args(["-c", &script]));
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("only 86 connections, not 1000"), "{said}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(number(&line, "answered"), 86);
}

#[test]
fn s_d2_the_pool_is_bounded_under_a_burst() {
    for shed in ["", " --shed"] {
        let bounds = "--mode pool --connections 400 --workers 4 --capacity 8 --work-ms 10";
        let lines = lines(&format!("{bounds}{shed}"));
        let line = &lines[0];
        assert!(number(line, "held") <= 4 + 8, "{line}");
        assert!(number(line, "jobs") <= 4, "{line}");
        assert_eq!(number(line, "answered") + number(line, "shed"), 400);
        assert_eq!(number(line, "shed") == 0, shed.is_empty(), "{line}");
    }
}

#[test]
fn s_d3_ctrl_c_drains() {
    for mode in ["threads", "consumer", "pool"] {
        // Places for fewer than there are requests: some wait in the queue, some for room in it.
        let bounds = "--workers 2 --capacity 3 --work-ms 50";
        let server = Server::start(&format!("--mode {mode} {bounds}"));
        let asked: Vec<_> = (0..12).map(|_| server.ask("/work")).collect();
        server.until_read(12);
        signal("-INT", server.child.id());
        for answer in asked.into_iter().map(answer) {
            assert!(answer.starts_with("HTTP/1.1 200"), "{mode}: {answer}");
        }
        let (said, status) = server.end();
        assert!(status.success(), "{mode}");
        assert_eq!(number(&said, "drained:"), 12, "{mode}: {said}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for args in [
        "--connections 0",
        "--mode fibres",
        "--workers",
        "--nonsense",
    ] {
        let output = output(Command::new(PROGRAM).args(args.split(' ')));
        assert_eq!(output.status.code(), Some(2), "{args}");
    }
    let output = output(Command::new(PROGRAM).args(["--mode", "pool", "--workers", "0"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
