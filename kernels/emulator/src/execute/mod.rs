//! Runs the blocks of a launch, one after the other, each warp by warp.
//!
//! Lanes have their own program counters. Of a warp's lanes that can run, those with the lowest
//! program counter run first, together, which brings them back together where the compiler laid out
//! its code in order. Warps run in order, each until it waits. Nothing depends on time or on
//! threads of the host, so neither results nor findings do.

mod block;
mod collective;
mod matrix;
mod memory;
mod warp;

use crate::finding::{Fault, Finding};
use crate::memory::{DeviceMemory, Toucher};
use crate::program::{Constant, Kernel, LaneMask, Special};
use crate::shared::SharedMemory;
use block::Block;

/// What a launch did, for budgets and tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Instructions, each counted once for a whole warp.
    pub warp_instructions: u64,
    /// Instructions, counted for each lane that executed them.
    pub lane_instructions: u64,
    /// Bytes that lanes read from device memory.
    pub global_read_bytes: u64,
    /// Bytes that lanes wrote to device memory.
    pub global_written_bytes: u64,
}

/// A fault, with the lane that is to blame if there is one.
#[derive(Debug)]
pub(crate) struct LaneFault {
    pub(crate) lane: Option<u32>,
    pub(crate) fault: Fault,
}

impl LaneFault {
    fn new(lane: usize, fault: Fault) -> Box<Self> {
        Box::new(Self {
            lane: Some(lane as u32),
            fault,
        })
    }
}

impl From<Fault> for Box<LaneFault> {
    fn from(fault: Fault) -> Self {
        Self::new(LaneFault { lane: None, fault })
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Box<LaneFault>>;

/// A launch whose sizes and arguments have been checked.
pub(crate) struct Launch<'l> {
    pub(crate) kernel: &'l Kernel,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) dynamic_shared: usize,
    pub(crate) parameters: &'l [u8],
    /// Where the module's variables begin.
    pub(crate) variables: u64,
    /// Distinguishes launches in device memory.
    pub(crate) number: u32,
    /// Instructions that a block's warps may execute.
    pub(crate) limit: u64,
}

/// Runs every block, or up to the first finding.
pub(crate) fn run(
    launch: &Launch<'_>,
    memory: &mut DeviceMemory,
) -> Result<Counters, Box<Finding>> {
    let kernel = launch.kernel;
    let shared = SharedMemory::new(kernel.shared + launch.dynamic_shared, kernel.granule);
    let by = Toucher {
        launch: launch.number,
        block: 0,
        fenced: false,
    };
    let (mut block, mut warps) = Block::new(launch, memory, shared, by);
    let [columns, rows, layers] = launch.grid;
    for z in 0..layers {
        for y in 0..rows {
            for x in 0..columns {
                block.begin([x, y, z], &mut warps);
                block.run(&mut warps)?;
            }
        }
    }
    Ok(block.counters)
}

/// The value of a constant in lane `lane` of warp `warp`, in the block at `index`.
fn constant(constant: Constant, launch: &Launch<'_>, index: [u32; 3], warp: u32, lane: u32) -> u64 {
    let special = match constant {
        Constant::Value(value) => return value,
        Constant::Variable(offset) => return launch.variables.wrapping_add(offset),
        Constant::Special(special) => special,
    };
    let [width, height, _] = launch.block;
    let thread = warp * 32 + lane;
    let threads: u32 = launch.block.iter().product();
    u64::from(match special {
        Special::ThreadIndex(0) => thread % width,
        Special::ThreadIndex(1) => thread / width % height,
        Special::ThreadIndex(_) => thread / width / height,
        Special::BlockSize(axis) => launch.block[usize::from(axis)],
        Special::BlockIndex(axis) => index[usize::from(axis)],
        Special::GridSize(axis) => launch.grid[usize::from(axis)],
        Special::Lane => lane,
        Special::Warp => warp,
        Special::WarpCount => threads.div_ceil(32),
        Special::LaneMask(mask) => match mask {
            LaneMask::Equal => 1 << lane,
            LaneMask::Less => (1 << lane) - 1,
            LaneMask::LessOrEqual => u32::MAX >> (31 - lane),
            LaneMask::GreaterOrEqual => u32::MAX << lane,
            LaneMask::Greater => !(u32::MAX >> (31 - lane)),
        },
        Special::DynamicSharedSize => launch.dynamic_shared as u32,
        Special::TotalSharedSize => (launch.kernel.shared + launch.dynamic_shared) as u32,
    })
}
