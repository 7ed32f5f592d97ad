//! The two ends of a run: who dispatches, and who receives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use ringmill::{DispatchError, Overflow, ReceiveTimeoutError, Receiver};

use super::assemble::{Judge, Mouth, Seen};
use super::case::{By, End, Event, Feed};
use super::drive::Run;
use super::item::Item;

impl Run {
    /// Dispatches one dispatcher's share of the jobs. Which were accepted, and those of which nobody knows.
    pub fn feed<P: Judge, D>(&self, mut mouth: Mouth<P, D>, first: u32) -> (Vec<u32>, Vec<u32>) {
        let case = &self.case;
        let mut mine = (first..case.jobs)
            .step_by(case.dispatchers as usize)
            .peekable();
        let (mut accepted, mut unsure) = (Vec::new(), Vec::new());
        let batch = if let Feed::Batches(size) = case.feed {
            size
        } else {
            1
        };
        while mine.peek().is_some() {
            let jobs: Vec<_> = mine.by_ref().take(batch).collect();
            for &job in &jobs {
                self.come_to(job, By::Feeder);
                if self.leaves_before(job) {
                    return (accepted, unsure);
                }
            }
            self.offered.fetch_add(jobs.len() as u64, SeqCst);
            let answer = catch_unwind(AssertUnwindSafe(|| self.offer(&mut mouth, &jobs)));
            let (count, refused) = match answer {
                Ok(answer) => answer,
                Err(payload) => {
                    // A single job that panics is not in.
                    self.caught(payload);
                    if matches!(case.feed, Feed::Batches(_)) {
                        unsure.extend(jobs);
                    }
                    continue;
                }
            };
            accepted.extend(&jobs[..count]);
            self.accepted.fetch_add(count as u64, SeqCst);
            let Some(refused) = refused else {
                assert_eq!(count, jobs.len(), "what is not accepted is refused");
                continue;
            };
            let is_full = refused.is_full();
            assert!(!is_full || case.overflow == Overflow::Refuse, "{refused:?}");
            assert!(is_full || self.handle.is_closed(), "{refused:?}");
            assert_eq!(
                refused.into_job().id.job,
                jobs[count],
                "another job came back"
            );
            if !is_full {
                break;
            }
        }
        (accepted, unsure)
    }

    /// Offers jobs as the case says. How many were accepted, and how the next one was refused.
    fn offer<P: Judge, D>(
        &self,
        mouth: &mut Mouth<P, D>,
        jobs: &[u32],
    ) -> (usize, Option<DispatchError<Item>>) {
        let mut items = jobs.iter().map(|&job| self.draw(job, job == jobs[0]));
        if let Feed::Batches(_) = self.case.feed {
            return match mouth.dispatch_all(items) {
                Ok(count) => (count, None),
                // What it has not taken from its iterator was never offered.
                Err(all) => (all.accepted, Some(all.refused)),
            };
        }
        let item = items.next().expect("one at a time");
        let answer = match self.case.feed {
            Feed::Trying => self.insist(item, |item| mouth.try_dispatch(item)),
            Feed::Timing(time) => self.insist(item, |item| mouth.dispatch_timeout(item, time)),
            Feed::Waiting | Feed::Batches(_) => mouth.dispatch(item),
        };
        (usize::from(answer.is_ok()), answer.err())
    }

    /// Tries again where there was no room, or not in time.
    fn insist(
        &self,
        mut item: Item,
        mut offer: impl FnMut(Item) -> Result<(), DispatchError<Item>>,
    ) -> Result<(), DispatchError<Item>> {
        loop {
            match offer(item) {
                Err(DispatchError::Full(back) | DispatchError::Timeout(back))
                    if self.case.overflow == Overflow::Block =>
                {
                    item = back;
                }
                answer => return answer,
            }
            thread::yield_now();
        }
    }

    /// Receives until the end, or until it is time to leave.
    pub fn receive<P: Judge, R>(
        &self,
        mut exit: Receiver<Item, String, P, R>,
        leaves_after: Option<usize>,
    ) -> Vec<Seen> {
        let mut log = Vec::new();
        loop {
            if self.receivers_leave.load(SeqCst)
                || leaves_after.is_some_and(|most| log.len() >= most)
            {
                return log;
            }
            let mut results = Vec::new();
            // What an idle strategy's panic leaves behind can be received.
            let took = catch_unwind(AssertUnwindSafe(|| self.take(&mut exit, &mut results)));
            let is_end = match took {
                Ok(took) => took,
                Err(payload) => {
                    self.caught(payload);
                    false
                }
            };
            if !results.is_empty() {
                super::moves();
            }
            log.extend(results.into_iter().map(P::see));
            if is_end {
                assert!(self.handle.is_finished(), "no result and no end");
                return log;
            }
            (0..self.case.yields).for_each(|_| thread::yield_now());
        }
    }

    /// Waits for results. Whether there are no more.
    fn take<P: Judge, R>(
        &self,
        exit: &mut Receiver<Item, String, P, R>,
        results: &mut Vec<P::Given<Item>>,
    ) -> bool {
        if self.case.end == End::ReceiveMany {
            return exit.receive_many(results, 7) == 0;
        }
        if !self.case.may(Event::DropReceiver) {
            results.extend(exit.receive());
            return results.is_empty();
        }
        // So as to look whether it is time to leave.
        let given = exit.receive_timeout(Duration::from_millis(1));
        let is_end = matches!(given, Err(ReceiveTimeoutError::Done));
        results.extend(given.ok());
        is_end
    }
}
