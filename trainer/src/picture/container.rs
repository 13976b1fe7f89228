//! What the decoders do not tell: whether a file has several frames, and whether a JPEG is whole.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, Frames, ImageFormat, ImageResult};

/// Whether there is more than one frame.
pub(super) fn is_animated(format: ImageFormat, bytes: &[u8]) -> ImageResult<bool> {
    let has_second = |mut frames: Frames<'_>| frames.nth(1).transpose().map(|f| f.is_some());
    match format {
        ImageFormat::Gif => has_second(GifDecoder::new(Cursor::new(bytes))?.into_frames()),
        ImageFormat::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(bytes))?;
            Ok(decoder.has_animation() && has_second(decoder.into_frames())?)
        }
        ImageFormat::Png => Ok(png_frames(bytes) > 1),
        _ => Ok(false),
    }
}

/// Frames of a PNG: those that its animation control chunk claims, else 1.
///
/// After 8 bytes of signature a PNG is chunks of length, name, data and checksum; `acTL` starts
/// with the number of frames and stands before the first `IDAT`.
fn png_frames(bytes: &[u8]) -> u32 {
    let word = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let mut at: usize = 8;
    while let Some(length) = word(at) {
        match bytes.get(at + 4..at + 8) {
            Some(b"acTL") => return word(at + 8).unwrap_or(1),
            Some(b"IDAT") | None => return 1,
            Some(_) => at = at.saturating_add(length as usize).saturating_add(12),
        }
    }
    1
}

/// Whether a JPEG goes on to its end-of-image marker.
///
/// The decoder fills what is missing with grey and says nothing, so this walks the markers: FF and
/// a code, then for most a length that covers itself and the data. After a start of scan comes
/// entropy-coded data until the next FF that is neither stuffed (FF 00) nor a restart (FF D0-D7).
pub(super) fn jpeg_is_whole(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(skipped) = rest.iter().position(|&byte| byte == 0xFF) else {
            return false;
        };
        at += skipped + 1;
        match bytes.get(at) {
            None => return false,
            Some(&END_OF_IMAGE) => return true,
            Some(0x00 | 0x01 | 0xD0..=0xD8) => at += 1,
            // A fill byte: the code comes later.
            Some(0xFF) => {}
            Some(_) => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else {
                    return false;
                };
                at += 1 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}
