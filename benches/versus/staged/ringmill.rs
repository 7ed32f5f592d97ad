//! A pipeline between a feeder's and a receiver's thread, which are not its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use ringmill::{Dispatcher, Pipeline, Receiver};

use super::{BATCH, CAPACITY, Load, Manner, gate, took};
use crate::places::pin;

/// What a builder's `start` gives.
pub type Ends<T> = (
    Dispatcher<T, Infallible>,
    Receiver<T, Infallible>,
    Pipeline<Infallible>,
);

/// Lets a load go through a pipeline that has been started, and ends it.
pub fn through_ringmill<T: Send + 'static>(
    (mut dispatcher, mut receiver, pipeline): Ends<T>,
    load: Load<T, impl Iterator<Item = T> + Send, impl FnMut(T) + Send>,
    manner: Manner,
) -> Duration {
    let Load {
        warm,
        mut jobs,
        count,
        mut each,
    } = load;
    let (mut results, gate) = gate(warm.len(), count);
    let took = thread::scope(|scope| {
        let feeder = scope.spawn(move || {
            pin(0);
            let is_warm = dispatcher.dispatch_all(warm).is_ok() && gate.opens();
            let begun = Instant::now();
            let all = match manner {
                Manner::Together => {
                    let mut batch = VecDeque::with_capacity(BATCH);
                    loop {
                        batch.extend(jobs.by_ref().take(BATCH));
                        if batch.is_empty() {
                            break true;
                        }
                        if dispatcher.dispatch_batch(&mut batch).is_err() {
                            break false;
                        }
                    }
                }
                Manner::Singly => jobs.all(|job| dispatcher.dispatch(job).is_ok()),
            };
            dispatcher.done();
            (is_warm && all).then_some(begun)
        });
        let receiver = scope.spawn(move || {
            pin(1);
            let mut each = |result| {
                each(result);
                results.one_more();
            };
            match manner {
                Manner::Together => {
                    let mut some = Vec::with_capacity(CAPACITY);
                    while receiver.receive_many(&mut some, CAPACITY) > 0 {
                        some.drain(..).for_each(&mut each);
                    }
                }
                Manner::Singly => {
                    while let Some(result) = receiver.receive() {
                        each(result);
                    }
                }
            }
            results.ended
        });
        took(feeder, receiver)
    });
    pipeline.join().expect("nothing fails");
    took
}
