//! Ctrl-C: the first asks the work to stop where it can go on later, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Failure;
use super::progress::say;

/// The exit status of a program that was interrupted, by the shells' convention.
pub(super) const INTERRUPTED: u8 = 130;

/// A flag that becomes true at the first interrupt.
pub(super) fn flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        say("\nstopping after this step; press Ctrl-C again to stop at once");
    })
    .map_err(|error| Failure::Message(format!("cannot watch for Ctrl-C: {error}")))?;
    Ok(stop)
}
