//! A block's shared memory, and who touched what between two barriers.

use crate::finding::{Access, Fault};
use crate::types::Space;

/// A reader: more than one warp.
const SEVERAL: u16 = u16::MAX;
/// A reader: more than one lane of the warp in the low bits.
const SEVERAL_LANES: u16 = 0x8000;

/// Who touched a granule. Threads count from 1, 0 being nobody.
#[derive(Clone, Copy, Default)]
struct Cell {
    writer: u16,
    reader: u16,
    /// Asynchronous copies under way.
    copies: u16,
    atomic: bool,
    /// Between which barriers of the block, and of the warp.
    written: u32,
    written_warp: u32,
    read: u32,
    read_warp: u32,
}

/// A thread as shared memory knows it.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    pub(crate) number: u32,
    /// How often its warp has synchronised.
    pub(crate) warp_epoch: u32,
}

impl Thread {
    fn id(self) -> u16 {
        self.number as u16 + 1
    }

    fn warp(self) -> u16 {
        (self.number / 32) as u16
    }
}

pub(crate) struct SharedMemory {
    data: Vec<u8>,
    cells: Vec<Cell>,
    granule: usize,
    /// Counts barriers through all blocks of a launch.
    epoch: u32,
    /// The epoch in which the block began.
    first: u32,
}

impl SharedMemory {
    /// `bytes` of memory in which races are looked for in units of `granule` bytes.
    pub(crate) fn new(bytes: usize, granule: usize) -> Self {
        Self {
            data: vec![0xcd; bytes],
            cells: vec![Cell::default(); bytes.div_ceil(granule)],
            granule,
            epoch: 1,
            first: 1,
        }
    }

    /// Forgets what the previous block did.
    pub(crate) fn begin_block(&mut self) {
        self.epoch += 1;
        self.first = self.epoch;
        for cell in &mut self.cells {
            cell.copies = 0;
        }
    }

    /// All threads of the block have met.
    pub(crate) fn barrier(&mut self) {
        self.epoch += 1;
    }

    /// Checks that `bytes` at `offset` exist and are aligned; returns the granules.
    #[inline]
    fn granules(
        &self,
        offset: u64,
        bytes: usize,
        access: Access,
    ) -> Result<std::ops::Range<usize>, Fault> {
        let size = self.data.len() as u64;
        if offset > size || offset + bytes as u64 > size {
            return Err(Fault::OutOfBounds {
                space: Space::Shared,
                access,
                address: offset,
                bytes: bytes as u32,
                bounds: (0, size),
            });
        }
        if !offset.is_multiple_of(bytes as u64) {
            return Err(Fault::Misaligned {
                space: Space::Shared,
                address: offset,
                bytes: bytes as u32,
            });
        }
        let offset = offset as usize;
        Ok(offset / self.granule..(offset + bytes).div_ceil(self.granule))
    }

    /// Checks one access of a thread, notes it, and returns the bytes.
    #[inline]
    pub(crate) fn touch(
        &mut self,
        offset: u64,
        bytes: usize,
        access: Access,
        thread: Thread,
    ) -> Result<&mut [u8], Fault> {
        for i in self.granules(offset, bytes, access)? {
            self.check(i, access, thread)?;
            let (epoch, cell) = (self.epoch, &mut self.cells[i]);
            if access == Access::Read {
                cell.note_read(epoch, thread);
            } else {
                cell.note_write(epoch, thread, access);
            }
        }
        Ok(&mut self.data[offset as usize..][..bytes])
    }

    /// An asynchronous copy to `offset` begins: from now until it lands nobody may touch the place.
    pub(crate) fn begin_copy(
        &mut self,
        offset: u64,
        bytes: usize,
        thread: Thread,
    ) -> Result<(), Fault> {
        for i in self.granules(offset, bytes, Access::Write)? {
            self.check(i, Access::Write, thread)?;
            self.cells[i].copies += 1;
        }
        Ok(())
    }

    /// The copy lands, by the thread that began it.
    pub(crate) fn end_copy(&mut self, offset: u64, data: &[u8], thread: Thread) {
        let offset = offset as usize;
        let last = (offset + data.len()).div_ceil(self.granule);
        for cell in &mut self.cells[offset / self.granule..last] {
            cell.copies = cell.copies.saturating_sub(1);
            cell.note_write(self.epoch, thread, Access::Write);
        }
        self.data[offset..][..data.len()].copy_from_slice(data);
    }

    /// Whether an access is ordered against those before it.
    #[inline(always)]
    fn check(&self, index: usize, access: Access, thread: Thread) -> Result<(), Fault> {
        let cell = &self.cells[index];
        let offset = (index * self.granule) as u64;
        if cell.copies > 0 {
            return Err(Fault::CopyInFlight { offset, access });
        }
        if access != Access::Write && cell.written < self.first {
            return Err(Fault::UninitialisedShared { offset });
        }
        let race = |earlier, other: Option<u16>| {
            Err(Fault::SharedRace {
                offset,
                earlier,
                thread: other.map(|id| u32::from(id) - 1),
                later: access,
                by: thread.number,
            })
        };
        let writer = cell.writer;
        if cell.written == self.epoch && writer != thread.id() {
            let ordered =
                (writer - 1) / 32 == thread.warp() && cell.written_warp != thread.warp_epoch;
            let both_atomic = cell.atomic && access == Access::Atomic;
            if !ordered && !both_atomic {
                let earlier = if cell.atomic {
                    Access::Atomic
                } else {
                    Access::Write
                };
                return race(earlier, Some(writer));
            }
        }
        if access == Access::Read || cell.read != self.epoch || cell.reader == thread.id() {
            return Ok(());
        }
        let (warp, who) = match cell.reader {
            SEVERAL => return race(Access::Read, None),
            several if several & SEVERAL_LANES != 0 => (several & !SEVERAL_LANES, None),
            one => ((one - 1) / 32, Some(one)),
        };
        if warp == thread.warp() && cell.read_warp != thread.warp_epoch {
            return Ok(());
        }
        race(Access::Read, who)
    }
}

impl Cell {
    #[inline(always)]
    fn note_read(&mut self, epoch: u32, thread: Thread) {
        let (id, warp) = (thread.id(), thread.warp());
        let same_epoch = self.read == epoch && self.reader != 0;
        let same_warp = match self.reader {
            SEVERAL => false,
            several if several & SEVERAL_LANES != 0 => several & !SEVERAL_LANES == warp,
            one => one != 0 && (one - 1) / 32 == warp,
        };
        self.reader = if !same_epoch || self.reader == id {
            id
        } else if !same_warp {
            SEVERAL
        } else if self.read_warp == thread.warp_epoch {
            SEVERAL_LANES | warp
        } else {
            // The warp has met since: its earlier reads are ordered.
            id
        };
        self.read = epoch;
        self.read_warp = thread.warp_epoch;
    }

    #[inline(always)]
    fn note_write(&mut self, epoch: u32, thread: Thread, access: Access) {
        self.writer = thread.id();
        self.written = epoch;
        self.written_warp = thread.warp_epoch;
        self.atomic = access == Access::Atomic;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(number: u32, warp_epoch: u32) -> Thread {
        Thread { number, warp_epoch }
    }

    #[test]
    fn reads_need_a_writer_of_this_block() {
        let mut memory = SharedMemory::new(8, 4);
        let fault = memory.touch(4, 4, Access::Read, thread(0, 0)).err();
        assert_eq!(fault, Some(Fault::UninitialisedShared { offset: 4 }));
        assert!(memory.touch(4, 4, Access::Write, thread(0, 0)).is_ok());
        assert!(memory.touch(4, 4, Access::Read, thread(0, 0)).is_ok());
        memory.begin_block();
        assert!(memory.touch(4, 4, Access::Read, thread(0, 0)).is_err());
    }

    #[test]
    fn threads_need_a_barrier_and_lanes_a_warp_barrier() {
        let mut memory = SharedMemory::new(8, 4);
        memory.touch(0, 4, Access::Write, thread(0, 0)).unwrap();
        assert!(memory.touch(0, 4, Access::Read, thread(1, 0)).is_err());
        assert!(memory.touch(0, 4, Access::Read, thread(1, 1)).is_ok());
        assert!(memory.touch(0, 4, Access::Read, thread(32, 1)).is_err());
        memory.barrier();
        assert!(memory.touch(0, 4, Access::Read, thread(1, 1)).is_ok());
        assert!(memory.touch(0, 4, Access::Read, thread(40, 0)).is_ok());
        let fault = memory.touch(0, 4, Access::Write, thread(1, 2)).err();
        assert!(matches!(
            fault,
            Some(Fault::SharedRace { thread: None, .. })
        ));
        memory.barrier();
        assert!(memory.touch(0, 4, Access::Write, thread(1, 2)).is_ok());
    }

    #[test]
    fn a_copy_under_way_is_nobodys() {
        let mut memory = SharedMemory::new(16, 4);
        memory.begin_copy(0, 16, thread(0, 0)).unwrap();
        let fault = memory.touch(8, 4, Access::Read, thread(0, 0)).err();
        assert!(matches!(fault, Some(Fault::CopyInFlight { offset: 8, .. })));
        memory.end_copy(0, &[7; 16], thread(0, 0));
        assert_eq!(memory.touch(8, 1, Access::Read, thread(0, 0)).unwrap(), [7]);
        assert!(memory.touch(8, 4, Access::Read, thread(33, 0)).is_err());
    }

    #[test]
    fn bounds_and_alignment() {
        let mut memory = SharedMemory::new(6, 2);
        let fault = memory.touch(4, 4, Access::Write, thread(0, 0)).err();
        assert!(matches!(
            fault,
            Some(Fault::OutOfBounds { bounds: (0, 6), .. })
        ));
        let fault = memory.touch(2, 4, Access::Write, thread(0, 0)).err();
        assert!(matches!(fault, Some(Fault::Misaligned { bytes: 4, .. })));
        assert!(
            memory
                .touch(u64::MAX, 2, Access::Write, thread(0, 0))
                .is_err()
        );
    }
}
