//! A bad value is an error that names it, with exit code 2 and nothing on stdout.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Running, ringmill};

fn refused(args: &[&str]) -> String {
    let output = ringmill(Path::new("."), args).end();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {talk}");
    assert!(output.stdout.is_empty(), "{args:?}");
    talk
}

#[test]
fn a_bad_value_is_named() {
    for (flag, value, right) in [
        ("--workers", "0", "from 1"),
        ("--workers", "-1", "from 1"),
        ("--workers", "two", "from 1"),
        ("--workers", "1025", "1024"),
        ("--workers", "99999999999999999999", "from 1"),
        ("--capacity", "0", "from 1"),
        ("--capacity", "1.5", "from 1"),
        ("--cores", "0,,1", "as in 0,1"),
        ("--cores", "a", "as in 0,1"),
        ("--cores", "0;1", "as in 0,1"),
        ("--cores", "", "as in 0,1"),
        ("--idle", "sleep", "parking"),
        ("--placement", "everywhere", "floating"),
    ] {
        for workload in [&["digest", "."][..], &["json"]] {
            let setting = format!("{flag}={value}");
            let talk = refused(&[&["run"], workload, &[setting.as_str()]].concat());
            let named = talk.contains(&format!("'{value}'")) && talk.contains(flag);
            assert!(named && talk.contains(right), "{setting}: {talk}");
        }
    }
    let talk = refused(&["run", "json", "--jobs", "0"]);
    assert!(talk.contains("'0'") && talk.contains("--jobs"), "{talk}");
}

#[test]
fn a_core_that_is_not_allowed_is_named() {
    for core in ["1023", "5000"] {
        for placement in ["floating", "bound"] {
            for workload in [&["digest", "."][..], &["json", "--jobs", "1"]] {
                let flags = ["--cores", core, "--placement", placement];
                let talk = refused(&[&["run"], workload, &flags].concat());
                assert!(talk.contains(core), "{talk}");
            }
        }
    }
}

#[test]
fn a_capacity_that_no_memory_can_hold_is_named() {
    let most = usize::MAX.to_string();
    for workload in [&["digest", "."][..], &["json", "--jobs", "1"]] {
        let talk = refused(&[&["run"], workload, &["--capacity", &most]].concat());
        assert!(talk.contains(&most), "{talk}");
    }
}

/// The kernel might grant it and end the process once it is used: nothing is granted that is not there.
#[test]
fn a_value_that_takes_more_memory_than_there_is_is_named_with_the_most() {
    let most = usize::MAX.to_string();
    // With a terabyte these can be; for as long as that is rare, they are refused at once.
    for args in [
        &["ticks", "--messages", most.as_str()][..],
        &["ticks", "--messages", "9223372036854775807"],
        &["ticks", "--messages", "100000000000"],
        &["ticks", "--messages", "10", "--capacity", "100000000000"],
        &["digest", "--capacity", "100000000000", "."],
        &["json", "--jobs", "1", "--capacity", "100000000000"],
        &["json", "--jobs", "1", "--capacity", &most],
    ] {
        let talk = refused(&[&["run"], args].concat());
        let value = args.iter().find(|arg| arg.len() > 10).unwrap();
        let named = talk.contains(value) && talk.contains("of memory");
        assert!(named && talk.contains("at most "), "{args:?}: {talk}");
    }
    for jobs in [most.as_str(), "1000000000000000"] {
        let talk = refused(&["run", "json", "--jobs", jobs]);
        assert!(talk.contains(jobs) && talk.contains("from 1 to"), "{talk}");
    }
}

#[test]
fn a_limit_on_the_address_space_is_respected() {
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large");
    std::fs::File::create(&large)
        .and_then(|file| file.set_len(1 << 40))
        .unwrap();
    for (args, named) in [
        (r"--messages 100000000", "--messages 100000000 takes about"),
        (r#"--input "$1""#, "longer than the"),
        (r"--input /dev/zero", "longer than the"),
        (r"--messages 502 --capacity 50000000", "--capacity 50000000"),
    ] {
        let script = format!(r#"ulimit -v 1000000 && exec "$0" run ticks {args}"#);
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_ringmill")]);
        command.arg(&large);
        let output = Running::start(command).end();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {talk}");
        assert!(talk.contains(named) && output.stdout.is_empty(), "{talk}");
    }
}

#[test]
fn cores_are_refused_before_there_is_work() {
    // A minute's work.
    let flags = ["--messages", "100000000", "--cores", "1023"];
    let talk = refused(&[&["run", "ticks"][..], &flags].concat());
    assert!(talk.contains("1023"), "{talk}");
}

#[test]
fn something_has_to_be_asked_for() {
    refused(&[]);
    refused(&["run"]);
    refused(&["walk"]);
    refused(&["run", "crawl"]);
    assert!(refused(&["run", "digest"]).contains("PATH"));
}

#[test]
fn help_is_a_result() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["run", "digest", "--help"],
    ] {
        let output = ringmill(Path::new("."), args).end();
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}
