//! Device memory: allocations with bounds, and which block touched what during a launch.

use crate::finding::{Access, Fault};
use crate::types::{GLOBAL_WINDOW, Space};

/// The distance that allocations keep from each other, so that a step beyond one is noticed.
const GAP: u64 = 4096;
/// Addresses are multiples of this, as the driver's are.
const ALIGN: u64 = 256;
/// A reader of a word: more than one block.
const SEVERAL: u32 = u32::MAX;

/// Who touched a word during a launch. Blocks count from 1, 0 being nobody.
#[derive(Clone, Copy, Default)]
struct Word {
    launch: u32,
    writer: u32,
    reader: u32,
    /// Bytes of the word that the writer wrote, and in the upper half those that were read.
    bytes: u8,
    atomic: bool,
}

struct Allocation {
    base: u64,
    data: Vec<u8>,
    constant: bool,
    /// One for every four bytes, made when a kernel first touches the allocation.
    words: Vec<Word>,
}

/// A block in the middle of a launch, as device memory knows it.
#[derive(Clone, Copy)]
pub(crate) struct Toucher {
    pub(crate) launch: u32,
    /// Counted from 1.
    pub(crate) block: u32,
    /// Whether the block has executed a fence: it may then agree with other blocks on who reads
    /// what they wrote, which is not followed here.
    pub(crate) fenced: bool,
}

/// All of a device's memory.
#[derive(Default)]
pub(crate) struct DeviceMemory {
    /// Sorted by address.
    allocations: Vec<Allocation>,
    next: u64,
    /// The allocation that was found last.
    last: usize,
    pub(crate) allocated: u64,
}

impl DeviceMemory {
    /// Takes addresses for `bytes`; they are never given out again.
    fn reserve(&mut self, bytes: u64) -> u64 {
        let base = self.next.max(GLOBAL_WINDOW);
        self.next = (base + bytes).next_multiple_of(ALIGN) + GAP;
        base
    }

    /// Allocates, filled with all ones: NaN in every float type.
    pub(crate) fn allocate(&mut self, bytes: usize) -> u64 {
        let base = self.reserve(bytes as u64);
        self.insert(base, vec![0xff; bytes], false);
        base
    }

    /// Takes addresses for parts that keep their places among each other.
    pub(crate) fn allocate_parts<'d>(
        &mut self,
        bytes: usize,
        parts: impl Iterator<Item = (u64, &'d [u8], bool)>,
    ) -> u64 {
        let base = self.reserve(bytes as u64);
        for (offset, data, constant) in parts {
            self.insert(base + offset, data.to_vec(), constant);
        }
        base
    }

    fn insert(&mut self, base: u64, data: Vec<u8>, constant: bool) {
        self.allocated += data.len() as u64;
        self.allocations.push(Allocation {
            base,
            data,
            constant,
            words: Vec::new(),
        });
    }

    /// Frees the allocation that begins at `base`; false if there is none.
    pub(crate) fn free(&mut self, base: u64) -> bool {
        match self.allocations.binary_search_by_key(&base, |a| a.base) {
            Ok(i) => {
                self.allocated -= self.allocations[i].data.len() as u64;
                self.allocations.remove(i);
                true
            }
            Err(_) => false,
        }
    }

    /// The allocation at or below `address`.
    fn below(&self, address: u64) -> Option<usize> {
        self.allocations
            .partition_point(|a| a.base <= address)
            .checked_sub(1)
    }

    /// The address and size of the allocation at or below `address`, zeros if there is none.
    pub(crate) fn bounds(&self, address: u64) -> (u64, u64) {
        self.below(address).map_or((0, 0), |i| {
            let a = &self.allocations[i];
            (a.base, a.data.len() as u64)
        })
    }

    /// `bytes` bytes at `address`, for the host.
    pub(crate) fn slice(&self, address: u64, bytes: usize) -> Option<&[u8]> {
        let allocation = &self.allocations[self.below(address)?];
        let offset = (address - allocation.base) as usize;
        allocation.data.get(offset..)?.get(..bytes)
    }

    /// Likewise, to be written.
    pub(crate) fn slice_mut(&mut self, address: u64, bytes: usize) -> Option<&mut [u8]> {
        let i = self.below(address)?;
        let allocation = &mut self.allocations[i];
        let offset = (address - allocation.base) as usize;
        allocation.data.get_mut(offset..)?.get_mut(..bytes)
    }

    /// Checks one access of a lane and returns the bytes.
    #[inline]
    pub(crate) fn touch(
        &mut self,
        address: u64,
        bytes: usize,
        access: Access,
        by: Toucher,
    ) -> Result<&mut [u8], Fault> {
        let inside = |a: &Allocation| {
            let offset = address.wrapping_sub(a.base);
            offset < a.data.len() as u64 && offset + bytes as u64 <= a.data.len() as u64
        };
        let index = match self.allocations.get(self.last) {
            Some(a) if inside(a) => self.last,
            _ => match self.below(address) {
                Some(i) if inside(&self.allocations[i]) => i,
                _ => {
                    return Err(Fault::OutOfBounds {
                        space: Space::Global,
                        access,
                        address,
                        bytes: bytes as u32,
                        bounds: self.bounds(address),
                    });
                }
            },
        };
        self.last = index;
        if !address.is_multiple_of(bytes as u64) {
            return Err(Fault::Misaligned {
                space: Space::Global,
                address,
                bytes: bytes as u32,
            });
        }
        let allocation = &mut self.allocations[index];
        if allocation.constant && access != Access::Read {
            return Err(Fault::ReadOnly { address });
        }
        let offset = (address - allocation.base) as usize;
        if allocation.words.is_empty() {
            let words = allocation.data.len().div_ceil(4);
            allocation.words.resize(words, Word::default());
        }
        let mask = if bytes < 4 {
            ((1u8 << bytes) - 1) << (offset % 4)
        } else {
            15
        };
        for (i, word) in allocation.words[offset / 4..(offset + bytes).div_ceil(4)]
            .iter_mut()
            .enumerate()
        {
            word.touch(mask, access, by)
                .map_err(|(earlier, block)| Fault::GlobalRace {
                    address: (address & !3) + 4 * i as u64,
                    earlier,
                    block,
                    later: access,
                })?;
        }
        Ok(&mut allocation.data[offset..][..bytes])
    }
}

impl Word {
    /// Notes an access to the bytes in `mask`, or says which earlier one it races with.
    #[inline(always)]
    fn touch(
        &mut self,
        mask: u8,
        access: Access,
        by: Toucher,
    ) -> Result<(), (Access, Option<u64>)> {
        if self.launch != by.launch {
            *self = Self {
                launch: by.launch,
                ..Self::default()
            };
        }
        let number = |block: u32| (block != SEVERAL).then(|| u64::from(block) - 1);
        let foreign = self.writer != 0 && self.writer != by.block && self.bytes & mask != 0;
        if foreign && !by.fenced && !(self.atomic && access == Access::Atomic) {
            let earlier = if self.atomic {
                Access::Atomic
            } else {
                Access::Write
            };
            return Err((earlier, number(self.writer)));
        }
        if access == Access::Read {
            let first = self.reader == 0 || self.reader == by.block;
            self.reader = if first { by.block } else { SEVERAL };
            self.bytes |= mask << 4;
            return Ok(());
        }
        let read = self.reader != 0 && self.reader != by.block && self.bytes >> 4 & mask != 0;
        if read && !by.fenced {
            return Err((Access::Read, number(self.reader)));
        }
        if self.writer != by.block {
            self.bytes &= 0xf0;
        }
        self.writer = by.block;
        self.bytes |= mask;
        self.atomic = access == Access::Atomic;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Toucher = Toucher {
        launch: 1,
        block: 1,
        fenced: false,
    };
    const SECOND: Toucher = Toucher { block: 2, ..FIRST };

    #[test]
    fn bounds_alignment_and_freeing() {
        let mut memory = DeviceMemory::default();
        let a = memory.allocate(10);
        assert!(memory.touch(a + 8, 2, Access::Read, FIRST).is_ok());
        let beyond = memory.touch(a + 8, 4, Access::Read, FIRST);
        assert!(matches!(beyond, Err(Fault::OutOfBounds { bounds, .. }) if bounds == (a, 10)));
        assert!(memory.touch(a - 1, 1, Access::Read, FIRST).is_err());
        let odd = memory.touch(a + 1, 2, Access::Read, FIRST);
        assert!(matches!(odd, Err(Fault::Misaligned { bytes: 2, .. })));
        assert!(memory.free(a) && !memory.free(a));
        assert!(memory.touch(a, 1, Access::Read, FIRST).is_err());
        assert_ne!(memory.allocate(10), a);
    }

    #[test]
    fn blocks_may_share_words_but_not_bytes() {
        let mut memory = DeviceMemory::default();
        let a = memory.allocate(8);
        assert!(memory.touch(a, 1, Access::Write, FIRST).is_ok());
        assert!(memory.touch(a + 1, 1, Access::Write, SECOND).is_ok());
        let race = memory.touch(a + 1, 1, Access::Read, FIRST);
        assert!(matches!(
            race,
            Err(Fault::GlobalRace { block: Some(1), .. })
        ));
        assert!(memory.touch(a + 4, 4, Access::Read, FIRST).is_ok());
        assert!(memory.touch(a + 4, 4, Access::Write, SECOND).is_err());
        let next = Toucher {
            launch: 2,
            ..SECOND
        };
        assert!(memory.touch(a, 4, Access::Write, next).is_ok());
    }

    #[test]
    fn atomics_do_not_race_with_each_other() {
        let mut memory = DeviceMemory::default();
        let a = memory.allocate(4);
        assert!(memory.touch(a, 4, Access::Atomic, FIRST).is_ok());
        assert!(memory.touch(a, 4, Access::Atomic, SECOND).is_ok());
        assert!(memory.touch(a, 4, Access::Read, FIRST).is_err());
        let fenced = Toucher {
            fenced: true,
            ..FIRST
        };
        assert!(memory.touch(a, 4, Access::Read, fenced).is_ok());
    }
}
