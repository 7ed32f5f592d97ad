//! Fusing: two stages as one, without a ring between them.

use std::fmt;
use std::sync::Arc;

use super::{Flow, Outlet, Stage};
use crate::counters::Tally;

/// Two stages in one duty: the second takes the first one's results as they are emitted.
pub struct Then<A, B> {
    first: A,
    second: B,
    second_tally: Arc<Tally>,
    first_open: bool,
    second_open: bool,
}

impl<A, B> fmt::Debug for Then<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").finish_non_exhaustive()
    }
}

impl<A, B> Then<A, B> {
    pub(crate) fn new(first: A, second: B, second_tally: Arc<Tally>) -> Self {
        Self {
            first,
            second,
            second_tally,
            first_open: false,
            second_open: false,
        }
    }

    fn both<In, E, O>(
        &mut self,
        out: &mut O,
        run: impl FnOnce(&mut A, &mut Joint<'_, B, O, E>) -> Result<Flow, E>,
    ) -> Result<Flow, E>
    where
        A: Stage<In, E>,
        B: Stage<A::Out, E>,
        O: Outlet<B::Out>,
    {
        let mut joint = Joint {
            second: &mut self.second,
            tally: &self.second_tally,
            open: false,
            error: None,
            out,
        };
        let flow = run(&mut self.first, &mut joint);
        self.second_open = joint.open;
        if let Some(error) = joint.error {
            return Err(error);
        }
        match flow {
            Ok(flow) => self.first_open = flow == Flow::More,
            Err(error) => {
                self.close_second();
                return Err(error);
            }
        }
        Ok(if self.first_open || self.second_open {
            Flow::More
        } else {
            Flow::Done
        })
    }

    fn close_second(&mut self) {
        if self.second_open {
            self.second_open = false;
            self.second_tally.finish();
        }
    }
}

impl<In, E, A, B> Stage<In, E> for Then<A, B>
where
    A: Stage<In, E>,
    B: Stage<A::Out, E>,
{
    type Out = B::Out;

    #[inline]
    fn job<O: Outlet<B::Out>>(&mut self, job: In, out: &mut O) -> Result<Flow, E> {
        self.both::<In, E, O>(out, |first, joint| first.job(job, joint))
    }

    fn more<O: Outlet<B::Out>>(&mut self, out: &mut O) -> Result<Flow, E> {
        if self.second_open {
            self.second_tally.enter();
            let flow = self.second.more(out)?;
            self.second_tally.leave();
            if flow == Flow::More {
                return Ok(Flow::More);
            }
            self.close_second();
        }
        if !self.first_open {
            return Ok(Flow::Done);
        }
        self.both::<In, E, O>(out, |first, joint| first.more(joint))
    }

    fn end(&mut self) {
        self.first.end();
        self.second.end();
    }
}

/// The outlet between two fused stages.
struct Joint<'a, B, O, E> {
    second: &'a mut B,
    tally: &'a Tally,
    open: bool,
    error: Option<E>,
    out: &'a mut O,
}

impl<T, E, B, O> Outlet<T> for Joint<'_, B, O, E>
where
    B: Stage<T, E>,
    O: Outlet<B::Out>,
{
    fn is_ready(&self) -> bool {
        !self.open && self.error.is_none() && self.out.is_ready()
    }

    #[inline]
    fn emit(&mut self, result: T) -> Result<(), T> {
        if self.open || self.error.is_some() {
            return Err(result);
        }
        if !self.out.is_ready() {
            return Err(result);
        }
        self.tally.start();
        self.tally.enter();
        match self.second.job(result, self.out) {
            Ok(flow) => {
                self.tally.leave();
                self.open = flow == Flow::More;
                if !self.open {
                    self.tally.finish();
                }
            }
            // The tally stays entered: that is how the duty knows whose error it is.
            Err(error) => self.error = Some(error),
        }
        Ok(())
    }
}
