//! Runs that are cut, resumed, stopped, fed NaN, and run on other numbers of threads.

use std::convert::Infallible;
use std::path::PathBuf;

use super::*;
use crate::autoencoder::{Model, Shape};
use crate::backend::cpu::Cpu;
use crate::loss::Loss;
use crate::network::Architecture;
use crate::optimizer::Optimizer;
use crate::random::Random;
use crate::schedule::Schedule;
use crate::srcnn::Initialisation;

/// Smooth targets and inputs that are a little off, different for every step.
struct Waves;

impl BatchSource for Waves {
    type Error = Infallible;

    fn fill(&mut self, step: u64, input: &mut [f32], target: &mut [f32]) -> Result<(), Infallible> {
        let mut random = Random::new(1, "waves", step);
        let (frequency, phase) = (random.between(0.1, 0.4), random.between(0.0, 6.0));
        for (i, (input, target)) in input.iter_mut().zip(target).enumerate() {
            let wave = 0.5 + 0.4 * libm::sin(phase + frequency * i as f64);
            *target = wave as f32;
            *input = (wave + random.between(-0.05, 0.05)) as f32;
        }
        Ok(())
    }
}

/// [`Waves`] whose input is changed by a function of the step.
struct Altered<F>(F);

impl<F: FnMut(u64, &mut [f32])> BatchSource for Altered<F> {
    type Error = Infallible;

    fn fill(&mut self, step: u64, input: &mut [f32], target: &mut [f32]) -> Result<(), Infallible> {
        Waves.fill(step, input, target)?;
        self.0(step, input);
        Ok(())
    }
}

/// Three images of 9 x 9.
fn small(loss: Loss, optimizer: Optimizer, steps: u64) -> Configuration {
    let mut configuration = Configuration {
        optimizer,
        schedule: Schedule::Cosine { warm_up: 2 },
        ..Configuration::new(loss, steps, 11)
    };
    configuration.patches.batch = 3;
    configuration.patches.side = 9;
    configuration
}

/// Three grey images of 9 x 9 through a small autoencoder.
fn autoencoder(model: Model, loss: Loss, optimizer: Optimizer, steps: u64) -> Configuration {
    let shape = Shape {
        model,
        channels: 1,
        side: 9,
        width: 2,
        bottleneck: 5,
    };
    Configuration {
        optimizer,
        ..Configuration::autoencoder(shape, 3, loss, steps, 11)
    }
}

/// Every network.
fn all_networks(loss: Loss, optimizer: Optimizer, steps: u64) -> [Configuration; 4] {
    [
        small(loss, optimizer, steps),
        autoencoder(Model::Conv, loss, optimizer, steps),
        autoencoder(Model::Fc, loss, optimizer, steps),
        autoencoder(Model::ElVae, loss, optimizer, steps),
    ]
}

const SGD: Optimizer = Optimizer::Sgd {
    learning_rate: 0.01,
    last_layer_rate: 0.001,
    momentum: 0.9,
};

fn run_for(training: &mut Training<'_, Cpu>, steps: usize) -> Vec<u32> {
    let step = |_| training.step(&mut Waves).unwrap().to_bits();
    (0..steps).map(step).collect()
}

struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn file() -> File {
    let folder = tempfile::tempdir().unwrap();
    File {
        path: folder.path().join("checkpoint.safetensors"),
        _folder: folder,
    }
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one_bit_for_bit() {
    let file = file();
    let adam = all_networks(Loss::MsSsim, Optimizer::ADAM, 12);
    let sgd = all_networks(Loss::Mse, SGD, 12);
    for configuration in adam.into_iter().chain(sgd) {
        let mut whole = Training::new(&Cpu, configuration).unwrap();
        let losses = run_for(&mut whole, 12);

        let mut first = Training::new(&Cpu, configuration).unwrap();
        assert_eq!(run_for(&mut first, 7), losses[..7]);
        first.checkpoint().unwrap().save(&file.path).unwrap();
        drop(first);
        let checkpoint = Checkpoint::load(&file.path).unwrap();
        let mut second = Training::resume(&Cpu, &checkpoint).unwrap();
        assert_eq!(run_for(&mut second, 5), losses[7..]);
        assert_eq!(second.checkpoint().unwrap(), whole.checkpoint().unwrap());
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            all_networks(Loss::MsSsim, Optimizer::ADAM, 3).map(|configuration| {
                let mut training = Training::new(&Cpu, configuration).unwrap();
                run_for(&mut training, 3);
                training.checkpoint().unwrap()
            })
        })
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(5));
}

#[test]
fn every_step_is_reported_and_the_end_is_saved() {
    let file = file();
    let mut training = Training::new(&Cpu, small(Loss::Mae, Optimizer::ADAM, 4)).unwrap();
    let saving = Saving {
        path: &file.path,
        every: 3,
    };
    let mut reports = Vec::new();
    let outcome = training.run(
        &mut Waves,
        Some(saving),
        &AtomicBool::new(false),
        |progress| {
            // After the third step's report its checkpoint is written, before the fourth's.
            let saved = Checkpoint::load(&file.path).map_or(0, |saved| {
                saved.state().map_or(0, |state| state.losses.len())
            });
            reports.push((progress.step, progress.steps, progress.loss, saved));
        },
    );
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    let losses = training.losses();
    let expected = [
        (1, 4, losses[0], 0),
        (2, 4, losses[1], 0),
        (3, 4, losses[2], 0),
        (4, 4, losses[3], 3),
    ];
    assert_eq!(reports, expected);
    assert_eq!(
        Checkpoint::load(&file.path).unwrap(),
        training.checkpoint().unwrap()
    );
}

#[test]
fn a_stopped_run_leaves_a_checkpoint_to_go_on_from() {
    let file = file();
    let configuration = small(Loss::MsSsim, Optimizer::ADAM, 6);
    let saving = Some(Saving {
        path: &file.path,
        every: 0,
    });
    let stop = AtomicBool::new(false);
    let mut training = Training::new(&Cpu, configuration).unwrap();
    let outcome = training.run(&mut Waves, saving, &stop, |progress| {
        stop.store(progress.step == 4, Ordering::Relaxed);
    });
    assert_eq!(outcome.unwrap(), Outcome::Stopped);

    let checkpoint = Checkpoint::load(&file.path).unwrap();
    let mut resumed = Training::resume(&Cpu, &checkpoint).unwrap();
    assert_eq!(resumed.losses().len(), 4);
    let go = AtomicBool::new(false);
    let outcome = resumed.run(&mut Waves, saving, &go, |_| {});
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    let mut whole = Training::new(&Cpu, configuration).unwrap();
    run_for(&mut whole, 6);
    assert_eq!(resumed.checkpoint().unwrap(), whole.checkpoint().unwrap());
}

#[test]
fn a_loss_that_is_no_number_stops_with_the_step_and_keeps_the_last_checkpoint() {
    let file = file();
    let saving = Some(Saving {
        path: &file.path,
        every: 2,
    });
    for loss in Loss::ALL {
        let mut training = Training::new(&Cpu, small(loss, Optimizer::ADAM, 9)).unwrap();
        let go = AtomicBool::new(false);
        let mut broken = Altered(|step, input: &mut [f32]| {
            if step >= 3 {
                input[3] = f32::NAN;
            }
        });
        let error = training.run(&mut broken, saving, &go, |_| {}).unwrap_err();
        assert!(
            matches!(
                &error,
                TrainingError::Loss {
                    step: 3,
                    origin: Origin::Batch,
                    ..
                }
            ),
            "{error}"
        );
        assert!(!error.is_divergence(), "no rate mends a broken image");
        assert!(error.to_string().contains("NaN at step 3"), "{error}");
        let kept = Checkpoint::load(&file.path).unwrap();
        assert_eq!(kept.state().unwrap().losses, training.losses()[..2]);
    }
}

/// Sums of numbers near the largest of f32 overflow in the first layer.
#[test]
fn the_layer_that_made_the_first_number_that_is_none_is_named() {
    let file = file();
    let saving = Some(Saving {
        path: &file.path,
        every: 2,
    });
    for (configuration, name) in all_networks(Loss::Mse, Optimizer::ADAM, 9)
        .into_iter()
        .zip(["conv1", "encoder.conv1", "encoder.dense1", "encoder.conv1"])
    {
        let mut training = Training::new(&Cpu, configuration).unwrap();
        let go = AtomicBool::new(false);
        let mut huge = Altered(|step, input: &mut [f32]| {
            if step >= 3 {
                input.fill(f32::MAX);
            }
        });
        let error = training.run(&mut huge, saving, &go, |_| {}).unwrap_err();
        let TrainingError::Loss {
            step: 3, origin, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(*origin, Origin::Layer(name.into()));
        assert!(
            error.is_divergence() && error.to_string().contains(name),
            "{error}"
        );
        let kept = Checkpoint::load(&file.path).unwrap();
        assert_eq!(kept.state().unwrap().losses, training.losses()[..2]);
    }
}

#[test]
fn weights_that_are_no_numbers_are_not_saved() {
    let file = file();
    let diverging = Optimizer::Sgd {
        learning_rate: 1e38,
        last_layer_rate: 1e38,
        momentum: 0.0,
    };
    let mut configuration = small(Loss::Mse, diverging, 1);
    configuration.schedule = Schedule::Constant;
    let mut training = Training::new(&Cpu, configuration).unwrap();
    let mut huge = Altered(|_, input: &mut [f32]| input[0] = 1e9);
    let saving = Some(Saving {
        path: &file.path,
        every: 0,
    });
    let go = AtomicBool::new(false);
    let error = training.run(&mut huge, saving, &go, |_| {});
    let error = error.unwrap_err();
    assert!(
        matches!(&error, TrainingError::Diverged { step: 1, tensor } if tensor.starts_with("conv")),
        "{error}"
    );
    assert!(!file.path.exists(), "nothing was saved");
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let weights = Checkpoint {
        architecture: Architecture::Srcnn { channels: 1 },
        parameters: Initialisation::Dong2016.parameters(1, 0),
        factor: None,
        provenance: Provenance::Unknown,
    };
    assert!(matches!(
        Training::resume(&Cpu, &weights),
        Err(TrainingError::NothingToResume)
    ));
    let mut configuration = small(Loss::Mse, SGD, 1);
    configuration.patches.side = 1 << 20;
    assert!(matches!(
        Training::new(&Cpu, configuration),
        Err(TrainingError::Backend(backend::Error::TooLarge { .. }))
    ));
}

/// A few patches by heart: each loss falls to a fraction of where it started.
#[test]
fn a_few_patches_are_learnt() {
    struct Same;
    impl BatchSource for Same {
        type Error = Infallible;
        fn fill(
            &mut self,
            _: u64,
            input: &mut [f32],
            target: &mut [f32],
        ) -> Result<(), Infallible> {
            Waves.fill(0, input, target)
        }
    }
    for loss in Loss::ALL {
        let mut training = Training::new(&Cpu, small(loss, Optimizer::ADAM, 60)).unwrap();
        training
            .run(&mut Same, None, &AtomicBool::new(false), |_| {})
            .unwrap();
        let (first, last) = (training.losses()[0], training.losses()[59]);
        assert!(last < 0.25 * first, "{loss:?}: from {first} to {last}");
    }
}
