//! Says what `.ci/turns` found: reads what both revisions wrote, and compares them.
//!
//! The folder holds for each round `N.old.json` and `N.new.json`, as `versus` writes them, and `N.cores`, the core
//! distances before, between and after the turns, one a line. Rounds count from 1.
//!
//! Ends with 1 if a case is slower, and with 2 if a case cannot be judged or a file cannot be read.

mod compare;

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, iter};

use clap::Parser;

use compare::{Comparison, FEWEST_ROUNDS, Round, SLOWER, Verdict, compare, steady_rounds};

const IS_SLOWER: u8 = 1;
const IS_OPEN: u8 = 2;

#[derive(Parser)]
#[command(about = "Compares two revisions whose versus took turns")]
struct Args {
    /// What the turns wrote.
    folder: PathBuf,
    /// Prints only in how many rounds the cores stayed where they were, whatever the case.
    #[arg(long)]
    steady_rounds: bool,
    /// Writes one line of JSON per figure there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let rounds = match read(&args.folder) {
        Ok(rounds) => rounds,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(IS_OPEN);
        }
    };
    let found = compare(&rounds);
    if args.steady_rounds {
        println!("{}", steady_rounds(&rounds, &found));
        return ExitCode::SUCCESS;
    }
    println!(
        "{:<52} {:>6} {:>16} {:>12} {:>12} {:<6} cores",
        "", "ratio", "95 %", "old", "new", ""
    );
    for one in &found {
        println!("{}", Row(one));
    }
    if let Some(path) = args.json
        && let Err(error) = write(&path, &found)
    {
        eprintln!("{error}");
        return ExitCode::from(IS_OPEN);
    }
    let count = |verdict| found.iter().filter(|one| one.verdict == verdict).count();
    let (slower, open) = (count(Verdict::Slower), count(Verdict::TooFewRounds));
    let compared = slower + open + count(Verdict::NotSlower);
    println!(
        "\nThe ratio is the median of the rounds' new/old, above 1 where new is better; its interval is from order \
         statistics.\n{slower} of {compared} figures are slower: the interval lies wholly below {SLOWER}."
    );
    if open > 0 {
        println!("{open} cannot be judged: fewer than {FEWEST_ROUNDS} rounds count.");
    }
    if compared == 0 {
        eprintln!("{}: no figure is in both revisions", args.folder.display());
    }
    if slower > 0 {
        ExitCode::from(IS_SLOWER)
    } else if open > 0 || compared == 0 {
        ExitCode::from(IS_OPEN)
    } else {
        ExitCode::SUCCESS
    }
}

/// A row of the table.
struct Row<'a>(&'a Comparison);

impl Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = self.0;
        let variant = one.variant.as_deref().map(|name| format!(" [{name}]"));
        let name = format!("{}: {}{}", one.group, one.case, variant.unwrap_or_default());
        write!(f, "{name:<52}")?;
        if let (Some(ratio), Some([low, high]), Some(old), Some(new)) =
            (one.ratio, one.interval, one.old, one.new)
        {
            let interval = format!("[{low:.3}, {high:.3}]");
            let unit = &one.unit;
            write!(
                f,
                " {ratio:>6.3} {interval:>16} {old:>12.4} {new:>12.4} {unit:<6}"
            )?;
        }
        let counts = [
            ("near", one.near),
            ("far", one.far),
            ("one core", one.unknown),
            ("thrown away: cores moved", one.changed),
        ];
        let said: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        write!(f, " {}", said.join(", "))?;
        match one.verdict {
            Verdict::NotSlower => Ok(()),
            Verdict::Slower => write!(f, "  SLOWER"),
            Verdict::TooFewRounds => write!(f, "  too few rounds"),
            Verdict::OnlyOld => write!(f, " only in the old revision"),
            Verdict::OnlyNew => write!(f, " only in the new revision"),
        }?;
        let is_in_both = !matches!(one.verdict, Verdict::OnlyOld | Verdict::OnlyNew);
        if is_in_both && one.missing > 0 {
            write!(f, "  no figure in {} rounds", one.missing)?;
        }
        Ok(())
    }
}

/// Says which file it was.
fn in_file(path: &Path, error: impl Display) -> String {
    format!("{}: {error}", path.display())
}

/// All rounds there are.
fn read(folder: &Path) -> Result<Vec<Round>, String> {
    iter::successors(Some(1_u32), |number| number.checked_add(1))
        .take_while(|number| folder.join(format!("{number}.cores")).exists())
        .map(|number| {
            let path = |end| folder.join(format!("{number}.{end}"));
            Ok(Round {
                old: read_lines(&path("old.json"), |line| serde_json::from_str(line))?,
                new: read_lines(&path("new.json"), |line| serde_json::from_str(line))?,
                cores_ns: read_lines(&path("cores"), str::parse)?,
            })
        })
        .collect()
}

fn read_lines<T, E: Display>(
    path: &Path,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, String> {
    let text = fs::read_to_string(path).map_err(|error| in_file(path, error))?;
    let lines = text.lines().zip(1..);
    lines
        .map(|(line, number)| {
            parse(line).map_err(|error| in_file(path, format!("line {number}: {error}")))
        })
        .collect()
}

fn write(path: &Path, found: &[Comparison]) -> Result<(), String> {
    let mut text = String::new();
    for one in found {
        text += &serde_json::to_string(one).map_err(|error| in_file(path, error))?;
        text.push('\n');
    }
    fs::write(path, text).map_err(|error| in_file(path, error))
}
