//! The command as a child process, and trees of files for it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A hang is a failure.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Names that a line of output could stumble over.
pub const ODD: [&[u8]; 14] = [
    b"plain",
    b"with space",
    b" leading and trailing ",
    b"new\nline",
    b"carriage\rreturn",
    b"back\\slash",
    b"\\n",
    b"tab\tbell\x07",
    b"-dash",
    b"--json",
    b"*",
    b"not utf-8 \xff\xfe",
    b"\xc3\xa4 umlaut",
    b".hidden",
];

/// A directory with a tree in `tree/`: odd names, empty and larger files, nested directories, an
/// empty one, symbolic links and, where there is one to be had, a FIFO.
pub fn tree() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().join("tree");
    for at in ["", "sub", "sub/deeper", "Sub", "sub-", "sub.d"] {
        let at = root.join(at);
        fs::create_dir_all(&at).unwrap();
        for (i, name) in ODD.iter().enumerate() {
            write(&at.join(OsStr::from_bytes(name)), &vec![b'x'; i * 37]);
        }
        write(&at.join("empty"), b"");
    }
    fs::create_dir(root.join("nothing here")).unwrap();
    // Around and over the size of a block, the last one of several.
    for size in [128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 3_000_000] {
        let bytes: Vec<u8> = (0..size).map(|i: u32| i.to_le_bytes()[1]).collect();
        write(&root.join(format!("{size} bytes")), &bytes);
    }
    std::os::unix::fs::symlink("plain", root.join("link to a file")).unwrap();
    std::os::unix::fs::symlink("sub", root.join("link to a directory")).unwrap();
    std::os::unix::fs::symlink("gone", root.join("link to nothing")).unwrap();
    let _ = Command::new("mkfifo").arg(root.join("fifo")).status();
    directory
}

pub fn write(path: &Path, bytes: &[u8]) {
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

/// What the reference prints for `paths`, and what `find` says on stderr is left out.
pub fn reference(directory: &Path, paths: &[&OsStr]) -> Vec<u8> {
    let script = r#"find "$@" -type f -print0 2>&- | LC_ALL=C sort -z | xargs -r0 sha256sum"#;
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(paths)
        .current_dir(directory)
        .output()
        .expect("sh");
    output.stdout
}

/// `ringmill` with these arguments, in this directory.
pub fn ringmill<S: AsRef<OsStr>>(directory: &Path, args: impl IntoIterator<Item = S>) -> Running {
    // Tests that run in the background of a shell ignore ctrl-c, and so would the command.
    ringmill_under("--default-signal=INT", directory, args)
}

/// The same with this flag of `env`.
pub fn ringmill_under<S: AsRef<OsStr>>(
    flag: &str,
    directory: &Path,
    args: impl IntoIterator<Item = S>,
) -> Running {
    let mut command = Command::new("env");
    command.args([flag, env!("CARGO_BIN_EXE_ringmill")]);
    command.args(args).current_dir(directory);
    Running::start(command)
}

/// A child with all its ends piped, which is killed if it hangs.
pub struct Running {
    pub child: Child,
    _watched: Sender<()>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("the command starts");
        let pid = child.id();
        let (watched, over) = mpsc::channel();
        thread::spawn(move || {
            if over.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("watchdog: killing {pid}");
                signal(pid, "KILL");
            }
        });
        Self {
            child,
            _watched: watched,
        }
    }

    pub fn interrupt(&self) {
        signal(self.child.id(), "INT");
    }

    /// Reads all there is and waits.
    pub fn end(self) -> Output {
        self.child.wait_with_output().expect("the command ends")
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "kill -{name} {pid}"
    );
}

/// The one object on the one line of `stdout`.
pub fn object(stdout: &[u8]) -> Value {
    let text = std::str::from_utf8(stdout).expect("JSON is text");
    assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
    assert!(text.ends_with('\n'), "a whole line: {text:?}");
    let value: Value = serde_json::from_str(text).expect("JSON");
    assert!(value.is_object(), "one object: {text}");
    value
}

/// Asserts that the object has the fields that every workload's has, and no others but `more`.
pub fn assert_fields(object: &Value, more: &[&str]) {
    const FIELDS: [&str; 11] = [
        "workload",
        "jobs",
        "bytes",
        "seconds",
        "rate_per_s",
        "sequential_seconds",
        "speedup",
        "verified",
        "latency_ns",
        "stages",
        "placement",
    ];
    let mut expected: Vec<&str> = FIELDS.iter().chain(more).copied().collect();
    let mut found: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    for stage in object["stages"].as_array().expect("stages is an array") {
        let count = |name: &str| {
            stage[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {stage}"))
        };
        let sum = count("waiting") + count("running") + count("finished") + count("dropped");
        assert_eq!(count("dispatched"), sum, "{stage}");
        assert!(
            stage["name"].is_string() && count("discarded") <= count("finished"),
            "{stage}"
        );
    }
    for worker in object["placement"]
        .as_array()
        .expect("placement is an array")
    {
        assert!(
            worker["worker"].is_u64() && worker["pinned"].is_boolean(),
            "{worker}"
        );
        assert!(
            worker["core"].is_u64() || worker["core"].is_null(),
            "{worker}"
        );
        assert!(worker["duties"].is_array(), "{worker}");
    }
}
