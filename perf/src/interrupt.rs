//! Ctrl-c: the first closes the pipeline (what was accepted is finished), the second stops it
//! (what runs is finished or cut), the third exits at once.

use std::fmt;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use ringmill::Handle;

use crate::exit::{Exit, say};

/// What a press does to the pipeline that it is passed on to.
type Target = Box<dyn Fn(Press) + Send>;

/// How often ctrl-c was pressed, and the pipeline that is told of it.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    presses: usize,
    target: Option<Target>,
}

#[derive(Clone, Copy)]
enum Press {
    Close,
    Stop,
}

impl Interrupt {
    /// Takes over ctrl-c for the rest of the process.
    pub(crate) fn install() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let pressed = interrupt.clone();
        ctrlc::set_handler(move || pressed.press())?;
        Ok(interrupt)
    }

    /// From now on passes presses on to `handle`, at once those that were before it.
    pub(crate) fn steer<E: Send + Sync + 'static>(&self, handle: Handle<E>) {
        self.with(|state| {
            let target: Target = Box::new(move |press| match press {
                Press::Close => handle.close(),
                Press::Stop => handle.stop(),
            });
            match state.presses {
                0 => {}
                1 => target(Press::Close),
                _ => target(Press::Stop),
            }
            state.target = Some(target);
        });
    }

    /// Whether ctrl-c was pressed.
    pub(crate) fn pressed(&self) -> bool {
        self.with(|state| state.presses > 0)
    }

    /// Runs on the thread that waits for the signal. The line is said after the deed, so that
    /// who reads it knows that it is done.
    fn press(&self) {
        let line = self.with(|state| {
            state.presses += 1;
            let (press, line) = match state.presses {
                1 => (
                    Press::Close,
                    "interrupted: finishing what was begun (again to stop)",
                ),
                2 => (Press::Stop, "stopping (again to exit at once)"),
                _ => process::exit(Exit::Interrupted.code().into()),
            };
            if let Some(target) = &state.target {
                target(press);
            }
            line
        });
        say(line);
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
