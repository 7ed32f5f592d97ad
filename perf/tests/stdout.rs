//! Results that cannot be written are a failure, said on stderr; a reader that has gone is none.

mod common;

use std::process::{Command, Output};

use common::Running;

const RESULTS: [&str; 9] = [
    "run digest Cargo.toml",
    "run digest Cargo.toml --json",
    "run json --jobs 2",
    "run json --jobs 2 --json",
    "run ticks --messages 600",
    "run ticks --messages 600 --json",
    "--help",
    "run ticks --help",
    "--version",
];

fn redirected(args: &str, redirection: &str) -> Output {
    let mut command = Command::new("sh");
    let script = format!(r#"exec "$0" {args} {redirection}"#);
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ringmill")]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    Running::start(command).end()
}

#[track_caller]
fn assert_failed(args: &str, redirection: &str, error: &str) {
    let output = redirected(args, redirection);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{args} {redirection}: {talk}"
    );
    let said = format!("ringmill: cannot write to stdout: {error}");
    assert!(talk.contains(&said), "{args} {redirection}: {talk}");
}

#[test]
fn a_full_disk_is_a_failure() {
    for args in RESULTS {
        assert_failed(args, "> /dev/full", "No space left");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_stdout_that_was_closed_from_the_start_is_a_failure() {
    for args in RESULTS {
        assert_failed(args, ">&-", "Bad file descriptor");
        assert_failed(args, "<&- >&-", "Bad file descriptor");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_stdout_that_is_open_for_reading_only_is_a_failure() {
    for args in RESULTS {
        assert_failed(args, "1< /dev/null", "Bad file descriptor");
    }
}

#[test]
fn an_open_stdout_that_keeps_nothing_is_none() {
    for args in RESULTS {
        for redirection in ["> /dev/null", "1<> /dev/null", "<&-", "2>&-", "<&- 2>&-"] {
            let output = redirected(args, redirection);
            assert_eq!(output.status.code(), Some(0), "{args} {redirection}");
        }
    }
}

#[test]
fn a_usage_error_is_one_whatever_stdout_is() {
    for redirection in [">&-", "> /dev/full"] {
        let output = redirected("run digest", redirection);
        assert_eq!(output.status.code(), Some(2), "{redirection}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("PATH"));
    }
}
