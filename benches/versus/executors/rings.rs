//! Ringmill, and the disruptor: executors that wait on rings.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use disruptor::wait_strategies::WaitStrategy;
use disruptor::{
    BusySpin, EventPoller, Polling, ProcessorSettings, Producer, Sequence, SingleConsumerBarrier,
    SingleProducer, SingleProducerBarrier, build_single_producer,
};
use ringmill::stage::map;
use ringmill::{Dispatcher, Instances, Pipeline, Receiver};

use super::{Executor, Job, Size, Snooze, Spin, Wait};
use crate::places::cores;

/// Nothing is chosen but the number of workers.
pub struct Ringmill {
    dispatcher: Dispatcher<Job, Infallible>,
    receiver: Receiver<Job, Infallible>,
    /// None once it is joined.
    pipeline: Option<Pipeline<Infallible>>,
}

impl Executor for Ringmill {
    fn start(size: Size) -> Self {
        let one = || Instances::new(1);
        let builder = Pipeline::<Infallible>::builder::<Job>()
            .workers(size.workers)
            .stage("a", one(), |_| map(Job::step));
        let started = match size.stages {
            1 => builder.start(),
            3 => builder
                .stage("b", one(), |_| map(Job::step))
                .stage("c", one(), |_| map(Job::step))
                .start(),
            _ => unreachable!("one stage or three"),
        };
        let (dispatcher, receiver, pipeline) = started.expect("it starts");
        Self {
            dispatcher,
            receiver,
            pipeline: Some(pipeline),
        }
    }

    #[inline]
    fn trip(&mut self, job: Job) -> Job {
        self.dispatcher.dispatch(job).expect("it is open");
        self.receiver.receive().expect("it has not ended")
    }
}

impl Drop for Ringmill {
    fn drop(&mut self) {
        self.dispatcher.done();
        let ended = self.pipeline.take().map(Pipeline::join);
        assert!(
            !matches!(ended, Some(Err(_))) || thread::panicking(),
            "it failed"
        );
    }
}

/// How the disruptor's threads wait.
pub trait Strategy: WaitStrategy + 'static {
    const IT: Self;
    /// How a thread waits that waits for the disruptor.
    type Outside: Wait;
}

/// For threads that have a core each: the one with the lowest latency.
impl Strategy for BusySpin {
    const IT: Self = Self;
    type Outside = Spin;
}

/// For more threads than cores; the crate has nothing between spinning and sleeping, but takes what one writes.
#[derive(Clone, Copy)]
pub struct Yielding;

impl WaitStrategy for Yielding {
    #[inline]
    fn wait_for(&self, _sequence: Sequence) {
        thread::yield_now();
    }
}

impl Strategy for Yielding {
    const IT: Self = Self;
    type Outside = Snooze;
}

/// A job in its slot: stages share it, so they write what may be shared.
#[derive(Default)]
struct Slot {
    number: AtomicU64,
    dispatched: Option<Instant>,
    waited: AtomicU64,
}

impl Slot {
    fn put(&mut self, job: Job) {
        *self.number.get_mut() = job.number;
        self.dispatched = job.dispatched;
    }

    #[inline]
    fn begin(&self) {
        if let Some(dispatched) = self.dispatched {
            let waited = dispatched.elapsed().as_nanos() as u64;
            self.waited.store(waited, Relaxed);
        }
        self.step();
    }

    #[inline]
    fn step(&self) {
        let number = self.number.load(Relaxed);
        self.number.store(number + 1, Relaxed);
    }

    fn job(&self) -> Job {
        Job {
            number: self.number.load(Relaxed),
            dispatched: None,
            waited: self.waited.load(Relaxed),
        }
    }
}

/// Its managed threads, one after the other; a second disruptor is the way back.
pub struct Disruptor<S> {
    tx: SingleProducer<Slot, SingleConsumerBarrier>,
    rx: EventPoller<Job, SingleProducerBarrier>,
    strategy: PhantomData<S>,
}

impl<S: Strategy> Executor for Disruptor<S> {
    fn start(size: Size) -> Self {
        const CAPACITY: usize = 64;
        let core = |nth: usize| {
            let cores = cores();
            cores[nth % cores.len()].id
        };
        let back = build_single_producer(CAPACITY, Job::default, BusySpin);
        let (rx, back) = back.new_event_poller();
        let mut back = back.build();
        let mut give_back = move |slot: &Slot| back.publish(|job| *job = slot.job());
        let builder = build_single_producer(CAPACITY, Slot::default, S::IT).pin_at_core(core(0));
        let tx = match size.stages {
            1 => builder
                .handle_events_with(move |slot: &Slot, _, _| {
                    slot.begin();
                    give_back(slot);
                })
                .build(),
            3 => builder
                .handle_events_with(|slot: &Slot, _, _| slot.begin())
                .and_then()
                .pin_at_core(core(1))
                .handle_events_with(|slot: &Slot, _, _| slot.step())
                .and_then()
                .pin_at_core(core(2))
                .handle_events_with(move |slot: &Slot, _, _| {
                    slot.step();
                    give_back(slot);
                })
                .build(),
            _ => unreachable!("one stage or three"),
        };
        Self {
            tx,
            rx,
            strategy: PhantomData,
        }
    }

    #[inline]
    fn trip(&mut self, job: Job) -> Job {
        self.tx.publish(|slot| slot.put(job));
        let mut pause = S::Outside::default();
        loop {
            match self.rx.take(1) {
                Ok(mut jobs) => return *(&mut jobs).next().expect("a job"),
                Err(Polling::NoEvents) => pause.wait(),
                Err(Polling::Shutdown) => panic!("the last stage is gone"),
            }
        }
    }
}
