//! The two ends of a run: who dispatches, and who receives.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use ringmill::{DispatchError, Overflow, Receiver};

use super::assemble::{Judge, Mouth, Seen};
use super::case::{End, Event, Feed};
use super::drive::Run;
use super::item::Item;

impl Run {
    /// Dispatches one dispatcher's share of the jobs, and returns which were accepted.
    pub fn feed<P: Judge>(&self, mut mouth: Mouth<P>, first: u32) -> Vec<u32> {
        let case = &self.case;
        let mut mine = (first..case.jobs)
            .step_by(case.dispatchers as usize)
            .peekable();
        let mut accepted = Vec::new();
        let batch = if let Feed::Batches(size) = case.feed {
            size
        } else {
            1
        };
        while mine.peek().is_some() {
            let jobs: Vec<_> = mine.by_ref().take(batch).collect();
            if !case.inside {
                for event in jobs
                    .iter()
                    .filter_map(|&job| self.due(job))
                    .collect::<Vec<_>>()
                {
                    self.happen(event);
                    if event == Event::DropDispatcher {
                        return accepted;
                    }
                }
            }
            self.offered.fetch_add(jobs.len() as u64, SeqCst);
            let items = jobs.iter().map(|&job| self.item(job));
            let (count, refused) = match case.feed {
                Feed::Waiting => offer(items, |item| mouth.dispatch(item)),
                Feed::Trying => offer(items, |item| self.insist(&mut mouth, item)),
                Feed::Batches(_) => match mouth.dispatch_all(items) {
                    Ok(count) => (count, None),
                    // What it has not taken from its iterator was never offered.
                    Err(all) => (all.accepted, Some(all.refused)),
                },
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
        accepted
    }

    fn insist<P: Judge>(
        &self,
        mouth: &mut Mouth<P>,
        item: Item,
    ) -> Result<(), DispatchError<Item>> {
        let mut item = item;
        loop {
            match mouth.try_dispatch(item) {
                Err(DispatchError::Full(back)) if self.case.overflow == Overflow::Block => {
                    item = back
                }
                answer => return answer,
            }
            thread::yield_now();
        }
    }

    pub fn receive<P: Judge, R>(&self, mut exit: Receiver<Item, String, P, R>) -> Vec<Seen> {
        let mut log = Vec::new();
        let may_leave = matches!(self.case.event, Some((_, Event::DropReceiver)));
        loop {
            if self.receivers_leave.load(SeqCst) {
                return log;
            }
            let before = log.len();
            if self.case.end == End::ReceiveMany {
                let mut results = Vec::new();
                exit.receive_many(&mut results, 7);
                log.extend(results.into_iter().map(P::see));
            } else if may_leave {
                // So as to look whether it is time to leave.
                match exit.receive_timeout(Duration::from_millis(1)) {
                    Ok(given) => log.push(P::see(given)),
                    Err(ringmill::ReceiveTimeoutError::Timeout) => continue,
                    Err(ringmill::ReceiveTimeoutError::Done) => {}
                }
            } else {
                log.extend(exit.receive().map(P::see));
            }
            if log.len() == before {
                assert!(self.handle.is_finished(), "no result and no end");
                return log;
            }
            (0..self.case.yields).for_each(|_| thread::yield_now());
        }
    }
}

/// Offers one after the other, until one is refused.
fn offer(
    items: impl Iterator<Item = Item>,
    mut each: impl FnMut(Item) -> Result<(), DispatchError<Item>>,
) -> (usize, Option<DispatchError<Item>>) {
    let mut count = 0;
    for item in items {
        match each(item) {
            Ok(()) => count += 1,
            Err(refused) => return (count, Some(refused)),
        }
    }
    (count, None)
}
