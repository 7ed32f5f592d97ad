//! `ringmill run ticks` keeps the books that one loop keeps, whatever runs where.

mod common;

use std::fs;
use std::path::Path;

use common::{assert_fields, object, ringmill};
use ringmill_perf::itch::{Plan, generate};
use serde_json::Value;

fn ticks(flags: &[&str]) -> Value {
    let args = ["run", "ticks", "--json"].iter().chain(flags);
    let output = ringmill(Path::new("."), args).end();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{talk}");
    object(&output.stdout)
}

#[test]
fn books_and_changes_are_those_of_the_loop_for_every_placement() {
    for placement in ["floating", "bound", "fused"] {
        for workers in ["1", "2", "3", "16"] {
            for capacity in ["1", "1000"] {
                let few = if capacity == "1" { "2000" } else { "60000" };
                let flags = ["--placement", placement, "--workers", workers];
                let size = [
                    "--capacity",
                    capacity,
                    "--messages",
                    few,
                    "--symbols",
                    "100",
                ];
                let report = ticks(&[&flags[..], &size[..]].concat());
                assert_fields(&report, &[]);
                assert_eq!(report["verified"], true, "{report}");
                assert_eq!(report["jobs"].to_string(), few);
                assert!(
                    report["speedup"]
                        .as_f64()
                        .is_some_and(|speedup| speedup > 0.0)
                );
            }
        }
    }
}

#[test]
fn a_rate_measures_latency_from_the_intended_start() {
    for placement in ["floating", "bound", "fused"] {
        let flags = ["--messages", "3000", "--symbols", "50", "--rate", "30000"];
        let report = ticks(&[&flags[..], &["--placement", placement]].concat());
        assert_eq!(report["verified"], true, "{report}");
        let latency = |name: &str| report["latency_ns"][name].as_u64().unwrap();
        let quantiles = ["p50", "p90", "p99", "p999", "max"].map(latency);
        assert!(quantiles.is_sorted() && quantiles[0] > 0, "{report}");
        // 3000 messages at 30,000 a second take a tenth of a second, however fast the executor is.
        assert!(report["seconds"].as_f64().unwrap() >= 0.09, "{report}");
        assert!(report["sequential_seconds"].is_null());
    }
}

#[test]
fn a_file_is_read_as_published() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("day.itch");
    let day = generate(&Plan {
        seed: 7,
        messages: 5000,
        symbols: 40,
    })
    .unwrap();
    fs::write(&file, &day).unwrap();
    let name = file.to_str().unwrap();
    let report = ticks(&["--input", name]);
    assert_eq!(
        (&report["verified"], &report["jobs"]),
        (&true.into(), &5000.into())
    );
    let report = ticks(&["--input", name, "--messages", "1234"]);
    assert_eq!(
        (&report["verified"], &report["jobs"]),
        (&true.into(), &1234.into())
    );
}

fn refused(bytes: &[u8]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, bytes).unwrap();
    let args = ["run", "ticks", "--input", file.to_str().unwrap()];
    let output = ringmill(Path::new("."), args).end();
    assert!(output.stdout.is_empty());
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_truncated_or_foreign_file_is_an_error_that_names_the_offset() {
    let day = generate(&Plan {
        seed: 7,
        messages: 5000,
        symbols: 40,
    })
    .unwrap();
    let cut = day.len() - 10;
    let (code, talk) = refused(&day[..cut]);
    assert_eq!(code, Some(1), "{talk}");
    let named = talk
        .split("at byte ")
        .nth(1)
        .and_then(|rest| rest.split(':').next());
    let offset: usize = named.expect("an offset").parse().expect("a number");
    assert!(
        (cut - 60..=cut).contains(&offset) && talk.contains("expected"),
        "{talk}"
    );
    let (code, talk) = refused(b"%PDF-1.7 is no feed");
    assert_eq!(code, Some(1), "{talk}");
    assert!(talk.contains("at byte 0"), "{talk}");
    let mut foreign = day;
    foreign[1000 * 31] = 0xff;
    let (code, talk) = refused(&foreign);
    assert_eq!(code, Some(1), "{talk}");
    assert!(talk.contains("at byte"), "{talk}");
}

#[test]
fn bad_values_are_usage_errors() {
    for (flags, expected) in [
        (["--messages", "0"], "0"),
        (["--symbols", "0"], "0"),
        (["--rate", "none"], "none"),
        (["--input", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--messages", "3"], "3"),
    ] {
        let output = ringmill(Path::new("."), ["run", "ticks"].iter().chain(&flags)).end();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {talk}");
        assert!(talk.contains(expected), "{talk}");
    }
}
