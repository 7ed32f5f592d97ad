//! G17: `std::mem::forget` of a handle is as if it were held for ever, and a handle to the executor ends it.

use std::mem::forget;
use std::thread;
use std::time::Duration;

use crate::common::place::{empty, everywhere, same, three};
use crate::common::{Threads, until};
use ringmill::{DispatchError, Pool, TryReceiveError};

#[test]
fn g_17_a_forgotten_dispatcher_does_not_close() {
    everywhere(|place, capacity| {
        let builder = empty::<u64>(capacity);
        let (mut dispatcher, mut receiver, pipeline) = three(place, builder, same, same, same);
        dispatcher.dispatch(1).unwrap();
        forget(dispatcher.clone());
        drop(dispatcher);
        assert_eq!(receiver.receive(), Some(1));
        assert_eq!(receiver.try_receive(), Err(TryReceiveError::Empty));
        assert!(!pipeline.is_closed());
        pipeline.close();
        assert_eq!(receiver.receive(), None);
        pipeline.join().unwrap();
    });
}

#[test]
fn g_17_a_forgotten_receiver_holds_everybody_up_until_a_stop() {
    everywhere(|place, capacity| {
        let threads = Threads::default();
        let builder = empty::<u64>(capacity).on_spawn(threads.hook());
        let (mut dispatcher, receiver, pipeline) = three(place, builder, same, same, same);
        forget(receiver);
        let feeder = thread::spawn(move || dispatcher.dispatch_all(0..).unwrap_err().refused);
        until(|| {
            let counters = pipeline.counters();
            let (first, last) = (&counters.stages[0], &counters.stages[2]);
            (first.waiting, last.finished) == (capacity as u64, capacity as u64)
        });
        let handle = pipeline.handle();
        handle.close();
        assert!(matches!(feeder.join().unwrap(), DispatchError::Closed(_)));
        let still = pipeline.join_timeout(Duration::from_millis(1)).unwrap_err();
        assert!(still.counters.active() > 0 && !handle.is_finished());
        handle.stop();
        let report = still.pipeline.join().unwrap();
        assert_eq!(report.counters.active(), 0);
        assert_eq!(threads.alive(), 0);
    });
}

#[test]
fn g_17_a_forgotten_pipeline_goes_on_until_a_handle_ends_it() {
    everywhere(|place, capacity| {
        for stops in [false, true] {
            let threads = Threads::default();
            let builder = empty::<u64>(capacity).on_spawn(threads.hook());
            let (mut dispatcher, receiver, pipeline) = three(place, builder, same, same, same);
            let handle = pipeline.handle();
            forget(pipeline);
            let feeder = thread::spawn(move || {
                let accepted = dispatcher.dispatch_all(0..100);
                forget(dispatcher);
                accepted
            });
            let mut receiver = receiver;
            assert!(receiver.by_ref().take(100).eq(0..100));
            assert_eq!(feeder.join().unwrap(), Ok(100));
            assert!(threads.alive() > 0);
            if stops {
                handle.stop();
            } else {
                handle.close();
            }
            assert_eq!(receiver.receive(), None);
            threads.wait_gone();
            assert!(handle.is_finished() && handle.err().is_none());
        }
    });
}

/// All three; then only a handle is left.
#[test]
fn g_17_all_are_forgotten() {
    everywhere(|place, capacity| {
        let threads = Threads::default();
        let builder = empty::<u64>(capacity).on_spawn(threads.hook());
        let (mut dispatcher, receiver, pipeline) = three(place, builder, same, same, same);
        dispatcher.dispatch(1).unwrap();
        let handle = pipeline.handle();
        forget((dispatcher, receiver, pipeline));
        assert!(!handle.is_closed());
        handle.stop();
        threads.wait_gone();
        until(|| handle.is_finished());
        assert_eq!(handle.counters().active(), 0);
    });
}

/// Its workers sleep for ever, and are in nobody's way.
#[test]
fn g_17_a_forgotten_pool() {
    let pool = Pool::builder().workers(2).start().unwrap();
    assert_eq!(pool.map(&[1, 2, 3], |x| x * x), [1, 4, 9]);
    forget(pool);
}
