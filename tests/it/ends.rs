//! Dispatching and receiving, in all their forms.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crate::common::{Door, jobs, until, within};
use ringmill::stage::map;
use ringmill::{
    DispatchError, Idle, Instances, JoinError, Pipeline, ReceiveTimeoutError, TryReceiveError,
};

type Pure = Pipeline<Infallible>;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn r_a3_a_ring_of_n_takes_n_jobs_beside_those_running() {
    within(|| {
        for (capacity, instances) in [(1, 1), (1, 2), (2, 1), (3, 2), (5, 1), (64, 2)] {
            let gate = Door::default();
            let stage = gate.clone();
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<usize>()
                .capacity(capacity)
                .workers(instances)
                .stage("gate", Instances::new(instances), move |_| {
                    let gate = stage.clone();
                    map(move |x: usize| gate.pass(x))
                })
                .start()
                .unwrap();
            for nth in 0..instances {
                dispatcher.dispatch(nth).unwrap();
                gate.reach(nth + 1);
            }
            for nth in instances..instances + capacity {
                assert_eq!(dispatcher.try_dispatch(nth), Ok(()));
            }
            let next = instances + capacity;
            assert_eq!(
                dispatcher.try_dispatch(next),
                Err(DispatchError::Full(next))
            );
            let briefly = Duration::from_millis(2);
            let refused = dispatcher.dispatch_timeout(next, briefly);
            assert_eq!(refused, Err(DispatchError::Timeout(next)));
            let refused = dispatcher
                .dispatch_timeout(next, Duration::ZERO)
                .unwrap_err();
            assert!(refused.is_full());
            assert_eq!(refused.into_job(), next);
            let waiting = thread::spawn(move || {
                dispatcher.dispatch_timeout(next, Duration::MAX).unwrap();
            });
            gate.open();
            let mut out: Vec<_> = receiver.collect();
            waiting.join().unwrap();
            out.sort_unstable();
            assert!(out.into_iter().eq(0..=next));
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn f_9_all_forms_of_receiving() {
    within(|| {
        for idle in [
            Idle::backoff(),
            Idle::parking(),
            Idle::yielding(),
            Idle::busy_spin(),
        ] {
            let gate = Door::default();
            let stage = gate.clone();
            let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                .idle(idle)
                .stage("gate", Instances::new(1), move |_| {
                    let gate = stage.clone();
                    map(move |x: u64| gate.pass(x))
                })
                .start()
                .unwrap();
            assert_eq!(dispatcher.dispatch_all(0..50), Ok(50));
            assert_eq!(receiver.try_receive(), Err(TryReceiveError::Empty));
            for briefly in [Duration::ZERO, Duration::from_millis(2)] {
                let nothing = receiver.receive_timeout(briefly);
                assert_eq!(nothing, Err(ReceiveTimeoutError::Timeout));
            }
            let mut some = Vec::new();
            assert_eq!(receiver.receive_many(&mut some, 0), 0);
            gate.open();
            assert_eq!(receiver.receive(), Some(0));
            assert_eq!(receiver.receive_timeout(LONG), Ok(1));
            assert_eq!(receiver.receive_timeout(Duration::MAX), Ok(2));
            until(|| pipeline.counters().stages[0].finished == 50);
            assert_eq!(receiver.try_receive(), Ok(3));
            let count = receiver.receive_many(&mut some, 7);
            assert!((1..=7).contains(&count));
            assert!(some.iter().copied().eq(4..4 + count as u64));
            assert_eq!(receiver.next(), Some(4 + count as u64));
            dispatcher.done();
            dispatcher.done();
            assert_eq!(dispatcher.dispatch(9), Err(DispatchError::Closed(9)));
            while receiver.receive_many(&mut some, 10) > 0 {}
            assert_eq!(some.last(), Some(&49));
            assert_eq!(receiver.receive(), None);
            assert_eq!(receiver.try_receive(), Err(TryReceiveError::Done));
            assert_eq!(
                receiver.receive_timeout(LONG),
                Err(ReceiveTimeoutError::Done)
            );
            assert_eq!(receiver.receive_many(&mut some, 10), 0);
            assert!(pipeline.is_finished() && receiver.err().is_none());
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn refusals_say_why_and_give_jobs_back() {
    within(|| {
        // A job that is not over keeps the executor from being: an error is refused then.
        let gate = Door::default();
        let stage = gate.clone();
        let (mut dispatcher, receiver, pipeline) = Pipeline::<&str>::builder::<u64>()
            .capacity(4)
            .many_dispatchers()
            .stage("a", Instances::new(1), move |_| {
                let gate = stage.clone();
                move |x: u64| Ok(gate.pass(x))
            })
            .start()
            .unwrap();
        let mut other = dispatcher.clone();
        dispatcher.dispatch(1).unwrap();
        until(|| pipeline.counters().stages[0].running == 1);
        other.dispatch(2).unwrap();
        dispatcher.done();
        assert_eq!(other.try_dispatch(3), Err(DispatchError::Closed(3)));
        let cut_short = other.dispatch_all(4..200).unwrap_err();
        assert_eq!(
            (cut_short.accepted, cut_short.refused),
            (0, DispatchError::Closed(4))
        );
        pipeline.stop();
        assert_eq!(other.dispatch(3), Err(DispatchError::Stopped(3)));
        assert_eq!(pipeline.set_err("bad"), Ok(()));
        assert_eq!(pipeline.set_err("worse"), Err("worse"));
        assert_eq!(
            other.dispatch_timeout(3, LONG),
            Err(DispatchError::Failed(3))
        );
        pipeline.stop();
        pipeline.close();
        assert_eq!(dispatcher.dispatch(3), Err(DispatchError::Failed(3)));
        assert_eq!(dispatcher.err().unwrap().to_string(), "bad");
        gate.open();
        drop(receiver);
        assert!(matches!(pipeline.join(), Err(JoinError::Failed(_))));
    });
}

#[test]
fn f_9_a_long_dispatch_all_says_how_far_it_came() {
    within(|| {
        let gate = Door::default();
        let stage = gate.clone();
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .capacity(3)
            .stage("gate", Instances::new(1), move |_| {
                let gate = stage.clone();
                map(move |x: u64| gate.pass(x))
            })
            .start()
            .unwrap();
        let feeder = thread::spawn(move || dispatcher.dispatch_all(0..1000).unwrap_err());
        // One runs and three wait: the fifth waits for room.
        until(|| pipeline.counters().stages[0].dispatched == 4);
        pipeline.stop();
        let cut_short = feeder.join().unwrap();
        assert_eq!(
            (cut_short.accepted, cut_short.refused),
            (4, DispatchError::Stopped(4))
        );
        gate.open();
        assert!(receiver.eq([0]));
        let report = pipeline.join().unwrap();
        assert_eq!(report.counters.stages[0].dropped, 3);
    });
}

#[test]
fn r_a6_many_dispatchers_and_receivers_share_exactly_once() {
    within(|| {
        for (capacity, idle) in [
            (1, Idle::parking()),
            (2, Idle::backoff()),
            (64, Idle::parking()),
        ] {
            let count = jobs(600);
            let (dispatcher, receiver, pipeline) = Pure::builder::<(u64, u64)>()
                .capacity(capacity)
                .idle(idle)
                .many_dispatchers()
                .many_receivers()
                .stage("a", Instances::new(2), |_| map(|x: (u64, u64)| x))
                .stage("b", Instances::new(1), |_| map(|x: (u64, u64)| x))
                .start()
                .unwrap();
            let feeders: Vec<_> = (0..3)
                .map(|number| {
                    let mut dispatcher = dispatcher.clone();
                    thread::spawn(move || {
                        (0..count).for_each(|nth| dispatcher.dispatch((number, nth)).unwrap());
                    })
                })
                .collect();
            drop(dispatcher);
            let collectors: Vec<_> = [receiver.clone(), receiver.clone(), receiver]
                .map(|receiver| thread::spawn(move || receiver.collect::<Vec<_>>()))
                .into_iter()
                .collect();
            feeders
                .into_iter()
                .for_each(|feeder| feeder.join().unwrap());
            let mut all: Vec<_> = collectors
                .into_iter()
                .flat_map(|collector| collector.join().unwrap())
                .collect();
            all.sort_unstable();
            let expected = (0..3).flat_map(|number| (0..count).map(move |nth| (number, nth)));
            assert!(all.into_iter().eq(expected), "{capacity}");
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn the_last_handle_counts_not_the_first() {
    within(|| {
        let (dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .many_dispatchers()
            .many_receivers()
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        let (mut dispatcher, mut receiver) = {
            let clones = (dispatcher.clone(), receiver.clone());
            drop((dispatcher, receiver));
            clones
        };
        assert!(!pipeline.is_closed());
        dispatcher.dispatch(1).unwrap();
        assert_eq!(receiver.receive(), Some(1));
        drop(receiver);
        assert!(pipeline.is_stopped());
        assert_eq!(dispatcher.dispatch(2), Err(DispatchError::Closed(2)));
        pipeline.join().unwrap();

        let (mut dispatcher, receiver, _) = Pure::builder::<u64>()
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        // The trap that the docs name: `_` drops the pipeline, which stops it.
        assert_eq!(dispatcher.dispatch(1), Err(DispatchError::Stopped(1)));
        assert_eq!(receiver.count(), 0);
    });
}

#[test]
fn inside_a_job_nothing_waits() {
    within(|| {
        type Out = Arc<OnceLock<Mutex<Box<dyn FnMut(u64) -> String + Send>>>>;
        let inner = Out::default();
        let in_stage = Arc::clone(&inner);
        let (dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .capacity(1)
            .many_dispatchers()
            .stage("a", Instances::new(1), move |_| {
                let inner = Arc::clone(&in_stage);
                map(move |x: u64| inner.get().unwrap().lock().unwrap()(x))
            })
            .start()
            .unwrap();
        let mut outer = dispatcher.clone();
        let mut dispatcher = Some(dispatcher);
        let body = move |x: u64| {
            let Some(dispatcher) = &mut dispatcher else {
                return String::new();
            };
            let first = dispatcher.dispatch(x + 1);
            let second = dispatcher.dispatch_timeout(x + 2, LONG);
            format!("{first:?} {second:?}")
        };
        assert!(inner.set(Mutex::new(Box::new(body))).is_ok());
        outer.dispatch(1).unwrap();
        assert_eq!(receiver.receive().unwrap(), "Ok(()) Err(Full(..))");
        pipeline.stop();
        while receiver.receive().is_some() {}
        pipeline.join().unwrap();
    });
}

#[test]
fn what_was_accepted_while_another_thread_closed_comes_out() {
    // Early, late, and in the middle of a push: some of each.
    let rounds = jobs(400);
    within(move || {
        for (round, idle) in (0..rounds).zip([Idle::backoff(), Idle::parking()].iter().cycle()) {
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .capacity(8)
                .idle(idle.clone())
                .stage("a", Instances::new(1), |_| map(|x: u64| x))
                .start()
                .unwrap();
            let handle = pipeline.handle();
            let dispatching = thread::spawn(move || {
                let mut accepted = 0;
                loop {
                    match dispatcher.dispatch(accepted) {
                        Ok(()) => accepted += 1,
                        Err(refused) => {
                            assert_eq!(refused, DispatchError::Closed(accepted));
                            // It may say so again, and that changes nothing.
                            assert!(dispatcher.try_dispatch(accepted).is_err());
                            return (accepted, dispatcher);
                        }
                    }
                }
            });
            let receiving = thread::spawn(move || receiver.into_iter().collect::<Vec<_>>());
            for _ in 0..round % 64 {
                thread::yield_now();
            }
            handle.close();
            let (accepted, _dispatcher) = dispatching.join().unwrap();
            assert!(receiving.join().unwrap().into_iter().eq(0..accepted));
            pipeline.join().unwrap();
        }
    });
}
