//! Every checkpoint comes back, and every damaged one is refused by name.

use super::*;
use crate::autoencoder::{Model, Shape};
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::srcnn::Initialisation;

/// A training state after two steps, every number different.
fn checkpoint(optimizer: Optimizer) -> Checkpoint {
    let parameters = Initialisation::PassThrough.parameters(1, 3);
    let len = parameters.values().len();
    let buffer = |i: usize| (0..len).map(|j| (i * len + j) as f32 * 1e-7).collect();
    Checkpoint {
        architecture: Architecture::Srcnn { channels: 1 },
        factor: Some(3),
        provenance: Provenance::Resumable(TrainingState {
            configuration: Configuration {
                optimizer,
                ..Configuration::new(Loss::MsSsim, 9, u64::MAX)
            },
            optimizer: (0..optimizer.state_names().len()).map(buffer).collect(),
            losses: vec![0.25, 0.1],
        }),
        parameters,
    }
}

const SHAPE: Shape = Shape {
    model: Model::ElVae,
    channels: 3,
    side: 7,
    width: 2,
    bottleneck: 3,
};

fn autoencoder() -> Checkpoint {
    let configuration = Configuration::autoencoder(SHAPE, 2, Loss::Mae, 9, 1);
    let parameters = SHAPE.initial(1);
    Checkpoint {
        architecture: Architecture::Autoencoder(SHAPE),
        factor: None,
        provenance: Provenance::Resumable(TrainingState {
            configuration,
            optimizer: vec![parameters.values().to_vec(); 2],
            losses: vec![0.5],
        }),
        parameters,
    }
}

fn state_of(checkpoint: &mut Checkpoint) -> &mut TrainingState {
    match &mut checkpoint.provenance {
        Provenance::Resumable(state) => state,
        other => panic!("{other:?}"),
    }
}

/// The message for a file with these bytes.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.safetensors");
    std::fs::write(&path, bytes).unwrap();
    let message = Checkpoint::load(&path).unwrap_err().to_string();
    let name = path.display().to_string();
    message
        .strip_prefix(&name)
        .expect("the file is named")
        .into()
}

/// A file of the given tensors, all F32 and zero, and metadata.
fn file(tensors: &[(&str, &[usize])], metadata: Option<&str>) -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let views = tensors.iter().map(|(name, shape)| {
        let bytes = 4 * shape.iter().product::<usize>();
        let view = TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..bytes]);
        (*name, view.unwrap())
    });
    let metadata = metadata.map(|text| HashMap::from([(ENTRY.into(), text.into())]));
    safetensors::serialize(views, metadata).unwrap()
}

const BARE: [(&str, &[usize]); 6] = [
    ("conv1.weight", &[64, 1, 9, 9]),
    ("conv1.bias", &[64]),
    ("conv2.weight", &[32, 64, 5, 5]),
    ("conv2.bias", &[32]),
    ("conv3.weight", &[1, 32, 5, 5]),
    ("conv3.bias", &[1]),
];

#[test]
fn everything_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    for optimizer in [Optimizer::ADAM, Optimizer::dong_2016(1089)] {
        let saved = checkpoint(optimizer);
        saved.save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), saved);
        assert_eq!(saved.to_bytes(), std::fs::read(&path).unwrap());
    }
    let weights = Checkpoint {
        provenance: Provenance::Unknown,
        ..checkpoint(Optimizer::ADAM)
    };
    let saved = autoencoder();
    saved.save(&path).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), saved);
    let (shape, loaded) = Checkpoint::load_autoencoder(&path).unwrap();
    assert_eq!((shape, &loaded), (SHAPE, &saved));
    let error = Checkpoint::load_srcnn(&path).unwrap_err().to_string();
    assert!(error.contains("holds the network el-vae"), "{error}");
    weights.save(&path).unwrap();
    let error = Checkpoint::load_autoencoder(&path).unwrap_err().to_string();
    assert!(error.contains("give weights of an autoencoder"), "{error}");
    assert_eq!(Checkpoint::load(&path).unwrap(), weights);
}

#[test]
fn a_network_without_its_state_says_what_made_it() {
    for whole in [checkpoint(Optimizer::ADAM), autoencoder()] {
        let (resumable, weights) = (whole.to_bytes().len(), 4 * whole.parameters.values().len());
        let state = whole.state().unwrap().clone();
        let network = whole.clone().without_state();
        assert_eq!(
            network.provenance,
            Provenance::Run {
                configuration: state.configuration,
                steps: state.losses.len() as u64
            }
        );
        assert_eq!(
            (&network.parameters, network.state()),
            (&whole.parameters, None)
        );
        let bytes = network.to_bytes();
        assert!(bytes.len() < weights + 2048 && bytes.len() < resumable / 2);
        let read = Checkpoint::from_bytes(&bytes).unwrap();
        assert_eq!(read, network);
        assert_eq!(read.without_state(), network);
    }
    let mut torn = autoencoder();
    state_of(&mut torn).configuration.patches.side = 8;
    let message = refusal(&torn.without_state().to_bytes());
    assert!(message.contains("of 3 x 8 x 8 samples"), "{message}");
}

/// What is left when the losses are taken away is neither a run's state nor a network alone.
#[test]
fn a_state_without_losses_is_refused() {
    let whole = checkpoint(Optimizer::ADAM).to_bytes();
    let file = SafeTensors::deserialize(&whole).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&whole).unwrap();
    let tensors = file
        .tensors()
        .into_iter()
        .filter(|(name, _)| name != LOSSES);
    let bytes = safetensors::serialize(tensors, metadata.metadata().clone()).unwrap();
    let message = refusal(&bytes);
    assert!(message.contains("`optimizer.first_moment`"), "{message}");
}

#[test]
fn bare_weights_are_read_and_say_nothing_of_the_factor() {
    let read = Checkpoint::from_bytes(&file(&BARE, None)).unwrap();
    assert_eq!((read.factor, read.provenance), (None, Provenance::Unknown));
    assert_eq!(
        read.parameters,
        Parameters::zeros(Architecture::Srcnn { channels: 1 }.layout())
    );
}

#[test]
fn every_truncation_is_refused() {
    let whole = checkpoint(Optimizer::ADAM).to_bytes();
    for len in [0, 1, 7, 8, 9, 300, whole.len() / 2, whole.len() - 1] {
        let message = refusal(&whole[..len]);
        assert!(
            message.contains("not a whole safetensors file"),
            "{message}"
        );
    }
}

#[test]
fn a_lying_header_is_refused_before_memory_is_asked_for() {
    let mut bytes = file(&BARE, None);
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&bytes).contains("claims a header of 18446744073709551615 bytes"));

    let huge = br#"{"conv1.weight":{"dtype":"F32","shape":[64,1,99999999999,9],"data_offsets":[0,230399999997696]}}"#;
    let mut bytes = (huge.len() as u64).to_le_bytes().to_vec();
    bytes.extend(huge);
    assert!(refusal(&bytes).contains("not a whole safetensors file"));
}

#[test]
fn a_file_longer_than_any_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.safetensors");
    // A hole: the file takes no room on disk.
    File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(matches!(error.problem, Problem::TooLong), "{error}");
}

#[test]
fn other_networks_are_refused() {
    let message = refusal(&file(&BARE[..5], None));
    assert!(message.contains("has no tensor `conv3.bias`"), "{message}");
    let message = refusal(&file(&BARE[1..], None));
    assert!(
        message.contains("has no tensor `conv1.weight`"),
        "{message}"
    );

    let mut larger = BARE.to_vec();
    larger.push(("conv4.weight", &[1, 1, 3, 3]));
    let message = refusal(&file(&larger, None));
    assert!(message.contains("a tensor `conv4.weight`"), "{message}");

    let mut narrower = BARE;
    narrower[2].1 = &[16, 64, 5, 5];
    let message = refusal(&file(&narrower, None));
    assert!(
        message.contains("`conv2.weight` has the shape [16, 64, 5, 5] where [32, 64, 5, 5]"),
        "{message}"
    );
    let mut two_channels = BARE;
    two_channels[0].1 = &[64, 2, 9, 9];
    assert!(refusal(&file(&two_channels, None)).contains("[64, 2, 9, 9]"));

    let other = r#"{"network":"transformer","factor":null,"configuration":null,"step":0}"#;
    let message = refusal(&file(&BARE, Some(other)));
    assert!(
        message.contains("holds the network transformer"),
        "{message}"
    );
    let message = refusal(&file(&BARE, Some("{}")));
    assert!(message.contains("description cannot be read"), "{message}");
}

/// A description may ask for more memory than there is: what the file holds decides.
#[test]
fn an_autoencoder_that_its_file_does_not_hold_is_refused() {
    let claimed = |shape: Shape| {
        let description = Description {
            network: AUTOENCODER.into(),
            autoencoder: Some(shape),
            factor: None,
            configuration: None,
            step: 0,
        };
        refusal(&file(
            &[],
            Some(&serde_json::to_string(&description).unwrap()),
        ))
    };
    let message = claimed(Shape::PAPER);
    assert!(
        message.contains("no tensor `encoder.conv1.weight`"),
        "{message}"
    );
    let message = claimed(Shape {
        side: usize::MAX,
        ..Shape::PAPER
    });
    assert!(message.contains("side is not 1 to 1024"), "{message}");
    let mut torn = autoencoder();
    state_of(&mut torn).configuration.patches.side = 8;
    let message = refusal(&torn.to_bytes());
    assert!(message.contains("of 3 x 8 x 8 samples"), "{message}");
}

#[test]
fn numbers_that_are_none_are_refused() {
    for (at, name) in [(0, "conv1.weight"), (57_280, "conv3.bias")] {
        let mut bad = checkpoint(Optimizer::ADAM);
        bad.parameters.values_mut()[at] = f32::NAN;
        let message = refusal(&bad.to_bytes());
        assert!(
            message.contains(&format!("`{name}` holds NaN")),
            "{message}"
        );
    }
    let mut bad = checkpoint(Optimizer::ADAM);
    state_of(&mut bad).optimizer[1][5] = f32::INFINITY;
    let message = refusal(&bad.to_bytes());
    assert!(
        message.contains("`optimizer.second_moment` holds NaN or infinity"),
        "{message}"
    );
}

#[test]
fn other_types_are_refused() {
    let data = vec![0; 2 * 64];
    let half = TensorView::new(Dtype::F16, vec![64], &data).unwrap();
    let bare = file(&BARE, None);
    let bare = SafeTensors::deserialize(&bare).unwrap();
    let tensors = bare.tensors().into_iter().map(|(name, view)| {
        let view = if name == "conv1.bias" {
            half.clone()
        } else {
            view
        };
        (name, view)
    });
    let message = refusal(&safetensors::serialize(tensors, None).unwrap());
    assert!(message.contains("`conv1.bias` holds F16"), "{message}");
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let mut bad = checkpoint(Optimizer::ADAM);
    state_of(&mut bad).optimizer[0].pop();
    assert!(refusal(&bad.to_bytes()).contains("`optimizer.first_moment` has the shape [57280]"));

    let mut colour = checkpoint(Optimizer::ADAM);
    let state = state_of(&mut colour);
    state.configuration.patches.channels = crate::evaluation::Channels::Ycbcr;
    assert!(refusal(&colour.to_bytes()).contains("for 3 channels"));

    // As many losses as steps: the step is said apart.
    let mut bytes = checkpoint(Optimizer::ADAM).to_bytes();
    let step = bytes
        .windows(10)
        .position(|w| w == br#"\"step\":2"#)
        .unwrap();
    bytes[step + 9] = b'3';
    assert!(refusal(&bytes).contains("`losses` has the shape [2] where [3]"));
}

#[test]
fn a_failed_write_leaves_the_old_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none").join("run.safetensors");
    let error = checkpoint(Optimizer::ADAM).save(&missing).unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    let error = Checkpoint::load(&missing).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");

    // A folder cannot be replaced by a file: everything is written, then naming it fails.
    let occupied = folder.path().join("occupied");
    std::fs::create_dir_all(occupied.join("old")).unwrap();
    checkpoint(Optimizer::ADAM).save(&occupied).unwrap_err();
    assert!(occupied.join("old").exists(), "what was there stays");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
