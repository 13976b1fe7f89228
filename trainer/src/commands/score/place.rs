//! `--device`: where pairs are scored, given what is asked for.

use msssim_core::{Params, Small};

use super::super::Failure;
use super::super::progress::say;
use crate::device::{Choice, DeviceName};
use crate::scorer::{Scorer, unsupported_on_cuda};

/// What a scorer has to be able to do.
pub(super) struct Needs<'a> {
    pub(super) params: &'a Params,
    pub(super) small: Small,
    pub(super) mask: bool,
    pub(super) map: bool,
}

impl Needs<'_> {
    /// What a CUDA device lacks of them.
    fn lacking_on_cuda(&self) -> Option<&'static str> {
        let extended = match self.small {
            Small::Extend(border) => Some(self.params.with_border(border)),
            _ => None,
        };
        if self.mask {
            return Some("masks");
        }
        if self.map {
            return Some("maps");
        }
        let all = [Some(*self.params), extended];
        all.iter().flatten().find_map(unsupported_on_cuda)
    }
}

/// The place that is asked for, or an error that says why it cannot be.
///
/// What was chosen on its own is said.
pub(super) fn of(choice: Choice, needs: &Needs<'_>) -> Result<Scorer, Failure> {
    let lacking = match choice {
        Choice::Cpu => None,
        Choice::Cuda | Choice::Auto => needs.lacking_on_cuda(),
    };
    let device = match (choice, lacking) {
        (Choice::Auto, Some(what)) => {
            say(&format!(
                "computing on the CPU: the CUDA kernels do not have {what}"
            ));
            DeviceName::Cpu
        }
        (_, Some(what)) => {
            return Err(Failure::Message(format!(
                "--device cuda: the CUDA kernels do not have {what}; use --device cpu or auto"
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
    use msssim_core::Border;

    use super::*;

    #[test]
    fn what_kernels_lack_is_known_beforehand() {
        let plain = Needs {
            params: &Params::WANG_2003,
            small: Small::Refuse,
            mask: false,
            map: false,
        };
        assert!(plain.lacking_on_cuda().is_none(), "plain");
        let lacking = [
            (
                "masks",
                Needs {
                    mask: true,
                    ..plain
                },
            ),
            ("maps", Needs { map: true, ..plain }),
            (
                "mirrored borders",
                Needs {
                    small: Small::Extend(Border::Reflect),
                    ..plain
                },
            ),
            (
                "apart",
                Needs {
                    params: &Params::METRIX,
                    ..plain
                },
            ),
        ];
        for (what, needs) in lacking {
            let lacking = needs.lacking_on_cuda();
            assert!(
                lacking.is_some_and(|lacking| lacking.contains(what)),
                "{lacking:?}"
            );
        }
    }
}
