//! Trained super-resolution networks that the program brings along: what made them is in
//! `weights/README.md`.

use crate::checkpoint::Checkpoint;
use crate::loss::Loss;
use crate::parameters::Parameters;

/// A trained SRCNN 9-5-5 for luma.
#[derive(Clone, Copy)]
pub struct BuiltIn {
    /// What its training made small.
    pub loss: Loss,
    /// How many times it enlarges.
    pub factor: usize,
    file: &'static [u8],
}

/// The loss of the network that is taken where none is named: there is one at every factor.
pub const DEFAULT_LOSS: Loss = Loss::MsSsim;

macro_rules! built_in {
    ($loss:ident, $factor:literal, $name:literal) => {
        BuiltIn {
            loss: Loss::$loss,
            factor: $factor,
            file: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/weights/srcnn-",
                $name,
                ".safetensors"
            )),
        }
    };
}

/// All of them: by factor, and at each in the order of [`Loss::ALL`].
pub const NETWORKS: [BuiltIn; 5] = [
    built_in!(MsSsim, 2, "x2-ms-ssim"),
    built_in!(MsSsim, 3, "x3-ms-ssim"),
    built_in!(Mse, 4, "x4-mse"),
    built_in!(Mae, 4, "x4-mae"),
    built_in!(MsSsim, 4, "x4-ms-ssim"),
];

/// Why no built-in network does what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoNetwork {
    /// None enlarges that many times.
    #[error(
        "no built-in network enlarges {0} times, only {factors}; train one and give it with --weights",
        factors = factors(NETWORKS.iter())
    )]
    Factor(usize),
    /// None of those that do was trained with that loss.
    #[error(
        "no built-in network that enlarges {factor} times was trained with {loss}; leave out --loss, \
         choose --scale {factors}, or train one and give it with --weights",
        loss = loss.name(),
        factors = factors(NETWORKS.iter().filter(|network| network.loss == *loss))
    )]
    Loss {
        /// The loss.
        loss: Loss,
        /// How many times.
        factor: usize,
    },
}

/// How many times networks enlarge, in words.
fn factors<'a>(networks: impl Iterator<Item = &'a BuiltIn>) -> String {
    let mut factors: Vec<String> = networks.map(|network| network.factor.to_string()).collect();
    factors.dedup();
    match factors.pop() {
        Some(last) if !factors.is_empty() => format!("{} or {last}", factors.join(", ")),
        last => last.unwrap_or_default(),
    }
}

impl BuiltIn {
    /// Those that enlarge `factor` times, at least one.
    ///
    /// # Errors
    /// [`NoNetwork::Factor`].
    pub fn of_factor(factor: usize) -> Result<Vec<Self>, NoNetwork> {
        let networks = NETWORKS.into_iter();
        let networks: Vec<Self> = networks
            .filter(|network| network.factor == factor)
            .collect();
        if networks.is_empty() {
            return Err(NoNetwork::Factor(factor));
        }
        Ok(networks)
    }

    /// The one that enlarges `factor` times and was trained with `loss`.
    ///
    /// # Errors
    /// A [`NoNetwork`].
    pub fn find(loss: Loss, factor: usize) -> Result<Self, NoNetwork> {
        let networks = Self::of_factor(factor)?;
        let found = networks.into_iter().find(|network| network.loss == loss);
        found.ok_or(NoNetwork::Loss { loss, factor })
    }

    /// The weights and what made them.
    pub fn checkpoint(&self) -> Checkpoint {
        match Checkpoint::from_bytes(self.file) {
            Ok(checkpoint) => checkpoint,
            Err(problem) => panic!("a network of the program's own {problem}"),
        }
    }

    /// The weights.
    pub fn parameters(&self) -> Parameters {
        self.checkpoint().parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::checkpoint::Provenance;
    use crate::network::Architecture;
    use crate::super_resolution::{TestSet, show, upscale};

    #[test]
    fn every_network_is_what_its_name_says() {
        for network in NETWORKS {
            let checkpoint = network.checkpoint();
            assert_eq!(checkpoint.architecture, Architecture::Srcnn { channels: 1 });
            assert_eq!(checkpoint.factor, Some(network.factor));
            let Provenance::Run {
                configuration,
                steps,
            } = checkpoint.provenance
            else {
                panic!("{:?}", checkpoint.provenance);
            };
            assert_eq!(configuration.loss, network.loss);
            assert_eq!(configuration.patches.factor, network.factor);
            assert_eq!(steps, configuration.steps, "training came to its end");
        }
        let bytes: usize = NETWORKS.iter().map(|network| network.file.len()).sum();
        assert!(bytes < 3 << 20, "{bytes} bytes");
    }

    /// On an image that no training sees, by the measure of the paper's tables.
    #[test]
    fn every_network_beats_bicubic() {
        for network in NETWORKS {
            let parameters = network.parameters();
            let networks = [&parameters];
            let shown = show(&Cpu, &networks, &TestSet::BuiltIn, 0, network.factor).unwrap();
            let [(_, bicubic), (_, enlarged)] = &shown.restored[..] else {
                panic!("bicubic and one network");
            };
            assert!(
                enlarged.psnr > bicubic.psnr && enlarged.ssim > bicubic.ssim,
                "{:?}, {} times: {enlarged:?}, bicubic {bicubic:?}",
                network.loss,
                network.factor
            );
        }
    }

    #[test]
    fn every_network_enlarges() {
        let small = crate::dead_leaves::dead_leaves(1, 0, 13, 9);
        for network in NETWORKS {
            let factor = network.factor;
            let large = upscale(&Cpu, &network.parameters(), &small, factor).unwrap();
            assert_eq!((large.width, large.height), (13 * factor, 9 * factor));
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        assert!(NETWORKS.is_sorted_by_key(|network| network.factor));
        for factor in [2, 3, 4] {
            let found = BuiltIn::find(DEFAULT_LOSS, factor).unwrap();
            assert_eq!((found.loss, found.factor), (DEFAULT_LOSS, factor));
        }
        let losses = |factor| {
            let networks = BuiltIn::of_factor(factor).unwrap();
            networks.iter().map(|n| n.loss).collect::<Vec<_>>()
        };
        assert_eq!(losses(4), Loss::ALL);
        assert_eq!(losses(2), [Loss::MsSsim]);
        let words = |loss, factor| BuiltIn::find(loss, factor).err().unwrap().to_string();
        let message = words(Loss::MsSsim, 5);
        assert!(message.contains("5 times, only 2, 3 or 4;"), "{message}");
        let message = words(Loss::Mse, 3);
        assert!(
            message.contains("3 times was trained with MSE") && message.contains("--scale 4,"),
            "{message}"
        );
    }
}
