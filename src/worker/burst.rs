//! The hot loop of a poll: a few jobs, one after the other.

use super::out::{Emit, Out};
use crate::counters::Tally;
use crate::edge::Rx;
use crate::lifecycle::Core;
use crate::policy::{Opened, Policy};
use crate::scale::Share;
use crate::stage::{Flow, Stage};

/// The hot loop of a poll, and what it does not change.
pub(super) struct Burst<'a> {
    pub(super) core: &'a Core,
    /// The instance's part in the number of its stage's instances, where that changes.
    pub(super) share: Option<&'a Share>,
    pub(super) tally: &'a Tally,
    /// Jobs from one publication to the next.
    pub(super) stride: usize,
    /// Counts the jobs that were started, also the one that panics.
    pub(super) jobs: &'a mut usize,
    /// Set where a job is over and its output has not taken that in.
    pub(super) ending: &'a mut bool,
}

impl Burst<'_> {
    /// Starts up to `limit` jobs, one after the other, while there are any and the output has room. Returns
    /// early with what the last one came to if it is not simply over.
    #[inline]
    pub(super) fn run<In, S, E, P>(
        &mut self,
        limit: usize,
        rx: &mut Rx<P::Item<In>>,
        out: &mut Out<'_, P::Item<S::Out>, P::Clock>,
        stage: &mut S,
    ) -> Option<Result<Flow, E>>
    where
        In: Send,
        S: Stage<In, E>,
        S::Out: Send,
        P: Policy<E>,
    {
        let mut until_publication = self.stride;
        for left in (1..=limit).rev() {
            if self.core.phase().drops_queued() {
                break;
            }
            let ticket = rx.next_ticket(left)?;
            let item = rx.take(ticket);
            rx.release();
            self.tally.start();
            out.tx.begin(ticket);
            *self.jobs += 1;
            let flow = match P::open(&mut out.clock, item) {
                Opened::Job(job) => stage.job(job, &mut Emit::<S::Out, E, P>(out)),
                Opened::Passed(passed) => {
                    drop(out.offer(passed)); // Nothing is held when a job starts.
                    Ok(Flow::Done)
                }
                Opened::Late(job) => {
                    drop(job);
                    Ok(Flow::Done)
                }
            };
            if !matches!(flow, Ok(Flow::Done)) || P::late(&out.clock).is_some() {
                return Some(flow);
            }
            self.tally.finish();
            P::end(&mut out.clock);
            // What is held goes first.
            *self.ending = !out.is_ready() || !out.tx.end_job();
            if *self.ending {
                break;
            }
            until_publication -= 1;
            if until_publication == 0 {
                until_publication = self.stride;
                out.tx.publish();
            }
            if !out.tx.has_room() || self.share.is_some_and(|share| !share.is_wanted()) {
                break;
            }
        }
        None
    }
}
