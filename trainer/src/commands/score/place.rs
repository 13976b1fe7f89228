//! `--device`: where pairs are scored.

use super::super::Failure;
use super::super::progress::say;
use super::super::run_options::resolved;
use crate::device::{Choice, DeviceName};
use crate::scorer::Scorer;

/// The place that is asked for, or an error that says why it cannot be; maps are the CPU's alone.
///
/// What was chosen on its own is said.
pub(super) fn of(choice: Choice, map: bool) -> Result<Scorer, Failure> {
    let device = match choice {
        Choice::Cuda if map => {
            return Err(Failure::Message(
                "--device cuda: there are no maps on a CUDA device; use --device cpu or auto"
                    .into(),
            ));
        }
        Choice::Auto if map => {
            say("computing on the CPU: there are no maps on a CUDA device");
            DeviceName::Cpu
        }
        choice => resolved(choice),
    };
    Scorer::new(device).map_err(|error| Failure::Message(format!("--device cuda: {error}")))
}
