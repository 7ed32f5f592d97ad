//! The first ctrl-c finishes what was begun, the second stops; the exit code is 130, whatever the command waits
//! for.
//!
//! With the command's own capacity and placement: what a close and a stop do in all others is tested with the
//! library, and a run of it takes as long as a file of a gigabyte.

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output};

use common::{Running, object, reference, ringmill, ringmill_under, write};
use tempfile::TempDir;

/// What is digested: a small file, a large one and then far more than rings and a pipe hold.
const FIRST: &str = "0";
const LARGE: &str = "1";
const REST: [&str; 40] = ["rest"; 40];

fn paths() -> Vec<&'static str> {
    [&[FIRST, LARGE], REST.as_slice()].concat()
}

/// The files, of which the large one has so many GiB (and takes no room).
fn files(large: u64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(&at(FIRST), b"small");
    File::create(at(LARGE))
        .unwrap()
        .set_len(large << 30)
        .unwrap();
    fs::create_dir(at("rest")).unwrap();
    for i in 0..100 {
        write(&at(&format!("rest/{i:0>150}")), i.to_string().as_bytes());
    }
    directory
}

/// Waits until the command says a line with `word` in it.
fn said(stderr: &mut impl BufRead, word: &str) {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        let length = stderr.read_line(&mut line).unwrap();
        assert!(length > 0, "ended without saying {word}");
    }
}

/// Spins until `happened`: what `/proc` tells of a process can only be asked for. The watchdog
/// ends the process, and so the spinning, if it never does.
fn until(running: &mut Running, happened: impl Fn(&Path) -> bool) {
    let proc = format!("/proc/{}", running.child.id());
    while !happened(Path::new(&proc)) {
        assert!(
            running.child.try_wait().unwrap().is_none(),
            "ended too early"
        );
    }
}

fn has_open(proc: &Path, name: &str) -> bool {
    let files = fs::read_dir(proc.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|file| file.ends_with(name))
}

/// Whether SIGINT, number 2 and so bit 1, is in this set of the process's status.
fn sigint_in(proc: &Path, set: &str) -> bool {
    let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix(set)?.strip_prefix(':'))
        .unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 2 != 0)
}

/// Whether SIGINT has a handler.
fn listens(proc: &Path) -> bool {
    sigint_in(proc, "SigCgt")
}

/// Whether the main thread sleeps: it waits for something.
fn sleeps(proc: &Path) -> bool {
    let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('S'))
}

/// Presses ctrl-c and waits until a thread has the signal: two that wait would be one.
fn press(running: &mut Running) {
    running.interrupt();
    until(running, |proc| !sigint_in(proc, "ShdPnd"));
}

fn fifo(at: &Path) {
    let made = Command::new("mkfifo").arg(at).status();
    assert!(made.is_ok_and(|status| status.success()));
}

/// Presses ctrl-c when the large file is being read, each time waits until that is known to have been
/// heard, and gives all lines. Whether the first one is there by then is left to the workers: who reads
/// the large file may be the one that prints.
fn pressed(directory: &Path, presses: &[&str]) -> Vec<u8> {
    let mut running = ringmill(directory, [vec!["run", "digest"], paths()].concat());
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
    until(&mut running, |proc| has_open(proc, LARGE));
    for heard in presses {
        running.interrupt();
        said(&mut stderr, heard);
    }
    let mut lines = Vec::new();
    stdout.read_to_end(&mut lines).unwrap();
    // Nobody may find stderr closed.
    stderr.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(running.end().status.code(), Some(130));
    lines
}

fn expected(directory: &Path, paths: &[&str]) -> Vec<u8> {
    let paths: Vec<&OsStr> = paths.iter().copied().map(OsStr::new).collect();
    reference(directory, &paths)
}

/// The large file was begun, and is finished; of the rest only what had been accepted is done.
#[test]
fn s_d3_the_first_drains() {
    let directory = files(1);
    let lines = pressed(directory.path(), &["interrupted"]);
    let all = expected(directory.path(), &paths());
    let begun: Vec<u8> = all
        .split_inclusive(|byte| *byte == b'\n')
        .take(2)
        .flatten()
        .copied()
        .collect();
    assert!(all.starts_with(&lines), "in order, without a gap");
    assert!(lines.starts_with(&begun), "what was begun is finished");
    assert!(
        lines.len() < all.len(),
        "what was not accepted is left undone"
    );
}

/// Sixty-four gigabytes would take a minute: the file is cut short, and nothing behind it comes.
#[test]
fn s_d3_the_second_stops() {
    let directory = files(64);
    let lines = pressed(directory.path(), &["interrupted", "stopping"]);
    let before = expected(directory.path(), &[FIRST]);
    assert!(
        before.starts_with(&lines),
        "{}",
        String::from_utf8_lossy(&lines)
    );
}

/// What was not begun is not in the report, and the sequential loop is not run.
#[test]
fn a_report_is_made_of_what_was_done() {
    let mut running = ringmill(
        Path::new("."),
        ["run", "json", "--json", "--jobs", "1000000000"],
    );
    let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
    until(&mut running, listens);
    running.interrupt();
    said(&mut stderr, "interrupted");
    let output = running.end();
    assert_eq!(output.status.code(), Some(130));
    let report = object(&output.stdout);
    assert!(report["jobs"].as_u64().unwrap() < 1_000_000_000, "{report}");
    assert!(report["sequential_seconds"].is_null(), "{report}");
}

/// Presses ctrl-c, whatever it is at; no job was begun, so there is no report.
#[track_caller]
fn assert_nothing_begun(mut running: Running) {
    let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
    running.interrupt();
    said(&mut stderr, "interrupted");
    let output = running.end();
    assert_eq!(output.status.code(), Some(130));
    assert!(output.stdout.is_empty());
}

#[test]
fn making_input_is_left_at_once() {
    let args = ["run", "ticks", "--messages", "90000000", "--symbols", "2"];
    let mut running = ringmill(Path::new("."), args);
    until(&mut running, listens);
    assert_nothing_begun(running);
}

#[test]
fn reading_input_without_end_is_left_at_once() {
    let mut running = ringmill(Path::new("/dev"), ["run", "ticks", "--input", "zero"]);
    until(&mut running, |proc| has_open(proc, "zero"));
    assert_nothing_begun(running);
}

#[test]
fn input_that_does_not_open_is_left_at_once() {
    let directory = tempfile::tempdir().unwrap();
    fifo(&directory.path().join("fifo"));
    let mut running = ringmill(directory.path(), ["run", "ticks", "--input", "fifo"]);
    until(&mut running, |proc| listens(proc) && sleeps(proc));
    assert_nothing_begun(running);
}

#[test]
fn input_that_does_not_come_is_left_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    fifo(&path);
    let running = ringmill(directory.path(), ["run", "ticks", "--input", "fifo"]);
    let mut writer = File::create(path).unwrap(); // Opens once the command has opened it.
    writer.write_all(&[0]).unwrap();
    assert_nothing_begun(running);
}

/// The command has walked, and a file has become a FIFO that nobody writes before it is opened.
#[test]
fn the_second_ends_a_worker_that_waits_for_a_file_to_open() {
    let directory = files(0);
    let large = File::options()
        .write(true)
        .open(directory.path().join(LARGE));
    large.unwrap().set_len(100 << 20).unwrap();
    let late = directory.path().join("2");
    write(&late, b"a file at first");
    let args = ["run", "digest", "--workers", "1", FIRST, LARGE, "2"];
    let mut running = ringmill(directory.path(), args);
    until(&mut running, |proc| has_open(proc, LARGE));
    fs::remove_file(&late).unwrap();
    fifo(&late);
    until(&mut running, |proc| !has_open(proc, LARGE) && sleeps(proc));
    press(&mut running);
    press(&mut running);
    let output = running.end();
    assert_eq!(output.status.code(), Some(130));
    let before = expected(directory.path(), &[FIRST, LARGE]);
    assert!(before.starts_with(&output.stdout));
}

/// Presses ctrl-c twice once the command waits, for a pipe that nobody reads, and then reads it.
fn pressed_when_blocked(args: &[&str], directory: &Path) -> Output {
    let mut running = ringmill(directory, args);
    until(&mut running, |proc| listens(proc) && sleeps(proc));
    press(&mut running);
    press(&mut running);
    let status = running.child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    running.end()
}

#[test]
fn the_second_ends_a_command_whose_results_nobody_reads() {
    let directory = files(0);
    let args = [&["run", "digest", "--workers", "1"][..], &REST].concat();
    let output = pressed_when_blocked(&args, directory.path());
    let all = expected(directory.path(), &REST);
    assert!(output.stdout.len() >= 4096 && all.starts_with(&output.stdout));
    assert!(output.stdout.ends_with(b"\n"), "no line is cut");
}

#[test]
fn the_second_ends_a_command_whose_talk_nobody_reads() {
    let directory = tempfile::tempdir().unwrap();
    let name = "gone".repeat(50);
    let args = [
        &["run", "digest", "--workers", "1"],
        vec![name.as_str(); 1000].as_slice(),
    ]
    .concat();
    let output = pressed_when_blocked(&args, directory.path());
    assert!(output.stdout.is_empty());
}

/// As `nohup` and a shell's background jobs have it.
#[test]
fn what_the_parent_ignores_stays_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    fifo(&path);
    let args = ["run", "ticks", "--json", "--input", "fifo"];
    let running = ringmill_under("--ignore-signal=INT", directory.path(), args);
    let mut writer = File::create(path).unwrap(); // Opens once the command has opened it.
    for _ in 0..3 {
        running.interrupt();
    }
    writer.write_all(&[0, 0]).unwrap();
    drop(writer);
    let output = running.end();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(object(&output.stdout)["verified"], true);
    assert!(output.stderr.is_empty());
}
