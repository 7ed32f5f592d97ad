//! Does the judge of `.ci/turns` read what the turns wrote, and does its status say what it found? Does `.ci/turns`
//! refuse bad arguments before it builds anything?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Nine rounds in a folder of its own, in which one case gets `ratio` times as good.
fn folder(name: &str, ratio: f64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _there_was_none = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    for round in 1..=9 {
        let old = 100.0 + f64::from(round);
        write(&folder, round, ("old.json", &line(old)));
        write(&folder, round, ("new.json", &line(old * ratio)));
        write(&folder, round, ("cores", "197\n205\n201\n"));
    }
    folder
}

fn line(ours: f64) -> String {
    format!(
        r#"{{"group":"rings","case":"u64","unit":"M/s","better":"higher","ours":{ours},"peers":{{}},"hiccup_us":7.5}}"#
    )
}

fn write(folder: &Path, round: i32, (end, text): (&str, &str)) {
    fs::write(folder.join(format!("{round}.{end}")), text).expect("a file");
}

fn judge(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_turns"))
        .arg(folder)
        .arg("--json")
        .arg(folder.join("found.json"))
        .output()
        .expect("it runs")
}

/// What it ended with, and what it wrote to both outputs.
fn outcome(output: &Output) -> (Option<i32>, String) {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8(text).expect("text");
    (output.status.code(), text)
}

#[test]
fn status_0_says_that_nothing_is_slower() {
    let folder = folder("same", 1.0);
    let (status, text) = outcome(&judge(&folder));
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("rings: u64") && text.contains("near 9"),
        "{text}"
    );
    assert!(!text.contains("SLOWER"), "{text}");
}

#[test]
fn status_1_says_that_a_figure_is_slower_and_its_row_is_marked() {
    let folder = folder("slower", 0.9);
    let (status, text) = outcome(&judge(&folder));
    assert_eq!(status, Some(1), "{text}");
    let row = text.lines().find(|row| row.contains("rings: u64"));
    assert!(row.is_some_and(|row| row.ends_with("SLOWER")), "{text}");
    let json = fs::read_to_string(folder.join("found.json")).expect("it is written");
    let found: serde_json::Value = serde_json::from_str(&json).expect("one line of JSON");
    assert_eq!(found["verdict"], "slower");
    assert_eq!((&found["near"], &found["far"]), (&9.into(), &0.into()));
    let ratio = found["ratio"].as_f64().expect("a ratio");
    assert!((ratio - 0.9).abs() < 1e-9, "{ratio}");
}

#[test]
fn status_2_says_that_too_few_rounds_are_left() {
    let folder = folder("moved", 0.9);
    for round in 1..=4 {
        write(&folder, round, ("cores", "197\n330\n201\n"));
    }
    let (status, text) = outcome(&judge(&folder));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("thrown away: cores moved 4"), "{text}");
    assert!(text.contains("too few rounds"), "{text}");
    let steady = Command::new(env!("CARGO_BIN_EXE_turns"))
        .arg("--steady-rounds")
        .arg(&folder)
        .output();
    let outcome = outcome(&steady.expect("it runs"));
    assert_eq!(outcome, (Some(0), "5\n".to_owned()));
}

#[test]
fn status_2_says_that_the_revisions_have_no_figure_in_common() {
    let folder = folder("nothing", 1.0);
    for round in 1..=9 {
        write(&folder, round, ("old.json", ""));
    }
    let (status, text) = outcome(&judge(&folder));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("only in the new revision"), "{text}");
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named_with_its_line() {
    let folder = folder("broken", 1.0);
    let text = format!("{}\nno JSON\n", line(1.0));
    write(&folder, 3, ("new.json", &text));
    let (status, text) = outcome(&judge(&folder));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("3.new.json: line 2: "), "{text}");
}

#[test]
fn the_script_refuses_bad_arguments() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/turns");
    let cases: [(&[&str], &str); 7] = [
        (&[], "a revision and at least one group are needed"),
        (&["HEAD"], "a revision and at least one group are needed"),
        (
            &["no-such-revision", "rings"],
            "no-such-revision is no revision",
        ),
        (&["--rounds", "0", "HEAD", "rings"], "--rounds 0: a number"),
        (&["--rounds"], "--rounds needs a value"),
        (&["--fast", "HEAD", "rings"], "unknown option --fast"),
        (
            &["--json", "/nowhere/a.json", "HEAD", "rings"],
            "--json /nowhere/a.json: a file in a folder that can be written to is needed",
        ),
    ];
    for (arguments, message) in cases {
        let output = Command::new(script).args(arguments).output();
        let (status, text) = outcome(&output.expect("it runs"));
        assert_eq!(status, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
    }
}
