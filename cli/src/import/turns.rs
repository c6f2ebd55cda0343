//! Whose turn it is: what is done in parallel, and must all the same take effect in order.
//!
//! Flows of one observer come in order of time, and connections are put together from them in that order, whichever threads
//! decode them.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Hands out turns by number, from 0 on.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// All before this one are done.
    next: u64,
    /// Later ones that are done: those that had nothing to do, or failed.
    done: BTreeSet<u64>,
}

impl Turns {
    /// Waits until all earlier turns are done.
    pub(super) fn wait_for(&self, number: u64) {
        let mut state = self.lock();
        while state.next < number {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a turn, whether it was waited for or not. Every turn must end, else the later ones wait for ever.
    pub(super) fn end(&self, number: u64) {
        let mut state = self.lock();
        state.done.insert(number);
        while state.done.first() == Some(&state.next) {
            state.done.pop_first();
            state.next += 1;
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_taken_in_order() {
        let turns = Turns::default();
        let taken = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for number in [3, 1, 2, 0] {
                let (turns, taken) = (&turns, &taken);
                scope.spawn(move || {
                    // One of them has nothing to do.
                    if number != 2 {
                        turns.wait_for(number);
                        taken.lock().unwrap_or_else(PoisonError::into_inner).push(number);
                    }
                    turns.end(number);
                });
            }
        });
        assert_eq!(taken.into_inner().unwrap_or_default(), [0, 1, 3]);
    }
}
