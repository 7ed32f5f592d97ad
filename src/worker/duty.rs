//! A duty: one instance of a stage with its consumer end, its producer end, and a place for one held
//! result. A poll handles a few jobs and never waits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::burst::Burst;
use super::out::{Emit, Out};
use super::pace::Pace;
use crate::counters::Tally;
use crate::edge::{Rx, Tx};
use crate::error::Fault;
use crate::executor::Executor;
use crate::lot::{DORMANT, ENDED, HAND, HOLDS, LANE};
use crate::policy::Policy;
use crate::scale::Share;
use crate::stage::{Context, Flow, Stage};
use crate::timing::Late;

/// Something that workers poll.
pub trait Poll {
    /// Handles a few jobs.
    fn poll(&mut self) -> Polled;

    /// Ends at once, after a panic that left [`Poll::poll`]: lets those behind it end, and drops its state. Never
    /// panics, and is not polled again.
    fn abort(&mut self);
}

/// What a poll came to.
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Polled {
    /// How many jobs it moved on.
    pub(crate) jobs: usize,
    /// Whether they were so few that looking for them was most of the work: with more to do, the same time
    /// would have done for more of them.
    pub(crate) is_light: bool,
    /// Whether its jobs are so long that others should be looked at after each.
    pub(crate) is_slow: bool,
    /// The duty's word from now on, without the claim.
    pub(crate) word: usize,
}

/// Ends a duty that is aborted: `leave` closes what it pushes into.
pub(crate) fn end_aborted<E>(executor: &Executor<E>, leave: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(leave)) {
        executor.fail(Fault::of_panic("a worker", payload));
    }
    executor.duty_ended();
}

/// A stage and the stages fused into it: names for errors, tallies for counting. Never empty.
pub(crate) struct Parts {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) tallies: Vec<Arc<Tally>>,
}

/// What connects a duty with the others, and with time.
pub(crate) struct Ends<'env, X, Y, C> {
    pub(crate) rx: Rx<X>,
    pub(crate) tx: Tx<'env, Y>,
    pub(crate) clock: C,
    /// The instance's part in the number of its stage's instances, where that changes.
    pub(crate) share: Option<Share>,
}

/// Builds an instance's state; again after a panic in the per-job policy.
pub(crate) type Make<'env, S> = Arc<dyn Fn(&Context, &[Arc<Tally>]) -> S + Send + Sync + 'env>;

#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Duty<'env, In, S, E, P>
where
    In: Send,
    S: Stage<In, E>,
    S::Out: Send,
    P: Policy<E>,
{
    stage: Option<S>,
    make: Make<'env, S>,
    context: Context,
    parts: Parts,
    rx: Rx<P::Item<In>>,
    out: Out<'env, P::Item<S::Out>, P::Clock>,
    /// The job taken last has more to emit.
    open: bool,
    /// Its last result is emitted, but the window has not taken that in.
    ending: bool,
    /// A panic left the stage's state as it was.
    poisoned: bool,
    ended: bool,
    /// Its part in the number of its stage's instances, where that changes, and whether it has no state.
    share: Option<Share>,
    dormant: bool,
    pace: Pace,
    executor: Arc<Executor<E>>,
    /// The first part's.
    tally: Arc<Tally>,
}

impl<'env, In, S, E, P> Duty<'env, In, S, E, P>
where
    In: Send,
    S: Stage<In, E>,
    S::Out: Send,
    P: Policy<E>,
{
    pub(crate) fn new(
        make: Make<'env, S>,
        context: Context,
        parts: Parts,
        ends: Ends<'env, P::Item<In>, P::Item<S::Out>, P::Clock>,
        executor: Arc<Executor<E>>,
    ) -> Self {
        let Ends {
            rx,
            tx,
            clock,
            share,
        } = ends;
        let dormant = share.as_ref().is_some_and(|share| !share.is_wanted());
        let stage = (!dormant).then(|| make(&context, &parts.tallies));
        if let Some(share) = share.as_ref().filter(|_| !dormant) {
            share.scale.joined();
        }
        let first = Arc::clone(&parts.tallies[0]);
        let tally = Arc::clone(&parts.tallies[parts.tallies.len() - 1]);
        Self {
            stage,
            make,
            context,
            parts,
            rx,
            out: Out {
                tx,
                clock,
                held: None,
                late: None,
                tally,
            },
            open: false,
            ending: false,
            poisoned: false,
            ended: false,
            share,
            dormant,
            pace: Pace::new(),
            executor,
            tally: first,
        }
    }

    fn work(&mut self, jobs: &mut usize) {
        let phase = self.executor.core.phase();
        self.rx.close_mouth(phase);
        if phase.drops_queued() {
            return self.abandon(jobs);
        }
        // What is held or open goes first: who is not wanted ends with that, and begins nothing new.
        if !self.resume(jobs) {
            return;
        }
        if self.share.is_some() && !self.lives(jobs) {
            return;
        }
        // Room before a claim: a job in hand is no longer counted by its ring.
        if self.out.tx.has_room() {
            let limit = self.pace.limit(self.rx.instances() > 1);
            let filled = self.rx.fill(limit);
            if filled > 0
                && let Some(stage) = &mut self.stage
            {
                let begun = self.pace.begin(filled);
                let before = *jobs;
                let mut burst = Burst {
                    core: &self.executor.core,
                    share: self.share.as_ref(),
                    tally: &self.tally,
                    stride: self.pace.publish_every(),
                    jobs,
                    ending: &mut self.ending,
                };
                let last = burst.run::<In, S, E, P>(limit, &mut self.rx, &mut self.out, stage);
                if let Some(flow) = last {
                    self.after(flow);
                }
                self.pace.end(begun, *jobs - before);
            }
        }
        if *jobs == 0 && self.rx.is_ended() {
            self.end();
        }
    }

    /// Begins or ends to live, if that is wanted. Whether it lives, and did before.
    #[inline(never)]
    fn lives(&mut self, jobs: &mut usize) -> bool {
        let Some(share) = &self.share else {
            return true;
        };
        self.rx.set_sharers(share.scale.size());
        if self.dormant && self.rx.is_ended() {
            self.end();
        } else if self.dormant {
            if share.is_wanted() {
                self.build();
                *jobs += 1;
            }
        } else if !share.is_wanted() && self.is_settled() && self.rx.in_hand() == 0 {
            self.dormant = true;
            *jobs += 1;
            self.rx.pass_on();
            self.retire();
            self.rx.leave_to_siblings();
        } else {
            return true;
        }
        false
    }

    /// Whether a new job may be taken.
    fn is_settled(&self) -> bool {
        self.out.is_ready() && !self.open && !self.ending
    }

    /// Goes on with what an earlier poll left. Whether nothing is left any more.
    fn resume(&mut self, jobs: &mut usize) -> bool {
        if self.is_settled() {
            return true;
        }
        if !self.out.is_ready() {
            let flushed = self.out.flush();
            *jobs += usize::from(flushed);
            if !flushed {
                return false;
            }
        }
        if self.ending {
            self.ending = !self.out.tx.end_job();
            *jobs += usize::from(!self.ending);
        } else if self.open {
            let Some(stage) = &mut self.stage else {
                return true;
            };
            *jobs += 1;
            self.tally.suspend(false);
            let flow = stage.more(&mut Emit::<S::Out, E, P>(&mut self.out));
            self.after(flow);
        }
        self.is_settled()
    }

    /// A job is over, or open, or has failed.
    fn after(&mut self, flow: Result<Flow, E>) {
        match (flow, P::late(&self.out.clock)) {
            (Ok(_), Some(late)) => {
                let part = self.blame();
                let stage = Arc::clone(&self.parts.names[part]);
                let instance = self.context.instance;
                let expired = late == Late::Expired;
                let fault = Fault::Late {
                    stage,
                    instance,
                    expired,
                };
                self.fail(part, fault);
            }
            (Ok(Flow::Done), None) => self.finish_job(),
            (Ok(Flow::More), None) => {
                self.open = true;
                self.tally.suspend(true);
            }
            (Err(error), _) => {
                let part = self.blame();
                let stage = Arc::clone(&self.parts.names[part]);
                let instance = self.context.instance;
                let fault = Fault::Stage {
                    stage,
                    instance,
                    error,
                };
                self.fail(part, fault);
            }
        }
    }

    #[inline]
    fn finish_job(&mut self) {
        self.open = false;
        self.tally.finish();
        P::end(&mut self.out.clock);
        // What is held goes first.
        self.ending = !self.out.is_ready() || !self.out.tx.end_job();
    }

    /// The running job has failed in this part: its outcome travels on, or the executor fails.
    fn fail(&mut self, part: usize, fault: Fault<E>) {
        if !P::FAILS_FAST {
            self.executor.tell(&fault);
        }
        match P::fail(&self.out.clock, fault) {
            Ok(outcome) => {
                if let Err(outcome) = self.out.offer(outcome) {
                    self.out.late = Some(outcome);
                }
            }
            Err(fault) => self.executor.fail(fault),
        }
        self.finish_job();
        self.parts.tallies[part].fail();
    }

    /// Which part failed: the last one whose code was entered and not left. Settles the others' counts.
    fn blame(&mut self) -> usize {
        let fused = 1..self.parts.tallies.len();
        let part = fused
            .clone()
            .rev()
            .find(|&part| self.parts.tallies[part].is_inside());
        for part in fused {
            let tally = &self.parts.tallies[part];
            tally.leave();
            if tally.is_running() {
                tally.finish();
            }
        }
        part.unwrap_or(0)
    }

    /// A panic costs the job that was running, if one was, and in the per-job policy the state.
    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) {
        let part = self.blame();
        let stage = Arc::clone(&self.parts.names[part]);
        let fault = Fault::of_stage_panic(stage, self.context.instance, payload);
        self.poisoned = true;
        if !self.tally.is_running() {
            // A queued job, a held result or a state did, as it was dropped.
            self.executor.fail(fault);
            return;
        }
        self.fail(part, fault);
        if !self.executor.core.phase().drops_queued() {
            self.rebuild();
        }
    }

    /// After a panic, which may be in the old state's drop too.
    fn rebuild(&mut self) {
        let gone = catch_unwind(AssertUnwindSafe(|| {
            self.drop_state(drop);
            self.tell_stop();
        }));
        match gone {
            Ok(()) => self.build(),
            Err(payload) => self.fail_state(payload),
        }
    }

    /// Builds the state; without one the executor fails.
    fn build(&mut self) {
        let built = catch_unwind(AssertUnwindSafe(|| {
            self.stage = Some((self.make)(&self.context, &self.parts.tallies));
            self.dormant = false;
            if let Some(share) = &self.share {
                share.scale.joined();
            }
            self.tell_start();
        }));
        match built {
            Ok(()) => self.poisoned = false,
            Err(payload) => self.fail_state(payload),
        }
    }

    fn fail_state(&self, payload: Box<dyn Any + Send>) {
        let stage = Arc::clone(&self.parts.names[0]);
        let fault = Fault::of_stage_panic(stage, self.context.instance, payload);
        self.executor.fail(fault);
    }

    /// Whether it begins with a state.
    pub(crate) fn is_live(&self) -> bool {
        !self.dormant
    }

    /// The instance's state is there.
    pub(crate) fn tell_start(&self) {
        if let Some(hooks) = self.executor.hooks() {
            hooks.instance_starts(&self.context);
        }
    }

    /// The instance's state is gone.
    fn tell_stop(&self) {
        if let Some(hooks) = self.executor.hooks() {
            hooks.instance_stops(&self.context);
        }
    }

    /// After a stop: what is held goes out if there is room, the rest is dropped, one at a time.
    #[cold]
    fn abandon(&mut self, jobs: &mut usize) {
        if !self.out.flush() {
            self.out.discard();
            *jobs += 1;
        }
        if self.open {
            self.open = false;
            self.blame();
            self.tally.finish();
        }
        // A window steps over tickets that were never placed, once nobody is left to place any.
        self.ending = false;
        while let Some(result) = self.out.tx.take_pending() {
            self.out.tally.discard();
            drop(result);
        }
        loop {
            self.rx.fill_to_drop();
            let Some(ticket) = self.rx.ticket() else {
                break;
            };
            let item = self.rx.take(ticket);
            *jobs += 1;
            self.rx.release();
            self.tally.drop_one();
            drop(item);
        }
        if self.rx.is_ended() {
            self.end();
        }
    }

    /// The input has ended: so does this instance, and with the last one the next stage's input.
    #[cold]
    fn end(&mut self) {
        self.ended = true; // Whatever the state does on its way out.
        self.retire();
    }

    /// Ends the state, if there is one.
    #[cold]
    fn retire(&mut self) {
        let is_whole = !std::mem::replace(&mut self.poisoned, true);
        let is_gone = self.drop_state(|mut stage| {
            if is_whole {
                stage.end();
            }
        });
        if is_gone {
            self.tell_stop();
        }
    }

    /// Takes the state, if there is one, and has it dropped. The instance counts until then, also if that panics.
    fn drop_state(&mut self, drop: impl FnOnce(S)) -> bool {
        struct Left<'a>(Option<&'a Share>);
        impl Drop for Left<'_> {
            fn drop(&mut self) {
                if let Some(share) = self.0 {
                    share.scale.left();
                }
            }
        }
        let Some(stage) = self.stage.take() else {
            return false;
        };
        let _left = Left(self.share.as_ref());
        drop(stage);
        true
    }

    fn word(&self) -> usize {
        if self.ended {
            return ENDED;
        }
        if self.dormant {
            return DORMANT;
        }
        let hand = if self.rx.in_hand() > 0 { HAND } else { 0 };
        if self.is_settled() {
            return hand;
        }
        hand | HOLDS | self.out.tx.full_lane() << LANE
    }
}

impl<In, S, E, P> Poll for Duty<'_, In, S, E, P>
where
    In: Send,
    S: Stage<In, E>,
    S::Out: Send,
    P: Policy<E>,
{
    fn poll(&mut self) -> Polled {
        let mut jobs = 0;
        let was_ended = self.ended;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.work(&mut jobs))) {
            jobs += 1;
            self.panicked(payload);
        }
        #[cfg(all(test, not(loom)))]
        crate::sabotage::at(crate::sabotage::Spot::Poll, &self.executor.core);
        self.out.tx.publish();
        self.rx.release();
        P::flush(&mut self.out.clock, self.ended);
        if self.ended && !was_ended {
            self.out.tx.leave();
            self.executor.duty_ended();
            jobs += 1;
        }
        Polled {
            jobs,
            is_light: self.pace.is_light(jobs),
            is_slow: self.pace.is_slow(),
            word: self.word(),
        }
    }

    fn abort(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.poisoned = true;
        let gone = catch_unwind(AssertUnwindSafe(|| self.retire()));
        if let Err(payload) = gone {
            self.fail_state(payload);
        }
        end_aborted(&self.executor, || self.out.tx.leave());
    }
}
