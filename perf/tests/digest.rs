//! `ringmill run digest` prints what `find | sort | xargs sha256sum` prints.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use common::{Running, assert_fields, object, reference, ringmill, tree, write};

/// Runs `digest` on `paths`, which follow `--`, so that one may begin with a dash.
fn digest(directory: &Path, flags: &[&str], paths: &[&OsStr]) -> Output {
    let fixed = ["run", "digest"]
        .iter()
        .chain(flags)
        .chain(&["--"])
        .map(OsStr::new);
    ringmill(directory, fixed.chain(paths.iter().copied())).end()
}

fn paths<'a>(names: &[&'a str]) -> Vec<&'a OsStr> {
    names.iter().copied().map(OsStr::new).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Compares with the reference, byte by byte.
#[track_caller]
fn assert_same(directory: &Path, flags: &[&str], names: &[&OsStr]) {
    let expected = reference(directory, names);
    let output = digest(directory, flags, names);
    assert!(
        output.stdout == expected,
        "{flags:?} {names:?}: expected\n{}\nfound\n{}\n{}",
        String::from_utf8_lossy(&expected),
        String::from_utf8_lossy(&output.stdout),
        stderr(&output),
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn equals_sha256sum_for_any_workers_placement_and_capacity() {
    let directory = tree();
    for placement in ["floating", "bound", "fused"] {
        for workers in ["1", "2", "3", "7"] {
            for capacity in ["1", "3", "1024"] {
                let flags = [
                    "--placement",
                    placement,
                    "--workers",
                    workers,
                    "--capacity",
                    capacity,
                ];
                assert_same(directory.path(), &flags, &paths(&["tree"]));
            }
        }
    }
}

#[test]
fn equals_sha256sum_for_any_idle_strategy() {
    let directory = tree();
    for idle in ["backoff", "busy-spin", "yielding", "parking"] {
        assert_same(directory.path(), &["--idle", idle], &paths(&["tree"]));
    }
}

#[test]
fn names_paths_as_find_does() {
    let directory = tree();
    let absolute = directory.path().join("tree");
    for roots in [
        &["."][..],
        &["./"],
        &["tree/"],
        &["tree//sub"],
        &["tree/sub/.."],
        &["tree/plain"],
        &["tree/sub", "tree/sub/deeper", "tree/plain", "tree/plain"],
        &[
            "tree/link to a file",
            "tree/link to a directory",
            "tree/link to nothing",
        ],
        &["tree/link to a directory/"],
        &["tree/fifo", "tree/nothing here"],
        &[absolute
            .to_str()
            .expect("a temporary directory has a plain name")],
    ] {
        assert_same(directory.path(), &[], &paths(roots));
    }
}

#[test]
fn names_need_not_be_text() {
    let directory = tree();
    let name = OsStr::from_bytes(b"tree/not utf-8 \xff\xfe");
    assert_same(directory.path(), &[], &[name]);
    let output = digest(directory.path(), &[], &[name]);
    assert!(output.stdout.ends_with(b"  tree/not utf-8 \xff\xfe\n"));
}

#[test]
fn a_name_with_a_leading_dash_is_printed_as_given() {
    let directory = tree();
    let output = digest(&directory.path().join("tree"), &[], &paths(&["-dash"]));
    assert!(output.stdout.ends_with(b"  -dash\n"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn nothing_prints_nothing() {
    let directory = tree();
    let output = digest(directory.path(), &[], &paths(&["tree/nothing here"]));
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn a_missing_path_is_named_and_the_rest_is_done() {
    let directory = tree();
    let names = paths(&["tree/sub", "tree/gone\nfor good", "", "tree/Sub"]);
    let output = digest(directory.path(), &[], &names);
    assert_eq!(output.stdout, reference(directory.path(), &names));
    assert!(!output.stdout.is_empty());
    assert_eq!(output.status.code(), Some(1));
    let talk = stderr(&output);
    assert!(
        talk.contains(r#""tree/gone\nfor good""#) && talk.contains(r#""""#),
        "{talk}"
    );
}

/// Root reads every file whatever its mode, but nobody reads memory that is not mapped: the file
/// `/proc/self/mem` is regular, opens, and fails at its first byte.
#[test]
fn an_unreadable_file_is_named_and_the_rest_is_done() {
    let broken = "/proc/self/mem";
    if !fs::metadata(broken).is_ok_and(|metadata| metadata.is_file()) {
        return;
    }
    let directory = tree();
    let output = digest(
        directory.path(),
        &[],
        &paths(&["tree/sub", broken, "tree/Sub"]),
    );
    let rest = paths(&["tree/sub", "tree/Sub"]);
    assert_eq!(output.stdout, reference(directory.path(), &rest));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(broken), "{}", stderr(&output));
}

/// `--json` still says so in the exit code, and counts the file as a job.
#[test]
fn json_takes_the_place_of_the_lines() {
    let directory = tree();
    let all = digest(directory.path(), &[], &paths(&["tree"]));
    let files = all.stdout.split(|byte| *byte == b'\n').count() - 1;

    let output = digest(directory.path(), &["--json"], &paths(&["tree"]));
    assert_eq!(output.status.code(), Some(0));
    let report = object(&output.stdout);
    assert_fields(&report, &[]);
    assert_eq!(report["workload"], "digest");
    assert_eq!(report["jobs"], files);
    assert!(report["bytes"].as_u64().unwrap() > 3_000_000 && report["seconds"].is_f64());
    for null in ["sequential_seconds", "speedup", "verified", "latency_ns"] {
        assert!(report[null].is_null(), "{null}: {report}");
    }
    assert_eq!(report["stages"][0]["name"], "hash");
    assert_eq!(report["stages"][0]["finished"], files);
    assert!(!report["placement"].as_array().unwrap().is_empty());

    let output = digest(directory.path(), &["--json"], &paths(&["tree/gone"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(object(&output.stdout)["jobs"], 0);
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let directory = tree();
    // Far more lines than a pipe holds.
    let names: Vec<&OsStr> = vec![OsStr::new("tree/sub"); 200];
    for flags in [
        &["--workers", "1"][..],
        &["--workers", "4", "--placement", "bound"],
    ] {
        let fixed = ["run", "digest"].iter().chain(flags).map(OsStr::new);
        let mut running = ringmill(directory.path(), fixed.chain(names.iter().copied()));
        drop(running.child.stdout.take());
        let output = running.end();
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(0), "")
        );
    }
}

#[test]
fn stderr_need_not_be_open() {
    let directory = tree();
    let mut running = ringmill(directory.path(), ["run", "digest", "tree", "gone"]);
    drop(running.child.stderr.take());
    let output = running.end();
    assert_eq!(
        output.stdout,
        reference(directory.path(), &paths(&["tree"]))
    );
    assert_eq!(output.status.code(), Some(1));
}

/// A file larger than the memory that the process may have.
#[test]
fn a_large_file_is_streamed() {
    let directory = tree();
    let large = directory.path().join("large");
    write(&large, b"");
    fs::OpenOptions::new()
        .write(true)
        .open(&large)
        .unwrap()
        .set_len(400 << 20)
        .unwrap();
    let mut command = Command::new("sh");
    let script = r#"ulimit -v 350000 && exec "$0" run digest --workers 2 large"#;
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_ringmill")])
        .current_dir(directory.path());
    let output = Running::start(command).end();
    assert_eq!(
        output.stdout,
        reference(directory.path(), &paths(&["large"]))
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
