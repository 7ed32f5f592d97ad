//! Tests that want a process of their own: under a limit, or to look at its memory.

use std::env;
use std::process::Command;

/// Set to the name of the test in its process.
const CHILD: &str = "RINGMILL_TEST_ALONE";

/// Whether this is the process of `test`, which is named with its module's path. If not, runs that process, after `setup`
/// in its shell, and fails if it does.
///
/// ```text
/// fn test() {
///     if alone(concat!(module_path!(), "::test"), "ulimit -v 1000000 &&") {
///         within(|| ..);
///     }
/// }
/// ```
#[track_caller]
pub fn alone(test: &str, setup: &str) -> bool {
    let test = test.split_once("::").map_or(test, |(_program, name)| name);
    if env::var(CHILD).is_ok_and(|name| name == test) {
        return true;
    }
    let script = format!("{setup} exec \"$0\" --exact --nocapture \"$1\"");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(env::current_exe().expect("a test's path"))
        .arg(test)
        .env(CHILD, test)
        .output()
        .expect("a shell");
    let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "{test} alone: {}\n{out}\n{err}", output.status);
    false
}
