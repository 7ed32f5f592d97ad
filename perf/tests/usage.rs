//! A bad value is an error that names it, with exit code 2 and nothing on stdout.

mod common;

use std::path::Path;

use common::ringmill;

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
