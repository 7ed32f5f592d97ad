//! Every feature, scenario and bad input that is asked of the library is carried by a test whose name says so:
//! `r_a1_…` is feature R-A1, `s_b7_…` scenario S-B7, `f_3_…` feature F3, `g_12_…` bad input G12. A name may
//! carry several.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Families of ids, and how many there are in each: numbered from 1.
const FAMILIES: &[(&str, usize)] = &[
    ("R-A", 8),
    ("S-A", 11),
    ("R-B", 7),
    ("S-B", 7),
    ("R-C", 4),
    ("S-C", 5),
    ("R-D", 1),
    ("S-D", 3),
    ("R-E", 3),
    ("S-E", 4),
    ("F", 15),
    ("G", 17),
];

/// What there is to be, and is not yet. Whoever adds it takes its id out of here.
const NOT_YET: &[&str] = &[];

/// What an example shows, whether a test carries it or not.
const EXAMPLES: &[(&str, &str)] = &[("R-D1", "examples/seed_http/src/main.rs")];

/// Where tests are: folders, and how deep to look into them.
const FOLDERS: &[(&str, usize)] = &[
    ("tests", 3),
    ("perf/tests", 2),
    ("perf/src", 3),
    ("examples/seed_http/tests", 1),
];

#[test]
fn every_id_has_a_test() {
    let mut tests = Tests::default();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        tests.add(&file.display().to_string(), &text);
    }
    assert!(tests.carried.len() > 50, "tests are found: {tests:?}");
    for (id, example) in EXAMPLES {
        if root().join(example).exists() {
            tests.carry(id, example);
        }
    }
    let wrong = tests.problems(&ids(), NOT_YET);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All ids, in their order.
fn ids() -> Vec<String> {
    let families = FAMILIES.iter().copied();
    families
        .flat_map(|(family, count)| (1..=count).map(move |number| format!("{family}{number}")))
        .collect()
}

/// The sources that tests may stand in.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open: Vec<_> = FOLDERS
        .iter()
        .map(|&(folder, depth)| (root().join(folder), depth))
        .collect();
    while let Some((folder, depth)) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && depth > 1 {
                open.push((path, depth - 1));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// What was found in the sources.
#[derive(Debug, Default)]
struct Tests {
    /// By id, the first test that carries it.
    carried: BTreeMap<String, String>,
    /// Tests that do not run: where.
    ignored: Vec<String>,
}

impl Tests {
    fn carry(&mut self, id: &str, by: &str) {
        let by = by.to_string();
        self.carried.entry(id.to_string()).or_insert(by);
    }

    /// Adds the tests of a source.
    fn add(&mut self, path: &str, text: &str) {
        let mut is_test = false;
        for (nth, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.starts_with("#[") {
                is_test |= line == "#[test]";
                let mut words = line.split(|c: char| !c.is_ascii_alphabetic());
                if words.any(|word| word == "ignore") {
                    self.ignored.push(format!("{path}:{nth}"));
                }
            } else if is_test && !line.starts_with("//") {
                is_test = false;
                let Some(name) = line.strip_prefix("fn ") else {
                    continue;
                };
                let name = name.split('(').next().unwrap_or_default();
                for id in ids_in(name) {
                    self.carry(&id, &format!("{path}:{nth}: {name}"));
                }
            }
        }
    }

    /// What is wrong, one line each.
    fn problems(&self, ids: &[String], not_yet: &[&str]) -> Vec<String> {
        let mut wrong = Vec::new();
        for id in ids {
            let is_missing = not_yet.contains(&&**id);
            match self.carried.get(id) {
                None if !is_missing => wrong.push(format!("{id}: no test carries it")),
                Some(by) if is_missing => {
                    wrong.push(format!("{id}: take it out of NOT_YET, there is {by}"));
                }
                _ => {}
            }
        }
        let is_known = |id: &str| ids.iter().any(|known| known == id);
        for id in not_yet.iter().filter(|id| !is_known(id)) {
            wrong.push(format!("{id}: in NOT_YET, and unknown"));
        }
        for (id, by) in self.carried.iter().filter(|(id, _)| !is_known(id)) {
            wrong.push(format!("{id}: unknown, but carried by {by}"));
        }
        for place in &self.ignored {
            wrong.push(format!("{place}: a test that is ignored"));
        }
        wrong
    }
}

/// The ids in a test's name: each is two whole words of it.
fn ids_in(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let id = |pair: &[&str]| {
        let (family, number) = (pair[0], pair[1]);
        match family {
            "f" | "g" if is_number(number) => Some(format!("{}{number}", family.to_uppercase())),
            "r" | "s" => {
                let pool = number.chars().next().filter(char::is_ascii_lowercase)?;
                let number = &number[1..];
                let id = format!("{family}-{pool}").to_uppercase();
                is_number(number).then(|| format!("{id}{number}"))
            }
            _ => None,
        }
    };
    words.windows(2).filter_map(id).collect()
}

#[test]
fn the_check_finds_what_it_looks_for() {
    assert_eq!(
        ids_in("s_b7_counters_r_b12_g_3_f_x_fs_a1_a_1"),
        ["S-B7", "R-B12", "G3"]
    );
    assert_eq!(ids_in("nothing_s_bee_g_1a_"), [""; 0]);
    assert_eq!(ids().len(), FAMILIES.iter().map(|family| family.1).sum());

    let source = [
        "#[test]",
        "fn r_a1_one() {",
        "    #[test]",
        "    #[should_panic]",
        "    // A comment.",
        "    fn f_1_two_g_9() {}",
        "}",
        "fn r_a2_is_no_test() {}",
        "#[test]",
        "#[ignore = \"slow\"]",
        "fn s_a1_ignored() {}",
        "#[cfg_attr(miri, ignore)]",
        "// #[ignore]",
    ];
    let mut tests = Tests::default();
    tests.add("made_up.rs", &source.join("\n"));
    tests.carry("R-A3", "an example");
    let ids = ["R-A1", "R-A2", "R-A3", "S-A1", "F1", "F2"].map(String::from);
    let problems = tests.problems(&ids, &["F1", "F2", "F3"]);
    assert_eq!(
        problems,
        [
            "R-A2: no test carries it",
            "F1: take it out of NOT_YET, there is made_up.rs:6: f_1_two_g_9",
            "F3: in NOT_YET, and unknown",
            "G9: unknown, but carried by made_up.rs:6: f_1_two_g_9",
            "made_up.rs:10: a test that is ignored",
            "made_up.rs:12: a test that is ignored",
        ]
    );
}
