//! The exported functions, named and typed as in `cuda.h`.
//!
//! Pointers from callers are wrapped where they arrive: an [`Out`], a [`Text`] or a [`Buffer`] exists
//! only as an argument of an exported function, and the driver's contract, that a caller passes null
//! or a pointer that is good for the call, is what each `SAFETY` below rests on.

mod context;
mod memory;
mod module;
mod stream;

use std::ffi::{CStr, c_char, c_void};
use std::sync::Mutex;

use crate::driver::{Driver, Host};
use crate::status::{Outcome, Status};

static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);

/// Runs `f` on the driver's state, initialised or not.
fn with_any<T>(f: impl FnOnce(&mut Driver) -> T) -> T {
    let mut driver = DRIVER
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    f(driver.get_or_insert_default())
}

/// Runs `f` on the driver's state after `cuInit`.
fn with<T>(f: impl FnOnce(&mut Driver) -> Outcome<T>) -> Outcome<T> {
    with_any(|driver| {
        if driver.initialised {
            f(driver)
        } else {
            Err(Status::NotInitialized.into())
        }
    })
}

/// Where a caller wants a result.
#[repr(transparent)]
struct Out<T>(*mut T);

impl<T> Out<T> {
    fn put(self, value: T) -> Outcome {
        if self.0.is_null() {
            return Err(Status::InvalidValue.into());
        }
        // SAFETY: not null, so the caller's place for one `T`.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }

    /// The same where the caller may pass null.
    fn put_if_wanted(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, so the caller's place for one `T`.
            unsafe { self.0.write_unaligned(value) };
        }
    }
}

/// A caller's text, up to its zero.
#[repr(transparent)]
struct Text(*const c_char);

impl Text {
    fn read(&self) -> Outcome<String> {
        if self.0.is_null() {
            return Err(Status::InvalidValue.into());
        }
        // SAFETY: not null, so the caller's zero-terminated text.
        let text = unsafe { CStr::from_ptr(self.0) };
        Ok(text.to_string_lossy().into_owned())
    }
}

/// A caller's bytes, whose number another argument tells.
#[repr(transparent)]
struct Buffer(*mut c_void);

impl Buffer {
    fn write(&self, bytes: &[u8]) {
        if !self.0.is_null() {
            // SAFETY: not null, so the caller's place for as many bytes as it said.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.cast(), bytes.len()) };
        }
    }

    fn read(&self, into: &mut [u8]) {
        if !self.0.is_null() {
            // SAFETY: not null, so as many of the caller's bytes as it said.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    self.0.cast_const().cast(),
                    into.as_mut_ptr(),
                    into.len(),
                );
            }
        }
    }
}

/// A caller's array.
#[repr(transparent)]
struct Array<T>(*const T);

impl<T: Copy> Array<T> {
    /// Element `index`, which the caller's count or the function's contract says is there.
    fn get(&self, index: usize) -> Outcome<T> {
        if self.0.is_null() {
            return Err(Status::InvalidValue.into());
        }
        // SAFETY: not null, so the caller's array with at least `index + 1` elements.
        Ok(unsafe { self.0.add(index).read_unaligned() })
    }
}

/// The host's memory, for commands that reach it now or when a graph is launched.
struct CallersMemory;

impl Host for CallersMemory {
    fn read(&self, from: usize, into: &mut [u8]) {
        Buffer(from as *mut c_void).read(into);
    }

    fn write(&self, to: usize, bytes: &[u8]) {
        Buffer(to as *mut c_void).write(bytes);
    }

    fn call(&self, function: usize, argument: usize) {
        if function != 0 {
            // SAFETY: the function that the caller gave to `cuLaunchHostFunc`, with its argument.
            unsafe {
                let function: extern "C" fn(*mut c_void) = std::mem::transmute(function);
                function(argument as *mut c_void);
            }
        }
    }

    fn is_pinned(&self, address: usize, bytes: usize) -> bool {
        memory::is_pinned(address, bytes)
    }
}

/// Exports functions that return a `CUresult`.
macro_rules! export {
    ($(fn $name:ident($($argument:ident: $t:ty),* $(,)?) $body:block)*) => {$(
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "named as in cuda.h")]
        extern "C" fn $name($($argument: $t),*) -> i32 {
            let body = move || -> $crate::status::Outcome { $body };
            $crate::status::report(body())
        }
    )*};
}

use export;
