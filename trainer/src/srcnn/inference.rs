//! The network on an image of any size, in tiles, so that memory does not grow with the image.
//!
//! Tiles overlap: an output sample sees [`REACH`] samples to each side, so a tile's outer samples
//! are right only where the tile ends with the image. All tiles have one size, the last of a row
//! or column being moved inwards, so one plan serves them all.

use msssim_cpu::Size;

use super::{REACH, network};
use crate::backend::{Backend, Error, ImageBatch};
use crate::parameters::Parameters;

/// Columns and rows of a tile that come to use, a compromise: with the overlap 1.27 times as many
/// are computed, and the widest layer of the eight tiles of a batch takes 42 MB.
pub const TILE: usize = 128;

/// Tiles in a batch: enough for a thread each on most machines.
const TILES_AT_ONCE: usize = 8;

/// The network's output for an image of as many planes as the parameters are for, one after
/// another, in 0 to 1; the output is not clamped.
///
/// `tile` is the number of columns and rows that a tile adds, usually [`TILE`]; the result does not
/// depend on it.
///
/// # Errors
/// An [`Error`] when the image is empty or a tile is too large for the device.
///
/// # Panics
/// If `image` does not hold the planes, or `tile` is 0.
pub fn infer<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    size: Size,
    image: &[f32],
    tile: usize,
) -> Result<Vec<f32>, Error> {
    let channels = parameters.layout().tensors()[0].shape[1];
    assert!(
        image.len() == channels * size.area(),
        "{} samples where {channels} planes of {size} are expected",
        image.len()
    );
    let columns = spans(size.width, tile);
    let places: Vec<(Span, Span)> = spans(size.height, tile)
        .iter()
        .flat_map(|row| columns.iter().map(move |column| (*row, *column)))
        .collect();

    // As few batches as possible, all about equally full.
    let batches = places.len().div_ceil(TILES_AT_ONCE);
    let batch = ImageBatch {
        images: places.len().div_ceil(batches),
        channels,
        height: side(size.height, tile),
        width: side(size.width, tile),
    };
    let mut network = network(backend, batch)?;
    let mut tiles = vec![0.0; batch.checked_len()?];
    let mut input = backend.zeros(tiles.len())?;
    let mut device_parameters = backend.zeros(parameters.values().len())?;
    backend.upload(parameters.values(), &mut device_parameters)?;

    // Where a row begins: of a plane of the image, and of one of the tiles.
    let in_image = |channel, y| (channel * size.height + y) * size.width;
    let in_tile = |slot, channel, y| ((slot * channels + channel) * batch.height + y) * batch.width;
    let mut output = vec![0.0; image.len()];
    for places in places.chunks(batch.images) {
        for (slot, (row, column)) in places.iter().enumerate() {
            for channel in 0..channels {
                for y in 0..batch.height {
                    let from = in_image(channel, row.start + y) + column.start;
                    tiles[in_tile(slot, channel, y)..][..batch.width]
                        .copy_from_slice(&image[from..][..batch.width]);
                }
            }
        }
        backend.upload(&tiles, &mut input)?;
        network.forward(backend, &device_parameters, &input)?;
        backend.download(network.output(), &mut tiles)?;
        for (slot, (row, column)) in places.iter().enumerate() {
            for channel in 0..channels {
                for y in row.first..row.end {
                    let from = in_tile(slot, channel, y - row.start) + column.first - column.start;
                    let to = in_image(channel, y);
                    output[to + column.first..to + column.end]
                        .copy_from_slice(&tiles[from..][..column.end - column.first]);
                }
            }
        }
    }
    Ok(output)
}

/// One tile along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    /// The first sample that the tile holds.
    start: usize,
    /// The first sample that is taken from it.
    first: usize,
    /// The end of those.
    end: usize,
}

/// Samples of a tile along an axis of `len`.
fn side(len: usize, tile: usize) -> usize {
    len.min(tile.saturating_add(2 * REACH))
}

/// The tiles along an axis of `len`, each taking up where the one before ends.
fn spans(len: usize, tile: usize) -> Vec<Span> {
    assert!(tile > 0, "a tile adds at least one sample");
    let side = side(len, tile);
    let mut spans = Vec::new();
    let mut first = 0usize;
    loop {
        let start = first.saturating_sub(REACH).min(len - side);
        let at_the_end = start + side == len;
        let end = if at_the_end {
            len
        } else {
            start + side - REACH
        };
        spans.push(Span { start, first, end });
        if at_the_end {
            return spans;
        }
        first = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::srcnn::Initialisation;

    #[test]
    fn spans_cover_the_axis_with_the_reach_to_both_sides() {
        assert_eq!(REACH, 8);
        let span = |start, first, end| Span { start, first, end };
        assert_eq!(spans(20, 4), [span(0, 0, 20)]);
        assert_eq!(spans(21, 4), [span(0, 0, 12), span(1, 12, 21)]);
        assert_eq!(
            spans(30, 4),
            [
                span(0, 0, 12),
                span(4, 12, 16),
                span(8, 16, 20),
                span(10, 20, 30)
            ]
        );
        for len in 1..60 {
            let spans = spans(len, 3);
            assert_eq!(spans[0].first, 0);
            assert_eq!(spans.last().unwrap().end, len);
            assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].first));
            for Span { start, first, end } in spans {
                let tile_end = start + side(len, 3);
                assert!(start == 0 || first - start >= REACH);
                assert!(tile_end == len || tile_end - end >= REACH);
            }
        }
    }

    /// A matrix product may sum in another order for a matrix of another width: a few roundings of
    /// numbers of about 1.
    #[test]
    fn the_result_does_not_depend_on_the_tile() {
        let size = Size {
            width: 47,
            height: 33,
        };
        let image: Vec<f32> = (0..3 * size.area())
            .map(|i| (i * 7919 % 1009) as f32 / 1008.0)
            .collect();
        let parameters = Initialisation::PassThrough.parameters(3, 4);
        let whole = infer(&Cpu, &parameters, size, &image, usize::MAX).unwrap();
        for tile in [1, 9, 20] {
            let tiled = infer(&Cpu, &parameters, size, &image, tile).unwrap();
            let apart = whole.iter().zip(&tiled).map(|(a, b)| (a - b).abs());
            let apart = apart.fold(0.0, f32::max);
            assert!(apart < 2e-6, "{apart} apart with tiles of {tile}");
        }
    }

    #[test]
    fn an_empty_image_is_an_error() {
        let size = Size {
            width: 0,
            height: 3,
        };
        let parameters = Initialisation::PassThrough.parameters(1, 0);
        assert!(matches!(
            infer(&Cpu, &parameters, size, &[], TILE),
            Err(Error::Layer(_))
        ));
    }
}
