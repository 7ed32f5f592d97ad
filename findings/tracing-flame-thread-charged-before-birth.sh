#!/usr/bin/env bash
# Shows that a flame graph of spans charges a thread with time from before the thread was started.
#
# Seen: crate tracing-flame 0.2.0 with tracing-subscriber 0.3.23, 2026-11-29.
# Guess: a thread's time begins with the thread, or with its first span.
# Instead: each thread's clock begins where the layer was made. A thread that starts 400 ms later and works for 50 ms gets
#   450 ms or more, nearly all of it in its root frame. The end is cut off the other way: the time behind
#   a thread's last span, and a span still open, are in no line at all.
# Matters: in a pool that adds threads under load, the late threads look as if they had idled since the start: ten threads
#   that live a second each make hours of "idle" in a long run. with_empty_samples(false) leaves the root frames out,
#   and with them the true idle time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seen=$(
    rust 'tracing = "=0.1.44"
tracing-flame = { version = "=0.2.0", default-features = false }
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["registry", "std"] }' <<'RS'
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use tracing_subscriber::prelude::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {
    let lines = Lines::default();
    tracing_subscriber::registry().with(tracing_flame::FlameLayer::new(lines.clone())).init();
    sleep(Duration::from_millis(400));
    let late = thread::Builder::new().name("late".into()).spawn(|| {
        let born = Instant::now();
        {
            let _span = tracing::info_span!("job").entered();
            sleep(Duration::from_millis(50));
        }
        let busy = born.elapsed();
        sleep(Duration::from_millis(300));
        (busy, born.elapsed())
    });
    let (busy, lived) = late.unwrap().join().unwrap();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let count = |end: &dyn Fn(&str) -> bool| -> Duration {
        let line = |l: &str| l.rsplit_once(' ').filter(|(stack, _)| end(stack)).map(|(_, n)| n.parse::<u64>().unwrap());
        Duration::from_nanos(text.lines().filter_map(line).sum())
    };
    let root = count(&|stack| stack.ends_with("-late"));
    let job = count(&|stack| stack.contains("-late; ") && stack.contains("::job:"));
    println!("root frame holds the 400 ms before the thread's birth: {}", root >= Duration::from_millis(400));
    println!("job's frame holds the job's time: {}", job >= Duration::from_millis(50) && job <= busy);
    println!("the 300 ms behind the last span are in the root frame: {}", root + job >= lived + Duration::from_millis(400));
}
RS
)
expect "$seen" <<'STATED'
root frame holds the 400 ms before the thread's birth: true
job's frame holds the job's time: true
the 300 ms behind the last span are in the root frame: false
STATED
