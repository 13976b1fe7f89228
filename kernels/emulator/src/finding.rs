//! What a kernel did wrong, and where.

use std::fmt;

use crate::types::Space;

/// The first fault of a launch, in the order of blocks, warps and instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kernel.
    pub kernel: String,
    /// The block's index in the grid, `x, y, z`.
    pub block: [u32; 3],
    /// The warp within the block.
    pub warp: u32,
    /// The lane within the warp, where one lane is to blame.
    pub lane: Option<u32>,
    /// The line of the PTX text, counted from 1.
    pub line: u32,
    /// What happened there.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kernel,
            block: [x, y, z],
            warp,
            lane,
            line,
            fault,
        } = self;
        write!(f, "{kernel}, block ({x}, {y}, {z}), warp {warp}")?;
        if let Some(lane) = lane {
            write!(f, ", lane {lane}")?;
        }
        write!(f, ", PTX line {line}: {fault}")
    }
}

impl std::error::Error for Finding {}

/// How memory is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// A read-modify-write that other threads see as one.
    Atomic,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Atomic => "atomic",
        })
    }
}

/// A rule of CUDA's that a kernel broke. Threads are counted within the block, `x` fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An access that does not lie within one allocation, or within the block's shared memory, the
    /// thread's local memory or the arguments.
    OutOfBounds {
        /// The memory.
        space: Space,
        /// Read or write.
        access: Access,
        /// The address; an offset for every space but global.
        address: u64,
        /// Bytes accessed.
        bytes: u32,
        /// The nearest allocation below, as its address and size, in global memory; else the
        /// size of the space.
        bounds: (u64, u64),
    },
    /// An address that is not a multiple of the access's size.
    Misaligned {
        /// The memory.
        space: Space,
        /// The address.
        address: u64,
        /// Bytes accessed.
        bytes: u32,
    },
    /// A write to memory that a kernel may only read.
    ReadOnly {
        /// The address.
        address: u64,
    },
    /// A read of shared memory that no thread of this block wrote.
    UninitialisedShared {
        /// Offset in shared memory.
        offset: u64,
    },
    /// Two threads of a block touched the same shared memory, one of them writing, and nothing
    /// orders the two.
    SharedRace {
        /// Offset in shared memory.
        offset: u64,
        /// The earlier access, as the emulator ran it.
        earlier: Access,
        /// Its thread; `None` if there were several.
        thread: Option<u32>,
        /// The later access.
        later: Access,
        /// Its thread.
        by: u32,
    },
    /// Two blocks of one launch touched the same global memory, one of them writing.
    GlobalRace {
        /// The address.
        address: u64,
        /// The earlier access, as the emulator ran it.
        earlier: Access,
        /// Its block, counted `x` fastest; `None` if there were several.
        block: Option<u64>,
        /// The later access.
        later: Access,
    },
    /// Shared memory was touched while an asynchronous copy to it had not been waited for.
    CopyInFlight {
        /// Offset in shared memory.
        offset: u64,
        /// Read or write.
        access: Access,
    },
    /// Some threads wait at a barrier that the others never reach.
    BarrierDeadlock {
        /// Warps of the block that wait, one bit each.
        waiting: u64,
        /// The lines at which they wait.
        lines: Vec<u32>,
    },
    /// The lanes of one warp wait at different barriers.
    BarrierDivergence {
        /// The lanes that are here.
        present: u32,
        /// The lanes that wait elsewhere.
        absent: u32,
    },
    /// A shuffle, vote or matrix instruction without all the lanes that it names.
    AbsentLanes {
        /// The lanes that it names.
        named: u32,
        /// The lanes that are here.
        present: u32,
    },
    /// A shuffle that reads from a lane that takes no part in it.
    ShuffleFromAbsentLane {
        /// The lane read.
        source: u32,
    },
    /// A `trap` instruction, which a failed device-side assertion ends in.
    Trap,
    /// The block executed more branches than it was allowed to, [`crate::Device::limit`]: it would not end.
    TooManyInstructions {
        /// The allowance, in branches of all warps of the block.
        limit: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds {
                space,
                access,
                address,
                bytes,
                bounds: (base, size),
            } => {
                write!(f, "{space} {access} of {bytes} bytes at {address:#x}")?;
                match space {
                    Space::Global | Space::Generic if *size == 0 => {
                        write!(f, " lies in no allocation")
                    }
                    Space::Global | Space::Generic => write!(
                        f,
                        " lies in no allocation; the one below it begins {} bytes before and has {size}",
                        address - base
                    ),
                    _ => write!(f, " of {size}"),
                }
            }
            Self::Misaligned {
                space,
                address,
                bytes,
            } => write!(
                f,
                "misaligned {space} access of {bytes} bytes at {address:#x}"
            ),
            Self::ReadOnly { address } => {
                write!(
                    f,
                    "write to memory at {address:#x} that is only for reading"
                )
            }
            Self::UninitialisedShared { offset } => write!(
                f,
                "read of shared memory at offset {offset} that nothing wrote"
            ),
            Self::SharedRace {
                offset,
                earlier,
                thread,
                later,
                by,
            } => {
                write!(f, "race on shared memory at offset {offset}: {earlier} by ")?;
                match thread {
                    Some(thread) => write!(f, "thread {thread}")?,
                    None => write!(f, "several threads")?,
                }
                write!(f, " and {later} by thread {by} without a barrier between")
            }
            Self::GlobalRace {
                address,
                earlier,
                block,
                later,
            } => {
                write!(f, "race between blocks at {address:#x}: {earlier} by ")?;
                match block {
                    Some(block) => write!(f, "block {block}")?,
                    None => write!(f, "several blocks")?,
                }
                write!(f, " and {later} by this one")
            }
            Self::CopyInFlight { offset, access } => write!(
                f,
                "{access} of shared memory at offset {offset} while an asynchronous copy to it is under way"
            ),
            Self::BarrierDeadlock { waiting, lines } => write!(
                f,
                "barrier deadlock: warps {waiting:#x} wait at lines {lines:?} and the others never come"
            ),
            Self::BarrierDivergence { present, absent } => write!(
                f,
                "lanes {present:#010x} wait at this barrier while lanes {absent:#010x} of the warp wait elsewhere"
            ),
            Self::AbsentLanes { named, present } => write!(
                f,
                "names lanes {named:#010x} but lanes {present:#010x} are here"
            ),
            Self::ShuffleFromAbsentLane { source } => {
                write!(f, "shuffle from lane {source}, which takes no part")
            }
            Self::Trap => write!(f, "trap"),
            Self::TooManyInstructions { limit } => {
                write!(f, "still running after {limit} branches")
            }
        }
    }
}
