//! `ringmill run ticks` keeps the books that one loop keeps, whatever runs where and whatever the input says.

mod common;

use std::fs;
use std::path::Path;

use common::{assert_fields, object, ringmill};
use ringmill_perf::itch::{Plan, generate};
use serde_json::{Value, json};

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
                assert_fields(&report, &["anomalies", "first_anomalies"]);
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

/// With its length prefix: type, locate, tracking number and time, then the fields.
fn message(kind: u8, locate: u16, fields: &[&[u8]]) -> Vec<u8> {
    let fields = fields.concat();
    let length = u16::try_from(11 + fields.len()).unwrap().to_be_bytes();
    [
        &length[..],
        &[kind],
        &locate.to_be_bytes(),
        &[0; 8],
        &fields,
    ]
    .concat()
}

/// 38 bytes.
fn add(locate: u16, order: u64) -> Vec<u8> {
    let fields: [&[u8]; 5] = [
        &order.to_be_bytes(),
        b"B",
        &100_u32.to_be_bytes(),
        b"ACME    ",
        &10_000_u32.to_be_bytes(),
    ];
    message(b'A', locate, &fields)
}

/// 21 bytes.
fn delete(locate: u16, order: u64) -> Vec<u8> {
    message(b'D', locate, &[&order.to_be_bytes()])
}

/// 33 bytes.
fn execute(locate: u16, order: u64, shares: u32) -> Vec<u8> {
    let fields: [&[u8]; 3] = [&order.to_be_bytes(), &shares.to_be_bytes(), &[0; 8]];
    message(b'E', locate, &fields)
}

/// Runs the feed on any number of workers, in every placement, and gives the reports' anomalies, which are
/// the same.
fn everywhere(feed: &[Vec<u8>]) -> (Value, Value) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("feed");
    fs::write(&file, feed.concat()).unwrap();
    let mut found = None;
    for placement in ["floating", "bound", "fused"] {
        for workers in ["1", "2", "3", "8"] {
            let input = ["--input", file.to_str().unwrap(), "--workers", workers];
            let report = ticks(&[&input[..], &["--placement", placement]].concat());
            assert_eq!(report["verified"], true, "{placement} {workers}: {report}");
            assert_eq!(report["jobs"], feed.len());
            let anomalies = (
                report["anomalies"].clone(),
                report["first_anomalies"].clone(),
            );
            assert_eq!(found.get_or_insert(anomalies.clone()), &anomalies);
        }
    }
    found.unwrap()
}

#[test]
fn an_order_number_in_two_stocks_is_the_inputs_contradiction_with_its_place() {
    let counts = json!({
        "unknown_order": 0,
        "wrong_stock": 1,
        "too_many_shares": 0,
        "duplicate_order": 0,
        "no_shares": 0,
    });
    let place = json!([{
        "kind": "wrong_stock",
        "message": 2,
        "byte": 40,
        "locate": 2,
        "order": 7,
        "other_locate": 1,
    }]);
    for second in [add(2, 7), delete(2, 7), execute(2, 7, 100)] {
        assert_eq!(
            everywhere(&[add(1, 7), second]),
            (counts.clone(), place.clone())
        );
    }
}

#[test]
fn every_contradiction_leaves_the_books_those_of_the_loop() {
    let feed = [
        add(1, 1),
        delete(1, 9),
        delete(3, 1),
        execute(1, 1, 101),
        execute(1, 1, 0),
        add(1, 1),
        add(2, 1),
        add(3, 1),
        execute(2, 1, 100),
        delete(1, 1),
        delete(3, 1),
    ];
    let (counts, first) = everywhere(&feed);
    let expected = json!({
        "unknown_order": 1,
        "wrong_stock": 3,
        "too_many_shares": 1,
        "duplicate_order": 1,
        "no_shares": 1,
    });
    assert_eq!(counts, expected);
    let places: Vec<_> = first
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["kind"], &row["message"], &row["byte"]))
        .collect();
    let expected = [
        (json!("unknown_order"), json!(2), json!(40)),
        (json!("wrong_stock"), json!(3), json!(61)),
        (json!("too_many_shares"), json!(4), json!(82)),
        (json!("no_shares"), json!(5), json!(115)),
        (json!("duplicate_order"), json!(6), json!(148)),
    ];
    let expected: Vec<_> = expected.iter().map(|(k, m, b)| (k, m, b)).collect();
    assert_eq!(places, expected);
}

#[test]
fn anomalies_are_printed_for_a_person_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("feed");
    let printed = |feed: &[Vec<u8>]| {
        fs::write(&file, feed.concat()).unwrap();
        let args = ["run", "ticks", "--input", file.to_str().unwrap()];
        let output = ringmill(Path::new("."), args).end();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = printed(&[add(1, 7), add(2, 7), delete(2, 8), delete(2, 8)]);
    for line in [
        "  anomalies in the input: 3\n",
        "    wrong_stock 1, first: message 2 at byte 40: names order 7 of locate 2, which is live at locate 1\n",
        "    unknown_order 2, first: message 3 at byte 78: order 8 is not live at locate 2\n",
        "  verified\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let text = printed(&[add(1, 7), delete(1, 7)]);
    assert!(text.contains("  anomalies in the input: 0\n"), "{text}");
}

/// Which of several workers is first to meet a bad message is chance; what is said is not.
#[test]
fn of_several_bad_messages_the_first_is_named() {
    let mut feed: Vec<Vec<u8>> = (0..40)
        .map(|order| add(1 + order % 8, order.into()))
        .collect();
    for bad in &mut feed[20..] {
        bad[2] = b'?';
    }
    let feed = feed.concat();
    for workers in ["1", "2", "3", "8"] {
        let (code, talk) = refused(&feed, &["--workers", workers]);
        assert_eq!(code, Some(1), "{talk}");
        let place = format!("message 21, at byte {}: expected an ITCH 5.0", 20 * 38 + 2);
        assert!(talk.contains(&place), "{talk}");
        assert!(!talk.contains("stage"), "{talk}");
    }
}

#[test]
fn of_a_file_only_the_messages_asked_for_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("feed");
    let feed = [add(1, 7), delete(1, 7), add(1, 8), vec![0xff; 10_000_000]].concat();
    fs::write(&file, feed).unwrap();
    let report = ticks(&["--input", file.to_str().unwrap(), "--messages", "2"]);
    assert_eq!((&report["jobs"], &report["bytes"]), (&2.into(), &59.into()));
}

fn refused(bytes: &[u8], flags: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, bytes).unwrap();
    let args = ["run", "ticks", "--input", file.to_str().unwrap()];
    let output = ringmill(Path::new("."), args.iter().chain(flags)).end();
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
    let (code, talk) = refused(&day[..cut], &[]);
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
    let (code, talk) = refused(b"%PDF-1.7 is no feed", &[]);
    assert_eq!(code, Some(1), "{talk}");
    assert!(talk.contains("at byte 0"), "{talk}");
    let mut foreign = day;
    foreign[1000 * 31] = 0xff;
    let (code, talk) = refused(&foreign, &[]);
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
