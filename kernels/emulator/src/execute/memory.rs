//! Loads, stores, atomics and asynchronous copies.

use super::block::Block;
use super::warp::{Copy, Warp, lanes};
use super::{LaneFault, Outcome};
use crate::finding::{Access, Fault};
use crate::lanes::{Index, LANES, Register, keep};
use crate::program::{Atomic, CopyAsync, Memory};
use crate::shared::Thread;
use crate::types::{GLOBAL_WINDOW, LOCAL_WINDOW, SHARED_WINDOW, Space};

impl Block<'_> {
    /// Checks an access of one lane and returns the bytes.
    pub(super) fn touch(
        &mut self,
        space: Space,
        address: u64,
        bytes: usize,
        access: Access,
        thread: Thread,
    ) -> Result<&mut [u8], Fault> {
        match space {
            Space::Global | Space::Constant => {
                let moved = match access {
                    Access::Read => &mut self.counters.global_read_bytes,
                    Access::Write | Access::Atomic => &mut self.counters.global_written_bytes,
                };
                *moved += bytes as u64;
                self.memory.touch(address, bytes, access, self.by)
            }
            Space::Shared => self.shared.touch(address, bytes, access, thread),
            Space::Generic => {
                let (space, offset) = match address {
                    SHARED_WINDOW..LOCAL_WINDOW => (Space::Shared, address - SHARED_WINDOW),
                    LOCAL_WINDOW..GLOBAL_WINDOW => (Space::Local, address - LOCAL_WINDOW),
                    _ => (Space::Global, address),
                };
                self.touch(space, offset, bytes, access, thread)
            }
            Space::Parameter => Err(Fault::ReadOnly { address }),
            Space::Local => {
                let size = self.launch.kernel.local;
                if address > size as u64 || address + bytes as u64 > size as u64 {
                    return Err(Fault::OutOfBounds {
                        space,
                        access,
                        address,
                        bytes: bytes as u32,
                        bounds: (0, size as u64),
                    });
                }
                if !address.is_multiple_of(bytes as u64) {
                    return Err(Fault::Misaligned {
                        space,
                        address,
                        bytes: bytes as u32,
                    });
                }
                let start = thread.number as usize * size + address as usize;
                Ok(&mut self.local[start..][..bytes])
            }
        }
    }

    pub(super) fn load(
        &mut self,
        number: u32,
        warp: &mut Warp,
        load: &Memory,
        active: u32,
    ) -> Outcome {
        let (bytes, len) = (usize::from(load.bytes), usize::from(load.len));
        let mut values: [Register; 4] = [[0; LANES]; 4];
        for lane in lanes(active) {
            let base = warp.registers[usize::from(load.address)][lane];
            let address = base.wrapping_add_signed(load.offset);
            if load.space == Space::Parameter {
                let parameters = self.launch.parameters;
                let data = usize::try_from(address)
                    .ok()
                    .and_then(|at| parameters.get(at..)?.get(..bytes * len));
                let Some(data) = data else {
                    return Err(LaneFault::new(
                        lane,
                        Fault::OutOfBounds {
                            space: Space::Parameter,
                            access: Access::Read,
                            address,
                            bytes: (bytes * len) as u32,
                            bounds: (0, parameters.len() as u64),
                        },
                    ));
                };
                for (element, value) in values.iter_mut().enumerate().take(len) {
                    value[lane] = number_in(&data[element * bytes..], load.bytes, load.signed);
                }
                continue;
            }
            let thread = Self::thread(number, lane, warp);
            let data = self
                .touch(load.space, address, bytes * len, Access::Read, thread)
                .map_err(|fault| LaneFault::new(lane, fault))?;
            for (element, value) in values.iter_mut().enumerate().take(len) {
                value[lane] = number_in(&data[element * bytes..], load.bytes, load.signed);
            }
        }
        for (register, value) in load.registers.iter().zip(&values).take(len) {
            if let Some(register) = register {
                keep(&mut warp.registers, *register, active, value);
            }
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        number: u32,
        warp: &Warp,
        store: &Memory,
        active: u32,
    ) -> Outcome {
        let (bytes, len) = (usize::from(store.bytes), usize::from(store.len));
        for lane in lanes(active) {
            let base = warp.registers[usize::from(store.address)][lane];
            let address = base.wrapping_add_signed(store.offset);
            let thread = Self::thread(number, lane, warp);
            if store.space == Space::Parameter {
                return Err(LaneFault::new(lane, Fault::ReadOnly { address }));
            }
            let data = self
                .touch(store.space, address, bytes * len, Access::Write, thread)
                .map_err(|fault| LaneFault::new(lane, fault))?;
            for (chunk, register) in data.chunks_exact_mut(bytes).zip(&store.registers) {
                if let Some(register) = register {
                    let value = warp.registers[usize::from(*register)][lane];
                    chunk.copy_from_slice(&value.to_le_bytes()[..bytes]);
                }
            }
        }
        Ok(())
    }

    pub(super) fn atomic(
        &mut self,
        number: u32,
        warp: &mut Warp,
        atomic: &Atomic,
        active: u32,
    ) -> Outcome {
        let bytes = usize::from(atomic.bytes);
        let mut olds = [0; LANES];
        for lane in lanes(active) {
            let base = warp.registers[usize::from(atomic.address)][lane];
            let address = base.wrapping_add_signed(atomic.offset);
            let [a, b] = atomic.from.map(|r| warp.registers[usize::from(r)][lane]);
            let thread = Self::thread(number, lane, warp);
            let data = self
                .touch(atomic.space, address, bytes, Access::Atomic, thread)
                .map_err(|fault| LaneFault::new(lane, fault))?;
            olds[lane] = number_in(data, atomic.bytes, false);
            let new = (atomic.update)(olds[lane], a, b);
            data.copy_from_slice(&new.to_le_bytes()[..bytes]);
        }
        if let Some(to) = atomic.to {
            keep(&mut warp.registers, to, active, &olds);
        }
        Ok(())
    }

    /// Reads the source now, as good a time as any until the wait; the destination changes there.
    pub(super) fn copy_async(
        &mut self,
        number: u32,
        warp: &mut Warp,
        copy: &CopyAsync,
        active: u32,
    ) -> Outcome {
        let bytes = usize::from(copy.bytes);
        for lane in lanes(active) {
            let value = |index: Index| warp.registers[usize::from(index)][lane];
            let to = value(copy.to).wrapping_add_signed(copy.to_offset);
            let from = value(copy.from).wrapping_add_signed(copy.from_offset);
            let read = copy
                .read
                .map_or(bytes, |read| (value(read) as u32 as usize).min(bytes));
            let thread = Self::thread(number, lane, warp);
            let at = |fault| LaneFault::new(lane, fault);
            let mut data = [0; 16];
            if read > 0 {
                // The source must be aligned to the whole copy, however little of it is read.
                if !from.is_multiple_of(bytes as u64) {
                    return Err(at(Fault::Misaligned {
                        space: Space::Global,
                        address: from,
                        bytes: bytes as u32,
                    }));
                }
                // A part is read byte by byte: it need not have the size of any access.
                let step = if read == bytes { bytes } else { 1 };
                for i in (0..read).step_by(step) {
                    let source = from + i as u64;
                    let part = self.touch(Space::Global, source, step, Access::Read, thread);
                    data[i..i + step].copy_from_slice(part.map_err(at)?);
                }
            }
            self.shared.begin_copy(to, bytes, thread).map_err(at)?;
            warp.copies.push(Copy {
                lane: lane as u8,
                group: warp.committed[lane],
                to,
                data,
                bytes: copy.bytes,
            });
        }
        Ok(())
    }

    /// Lands the copies of all but the last `pending` groups of each lane.
    pub(super) fn copy_wait(&mut self, number: u32, warp: &mut Warp, pending: u32, active: u32) {
        let copies = std::mem::take(&mut warp.copies);
        for copy in copies {
            let lane = usize::from(copy.lane);
            let committed = warp.committed[lane];
            if active >> lane & 1 == 1
                && u64::from(copy.group) + u64::from(pending) < committed.into()
            {
                let thread = Self::thread(number, lane, warp);
                self.shared
                    .end_copy(copy.to, &copy.data[..usize::from(copy.bytes)], thread);
            } else {
                warp.copies.push(copy);
            }
        }
    }
}

/// The little-endian number of `bytes` bytes that `data` begins with.
#[inline(always)]
fn number_in(data: &[u8], bytes: u8, signed: bool) -> u64 {
    macro_rules! read {
        ($unsigned:ty, $signed:ty, $n:literal) => {{
            let mut array = [0; $n];
            array.copy_from_slice(&data[..$n]);
            let value = <$unsigned>::from_le_bytes(array);
            // Into a wider register a signed number goes with its sign.
            if signed {
                value as $signed as i64 as u64
            } else {
                u64::from(value)
            }
        }};
    }
    match bytes {
        1 => read!(u8, i8, 1),
        2 => read!(u16, i16, 2),
        4 => read!(u32, i32, 4),
        _ => read!(u64, i64, 8),
    }
}
