//! Ctrl-c: the first closes the pipeline (what was accepted is finished), the second stops it (what runs is
//! finished or cut) and ends the process [`GRACE`] later at the latest.
//!
//! What runs outside of a pipeline, as making or reading input, is left alone by the first: see
//! [`Interrupt::unless_pressed`]. So two presses end the command at any moment, whatever its threads wait
//! for: a file that does not open, a reader that does not read.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringmill::Handle;

use crate::exit::{Exit, say};

/// How long the second press waits for an end in good order: until jobs were cut and the report was printed.
const GRACE: Duration = Duration::from_millis(500);

/// What a press does to what runs.
type Target = Box<dyn Fn(Press) + Send>;

/// How often ctrl-c was pressed, and what is told of it.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    presses: usize,
    target: Option<Target>,
    /// Says the line of the last press: a thread of its own, as stderr may be a pipe that nobody reads.
    talk: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
enum Press {
    Close,
    Stop,
}

impl Interrupt {
    /// Takes over ctrl-c for the rest of the process. Where the parent made this process ignore it, as
    /// `nohup` and a shell's background jobs do, it stays ignored.
    pub(crate) fn install() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let pressed = interrupt.clone();
        match ctrlc::try_set_handler(move || pressed.press()) {
            Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(interrupt),
            Err(error) => Err(error),
        }
    }

    /// From now on passes presses on to `handle`, at once those that were before it.
    pub(crate) fn steer<E: Send + Sync + 'static>(&self, handle: Handle<E>) {
        self.pass_on(move |press| match press {
            Press::Close => handle.close(),
            Press::Stop => handle.stop(),
        });
    }

    /// Runs `work` on a thread of its own and returns its result, or nothing as soon as ctrl-c is pressed:
    /// then `work` goes on, unheeded, until the process ends.
    pub(crate) fn unless_pressed<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        let (done, result) = mpsc::channel();
        let pressed = done.clone();
        self.pass_on(move |_| {
            let _ = pressed.send(None);
        });
        thread::spawn(move || {
            let _ = done.send(Some(catch_unwind(AssertUnwindSafe(work))));
        });
        match result.recv() {
            Ok(Some(Ok(result))) => Some(result),
            Ok(Some(Err(panic))) => resume_unwind(panic),
            Ok(None) | Err(_) => None,
        }
    }

    /// Whether ctrl-c was pressed.
    pub(crate) fn pressed(&self) -> bool {
        self.with(|state| state.presses > 0)
    }

    /// Waits until the line of the last press was said.
    pub(crate) fn settle(&self) {
        if let Some(talk) = self.with(|state| state.talk.take()) {
            let _ = talk.join();
        }
    }

    fn pass_on(&self, target: impl Fn(Press) + Send + 'static) {
        self.with(|state| {
            match state.presses {
                0 => {}
                1 => target(Press::Close),
                _ => target(Press::Stop),
            }
            state.target = Some(Box::new(target));
        });
    }

    /// Runs on the thread that waits for the signal. The line is said after the deed, so that
    /// who reads it knows that it is done.
    fn press(&self) {
        let presses = self.with(|state| {
            state.presses += 1;
            let (press, line) = match state.presses {
                1 => (
                    Press::Close,
                    "interrupted: finishing what was begun (again to stop)",
                ),
                _ => (Press::Stop, "stopping"),
            };
            if let Some(target) = &state.target {
                target(press);
            }
            state.talk = thread::Builder::new().spawn(move || say(line)).ok();
            state.presses
        });
        if presses > 1 {
            // The process ends while this sleeps, unless something keeps it. A line of results is one write,
            // and so is a report: the exit cuts none, unless one is longer than a pipe takes whole (4 KiB).
            thread::sleep(GRACE);
            process::exit(Exit::Interrupted.code().into());
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("pressed", &self.pressed())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_nobody_interrupts_gives_its_result() {
        assert_eq!(Interrupt::default().unless_pressed(|| 7), Some(7));
    }

    #[test]
    fn a_press_leaves_work_alone_that_does_not_end() {
        let interrupt = Interrupt::default();
        let (begun, begins) = mpsc::channel();
        let (_never, ends) = mpsc::channel::<()>();
        let keyboard = interrupt.clone();
        let person = thread::spawn(move || {
            begins.recv().unwrap();
            keyboard.press();
        });
        let result = interrupt.unless_pressed(move || {
            begun.send(()).unwrap();
            ends.recv()
        });
        assert_eq!(result, None);
        person.join().unwrap();
        assert!(interrupt.pressed());
        // From now on nothing is waited for.
        let (_never, ends) = mpsc::channel::<()>();
        assert_eq!(interrupt.unless_pressed(move || ends.recv()), None);
    }

    #[test]
    fn a_panic_of_the_work_goes_on() {
        let interrupt = Interrupt::default();
        let panicked = catch_unwind(|| interrupt.unless_pressed(|| panic!("as the test wants")));
        let payload = panicked.map(|_: Option<()>| ()).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"as the test wants"));
    }
}
