//! What JamesHsu333's worker pool, behind a server, was seen to do. That ctrl-c drains (S-D3) is tested with the
//! command, in `perf/tests/interrupt.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::common::place::{empty, everywhere, single, trials};
use crate::common::{Census, Count, Door, Life, jobs};
use ringmill::stage::map;
use ringmill::{Context, DispatchError};

/// Each job that was accepted is done, or dropped and counted, exactly once, whenever the stop comes.
#[test]
fn s_d1_a_stop_swallows_no_job() {
    let stops = jobs(600);
    trials(stops, |place, capacity| {
        let (census, began) = (Census::default(), Count::default());
        let begins = began.clone();
        let work = move |_: &Context| {
            let began = begins.clone();
            map(move |job: Life| {
                began.add(1);
                job
            })
        };
        let builder = empty::<Life>(capacity).workers(1);
        let (dispatcher, receiver, pipeline) = single(place, builder, work);
        let accepted = Count::default();
        let producers = [(); 2].map(|()| {
            let (mut dispatcher, census) = (dispatcher.clone(), census.clone());
            let accepted = accepted.clone();
            thread::spawn(move || {
                loop {
                    match dispatcher.dispatch(census.life()) {
                        Ok(()) => accepted.add(1),
                        Err(DispatchError::Stopped(_)) => return,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        });
        let taker = thread::spawn(move || receiver.count() as u64);
        accepted.reach(1 + capacity.min(7));
        pipeline.stop();
        for producer in producers {
            producer.join().unwrap();
        }
        let results = taker.join().unwrap();
        let counters = pipeline.join().unwrap().counters;
        let dropped: u64 = counters.stages.iter().map(|stage| stage.dropped).sum();
        let work = counters.stage("work").unwrap();
        assert_eq!(counters.stages[0].dispatched, accepted.get() as u64);
        assert_eq!(work.finished, began.get() as u64);
        assert_eq!(work.finished + dropped, accepted.get() as u64);
        assert_eq!(results + work.discarded, work.finished);
        drop(dispatcher);
        census.is_over();
    });
}

/// A request that knows how many there are.
struct Request(Arc<AtomicUsize>);

impl Request {
    fn new(alive: &Arc<AtomicUsize>, most: &AtomicUsize) -> Self {
        most.fetch_max(alive.fetch_add(1, SeqCst) + 1, SeqCst);
        Self(alive.clone())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A burst from many sides: those who are not refused are as many as there are places, at every instant.
#[test]
fn s_d2_a_burst_is_bounded() {
    const CLIENTS: usize = 4;
    everywhere(|place, capacity| {
        let door = Door::default();
        let _late = door.open_late();
        let enters = door.clone();
        let (alive, most) = (Arc::default(), Arc::default());
        let work = move |_: &Context| {
            let door = enters.clone();
            map(move |request: Request| {
                door.pass(());
                drop(request);
            })
        };
        let (mut dispatcher, receiver, pipeline) = single(place, empty(capacity), work);
        dispatcher.dispatch(Request::new(&alive, &most)).unwrap();
        door.reach(1);
        let clients = [(); CLIENTS].map(|()| {
            let (mut dispatcher, alive, most) = (dispatcher.clone(), alive.clone(), most.clone());
            thread::spawn(move || {
                let refused = (0..2500).filter(|_| {
                    let request = Request::new(&alive, &most);
                    match dispatcher.try_dispatch(request) {
                        Ok(()) => false,
                        Err(DispatchError::Full(_)) => true,
                        Err(other) => panic!("{other}"),
                    }
                });
                refused.count()
            })
        });
        let refused: usize = clients
            .map(|client| client.join().unwrap())
            .into_iter()
            .sum();
        let accepted = 1 + CLIENTS * 2500 - refused;
        assert_eq!(accepted, 1 + capacity);
        assert_eq!(alive.load(SeqCst), accepted);
        let most = most.load(SeqCst);
        assert!(most <= accepted + CLIENTS, "{most} at once");
        drop(dispatcher);
        door.open();
        assert_eq!(receiver.count(), accepted);
        pipeline.join().unwrap();
        assert_eq!(alive.load(SeqCst), 0);
    });
}
