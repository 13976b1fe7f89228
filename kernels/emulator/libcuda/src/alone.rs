//! The emulated device for one test at a time.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::load::{Emulator, LoadError, load};

/// The emulator, for whoever holds this alone. What was changed about it is undone at the end.
#[derive(Debug)]
pub struct Alone {
    emulator: &'static Emulator,
    // Released after the reset in `drop`.
    _turn: MutexGuard<'static, ()>,
}

/// Loads the emulator and waits until nobody else in the process holds it so: for tests that change the
/// device, or depend on what it is.
///
/// # Errors
/// Those of [`load`].
pub fn alone() -> Result<Alone, LoadError> {
    static TURN: Mutex<()> = Mutex::new(());
    let emulator = load()?;
    Ok(Alone {
        emulator,
        // A test that failed has undone its changes all the same.
        _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
    })
}

impl Deref for Alone {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        self.emulator
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.emulator.reset();
    }
}
