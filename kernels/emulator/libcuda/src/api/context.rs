//! Initialisation, the device, its context, and errors.

use std::ffi::{CString, c_char};

use super::{Buffer, CallersMemory, Out, Text, export, with, with_any};
use crate::driver::{Order, Settings};
use crate::status::{Failure, Outcome, Status, name, text};

/// The context of the device: there is one.
const CONTEXT: usize = 1;

/// Attributes by their numbers in `CUdevice_attribute`.
fn attribute(number: i32, capability: i32) -> i32 {
    match number {
        // Threads: of a block; a block's and a grid's extents.
        1 => 1024,
        2 | 3 => 1024,
        4 => 64,
        5 => i32::MAX,
        6 | 7 => 65535,
        // Shared memory of a block, constant memory, lanes, pitch, registers, clock in kHz.
        8 => 48 << 10,
        9 => 64 << 10,
        10 => 32,
        11 => i32::MAX,
        12 | 82 => 65536,
        13 => 1_000_000,
        // Multiprocessors, unified addresses, memory clock and width, L2, threads of one.
        16 => 16,
        41 => 1,
        36 => 1_000_000,
        37 => 256,
        38 => 4 << 20,
        39 => 2048,
        75 => capability / 10,
        76 => capability % 10,
        // Shared memory of a multiprocessor, that which a block may ask for, memory pools.
        81 => 228 << 10,
        97 => msssim_ptx_emulator::MAX_SHARED as i32,
        115 => 1,
        _ => 0,
    }
}

fn check_device(device: i32) -> Outcome {
    with(|driver| {
        if (0..driver.settings.devices).contains(&device) {
            Ok(())
        } else {
            Err(Status::InvalidDevice.into())
        }
    })
}

export! {
    fn cuInit(flags: u32) {
        with_any(|driver| {
            if flags != 0 {
                return Err(Status::InvalidValue.into());
            }
            if driver.settings.mismatch {
                let text = "system has unsupported display driver / cuda driver combination";
                return Err(Failure::new(Status::SystemDriverMismatch, text));
            }
            if driver.settings.devices < 1 {
                return Err(Status::NoDevice.into());
            }
            driver.initialised = true;
            Ok(())
        })
    }

    fn cuDriverGetVersion(version: Out<i32>) {
        version.put(with_any(|driver| driver.settings.driver_version))
    }

    fn cuDeviceGetCount(count: Out<i32>) {
        count.put(with(|driver| Ok(driver.settings.devices))?)
    }

    fn cuDeviceGet(device: Out<i32>, ordinal: i32) {
        check_device(ordinal)?;
        device.put(ordinal)
    }

    fn cuDeviceGetName(buffer: Buffer, len: i32, device: i32) {
        check_device(device)?;
        let len = usize::try_from(len).map_err(|_| Status::InvalidValue)?;
        let mut text = b"PTX emulator".to_vec();
        text.truncate(len.saturating_sub(1));
        text.push(0);
        text.truncate(len);
        buffer.write(&text);
        Ok(())
    }

    fn cuDeviceGetUuid(uuid: Out<[u8; 16]>, device: i32) {
        check_device(device)?;
        uuid.put(*b"msssim emulated\0")
    }

    fn cuDeviceGetUuid_v2(uuid: Out<[u8; 16]>, device: i32) {
        check_device(device)?;
        uuid.put(*b"msssim emulated\0")
    }

    fn cuDeviceTotalMem_v2(bytes: Out<usize>, device: i32) {
        check_device(device)?;
        bytes.put(with(|driver| Ok(driver.settings.memory as usize))?)
    }

    fn cuDeviceGetAttribute(value: Out<i32>, number: i32, device: i32) {
        check_device(device)?;
        let capability = with(|driver| Ok(driver.settings.compute_capability))?;
        value.put(attribute(number, capability))
    }

    fn cuDevicePrimaryCtxRetain(context: Out<usize>, device: i32) {
        check_device(device)?;
        context.put(CONTEXT)
    }

    fn cuDevicePrimaryCtxRelease_v2(device: i32) {
        check_device(device)
    }

    fn cuCtxGetCurrent(context: Out<usize>) {
        context.put(with(|_| Ok(CONTEXT))?)
    }

    fn cuCtxSetCurrent(context: usize) {
        with(|_| if context == CONTEXT || context == 0 { Ok(()) } else { Err(Status::InvalidContext.into()) })
    }

    fn cuCtxSynchronize() {
        with(|driver| driver.synchronise(None, &CallersMemory))
    }

    fn cuCtxGetStreamPriorityRange(least: Out<i32>, greatest: Out<i32>) {
        least.put_if_wanted(0);
        greatest.put_if_wanted(-5);
        Ok(())
    }

    fn cuCtxGetLimit(value: Out<usize>, _limit: i32) {
        value.put(0)
    }

    fn cuCtxSetLimit(_limit: i32, _value: usize) {
        Ok(())
    }

    fn cuCtxGetCacheConfig(value: Out<i32>) {
        value.put(0)
    }

    fn cuCtxSetCacheConfig(_value: i32) {
        Ok(())
    }

    fn cuProfilerStart() {
        Ok(())
    }

    fn cuProfilerStop() {
        Ok(())
    }

    fn cuGetErrorName(code: i32, out: Out<*const c_char>) {
        let name = name(code).ok_or(Status::InvalidValue)?;
        out.put(keep(CString::new(name).unwrap_or_default()))
    }

    fn cuGetErrorString(code: i32, out: Out<*const c_char>) {
        let text = text(code).ok_or(Status::InvalidValue)?;
        out.put(keep(text))
    }
}

/// The driver's texts live as long as the process, and so do these; errors are rare.
fn keep(text: CString) -> *const c_char {
    text.into_raw()
}

/// Changes the device; the settings are those of [`crate::Setting`]. Not a function of CUDA's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "beside cuda.h's names")]
extern "C" fn emulatorConfigure(setting: i32, value: i64) {
    with_any(|driver| {
        let settings = &mut driver.settings;
        let small = i32::try_from(value).unwrap_or(i32::MAX);
        match setting {
            0 => settings.devices = small,
            1 => settings.compute_capability = small,
            2 => settings.memory = u64::try_from(value).unwrap_or(0),
            3 => settings.driver_version = small,
            4 => settings.newest_ptx = Some(small),
            5 => settings.mismatch = small != 0,
            _ => settings.pinned = u64::try_from(value).unwrap_or(0),
        }
    });
}

/// Makes the device what it was at first, and ends the journal. Not a function of CUDA's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "beside cuda.h's names")]
extern "C" fn emulatorReset() {
    with_any(|driver| {
        driver.settings = Settings::default();
        driver.journal = None;
    });
}

/// Sets when what is put into streams is done, by the number of a [`crate::Order`]. Not a function of CUDA's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "beside cuda.h's names")]
extern "C" fn emulatorOrder(order: i32) {
    with_any(|driver| {
        driver.settings.order = match order {
            1 => Order::Late,
            2 => Order::CopiesFirst,
            _ => Order::AtOnce,
        };
    });
}

/// Begins a journal, without what was in it. Not a function of CUDA's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "beside cuda.h's names")]
extern "C" fn emulatorWatch() {
    with_any(|driver| driver.journal = Some(Vec::new()));
}

/// The bytes of the journal so far, lines that end with a line feed; where there is `room` for all, writes
/// them. Not a function of CUDA's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "beside cuda.h's names")]
extern "C" fn emulatorWatched(buffer: Buffer, room: usize) -> usize {
    let lines = with_any(|driver| driver.journal.clone().unwrap_or_default());
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    if text.len() <= room {
        buffer.write(text.as_bytes());
    }
    text.len()
}

/// Has launches do nothing: those of `kernel`, of all kernels if it is empty, of none if it is null. Not a
/// function of CUDA's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "beside cuda.h's names")]
extern "C" fn emulatorIdle(kernel: Text) {
    let kernel = kernel.read().ok();
    with_any(|driver| driver.settings.idle = kernel);
}

/// Has PTX with this kernel be refused, or no PTX if it is null. Not a function of CUDA's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "beside cuda.h's names")]
extern "C" fn emulatorRefuse(kernel: Text) {
    let kernel = kernel.read().ok();
    with_any(|driver| driver.settings.refused = kernel);
}

/// The failure of what this library does not do.
pub(super) fn not_supported(what: &str) -> Failure {
    Failure::new(Status::NotSupported, format!("{what} is not emulated"))
}
