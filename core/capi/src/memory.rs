//! Pointers from C: checked as far as they can be, then borrowed.

use core::ffi::c_char;
use core::fmt::{self, Display, Write};
use core::mem::size_of;

use crate::status::MsssimStatus;

/// Bytes from one address on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    start: usize,
    bytes: usize,
}

impl Region {
    /// `len` values from `pointer` on.
    ///
    /// # Errors
    /// `Null`, unless there are none; `Misaligned`; `TooLarge` for more than an object can have, or beyond
    /// the last address.
    pub(crate) fn of<T>(pointer: *const T, len: usize) -> Result<Self, MsssimStatus> {
        if pointer.is_null() && len > 0 {
            return Err(MsssimStatus::Null);
        }
        if !pointer.is_aligned() {
            return Err(MsssimStatus::Misaligned);
        }
        let start = pointer.addr();
        let bytes = len
            .checked_mul(size_of::<T>())
            .filter(|bytes| isize::try_from(*bytes).is_ok() && start.checked_add(*bytes).is_some())
            .ok_or(MsssimStatus::TooLarge)?;
        Ok(Self { start, bytes })
    }

    fn overlaps(self, other: Self) -> bool {
        let nothing = self.bytes == 0 || other.bytes == 0;
        !nothing && self.start < other.start + other.bytes && other.start < self.start + self.bytes
    }
}

/// Checks that nothing that is written overlaps anything else.
///
/// # Errors
/// `Overlap`.
pub(crate) fn disjoint(written: &[Region], read: &[Region]) -> Result<(), MsssimStatus> {
    for (i, region) in written.iter().enumerate() {
        let others = written.iter().skip(i + 1).chain(read);
        if others.copied().any(|other| region.overlaps(other)) {
            return Err(MsssimStatus::Overlap);
        }
    }
    Ok(())
}

/// The value at `pointer`.
///
/// # Errors
/// `Null` or `Misaligned`.
///
/// # Safety
/// A pointer that is neither is to a `T` that nothing writes meanwhile.
pub(crate) unsafe fn read<T: Copy>(pointer: *const T) -> Result<T, MsssimStatus> {
    Region::of(pointer, 1)?;
    // SAFETY: not null and aligned; the caller knows that it is readable.
    Ok(unsafe { pointer.read() })
}

/// Writes where `pointer` is to, whatever it held.
///
/// # Errors
/// `Null` or `Misaligned`.
///
/// # Safety
/// A pointer that is neither can be written a `T` to.
pub(crate) unsafe fn write<T>(pointer: *mut T, value: T) -> Result<(), MsssimStatus> {
    Region::of(pointer, 1)?;
    // SAFETY: not null and aligned; the caller knows that it is writable.
    unsafe { pointer.write(value) };
    Ok(())
}

/// `len` values that are only read.
///
/// # Errors
/// Those of [`Region::of`].
///
/// # Safety
/// Memory that passes is `len` values, which nothing writes during `'a`.
pub(crate) unsafe fn slice<'a, T: Copy>(
    pointer: *const T,
    len: usize,
) -> Result<&'a [T], MsssimStatus> {
    Region::of(pointer, len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: not null, aligned, no longer than an object can be; the caller knows that it is readable.
    Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
}

/// `len` numbers to be written, cleared first: C need not have initialised them.
///
/// # Errors
/// Those of [`Region::of`].
///
/// # Safety
/// Memory that passes is writable for `len` numbers, and nothing else reads or writes it during `'a`.
pub(crate) unsafe fn cleared<'a>(
    pointer: *mut f32,
    len: usize,
) -> Result<&'a mut [f32], MsssimStatus> {
    Region::of(pointer, len)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not null, aligned, no longer than an object can be; the caller knows that it is writable, and
    // his alone. All zeros are numbers.
    Ok(unsafe {
        pointer.write_bytes(0, len);
        core::slice::from_raw_parts_mut(pointer, len)
    })
}

/// Writes words and a 0, of up to `len` bytes together; what does not fit is cut.
///
/// # Safety
/// `len` bytes from `to` on can be written to.
pub(crate) unsafe fn write_text(to: *mut c_char, len: usize, words: &dyn Display) {
    let Some(room) = len.checked_sub(1) else {
        return;
    };
    let mut text = Text {
        start: to.cast(),
        room,
        len: 0,
    };
    // The only error is that there is no more room.
    let _ = write!(text, "{words}");
    // SAFETY: at most `room`, which is less than `len`.
    unsafe { text.start.add(text.len).write(0) };
}

/// Text in C's memory.
struct Text {
    start: *mut u8,
    room: usize,
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for byte in s.bytes() {
            if self.len == self.room {
                return Err(fmt::Error);
            }
            // SAFETY: `len` is less than `room`, which the caller of `write_text` has given.
            unsafe { self.start.add(self.len).write(byte) };
            self.len += 1;
        }
        Ok(())
    }
}
