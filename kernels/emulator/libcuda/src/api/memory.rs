//! Device and host memory, copies and fills.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;

use super::{Buffer, CallersMemory, Out, export, with};
use crate::driver::Command;
use crate::status::{Failure, Outcome, Status};

/// The pool that asynchronous allocations come from: there is one, without limits.
const POOL: usize = 1;

/// Pinned host memory, by address.
static HOST: Mutex<Option<HashMap<usize, Layout>>> = Mutex::new(None);

/// Runs `f` on the list of pinned memory.
fn with_host<T>(f: impl FnOnce(&mut HashMap<usize, Layout>) -> T) -> T {
    let mut host = HOST.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    f(host.get_or_insert_default())
}

/// Whether all of it lies in pinned memory.
pub(super) fn is_pinned(address: usize, bytes: usize) -> bool {
    with_host(|host| {
        host.iter().any(|(begin, layout)| {
            let within = address.checked_sub(*begin);
            within.is_some_and(|offset| bytes <= layout.size().saturating_sub(offset))
        })
    })
}

fn allocate_host(bytes: usize) -> Outcome<usize> {
    let layout = Layout::from_size_align(bytes.max(1), 4096).map_err(|_| Status::OutOfMemory)?;
    let most = with(|driver| Ok(driver.settings.pinned))?;
    let used: usize = with_host(|host| host.values().map(Layout::size).sum());
    if layout.size() as u64 > most.saturating_sub(used as u64) {
        let text = format!("{bytes} bytes of host memory to be pinned, {used} of {most} are");
        return Err(Failure::new(Status::OutOfMemory, text));
    }
    // SAFETY: the layout's size is not zero.
    let address = unsafe { alloc_zeroed(layout) } as usize;
    if address == 0 {
        return Err(Status::OutOfMemory.into());
    }
    with_host(|host| host.insert(address, layout));
    Ok(address)
}

fn free_host(address: usize) -> Outcome {
    let layout = with_host(|host| host.get(&address).copied()).ok_or(Status::InvalidValue)?;
    with(|driver| driver.check_unused(address, layout.size()))?;
    let layout = with_host(|host| host.remove(&address)).ok_or(Status::InvalidValue)?;
    // SAFETY: allocated above with this layout, and removed from the list: freed once.
    unsafe { dealloc(address as *mut u8, layout) };
    Ok(())
}

fn submit(stream: usize, command: Command) -> Outcome {
    with(|driver| driver.submit(stream, command, &CallersMemory))
}

/// A blocking call: like its asynchronous twin on the default stream, but never captured, and waited for.
fn at_once(command: Command) -> Outcome {
    submit(0, command)?;
    with(|driver| driver.finish(0, &CallersMemory))
}

/// The content of `from` is noted when the command is submitted.
fn upload(to: u64, from: *const c_void, bytes: usize) -> Command {
    Command::Upload {
        to,
        from: from as usize,
        bytes,
        held: None,
    }
}

fn fill(stream: usize, to: u64, unit: &[u8], count: usize) -> Outcome {
    let unit = unit.to_vec();
    submit(stream, Command::Fill { to, unit, count })
}

export! {
    fn cuMemAlloc_v2(address: Out<u64>, bytes: usize) {
        address.put(with(|driver| driver.allocate(bytes, &CallersMemory))?)
    }

    fn cuMemAllocAsync(address: Out<u64>, bytes: usize, _stream: usize) {
        address.put(with(|driver| driver.allocate(bytes, &CallersMemory))?)
    }

    fn cuMemAllocFromPoolAsync(address: Out<u64>, bytes: usize, _pool: usize, _stream: usize) {
        address.put(with(|driver| driver.allocate(bytes, &CallersMemory))?)
    }

    fn cuMemFree_v2(address: u64) {
        with(|driver| {
            driver.finish_all(&CallersMemory)?;
            driver.free(address)
        })
    }

    fn cuMemFreeAsync(address: u64, stream: usize) {
        submit(stream, Command::Free(address))
    }

    fn cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) {
        let (used, memory) = with(|driver| Ok((driver.device.allocated(), driver.settings.memory)))?;
        free.put(memory.saturating_sub(used) as usize)?;
        total.put(memory as usize)
    }

    fn cuMemHostAlloc(address: Out<usize>, bytes: usize, _flags: u32) {
        address.put(allocate_host(bytes)?)
    }

    fn cuMemFreeHost(address: *mut c_void) {
        free_host(address as usize)
    }

    fn cuDeviceGetDefaultMemPool(pool: Out<usize>, _device: i32) {
        pool.put(POOL)
    }

    fn cuDeviceGetMemPool(pool: Out<usize>, _device: i32) {
        pool.put(POOL)
    }

    fn cuDeviceSetMemPool(_device: i32, _pool: usize) {
        Ok(())
    }

    fn cuMemPoolSetAttribute(_pool: usize, _attribute: i32, _value: *mut c_void) {
        Ok(())
    }

    fn cuMemPoolGetAttribute(_pool: usize, _attribute: i32, value: Buffer) {
        value.write(&0u32.to_le_bytes());
        Ok(())
    }

    fn cuMemPoolTrimTo(_pool: usize, _bytes: usize) {
        Ok(())
    }

    fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) {
        at_once(upload(to, from, bytes))
    }

    fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: usize) {
        submit(stream, upload(to, from, bytes))
    }

    fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) {
        at_once(Command::Download { to: to as usize, from, bytes })
    }

    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: usize) {
        submit(stream, Command::Download { to: to as usize, from, bytes })
    }

    fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) {
        at_once(Command::Copy { to, from, bytes })
    }

    fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: usize) {
        submit(stream, Command::Copy { to, from, bytes })
    }

    fn cuMemsetD8_v2(to: u64, value: u8, count: usize) {
        fill(0, to, &[value], count)
    }

    fn cuMemsetD8Async(to: u64, value: u8, count: usize, stream: usize) {
        fill(stream, to, &[value], count)
    }

    fn cuMemsetD32_v2(to: u64, value: u32, count: usize) {
        fill(0, to, &value.to_le_bytes(), count)
    }

    fn cuMemsetD32Async(to: u64, value: u32, count: usize, stream: usize) {
        fill(stream, to, &value.to_le_bytes(), count)
    }
}
