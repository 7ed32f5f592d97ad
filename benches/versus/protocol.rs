//! How things are compared: side by side, in rounds in which all of them take turns.
//!
//! A case has subjects: ringmill, its peers, and limits of the machine. In each round every subject runs once, and each
//! round begins with another one, so that what changes in the machine meets all alike. A subject makes all it needs, its
//! threads too, in its turn, and is rid of it afterwards: no idle thread of one stands in the way of another.
//!
//! What is said of a case are medians over the rounds. Its ratio is the median of the rounds' own ratios, with an
//! interval around it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringmill_benches::stats::{hiccup, interval, median};

use crate::limits::core_distance;
use crate::plan::Plan;
use crate::report::{Curve, Line};

/// What one turn of a subject found out.
pub enum Finding {
    /// The items took so long.
    Took(Duration),
    /// The items took so many nanoseconds each.
    Times(Histogram<u64>),
    /// The case's own figure.
    Figure(f64),
}

impl From<Duration> for Finding {
    fn from(took: Duration) -> Self {
        Self::Took(took)
    }
}

impl From<Histogram<u64>> for Finding {
    fn from(times: Histogram<u64>) -> Self {
        Self::Times(times)
    }
}

impl From<f64> for Finding {
    fn from(figure: f64) -> Self {
        Self::Figure(figure)
    }
}

impl Finding {
    /// The figures of so many items, in the order of [`Case::figures`].
    fn figures(&self, items: u64) -> Vec<f64> {
        match self {
            Self::Took(took) => vec![items as f64 / took.as_secs_f64().max(1e-9) / 1e6],
            Self::Times(times) => QUANTILES
                .iter()
                .map(|&(_, quantile)| times.value_at_quantile(quantile) as f64)
                .collect(),
            Self::Figure(figure) => vec![*figure],
        }
    }
}

/// A histogram of nanoseconds, three digits exact, that takes anything.
pub fn nanoseconds() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are possible")
}

/// One that is measured: by `run`, over the given number of items. It panics if what comes out is wrong.
struct Subject<'a> {
    name: &'static str,
    run: Box<dyn Fn(u64) -> Finding + 'a>,
}

/// What is looked at in a case.
enum Measure {
    /// Millions of items a second.
    Rate,
    /// Nanoseconds an item, at these quantiles.
    Latency,
    /// A figure of its own, over so many items.
    Figure {
        unit: &'static str,
        better: Better,
        items: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// What is compared with what.
pub struct Case<'a> {
    group: &'static str,
    name: String,
    measure: Measure,
    /// Ringmill first, then its peers.
    subjects: Vec<Subject<'a>>,
    /// Ringmill in other ways than its first, for those who choose; they count neither as ringmill nor as peers.
    variants: Vec<Subject<'a>>,
    /// What the machine allows at most, measured in the same rounds.
    limits: Vec<Subject<'a>>,
}

impl<'a> Case<'a> {
    fn new(group: &'static str, name: impl Into<String>, measure: Measure) -> Self {
        Self {
            group,
            name: name.into(),
            measure,
            subjects: Vec::new(),
            variants: Vec::new(),
            limits: Vec::new(),
        }
    }

    /// Compares how long many items take; subjects give a [`Duration`].
    pub fn rate(group: &'static str, name: impl Into<String>) -> Self {
        Self::new(group, name, Measure::Rate)
    }

    /// Compares how long single items take; subjects give a histogram of nanoseconds.
    pub fn latency(group: &'static str, name: impl Into<String>) -> Self {
        Self::new(group, name, Measure::Latency)
    }

    /// Compares figures, each found over `items` of whatever the subjects count.
    pub fn figure(
        group: &'static str,
        name: impl Into<String>,
        (unit, better): (&'static str, Better),
        items: u64,
    ) -> Self {
        let measure = Measure::Figure {
            unit,
            better,
            items,
        };
        Self::new(group, name, measure)
    }

    /// Ringmill, or a peer: the first one is ringmill.
    pub fn subject<F: Into<Finding>>(
        mut self,
        name: &'static str,
        run: impl Fn(u64) -> F + 'a,
    ) -> Self {
        let run = Box::new(move |items| run(items).into());
        self.subjects.push(Subject { name, run });
        self
    }

    /// Ringmill in another way than its first.
    pub fn also<F: Into<Finding>>(
        mut self,
        name: &'static str,
        run: impl Fn(u64) -> F + 'a,
    ) -> Self {
        let run = Box::new(move |items| run(items).into());
        self.variants.push(Subject { name, run });
        self
    }

    /// What the machine allows; of several, the best.
    pub fn limit<F: Into<Finding>>(
        mut self,
        name: &'static str,
        run: impl Fn(u64) -> F + 'a,
    ) -> Self {
        let run = Box::new(move |items| run(items).into());
        self.limits.push(Subject { name, run });
        self
    }

    /// Leaves ringmill's subjects alone in the case.
    pub fn without_peers(&mut self) {
        self.subjects.truncate(1);
        self.limits.clear();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many turns a round has.
    pub fn turns(&self) -> usize {
        self.subjects.len() + self.variants.len() + self.limits.len()
    }

    /// Runs all rounds.
    pub fn run(&self, plan: Plan) -> (Vec<Line>, Vec<Curve>) {
        let hiccup_us = hiccup();
        let before = core_distance();
        let ours_and_theirs = self.subjects.iter().chain(&self.variants);
        let all: Vec<_> = ours_and_theirs.chain(&self.limits).collect();
        let items: Vec<_> = all.iter().map(|one| self.calibrate(one, plan)).collect();
        let figures = self.figures();
        // By subject, figure and round.
        let mut found = vec![vec![Vec::new(); figures.len()]; all.len()];
        let mut curves: Vec<_> = all.iter().map(|_| nanoseconds()).collect();
        for round in 0..plan.rounds {
            for turn in 0..all.len() {
                let nth = (round + turn) % all.len();
                let finding = (all[nth].run)(items[nth]);
                if let Finding::Times(times) = &finding {
                    curves[nth].add(times).expect("histograms of one kind");
                }
                let values = finding.figures(items[nth]);
                for (found, value) in found[nth].iter_mut().zip(values) {
                    found.push(value);
                }
            }
        }
        let cores_ns = before
            .zip(core_distance())
            .map(|(before, after)| [before, after]);
        let lines = figures.into_iter().enumerate().map(|(nth, figure)| {
            let found: Vec<_> = found.iter().map(|found| &*found[nth]).collect();
            self.line(figure, &found, (plan.rounds, hiccup_us, cores_ns))
        });
        let curves = all
            .iter()
            .zip(curves)
            .filter(|(_, times)| !times.is_empty())
            .map(|(subject, times)| Curve {
                case: format!("{} {}", self.group, self.name),
                subject: subject.name,
                times,
            });
        (lines.collect(), curves.collect())
    }

    /// How many items a turn takes.
    fn calibrate(&self, subject: &Subject<'_>, plan: Plan) -> u64 {
        if let Measure::Figure { items, .. } = self.measure {
            return (items / plan.shorter).max(1);
        }
        if plan.turn.is_zero() {
            return plan.most;
        }
        let time = |items| {
            let begun = Instant::now();
            let _first_try = (subject.run)(items);
            begun.elapsed()
        };
        let mut items = 16.min(plan.most);
        loop {
            // The better of two: a thread that was not run for a while says nothing of the subject.
            let mut took = time(items);
            if took * 8 >= plan.turn {
                took = took.min(time(items));
            }
            if took * 8 >= plan.turn || items == plan.most {
                let share = plan.turn.as_secs_f64() / took.as_secs_f64().max(1e-9);
                return ((items as f64 * share) as u64).clamp(16, plan.most);
            }
            items = (items * 4).min(plan.most);
        }
    }

    /// What is written of the case: name, unit, which way is better.
    fn figures(&self) -> Vec<(String, &'static str, Better)> {
        match self.measure {
            Measure::Rate => vec![(self.name.clone(), "M/s", Better::Higher)],
            Measure::Latency => QUANTILES
                .iter()
                .map(|(quantile, _)| (format!("{} {quantile}", self.name), "ns", Better::Lower))
                .collect(),
            Measure::Figure { unit, better, .. } => vec![(self.name.clone(), unit, better)],
        }
    }

    /// One line of the record, from what each subject and limit found in each round.
    fn line(
        &self,
        (case, unit, better): (String, &'static str, Better),
        found: &[&[f64]],
        (rounds, hiccup_us, cores_ns): (usize, f64, Option<[f64; 2]>),
    ) -> Line {
        let (subjects, found) = found.split_at(self.subjects.len());
        let (variants, limits) = found.split_at(self.variants.len());
        let is_better = |a: f64, b: f64| match better {
            Better::Higher => a > b,
            Better::Lower => a < b,
        };
        let best = |found: &[&[f64]]| {
            let medians = found.iter().map(|found| median(found)).enumerate();
            medians.reduce(|best, next| {
                if is_better(next.1, best.1) {
                    next
                } else {
                    best
                }
            })
        };
        let best_peer = best(&subjects[1..]).map(|(nth, _)| nth + 1);
        let ratios = best_peer.map(|best| {
            let pairs = subjects[0].iter().zip(subjects[best]);
            let ratios = pairs.map(|(&ours, &theirs)| match better {
                Better::Higher => ours / theirs,
                Better::Lower => theirs / ours,
            });
            ratios.collect::<Vec<_>>()
        });
        Line {
            group: self.group,
            case,
            unit,
            better: match better {
                Better::Higher => "higher",
                Better::Lower => "lower",
            },
            ours: median(subjects[0]),
            peers: self.subjects[1..]
                .iter()
                .zip(&subjects[1..])
                .map(|(subject, found)| (subject.name, median(found)))
                .collect(),
            variants: self
                .variants
                .iter()
                .zip(variants)
                .map(|(variant, found)| (variant.name, median(found)))
                .collect(),
            best_peer: best_peer.map(|best| self.subjects[best].name),
            ratio: ratios.as_deref().map(median),
            limit: best(limits).map(|(_, limit)| limit),
            rounds,
            spread: ratios.as_deref().map(interval),
            hiccup_us,
            cores_ns,
        }
    }
}
