//! A warp's state, and the choice of the lanes that run next.

use crate::lanes::{LANES, Register};

/// An asynchronous copy that has not landed.
pub(super) struct Copy {
    pub(super) lane: u8,
    /// The lane's group that it belongs to.
    pub(super) group: u32,
    pub(super) to: u64,
    pub(super) data: [u8; 16],
    pub(super) bytes: u8,
}

/// Where lanes wait for the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) barrier: u8,
    /// Warps that must come; all that are still running if it is not said.
    pub(super) warps: Option<u32>,
    pub(super) line: u32,
}

pub(super) struct Warp {
    pub(super) registers: Vec<Register>,
    pub(super) pc: [u32; LANES],
    /// Lanes that have not returned.
    pub(super) live: u32,
    /// Lanes that wait at the barrier `wait`.
    pub(super) at_barrier: u32,
    pub(super) wait: Option<Wait>,
    /// Lanes that wait at their instruction for others of the warp.
    pub(super) parked: u32,
    /// Counts `bar.warp.sync`.
    pub(super) epoch: u32,
    pub(super) copies: Vec<Copy>,
    /// Groups that each lane has committed.
    pub(super) committed: [u32; LANES],
}

impl Warp {
    pub(super) fn new(registers: usize) -> Self {
        Self {
            registers: vec![[0; LANES]; registers],
            pc: [0; LANES],
            live: 0,
            at_barrier: 0,
            wait: None,
            parked: 0,
            epoch: 0,
            copies: Vec::new(),
            committed: [0; LANES],
        }
    }

    /// Lanes that can run on.
    pub(super) fn ready(&self) -> u32 {
        self.live & !self.at_barrier & !self.parked
    }

    /// The lowest program counter of the lanes that can run, the lanes that are there (parked ones
    /// too), and the lowest program counter of the others that can run.
    pub(super) fn pick(&self) -> Option<(u32, u32, u32)> {
        let ready = self.ready();
        let mut lowest = u32::MAX;
        for lane in lanes(ready) {
            lowest = lowest.min(self.pc[lane]);
        }
        if ready == 0 {
            return None;
        }
        let (mut here, mut next) = (0, u32::MAX);
        for lane in lanes(ready) {
            if self.pc[lane] == lowest {
                here |= 1 << lane;
            } else {
                next = next.min(self.pc[lane]);
            }
        }
        for lane in lanes(self.parked) {
            if self.pc[lane] == lowest {
                here |= 1 << lane;
            } else if self.pc[lane] > lowest {
                // They are to be joined, not passed.
                next = next.min(self.pc[lane]);
            }
        }
        Some((lowest, here, next))
    }

    pub(super) fn set_pc(&mut self, mask: u32, pc: u32) {
        for lane in lanes(mask) {
            self.pc[lane] = pc;
        }
    }
}

/// The lanes of a mask, in order.
pub(super) fn lanes(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let lane = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            lane
        })
    })
}
