//! The score of images that arrive row by row.

use core::ffi::c_void;
use core::mem::{align_of, size_of};

use msssim_core::{Size, Stream};

use crate::image::{MsssimImage, Pair};
use crate::memory::{Region, disjoint, read, write};
use crate::params::MsssimParams;
use crate::score::MsssimScore;
use crate::status::MsssimStatus;

/// What the memory of a stream must be aligned to, in bytes.
pub const MSSSIM_STREAM_ALIGN: usize = 8;

/// A stream, at the beginning of its memory; the last rows of all scales follow it there.
#[derive(Debug)]
pub struct MsssimStream {
    magic: u32,
    scratch_len: usize,
    stream: Stream,
}

/// What a stream begins with: not text, not a small number, not an address of most machines.
const MAGIC: u32 = 0x8D53_534D;

const _: () = {
    assert!(
        align_of::<MsssimStream>() <= MSSSIM_STREAM_ALIGN,
        "as the header says"
    );
    assert!(
        size_of::<MsssimStream>().is_multiple_of(align_of::<f32>()),
        "numbers follow the stream"
    );
    assert!(
        size_of::<MsssimStream>() <= HEAD_BYTES,
        "MSSSIM_STREAM_BYTES of the header"
    );
};

/// What MSSSIM_STREAM_BYTES of the header takes the stream itself to be at most.
const HEAD_BYTES: usize = 3072;

/// Bytes of a stream that needs so many numbers of scratch.
fn bytes(scratch_len: usize) -> Result<usize, MsssimStatus> {
    let numbers = scratch_len.checked_mul(size_of::<f32>());
    let bytes = numbers.and_then(|bytes| bytes.checked_add(size_of::<MsssimStream>()));
    bytes.ok_or(MsssimStatus::TooLarge)
}

/// Writes the number of bytes that a stream needs to `*bytes`.
///
/// MSSSIM_STREAM_BYTES(width) is a constant that is large enough.
///
/// # Safety
/// `params` is null or readable; `bytes` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_stream_bytes(
    params: *const MsssimParams,
    width: usize,
    height: usize,
    bytes: *mut usize,
) -> MsssimStatus {
    let call = || {
        // SAFETY: the caller knows that it is readable.
        let params = unsafe { read(params) }?;
        let stream = Stream::new(Size { width, height }, &params.decoded()?)?;
        self::bytes(stream.scratch_len())
    };
    match call() {
        // SAFETY: the caller knows that it can be written to.
        Ok(needed) => unsafe { write(bytes, needed) }.into(),
        Err(status) => status,
    }
}

/// Makes a stream for one channel of images of a size, in memory that becomes its own, and writes it to
/// `*stream`; null where it fails.
///
/// `memory` is `bytes` bytes, as many as msssim_stream_bytes says or more, aligned to MSSSIM_STREAM_ALIGN.
/// There is nothing to be released. The stream must not be copied or moved.
///
/// # Safety
/// Pointers are null or to what their types say; nothing but this stream uses the memory from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_stream_init(
    memory: *mut c_void,
    bytes: usize,
    params: *const MsssimParams,
    width: usize,
    height: usize,
    stream: *mut *mut MsssimStream,
) -> MsssimStatus {
    // SAFETY: the caller knows that it can be written to.
    if let Err(status) = unsafe { write(stream, core::ptr::null_mut()) } {
        return status;
    }
    let call = || {
        if memory.is_null() {
            return Err(MsssimStatus::Null);
        }
        if !memory.addr().is_multiple_of(MSSSIM_STREAM_ALIGN) {
            return Err(MsssimStatus::Misaligned);
        }
        let written = [
            Region::of(memory.cast::<u8>(), bytes)?,
            Region::of(stream, 1)?,
        ];
        disjoint(&written, &[Region::of(params, 1)?])?;
        // SAFETY: the caller knows that it is readable.
        let params = unsafe { read(params) }?;
        let plan = Stream::new(Size { width, height }, &params.decoded()?)?;
        let scratch_len = plan.scratch_len();
        if bytes < self::bytes(scratch_len)? {
            return Err(MsssimStatus::ShortMemory);
        }
        let head = memory.cast::<MsssimStream>();
        // SAFETY: aligned, and long enough for both; the caller knows that it can be written to.
        unsafe {
            head.write(MsssimStream {
                magic: MAGIC,
                scratch_len,
                stream: plan,
            });
            head.add(1).cast::<f32>().write_bytes(0, scratch_len);
            write(stream, head)
        }
    };
    call().into()
}

/// Checks that a pointer is to a stream, and says how many numbers its scratch has and where all of it is.
///
/// # Safety
/// The pointer is null or to memory that a stream could be in.
unsafe fn check(stream: *const MsssimStream) -> Result<(usize, Region), MsssimStatus> {
    Region::of(stream, 1)?;
    // SAFETY: not null, aligned; the caller knows that it can be read. Any bits are a number.
    let (magic, scratch_len) = unsafe {
        let magic = (&raw const (*stream).magic).read();
        (magic, (&raw const (*stream).scratch_len).read())
    };
    if magic != MAGIC {
        return Err(MsssimStatus::NotAStream);
    }
    Ok((
        scratch_len,
        Region::of(stream.cast::<u8>(), bytes(scratch_len)?)?,
    ))
}

/// Takes the next rows of both images, as many as the two of one size here have; each has one channel and
/// the width of the stream's images.
///
/// # Safety
/// Pointers are null or to what their types say, and so are those of the images.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_stream_push(
    stream: *mut MsssimStream,
    reference: *const MsssimImage,
    distorted: *const MsssimImage,
) -> MsssimStatus {
    let call = || {
        // SAFETY: the caller knows that all can be read.
        let (of_stream, x, y) = unsafe { (check(stream)?, read(reference)?, read(distorted)?) };
        let (scratch_len, written) = of_stream;
        let read = [
            Region::of(reference, 1)?,
            Region::of(distorted, 1)?,
            x.region()?,
            y.region()?,
        ];
        disjoint(&[written], &read)?;
        // SAFETY: the caller knows that samples of that type can be read.
        let pair = unsafe { Pair::of(&x, &y) }?;
        // SAFETY: `msssim_stream_init` has laid both out, one after the other, and nothing else uses them.
        let (head, scratch) = unsafe {
            let scratch = stream.add(1).cast::<f32>();
            (
                &mut *stream,
                core::slice::from_raw_parts_mut(scratch, scratch_len),
            )
        };
        match &pair {
            Pair::U8([x, y]) => head.stream.push_rows(x.single()?, y.single()?, scratch)?,
            Pair::U16([x, y]) => head.stream.push_rows(x.single()?, y.single()?, scratch)?,
            Pair::F32([x, y]) => head.stream.push_rows(x.single()?, y.single()?, scratch)?,
        }
        Ok(())
    };
    call().into()
}

/// Rows that have arrived; 0 of what is not a stream.
///
/// # Safety
/// `stream` is null or from msssim_stream_init.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_stream_rows(stream: *const MsssimStream) -> usize {
    // SAFETY: the caller's; and it is a stream.
    unsafe { check(stream).map_or(0, |_| (*stream).stream.rows()) }
}

/// Writes the score to `*score`, once all rows have arrived.
///
/// # Safety
/// `stream` is null or from msssim_stream_init; `score` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_stream_score(
    stream: *const MsssimStream,
    score: *mut MsssimScore,
) -> MsssimStatus {
    let call = || {
        // SAFETY: the caller's.
        let (_, of_stream) = unsafe { check(stream) }?;
        disjoint(&[Region::of(score, 1)?], &[of_stream])?;
        // SAFETY: it is a stream, which nothing writes meanwhile.
        let result = unsafe { (*stream).stream.score() };
        let result = result.map_err(|_| MsssimStatus::MissingRows)?;
        // SAFETY: the caller knows that it can be written to.
        unsafe { write(score, MsssimScore::of(&result)) }
    };
    call().into()
}

/// Forgets all rows, for the next pair of images.
///
/// # Safety
/// `stream` is null or from msssim_stream_init.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_stream_restart(stream: *mut MsssimStream) -> MsssimStatus {
    // SAFETY: the caller's; and it is a stream, which nothing else uses meanwhile.
    unsafe { check(stream).map(|_| (*stream).stream.restart()) }.into()
}
