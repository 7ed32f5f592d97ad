#!/usr/bin/env bash
# Shows that a blocking call of a channel takes the wake-up that Thread::unpark left for the thread.
#
# Seen: Rust std 1.95 (the installed toolchain), crossbeam-channel 0.5.17, flume 0.12.0, kanal 0.1.1, crossfire 3.1.22,
#   thingbuf 0.1.6, futures 0.3.34, pollster 1.0.3; beside async-channel 2.5.0, event-listener 5.4.2, parking 2.2.1,
#   rayon 1.12.0; 2026-11-29.
# Guess: the token of Thread::unpark waits for the thread's own call of thread::park, and a channel is no part of that.
# Instead: std's channels, std::thread::scope and seven of the crates park the thread themselves where they block, and
#   there the token is spent. Afterwards thread::park blocks as if nobody had called. The calls that sleep on a condition
#   variable or a futex leave the token alone. std's documentation of park warns that other code may consume the token and
#   names println! as an example; no signature tells one kind of call from the other, and this list is what was seen.
# Matters: a pool that checks for work, calls a user's code and then parks with thread::park sleeps on a job that came
#   in between as soon as that code blocks on a channel. The last check has to stand behind the user's code, or the pool
#   sleeps on a condition variable of its own.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seen=$(
    rust 'async-channel = "=2.5.0"
crossbeam-channel = "=0.5.17"
crossfire = "=3.1.22"
event-listener = "=5.4.2"
flume = "=0.12.0"
futures = "=0.3.34"
kanal = "=0.1.1"
parking = "=2.2.1"
pollster = "=1.0.3"
rayon = "=1.12.0"
thingbuf = "=0.1.6"' <<'RS'
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const DELAY: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(2);

// Leaves itself a token, makes the call, and looks whether the next park returns at once.
fn look(name: &str, call: impl FnOnce() + Send + 'static) {
    let kept = thread::spawn(move || {
        thread::current().unpark();
        call();
        let start = Instant::now();
        thread::park_timeout(LONG);
        start.elapsed() < LONG / 2
    });
    println!("{name}: {}", if kept.join().unwrap() { "token kept" } else { "token gone" });
}

// Runs `send` on another thread, late enough that the call blocks first.
fn later(send: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::spawn(move || {
        thread::sleep(DELAY);
        send();
    })
}

macro_rules! receive {
    ($name:literal, $ends:expr, $send:ident, $receive:ident) => {
        look($name, || {
            let (sender, receiver) = $ends;
            let other = later(move || { let _ = sender.$send(1); });
            assert_eq!(receiver.$receive().unwrap(), 1);
            other.join().unwrap();
        })
    };
}

fn main() {
    receive!("std mpsc recv", std::sync::mpsc::channel(), send, recv);
    look("std thread::scope", || thread::scope(|s| { s.spawn(|| thread::sleep(DELAY)); }));
    receive!("crossbeam-channel recv", crossbeam_channel::bounded(1), send, recv);
    receive!("flume recv", flume::bounded(1), send, recv);
    receive!("kanal recv", kanal::bounded(1), send, recv);
    receive!("crossfire recv", crossfire::mpmc::bounded_blocking(1), send, recv);
    receive!("thingbuf recv", thingbuf::mpsc::blocking::channel(1), send, recv);
    for (name, block_on) in [
        ("futures block_on", futures::executor::block_on as fn(futures::channel::oneshot::Receiver<i32>) -> _),
        ("pollster block_on", pollster::block_on),
    ] {
        look(name, move || {
            let (sender, receiver) = futures::channel::oneshot::channel();
            let other = later(move || sender.send(1).unwrap());
            assert_eq!(block_on(receiver), Ok(1));
            other.join().unwrap();
        });
    }
    receive!("async-channel recv_blocking", async_channel::bounded(1), send_blocking, recv_blocking);
    look("event-listener wait", || {
        use event_listener::Listener;
        let event = std::sync::Arc::new(event_listener::Event::new());
        let listener = event.listen();
        let other = later(move || { event.notify(1); });
        listener.wait();
        other.join().unwrap();
    });
    look("parking park", || {
        let (parker, unparker) = parking::pair();
        let other = later(move || { unparker.unpark(); });
        parker.park();
        other.join().unwrap();
    });
    look("rayon scope", || rayon::scope(|s| s.spawn(|_| thread::sleep(DELAY))));
    look("std JoinHandle::join", || thread::spawn(|| thread::sleep(DELAY)).join().unwrap());
}
RS
)
expect "$seen" <<'STATED'
std mpsc recv: token gone
std thread::scope: token gone
crossbeam-channel recv: token gone
flume recv: token gone
kanal recv: token gone
crossfire recv: token gone
thingbuf recv: token gone
futures block_on: token gone
pollster block_on: token gone
async-channel recv_blocking: token kept
event-listener wait: token kept
parking park: token kept
rayon scope: token kept
std JoinHandle::join: token kept
STATED
