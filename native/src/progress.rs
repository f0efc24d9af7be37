// SPDX-License-Identifier: Apache-2.0
//! How far a long operation is, and whether it should go on.

use crate::error::{Error, Result};

/// Called as (stage, done, total) from the thread that asked for the work; Err stops it.
pub type Callback<'a> = dyn FnMut(&'static str, usize, usize) -> Result<()> + 'a;

/// Counts the steps of one stage and reports each.
pub(crate) struct Stage<'a, 'b> {
    callback: &'a mut Callback<'b>,
    name: &'static str,
    done: usize,
    total: usize,
}

impl<'a, 'b> Stage<'a, 'b> {
    /// Reports that a stage of `total` steps begins.
    pub(crate) fn start(callback: &'a mut Callback<'b>, name: &'static str, total: usize) -> Result<Self> {
        callback(name, 0, total)?;
        Ok(Self { callback, name, done: 0, total })
    }

    /// Reports one more step done.
    pub(crate) fn step(&mut self) -> Result<()> {
        self.done += 1;
        debug_assert!(self.done <= self.total, "{} took more steps than announced", self.name);
        (self.callback)(self.name, self.done, self.total)
    }
}

/// Reports to nobody, never stops.
pub fn silent(_stage: &'static str, _done: usize, _total: usize) -> Result<()> {
    Ok(())
}

/// Turns a "go on?" answer into a result.
pub fn go_on(answer: bool) -> Result<()> {
    if answer { Ok(()) } else { Err(Error::Cancelled) }
}
