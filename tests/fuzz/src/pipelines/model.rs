//! What comes of a job if nothing ends it early: no threads, no rings.

use std::collections::HashMap;

use super::assemble::{Part, Seen};
use super::item::{Fate, Identity, Site};

/// What comes of some jobs.
#[derive(Default)]
pub struct Model {
    /// How often each thing comes out.
    pub out: HashMap<Seen, u32>,
    /// What each stage, by its name, is given.
    pub given: HashMap<String, Vec<Identity>>,
    /// The job whose copies panic.
    copy_panic: Option<u32>,
}

impl Model {
    pub fn new(parts: &[Part], copy_panic: Option<u32>, jobs: impl Iterator<Item = u32>) -> Self {
        let mut model = Self {
            copy_panic,
            ..Self::default()
        };
        for job in jobs {
            model.flow(parts, Identity { job, path: 0 });
        }
        model
    }

    /// Whether what gives it goes on: not after a failure in a stage fused behind, in the key of the stage behind, or in a
    /// copy.
    fn flow(&mut self, parts: &[Part], id: Identity) -> bool {
        match parts.split_first() {
            None => {
                *self.out.entry(Seen::Result(id)).or_default() += 1;
                true
            }
            Some((Part::Stage(_, site), _)) if site.key_panic == Some(id.job) => {
                self.fail(id) || site.key_is_apart
            }
            Some((Part::Stage(_, site), rest)) => {
                self.step(site, rest, id);
                true
            }
            Some((Part::Then(site), rest)) => self.step(site, rest, id),
            Some((Part::Fork { is_apart, .. }, _)) if self.copy_panic == Some(id.job) => {
                self.fail(id) || *is_apart
            }
            Some((Part::Fork { branches, .. }, rest)) => {
                for site in branches {
                    self.step(site, rest, id);
                }
                true
            }
        }
    }

    /// Whether the job came through.
    fn step(&mut self, site: &Site, rest: &[Part], id: Identity) -> bool {
        self.given.entry(site.name.clone()).or_default().push(id);
        match site.fate(id) {
            // A job that has failed has no more results.
            Fate::Results(ids) => ids.into_iter().all(|id| self.flow(rest, id)),
            Fate::Error(id) | Fate::Panic(id) => self.fail(id),
        }
    }

    fn fail(&mut self, id: Identity) -> bool {
        *self.out.entry(Seen::Failed(id)).or_default() += 1;
        false
    }

    pub fn has_failures(&self) -> bool {
        self.out.keys().any(|seen| matches!(seen, Seen::Failed(_)))
    }
}
