//! A trained autoencoder on any number of images: what it makes of them, their codes, and images of codes.

use super::{Autoencoder, Shape};
use crate::backend::{Backend, Error};
use crate::network::Network;
use crate::parameters::Parameters;

/// Images that go through at a time.
const AT_ONCE: usize = 32;

/// What the autoencoder makes of `images`, each `channels x side x side` in 0 to 1; of an EL-VAE, from
/// the mean of each code.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If `images` are not whole ones, or `parameters` are of another shape.
pub fn reconstruct<B: Backend>(
    backend: &B,
    shape: Shape,
    parameters: &Parameters,
    images: &[f32],
) -> Result<Vec<f32>, Error> {
    let image = shape.image_len();
    in_batches(
        backend,
        shape,
        parameters,
        images,
        [image, image],
        |network, p, input, output| {
            network.forward(backend, p, input)?;
            backend.download(network.output(), output)
        },
    )
}

/// The code of each image, [`Shape::code_len`] numbers; of an EL-VAE, its mean.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// As [`reconstruct`].
pub fn features<B: Backend>(
    backend: &B,
    shape: Shape,
    parameters: &Parameters,
    images: &[f32],
) -> Result<Vec<f32>, Error> {
    let (image, code) = (shape.image_len(), shape.code_len());
    let encoded = match shape.model {
        super::Model::ElVae => 2 * code,
        super::Model::Conv | super::Model::Fc => code,
    };
    let lens = [image, encoded];
    let mut codes = in_batches(
        backend,
        shape,
        parameters,
        images,
        lens,
        |network, p, input, output| {
            network.encode(backend, p, input)?;
            backend.download(network.encoded(), output)
        },
    )?;
    if encoded != code {
        codes = codes
            .chunks_exact(encoded)
            .flat_map(|moments| &moments[..code])
            .copied()
            .collect();
    }
    Ok(codes)
}

/// The image of each code.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If `codes` are not whole ones, or `parameters` are of another shape.
pub fn decode<B: Backend>(
    backend: &B,
    shape: Shape,
    parameters: &Parameters,
    codes: &[f32],
) -> Result<Vec<f32>, Error> {
    let lens = [shape.code_len(), shape.image_len()];
    in_batches(
        backend,
        shape,
        parameters,
        codes,
        lens,
        |network, p, input, output| {
            network.decode(backend, p, input)?;
            backend.download(network.output(), output)
        },
    )
}

/// Applies `through` to batches of inputs of `lens[0]` numbers, each becoming `lens[1]`; the last batch
/// is filled up with zeros.
fn in_batches<B: Backend>(
    backend: &B,
    shape: Shape,
    parameters: &Parameters,
    inputs: &[f32],
    lens: [usize; 2],
    mut through: impl FnMut(
        &mut Autoencoder<B>,
        &B::Buffer,
        &B::Buffer,
        &mut [f32],
    ) -> Result<(), Error>,
) -> Result<Vec<f32>, Error> {
    let count = inputs.len() / lens[0];
    assert!(
        inputs.len() == count * lens[0],
        "{} numbers where each input has {}",
        inputs.len(),
        lens[0]
    );
    assert!(
        *parameters.layout() == shape.layout(),
        "parameters of another shape than {shape:?}"
    );
    if count == 0 {
        return Ok(Vec::new());
    }
    let images = count.min(AT_ONCE);
    let mut network = Autoencoder::new(backend, shape, images, 0.0)?;
    let mut on_device = backend.zeros(parameters.values().len())?;
    backend.upload(parameters.values(), &mut on_device)?;
    let mut batch = vec![0.0; images * lens[0]];
    let mut input = backend.zeros(batch.len())?;
    let mut output = vec![0.0; images * lens[1]];
    let mut outputs = Vec::with_capacity(count * lens[1]);
    for inputs in inputs.chunks(batch.len()) {
        batch[..inputs.len()].copy_from_slice(inputs);
        batch[inputs.len()..].fill(0.0);
        backend.upload(&batch, &mut input)?;
        through(&mut network, &on_device, &input, &mut output)?;
        outputs.extend_from_slice(&output[..inputs.len() / lens[0] * lens[1]]);
    }
    Ok(outputs)
}
