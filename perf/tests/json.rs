//! `ringmill run json` does its work, checks it and says where the time went.

mod common;

use std::path::Path;

use common::{assert_fields, object, ringmill};
use serde_json::Value;

fn json(flags: &[&str]) -> Value {
    let args = ["run", "json", "--json"].iter().chain(flags);
    let output = ringmill(Path::new("."), args).end();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    object(&output.stdout)
}

#[test]
fn r_a7_every_map_comes_out_as_it_went_in() {
    for placement in ["floating", "bound", "fused"] {
        for workers in ["1", "2", "5"] {
            let report = json(&[
                "--jobs",
                "50",
                "--workers",
                workers,
                "--placement",
                placement,
            ]);
            assert_fields(&report, &["work_seconds", "overhead_seconds"]);
            assert_eq!(report["workload"], "json");
            assert_eq!(report["jobs"], 50);
            assert_eq!(report["verified"], true);
            // A map has 20,601 bytes as JSON, and becomes JSON three times.
            assert_eq!(report["bytes"], 50 * 3 * 20_601);
            assert!(report["latency_ns"].is_null());
            let stages = report["stages"].as_array().unwrap();
            let names: Vec<&str> = stages.iter().filter_map(|s| s["name"].as_str()).collect();
            assert_eq!(names, ["first", "second", "third"]);
            assert!(
                stages.iter().all(|stage| stage["finished"] == 50),
                "{report}"
            );
        }
    }
}

#[test]
fn work_and_overhead_make_up_the_threads_time() {
    let report = json(&["--jobs", "40", "--workers", "2"]);
    let number = |name: &str| {
        report[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {report}"))
    };
    let threads = report["placement"].as_array().unwrap().len() as f64;
    let (work, overhead) = (number("work_seconds"), number("overhead_seconds"));
    assert!(work > 0.0 && overhead >= 0.0, "{report}");
    // Less the check of the results.
    assert!(
        work + overhead <= threads * number("seconds") * 1.001,
        "{report}"
    );
    let speedup = number("sequential_seconds") / number("seconds");
    assert!((number("speedup") - speedup).abs() < 1e-6, "{report}");
    assert!(
        (number("rate_per_s") * number("seconds") - 40.0).abs() < 1e-3,
        "{report}"
    );
}

#[test]
fn the_measurement_is_the_result() {
    let output = ringmill(Path::new("."), ["run", "json", "--jobs", "3"]).end();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("json: 3 jobs") && text.contains("verified"),
        "{text}"
    );
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}
