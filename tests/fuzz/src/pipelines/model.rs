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
}

impl Model {
    pub fn new(parts: &[Part], jobs: impl Iterator<Item = u32>) -> Self {
        let mut model = Self::default();
        for job in jobs {
            model.flow(parts, Identity { job, path: 0 });
        }
        model
    }

    /// Whether it came through the stage that it came to.
    fn flow(&mut self, parts: &[Part], id: Identity) -> bool {
        match parts.split_first() {
            None => {
                *self.out.entry(Seen::Result(id)).or_default() += 1;
                true
            }
            Some((Part::Stage(_, site) | Part::Then(site), rest)) => self.step(site, rest, id),
            Some((Part::Fork(branches), rest)) => {
                for site in branches {
                    self.step(site, rest, id);
                }
                true
            }
        }
    }

    fn step(&mut self, site: &Site, rest: &[Part], id: Identity) -> bool {
        self.given.entry(site.name.clone()).or_default().push(id);
        match site.fate(id) {
            Fate::Results(ids) => {
                // A failure in a fused stage is one of the whole job: it has no more results.
                let is_fused = matches!(rest.first(), Some(Part::Then(_)));
                let mut ids = ids.into_iter();
                ids.all(|id| self.flow(rest, id) || !is_fused)
            }
            Fate::Error(id) | Fate::Panic(id) => {
                *self.out.entry(Seen::Failed(id)).or_default() += 1;
                false
            }
        }
    }

    pub fn has_failures(&self) -> bool {
        self.out.keys().any(|seen| matches!(seen, Seen::Failed(_)))
    }
}
