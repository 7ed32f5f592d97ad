//! Holds the sources to the rules that no compiler checks: what may use what, and which file may name
//! which mechanism.
//!
//! The table below is that of CONTRIBUTING.md. It is read against every path in the code that begins with
//! `crate::`, `super::` or `self::`, and against the `use` lines of a folder's `mod.rs`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom up: name, layer in tenths, and the modules of the *same* layer that it may
/// use. Those must stand before it here, except in a folder that stands for itself as a whole (`name::*`).
/// What stands in a lower layer may be used by all.
const TABLE: &[(&str, u32, &[&str])] = &[
    // The facade of what a model must see.
    ("sync", 0, &[]),
    // Only in tests of the inside: panics on purpose.
    ("sabotage", 1, &[]),
    // Words that errors name.
    ("overflow", 2, &[]),
    // What mechanisms are made of.
    ("error::*", 5, &["error::*"]),
    ("ring::cursor", 5, &["error::*"]),
    ("ring::slots", 5, &["error::*"]),
    // Mechanisms: they know nothing of jobs, stages and users' errors.
    ("ring::spsc", 10, &[]),
    ("ring::mpmc::*", 10, &["ring::mpmc::*"]),
    ("ring::window", 10, &["ring::mpmc::*"]),
    ("event", 10, &[]),
    ("idle", 10, &["event"]),
    ("affinity::*", 10, &["affinity::*"]),
    // Policy and state.
    ("lot::flags", 20, &[]),
    ("lot::berths", 20, &["lot::flags"]),
    ("lot::bell", 20, &["lot::berths", "lot::flags"]),
    ("lot", 20, &["lot::berths", "lot::flags", "lot::bell"]),
    ("lifecycle", 20, &["lot"]),
    ("counters", 20, &[]),
    ("scale", 20, &["lot"]),
    ("placement", 20, &[]),
    ("timing", 20, &[]),
    ("latency", 20, &["timing"]),
    ("policy", 20, &["timing"]),
    (
        "stage::*",
        20,
        &["lifecycle", "counters", "timing", "stage::*"],
    ),
    (
        "edge::*",
        20,
        &["lot", "lifecycle", "counters", "scale", "edge::*"],
    ),
    ("hooks", 20, &["stage::*"]),
    (
        "executor",
        20,
        &[
            "lifecycle",
            "counters",
            "placement",
            "scale",
            "hooks",
            "latency",
            "stage::*",
        ],
    ),
    // The loop.
    ("worker::pace", 30, &[]),
    ("worker::out", 30, &[]),
    ("worker::burst", 30, &["worker::out"]),
    (
        "worker::duty",
        30,
        &["worker::pace", "worker::out", "worker::burst"],
    ),
    ("worker::station", 30, &["worker::duty"]),
    ("worker::floor", 30, &["worker::duty", "worker::station"]),
    (
        "worker::supervisor",
        30,
        &["worker::station", "worker::floor"],
    ),
    ("worker::trial", 30, &["worker::station", "worker::floor"]),
    (
        "worker",
        30,
        &[
            "worker::pace",
            "worker::duty",
            "worker::station",
            "worker::floor",
            "worker::trial",
        ],
    ),
    // The parts of a worker that are not its loop.
    (
        "worker::helping",
        30,
        &[
            "worker",
            "worker::station",
            "worker::floor",
            "worker::trial",
        ],
    ),
    ("worker::rest", 30, &["worker", "worker::floor"]),
    // What is to be built, without its types.
    ("plan::*", 35, &["plan::*"]),
    // Assemblies: they do not know each other.
    ("pipeline::relay", 40, &[]),
    ("pipeline::instances", 40, &[]),
    (
        "pipeline::*",
        40,
        &["pipeline::relay", "pipeline::instances", "pipeline::*"],
    ),
    ("pool::board", 40, &[]),
    ("pool::batch", 40, &["pool::board"]),
    ("pool::scope", 40, &["pool::board", "pool::batch"]),
    ("pool", 40, &["pool::board", "pool::batch", "pool::scope"]),
    // Tests that need all of it.
    ("guards", 55, &[]),
    // Names for the outside, and no logic; doors for the models.
    ("ring", 50, &[]),
    ("lib", 50, &["ring"]),
    ("model::*", 60, &["model::*"]),
    // Models of the inside: part of a build for models only.
    ("models::*", 70, &["models::*"]),
];

/// Words that only the files named may have in their code.
const RESERVED: &[(&str, &[&str])] = &[
    ("loom", &["sync.rs", "lib.rs"]),
    ("core_affinity", &["affinity/portable.rs"]),
    ("SeqCst", &["sync.rs"]),
    ("fence", &["sync.rs"]),
    ("compiler_fence", &["sync.rs"]),
    ("fence_seq_cst", &["sync.rs", "event.rs"]),
    ("fence_compiler", &["sync.rs", "event.rs"]),
    ("Condvar", &["sync.rs", "event.rs"]),
    ("libc", &["event.rs", "affinity/linux.rs"]),
    ("println", &[]),
    ("eprintln", &[]),
];

#[test]
fn modules_use_only_what_stands_below_them() {
    let sources = sources();
    let mut wrong = Vec::new();
    for source in &sources {
        let Some(own) = entry(&source.module) else {
            wrong.push(format!(
                "{}:1: `{}` stands in no layer",
                source.path, source.module
            ));
            continue;
        };
        for used in source.uses(&sources) {
            if let Some(problem) = forbids(own, &source.module, &used.module) {
                wrong.push(format!("{}:{}: {problem}", source.path, used.line));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_says_nothing_of_modules_that_are_gone() {
    let sources = sources();
    for (nth, (name, layer, beside)) in TABLE.iter().enumerate() {
        let is_there = sources.iter().any(|source| covers(name, &source.module));
        assert!(is_there, "`{name}` is in no file");
        for other in *beside {
            let at = TABLE.iter().position(|(entry, ..)| entry == other);
            let at = at.unwrap_or_else(|| panic!("`{name}` may use `{other}`, which is no entry"));
            assert_eq!(
                TABLE[at].1, *layer,
                "`{other}` stands in another layer than `{name}`"
            );
            assert!(
                at < nth || name == other,
                "`{name}` and `{other}` are in the wrong order"
            );
        }
    }
}

#[test]
fn mechanisms_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for source in sources() {
        // Unit tests are no part of a build for models, wherever they are.
        let code = source.code.replace("cfg(all(test, not(loom)))", "");
        for (word, files) in RESERVED {
            if files.contains(&source.path.as_str()) {
                continue;
            }
            for (line, _) in words(&code).filter(|(_, found)| found == word) {
                wrong.push(format!(
                    "{}:{line}: `{word}` belongs in {files:?}",
                    source.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_announced_on_top() {
    for source in sources() {
        let has_unsafe = words(&source.code).any(|(_, word)| word == "unsafe");
        let is_item = |line: &&str| line.starts_with("use ") || line.starts_with("mod ");
        let top = source.code.lines().take_while(|line| !is_item(line));
        let top: String = top.flat_map(str::split_whitespace).collect();
        let announced = top.contains("expect(unsafe_code,reason=");
        assert_eq!(
            has_unsafe, announced,
            "{}: unsafe code and `#![expect(unsafe_code, reason = ..)]` go together",
            source.path
        );
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        for (line, target) in links(&text) {
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            if file.contains("://") {
                continue;
            }
            let path = root().join(if file.is_empty() { name } else { file });
            assert!(path.exists(), "{name}:{line}: there is no {file}");
            if !heading.is_empty() {
                let there = fs::read_to_string(&path).unwrap();
                let found = headings(&there).any(|slug| slug == heading);
                assert!(found, "{name}:{line}: {file} has no heading #{heading}");
            }
        }
    }
}

#[test]
fn the_checks_find_what_they_look_for() {
    let code = "use crate::ring::{mpmc, cursor::{Cursors, STEP}};\nuse crate::\n    worker;\n\
                mod inner {\n use super::Here;\n mod deeper { use super::super::super::up; }\n}\n\
                fn f() { let c = 'x'; crate::idle::pause(\"crate::no\"); } // crate::nor\n";
    let uses: Vec<_> = paths("pipeline::plan", &strip(code)).collect();
    let found: Vec<_> = uses.iter().map(|used| (&*used.module, used.line)).collect();
    let expected = [
        ("ring::mpmc", 1),
        ("ring::cursor::Cursors", 1),
        ("ring::cursor::STEP", 1),
        ("worker", 2),
        ("pipeline::plan::Here", 5),
        ("pipeline::up", 6),
        ("idle::pause", 8),
    ];
    assert_eq!(found, expected);
    assert!(forbids(entry("idle").unwrap(), "idle", "worker::duty").is_some());
    assert!(forbids(entry("lot").unwrap(), "lot", "lifecycle").is_some());
    assert!(forbids(entry("pool").unwrap(), "pool", "pipeline::builder").is_some());
    assert!(forbids(entry("lifecycle").unwrap(), "lifecycle", "lot").is_none());
    assert!(entry("nonsense").is_none());
}

type Entry = (&'static str, u32, &'static [&'static str]);

/// Whether a table entry speaks of a module: by its name, or as `folder::*`.
fn covers(entry: &str, module: &str) -> bool {
    let folder = entry.strip_suffix("::*");
    entry == module
        || folder.is_some_and(|folder| {
            let rest = module.strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
}

fn entry(module: &str) -> Option<Entry> {
    TABLE
        .iter()
        .find(|(name, ..)| covers(name, module))
        .copied()
}

/// Why `own` must not use `used`, if so.
fn forbids(own: Entry, module: &str, used: &str) -> Option<String> {
    if module == used {
        return None;
    }
    let (_, layer, beside) = own;
    let Some((used_entry, used_layer, _)) = entry(used) else {
        return Some(format!("`{used}` stands in no layer"));
    };
    if used_layer < layer || (used_layer == layer && beside.contains(&used_entry)) {
        return None;
    }
    let how = if used_layer == layer {
        "beside"
    } else {
        "above"
    };
    Some(format!("`{module}` uses `{used}`, which stands {how} it"))
}

/// One file of `src`, comments and texts blanked out.
struct Source {
    /// Within `src`.
    path: String,
    module: String,
    code: String,
}

/// A path in the code, and where.
#[derive(Debug)]
struct Used {
    module: String,
    line: usize,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Source {
    /// The modules that it uses, each cut to the longest name that is a file.
    fn uses(&self, sources: &[Self]) -> Vec<Used> {
        let is_file = |name: &str| sources.iter().any(|source| source.module == name);
        let mut all: Vec<_> = paths(&self.module, &self.code).collect();
        all.extend(self.children(&is_file));
        for used in &mut all {
            while !is_file(&used.module) {
                let Some((shorter, _)) = used.module.rsplit_once("::") else {
                    "lib".clone_into(&mut used.module);
                    break;
                };
                used.module.truncate(shorter.len());
            }
        }
        all
    }

    /// What a `mod.rs` uses of its own folder, or `lib.rs` of its modules, without saying `self`.
    fn children(&self, is_file: &impl Fn(&str) -> bool) -> Vec<Used> {
        let mut found = Vec::new();
        for (nth, line) in self.code.lines().enumerate() {
            let line = line
                .trim_start()
                .trim_start_matches("pub ")
                .trim_start_matches("pub(crate) ");
            let Some(path) = line.strip_prefix("use ") else {
                continue;
            };
            let first = path.split(|c: char| !is_word(c)).next().unwrap_or_default();
            let module = join(&self.module, first);
            if !first.is_empty() && is_file(&module) {
                found.push(Used {
                    module,
                    line: nth + 1,
                });
            }
        }
        found
    }
}

/// `name` in module `base`; `lib` is the root.
fn join(base: &str, name: &str) -> String {
    match base {
        "lib" | "" => name.to_string(),
        base => format!("{base}::{name}"),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of `src`, in the order of their names.
fn sources() -> Vec<Source> {
    let mut files = BTreeSet::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for found in fs::read_dir(folder).unwrap() {
            let path = found.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(path);
            }
        }
    }
    assert!(files.len() > 20, "these are not the sources: {files:?}");
    files.iter().map(read).collect()
}

fn read(file: &PathBuf) -> Source {
    let path = file.strip_prefix(root().join("src")).unwrap();
    let path = path.to_str().unwrap().replace('\\', "/");
    let module = path
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .replace('/', "::");
    let code = strip(&fs::read_to_string(file).unwrap());
    Source { path, module, code }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of the code and their lines.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().flat_map(|(nth, line)| {
        let words = line.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        words.map(move |word| (nth + 1, word))
    })
}

/// Blanks out comments and the content of texts and characters; lines stay where they are.
fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\n');
    let mut code = String::with_capacity(text.len());
    let mut index = 0;
    while index < chars.len() {
        match (at(index), at(index + 1)) {
            ('/', '/') => {
                while at(index) != '\n' {
                    index += 1;
                }
            }
            ('"', _) => {
                index += 1;
                while index < chars.len() && at(index) != '"' {
                    if at(index) == '\n' {
                        code.push('\n');
                    }
                    index += 1 + usize::from(at(index) == '\\');
                }
                index += 1;
                code.push_str("\"\"");
            }
            ('\'', '\\') => {
                index += 3;
                while at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            // A character; otherwise it is a lifetime.
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            (c, _) => {
                code.push(c);
                index += 1;
            }
        }
    }
    code
}

/// Every path in `code` that begins with `crate`, `self` or `super`, from the root on. Inline modules count
/// as part of their file.
fn paths(module: &str, code: &str) -> impl Iterator<Item = Used> {
    let mut found = Vec::new();
    let mut inline: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    let mut index = 0;
    let mut previous = ("", "");
    let bytes = code.as_bytes();
    while index < bytes.len() {
        match bytes[index] {
            b'{' => {
                depth += 1;
                if previous.0 == "mod" {
                    inline.push((depth, previous.1.to_string()));
                }
                previous = ("", "");
                index += 1;
            }
            b'}' => {
                if inline.last().is_some_and(|(begun, _)| *begun == depth) {
                    inline.pop();
                }
                depth = depth.saturating_sub(1);
                index += 1;
            }
            b if b.is_ascii_alphanumeric() || b == b'_' => {
                let rest = &code[index..];
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let word = &rest[..end];
                let is_first = !code[..index].ends_with("::");
                if is_first
                    && matches!(word, "crate" | "self" | "super")
                    && rest[end..].starts_with("::")
                {
                    let line = code[..index].matches('\n').count() + 1;
                    let inner = inline
                        .iter()
                        .fold(module.to_string(), |base, (_, name)| join(&base, name));
                    let mut names = Vec::new();
                    let taken = tree(rest, &inner, &mut names);
                    found.extend(names.into_iter().map(|name| Used { module: name, line }));
                    // The braces of a group close what they open.
                    index += taken;
                } else {
                    index += end;
                }
                previous = (previous.1, word);
            }
            b';' => {
                previous = ("", "");
                index += 1;
            }
            _ => index += 1,
        }
    }
    found.into_iter()
}

/// Reads one path or group, as in `a::{b, c::{d, e}}`, resolved from `base` on; how long it is.
fn tree(text: &str, base: &str, names: &mut Vec<String>) -> usize {
    let trimmed = text.trim_start();
    let mut taken = text.len() - trimmed.len();
    if let Some(group) = trimmed.strip_prefix('{') {
        taken += 1;
        let mut rest = group;
        loop {
            let length = tree(rest, base, names);
            rest = &rest[length..];
            taken += length;
            let closed = rest.trim_start();
            taken += rest.len() - closed.len() + 1;
            match closed.chars().next() {
                Some(',') => rest = &closed[1..],
                _ => return taken,
            }
        }
    }
    let end = trimmed.find(|c| !is_word(c)).unwrap_or(trimmed.len());
    let word = &trimmed[..end];
    taken += end;
    let base = match word {
        "" => return taken,
        "crate" => String::new(),
        "self" => base.to_string(),
        "super" => base
            .rsplit_once("::")
            .map_or("", |(outer, _)| outer)
            .to_string(),
        word => join(base, word),
    };
    match trimmed[end..].strip_prefix("::") {
        // `a::<T>` ends here, `a::*` means `a`.
        Some(next) if !next.trim_start().starts_with(['<', '*']) => {
            taken + 2 + tree(next, &base, names)
        }
        _ => {
            names.push(if base.is_empty() {
                "lib".to_string()
            } else {
                base
            });
            taken
        }
    }
}

/// The targets of a document's links, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            found.push((line, target.to_string()));
        }
    }
    found
}

/// The names by which a document's headings are linked to.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles = prose(text)
        .into_iter()
        .filter(|(_, line)| line.starts_with('#'));
    titles.map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|&c| is_word(c) || c == ' ' || c == '-');
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// The lines of a document that are not in a code block.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            found.push((nth + 1, line));
        }
    }
    found
}
