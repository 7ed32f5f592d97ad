//! Compares two revisions whose `versus` took turns.
//!
//! A round is one run of each revision. A case's ratio is the median of its rounds' own ratios, so that what changes
//! slowly in the machine cancels out. Its interval comes from the order statistics of these ratios, as
//! [`interval`] says.
//!
//! Where a virtual machine moves its cores, they are near each other in some minutes and far in others, and figures
//! differ by a factor. A round counts only if the cores were near at every look around its two figures, or far at every
//! look.

use std::collections::BTreeMap;

use ringmill_benches::stats::{interval, median};
use serde::{Deserialize, Serialize};

/// Cores are far from each other if a word to the other one and back takes so many nanoseconds or more.
pub const FAR_NS: f64 = 260.0;
/// A case is slower if its interval lies wholly below this.
pub const SLOWER: f64 = 0.97;
/// With fewer rounds the interval holds the true median less than 95 times in 100.
pub const FEWEST_ROUNDS: usize = 6;

/// One line that `versus` wrote, of this revision or of an older one.
#[derive(Deserialize, Clone, Debug)]
pub struct Line {
    pub group: String,
    pub case: String,
    pub unit: String,
    pub better: Better,
    pub ours: Option<f64>,
    #[serde(default)]
    pub variants: BTreeMap<String, Option<f64>>,
    /// Older revisions do not measure it.
    #[serde(default)]
    pub cores_ns: Option<[f64; 2]>,
}

#[derive(Deserialize, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Higher,
    Lower,
}

/// One turn of each revision.
#[derive(Default, Debug)]
pub struct Round {
    pub old: Vec<Line>,
    pub new: Vec<Line>,
    /// The core distance before, between and after the turns; nothing where there is one core.
    pub cores_ns: Vec<f64>,
}

/// How far apart the cores were in one round of one case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Distance {
    Near,
    Far,
    Changed,
    /// There is only one core.
    Unknown,
}

impl Distance {
    fn of(nanoseconds: &[f64]) -> Self {
        let each = nanoseconds.iter().map(|&distance| {
            if distance < FAR_NS {
                Self::Near
            } else {
                Self::Far
            }
        });
        each.reduce(|all, one| if all == one { all } else { Self::Changed })
            .unwrap_or(Self::Unknown)
    }
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    NotSlower,
    /// The interval lies wholly below [`SLOWER`].
    Slower,
    /// Fewer than [`FEWEST_ROUNDS`] rounds count.
    TooFewRounds,
    /// The other revision has no such case.
    OnlyOld,
    OnlyNew,
}

/// What the rounds say of one figure.
#[derive(Serialize, Clone, Debug)]
pub struct Comparison {
    pub group: String,
    pub case: String,
    /// None: ringmill as it is by itself.
    pub variant: Option<String>,
    pub unit: String,
    pub better: Better,
    /// Medians of the rounds that count.
    pub old: Option<f64>,
    pub new: Option<f64>,
    /// Above 1: the new revision is better, whatever the unit.
    pub ratio: Option<f64>,
    pub interval: Option<[f64; 2]>,
    /// Rounds that count, by the distance of the cores.
    pub near: usize,
    pub far: usize,
    pub unknown: usize,
    /// Rounds that do not count because the distance changed.
    pub changed: usize,
    /// Rounds that do not count because one of the figures is missing, or no positive number.
    pub missing: usize,
    pub verdict: Verdict,
}

/// In how many rounds the cores stayed where they were, in the case in which they moved most.
pub fn steady_rounds(rounds: &[Round], found: &[Comparison]) -> usize {
    let moved = found.iter().map(|one| one.changed).max();
    rounds.len() - moved.unwrap_or(0)
}

/// Says which figure this is: group, case, variant.
type Key<'a> = (&'a str, &'a str, Option<&'a str>);

/// The figures of a turn: those of each line, and of each of its variants.
fn figures(lines: &[Line]) -> impl Iterator<Item = (Key<'_>, &Line, Option<f64>)> {
    lines.iter().flat_map(|line| {
        let key = |variant| (&*line.group, &*line.case, variant);
        let ours = (key(None), line, line.ours);
        let variants = line.variants.iter();
        let variants = variants.map(move |(name, figure)| (key(Some(&**name)), line, *figure));
        std::iter::once(ours).chain(variants)
    })
}

/// Compares all figures, in the order in which `versus` writes them.
pub fn compare(rounds: &[Round]) -> Vec<Comparison> {
    let mut keys: Vec<(Key<'_>, &Line)> = Vec::new();
    for lines in rounds.iter().flat_map(|round| [&round.new, &round.old]) {
        for (key, line, _) in figures(lines) {
            if keys.iter().all(|(known, _)| *known != key) {
                keys.push((key, line));
            }
        }
    }
    keys.into_iter()
        .map(|(key, line)| compare_one(rounds, key, line))
        .collect()
}

/// The core distances around a case on both sides; around the turns, which may be long, if a side did not measure them.
fn cores_around(round: &Round, lines: [&Line; 2]) -> Vec<f64> {
    match lines.map(|line| line.cores_ns) {
        [Some(old), Some(new)] => [old, new].concat(),
        _ => round.cores_ns.clone(),
    }
}

fn compare_one(rounds: &[Round], key: Key<'_>, line: &Line) -> Comparison {
    let mut one = Comparison {
        group: line.group.clone(),
        case: line.case.clone(),
        variant: key.2.map(str::to_owned),
        unit: line.unit.clone(),
        better: line.better,
        old: None,
        new: None,
        ratio: None,
        interval: None,
        near: 0,
        far: 0,
        unknown: 0,
        changed: 0,
        missing: 0,
        verdict: Verdict::NotSlower,
    };
    let find = |lines| figures(lines).find(|(found, ..)| *found == key);
    let (mut has_old, mut has_new) = (false, false);
    let (mut old, mut new, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in rounds {
        let (before, after) = (find(&round.old), find(&round.new));
        has_old |= before.is_some();
        has_new |= after.is_some();
        let both = before.zip(after).and_then(|(before, after)| {
            let is_sound = |figure: &f64| figure.is_finite() && *figure > 0.0;
            let figures = (before.2.filter(is_sound)?, after.2.filter(is_sound)?);
            Some((figures, [before.1, after.1]))
        });
        let Some(((before, after), lines)) = both else {
            one.missing += 1;
            continue;
        };
        match Distance::of(&cores_around(round, lines)) {
            Distance::Near => one.near += 1,
            Distance::Far => one.far += 1,
            Distance::Unknown => one.unknown += 1,
            Distance::Changed => {
                one.changed += 1;
                continue;
            }
        }
        old.push(before);
        new.push(after);
        ratios.push(match line.better {
            Better::Higher => after / before,
            Better::Lower => before / after,
        });
    }
    if !ratios.is_empty() {
        one.old = Some(median(&old));
        one.new = Some(median(&new));
        one.ratio = Some(median(&ratios));
        one.interval = Some(interval(&ratios));
    }
    one.verdict = match (has_old, has_new, one.interval) {
        (false, ..) => Verdict::OnlyNew,
        (_, false, _) => Verdict::OnlyOld,
        _ if ratios.len() < FEWEST_ROUNDS => Verdict::TooFewRounds,
        (.., Some([_, high])) if high < SLOWER => Verdict::Slower,
        _ => Verdict::NotSlower,
    };
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: f64 = 197.0;
    const FAR: f64 = 330.0;

    fn line(better: Better, ours: f64) -> Line {
        Line {
            group: "rings".into(),
            case: "a case".into(),
            unit: "M/s".into(),
            better,
            ours: Some(ours),
            variants: BTreeMap::new(),
            cores_ns: None,
        }
    }

    /// A round for each pair of figures, with near cores.
    fn rounds(better: Better, figures: &[(f64, f64)]) -> Vec<Round> {
        let round = |&(old, new)| Round {
            old: vec![line(better, old)],
            new: vec![line(better, new)],
            cores_ns: vec![NEAR; 3],
        };
        figures.iter().map(round).collect()
    }

    fn only_one(rounds: &[Round]) -> Comparison {
        let mut all = compare(rounds);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Nine rounds whose ratios lie around a middle one.
    fn around(middle: f64) -> Vec<(f64, f64)> {
        let ratio = |nth: u32| middle * (1.0 + 0.002 * (f64::from(nth) - 4.0));
        // The machine is slower from round to round, which must cancel out.
        (0..9)
            .map(|nth| (100.0 / f64::from(nth + 1), nth))
            .map(|(old, nth)| (old, old * ratio(nth)))
            .collect()
    }

    #[track_caller]
    fn assert_close(found: Option<f64>, expected: f64) {
        let found = found.expect("a figure");
        assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
    }

    #[test]
    fn a_higher_rate_and_a_shorter_time_are_better_alike() {
        let rate = only_one(&rounds(Better::Higher, &[(10.0, 20.0)]));
        assert_close(rate.ratio, 2.0);
        let time = only_one(&rounds(Better::Lower, &[(20.0, 10.0)]));
        assert_close(time.ratio, 2.0);
        assert_close(time.old, 20.0);
        assert_close(time.new, 10.0);
    }

    #[test]
    fn figures_are_compared_within_their_round() {
        let one = only_one(&rounds(Better::Higher, &around(1.0)));
        assert_close(one.ratio, 1.0);
        let [low, high] = one.interval.expect("an interval");
        // Of nine, all but the outermost.
        assert_close(Some(low), 0.994);
        assert_close(Some(high), 1.006);
        assert_eq!(one.verdict, Verdict::NotSlower);
    }

    #[test]
    fn a_case_is_slower_if_its_whole_interval_lies_below() {
        let verdict = |middle| only_one(&rounds(Better::Higher, &around(middle))).verdict;
        assert_eq!(verdict(0.9), Verdict::Slower);
        // The upper end is 0.9699, and 0.9709.
        assert_eq!(verdict(0.9641), Verdict::Slower);
        assert_eq!(verdict(0.9651), Verdict::NotSlower);
        assert_eq!(verdict(1.1), Verdict::NotSlower);
    }

    #[test]
    fn a_longer_time_is_slower() {
        let swapped: Vec<_> = around(0.9)
            .into_iter()
            .map(|(old, new)| (new, old))
            .collect();
        let one = only_one(&rounds(Better::Lower, &swapped));
        assert_eq!(one.verdict, Verdict::Slower);
        assert_close(one.ratio, 0.9);
    }

    #[test]
    fn few_rounds_decide_nothing() {
        let verdict = |count| only_one(&rounds(Better::Higher, &around(0.5)[..count])).verdict;
        assert_eq!(verdict(FEWEST_ROUNDS - 1), Verdict::TooFewRounds);
        assert_eq!(verdict(FEWEST_ROUNDS), Verdict::Slower);
    }

    #[test]
    fn a_round_in_which_the_distance_changed_does_not_count() {
        let mut all = rounds(Better::Higher, &[(1.0, 1.0), (1.0, 9.0), (1.0, 1.0)]);
        for changed in [[FAR, NEAR, NEAR], [NEAR, FAR, NEAR], [NEAR, NEAR, FAR]] {
            all[1].cores_ns = changed.to_vec();
            let one = only_one(&all);
            assert_eq!((one.near, one.far, one.changed), (2, 0, 1), "{changed:?}");
            assert_close(one.new, 1.0);
            assert_eq!(steady_rounds(&all, &[one]), 2);
        }
    }

    #[test]
    fn distances_around_a_case_count_rather_than_those_around_its_turns() {
        let mut all = rounds(Better::Higher, &[(1.0, 1.0)]);
        all[0].cores_ns = vec![NEAR, FAR, NEAR];
        all[0].old[0].cores_ns = Some([FAR, FAR]);
        all[0].new[0].cores_ns = Some([FAR, FAR]);
        assert_eq!(only_one(&all).far, 1);
        for [old, new] in [
            [[FAR, NEAR], [NEAR, NEAR]],
            [[FAR, FAR], [NEAR, NEAR]],
            [[FAR, FAR], [FAR, NEAR]],
        ] {
            all[0].old[0].cores_ns = Some(old);
            all[0].new[0].cores_ns = Some(new);
            assert_eq!(only_one(&all).changed, 1, "{old:?} {new:?}");
        }
    }

    #[test]
    fn distances_around_the_turns_count_if_a_side_has_none_around_its_case() {
        let mut all = rounds(Better::Higher, &[(1.0, 1.0)]);
        all[0].new[0].cores_ns = Some([FAR, FAR]);
        assert_eq!(only_one(&all).near, 1);
        all[0].cores_ns[1] = FAR;
        assert_eq!(only_one(&all).changed, 1);
    }

    #[test]
    fn near_ends_below_260_nanoseconds() {
        let mut all = rounds(Better::Higher, &[(1.0, 1.0)]);
        all[0].cores_ns = vec![259.9; 3];
        assert_eq!(only_one(&all).near, 1);
        all[0].cores_ns = vec![260.0; 3];
        assert_eq!(only_one(&all).far, 1);
    }

    #[test]
    fn with_one_core_rounds_count_and_the_distance_is_unknown() {
        let mut all = rounds(Better::Higher, &around(0.9));
        for round in &mut all {
            round.cores_ns.clear();
        }
        let one = only_one(&all);
        assert_eq!((one.near, one.far, one.unknown), (0, 0, 9));
        assert_eq!(one.verdict, Verdict::Slower);
    }

    #[test]
    fn figures_that_are_no_positive_numbers_do_not_count() {
        let mut all = rounds(Better::Higher, &around(1.0));
        all[0].old[0].ours = None;
        all[1].new[0].ours = Some(0.0);
        all[2].new[0].ours = Some(f64::INFINITY);
        all[3].new.clear();
        let one = only_one(&all);
        assert_eq!((one.missing, one.near), (4, 5));
        assert_eq!(one.verdict, Verdict::TooFewRounds);
    }

    #[test]
    fn a_case_of_one_revision_is_not_judged() {
        let mut all = rounds(Better::Higher, &around(1.0));
        for round in &mut all {
            round.old[0].case = "an old case".into();
        }
        let found = compare(&all);
        let verdicts: Vec<_> = found.iter().map(|one| (&*one.case, one.verdict)).collect();
        assert_eq!(
            verdicts,
            [
                ("a case", Verdict::OnlyNew),
                ("an old case", Verdict::OnlyOld)
            ]
        );
        assert!(found.iter().all(|one| one.ratio.is_none()));
    }

    #[test]
    fn variants_are_compared_like_ringmill_itself() {
        let mut all = rounds(Better::Higher, &around(1.0));
        for round in &mut all {
            round.old[0].variants.insert("bound".into(), Some(10.0));
            round.new[0].variants.insert("bound".into(), Some(5.0));
        }
        let found = compare(&all);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].verdict, Verdict::NotSlower);
        assert_eq!(found[1].variant.as_deref(), Some("bound"));
        assert_eq!(found[1].verdict, Verdict::Slower);
    }

    #[test]
    fn lines_of_older_revisions_are_read() {
        let text = r#"{"group":"rtt","case":"u64 p50","unit":"ns","better":"lower","ours":255.0,
            "peers":{"rtrb":301.0},"best_peer":"rtrb","ratio":1.18,"limit":246.0,"rounds":9,
            "spread":[1.1,1.2],"hiccup_us":7.5}"#;
        let line: Line = serde_json::from_str(text).expect("a line of f1fa94d");
        assert_eq!((&*line.group, line.better), ("rtt", Better::Lower));
        assert_eq!(line.ours, Some(255.0));
        assert!(line.variants.is_empty() && line.cores_ns.is_none());
    }
}
