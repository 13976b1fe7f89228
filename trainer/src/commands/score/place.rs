//! `--device`: where pairs are scored, given what is asked for.

use super::super::Failure;
use super::super::progress::say;
use crate::device::{Choice, DeviceName};
use crate::scorer::Scorer;

/// What a scorer has to be able to do, beside scoring by any convention.
#[derive(Clone, Copy, Default)]
pub(super) struct Needs {
    pub(super) mask: bool,
    pub(super) map: bool,
}

impl Needs {
    /// What is not offered of them on a CUDA device.
    fn lacking_on_cuda(self) -> Option<&'static str> {
        match self {
            Self { mask: true, .. } => Some("masks"),
            Self { map: true, .. } => Some("maps"),
            _ => None,
        }
    }
}

/// The place that is asked for, or an error that says why it cannot be.
///
/// What was chosen on its own is said.
pub(super) fn of(choice: Choice, needs: Needs) -> Result<Scorer, Failure> {
    let lacking = match choice {
        Choice::Cpu => None,
        Choice::Cuda | Choice::Auto => needs.lacking_on_cuda(),
    };
    let device = match (choice, lacking) {
        (Choice::Auto, Some(what)) => {
            say(&format!(
                "computing on the CPU: there are no {what} on a CUDA device"
            ));
            DeviceName::Cpu
        }
        (_, Some(what)) => {
            return Err(Failure::Message(format!(
                "--device cuda: there are no {what} on a CUDA device; use --device cpu or auto"
            )));
        }
        (choice, None) => {
            let (device, words) = choice.resolve();
            if let Some(words) = words {
                say(&words);
            }
            device
        }
    };
    Scorer::new(device).map_err(|error| Failure::Message(format!("--device cuda: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_lacks_is_known_beforehand() {
        let plain = Needs::default();
        assert!(plain.lacking_on_cuda().is_none());
        let masked = Needs {
            mask: true,
            ..plain
        };
        assert_eq!(masked.lacking_on_cuda(), Some("masks"));
        let mapped = Needs { map: true, ..plain };
        assert_eq!(mapped.lacking_on_cuda(), Some("maps"));
    }
}
