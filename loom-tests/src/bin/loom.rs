//! Runs models, each in a process of its own: `cargo loom NAME..` and `cargo loom-all [BOUND]`.
//!
//! It builds `tests/*.rs` and the library's own tests with `--cfg loom` into a target directory of their own and asks
//! each test binary what it has. A model's name is that of its file and its test, `spsc::wrap`, or that of the library
//! and the test's path in it, `ringmill::models::chains::..`; a NAME given here is a part of that.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

const USAGE: &str = "usage: cargo loom NAME.. | cargo loom-all [BOUND]
  NAME   run the models whose name contains it, like `mpmc` or `spsc::wrap`
  BOUND  preemptions in one execution at the most (default 2, or LOOM_MAX_PREEMPTIONS)";

struct Model {
    name: String,
    test: String,
    binary: PathBuf,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (names, bound) = match words[..] {
        ["--all"] => (&[][..], None),
        ["--all", bound] if bound.parse::<usize>().is_ok() => (&[][..], Some(bound)),
        [] | ["--all", ..] => return refuse(USAGE),
        _ => (&words[..], None),
    };
    match run(names, bound) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}

fn run(names: &[&str], bound: Option<&str>) -> io::Result<bool> {
    let begun = Instant::now();
    let models: Vec<Model> = models()?
        .into_iter()
        .filter(|model| names.is_empty() || names.iter().any(|name| model.name.contains(name)))
        .collect();
    if models.is_empty() {
        return Err(io::Error::other("no such model"));
    }
    let built = begun.elapsed();
    let next = AtomicUsize::new(0);
    let executions = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(model) = models.get(next.fetch_add(1, Relaxed)) {
                    match explore(model, bound) {
                        Ok(count) => drop(executions.fetch_add(count, Relaxed)),
                        Err(why) => {
                            eprintln!("model {}: FAILED\n{why}", model.name);
                            failed.lock().unwrap().push(&*model.name);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "{} models, {} executions, {} failed ({:.1} s, of which building {:.1} s)",
        models.len(),
        executions.load(Relaxed),
        failed.len(),
        begun.elapsed().as_secs_f64(),
        built.as_secs_f64()
    );
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty() && executions.load(Relaxed) > 0)
}

/// Builds all models and asks for their names.
fn models() -> io::Result<Vec<Model>> {
    let mut models = Vec::new();
    for message in build()?.lines() {
        let (target, rest) = message.split_once(r#""profile":"#).unwrap_or_default();
        // The target's name comes after its kinds.
        let target = target.split_once(r#""target":"#).map_or("", |(_, it)| it);
        if !rest.contains(r#""test":true"#) {
            continue;
        }
        let (Some(file), Some(binary)) = (text(target, "name"), text(rest, "executable")) else {
            continue;
        };
        let listed = Command::new(&binary)
            .args(["--list", "--format", "terse"])
            .output()?;
        for line in String::from_utf8_lossy(&listed.stdout).lines() {
            if let Some(test) = line.strip_suffix(": test") {
                models.push(Model {
                    name: format!("{file}::{test}"),
                    test: test.to_string(),
                    binary: PathBuf::from(&binary),
                });
            }
        }
    }
    models.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(models)
}

/// Builds them; what cargo says of that, one line of JSON for each target.
fn build() -> io::Result<String> {
    // As `cargo run` says it: a target folder may be used from more than one place.
    let package = env::var_os("CARGO_MANIFEST_DIR");
    let package = package.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| package.join("../target"), PathBuf::from);
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(&package)
        .args(["test", "--no-run", "--profile", "loom", "--quiet"])
        // In one go: each crate below them is built once.
        .args(["-p", "ringmill", "-p", "ringmill-loom-tests", "--lib"])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(target.join("loom"))
        .env("RUSTFLAGS", "--cfg loom")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(Stdio::inherit());
    for file in fs::read_dir(package.join("tests"))? {
        let file = file?.path();
        if let Some(name) = file.file_stem() {
            command.arg("--test").arg(name);
        }
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other("the models do not build"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The value of a string field in one line of JSON. Paths and names have nothing to unescape here.
fn text(json: &str, field: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{field}\":\""))?;
    rest.split_once('"').map(|(value, _)| value.to_string())
}

/// Runs one model and returns its executions, or what it said when it failed.
fn explore(model: &Model, bound: Option<&str>) -> Result<usize, String> {
    let mut command = Command::new(&model.binary);
    command.args([&model.test, "--exact", "--nocapture", "--test-threads", "1"]);
    if let Some(bound) = bound {
        command.env("LOOM_MAX_PREEMPTIONS", bound);
    }
    let begun = Instant::now();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&stdout);
    let line = said
        .lines()
        .find_map(|line| line.find("model ").map(|at| &line[at..]));
    let executions = line
        .and_then(|line| line.split_once(": ")?.1.split_once(" executions"))
        .and_then(|(count, _)| count.parse().ok());
    match (status.success(), executions, line) {
        (true, Some(executions), Some(line)) if executions > 0 => {
            let seconds = begun.elapsed().as_secs_f64();
            let _closed = writeln!(io::stdout(), "{line} ({seconds:.1} s)");
            Ok(executions)
        }
        _ => Err(format!(
            "{status}\n{said}{}",
            String::from_utf8_lossy(&stderr)
        )),
    }
}
