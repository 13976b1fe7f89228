//! A parsed module in the form that is executed.

use crate::lanes::{Index, LaneOp};
use crate::types::Space;

/// One instruction.
pub(crate) struct Instruction {
    /// The predicate under which a lane executes it, and whether it is negated.
    pub(crate) guard: Option<(Index, bool)>,
    /// The line of PTX.
    pub(crate) line: u32,
    pub(crate) op: Op,
}

/// What an instruction does.
pub(crate) enum Op {
    Lanes(LaneOp),
    Load(Memory),
    Store(Memory),
    Atomic(Atomic),
    Branch(u32),
    Call(u32, Index),
    /// Back to where the register says.
    Return(Index),
    Exit,
    Trap,
    /// `bar.sync id, count` or `bar.arrive`.
    Barrier {
        id: Index,
        count: Option<Index>,
        waits: bool,
    },
    /// `bar.warp.sync mask`
    WarpBarrier(Index),
    Fence,
    Shuffle(Shuffle),
    Vote(Vote),
    ActiveMask(Index),
    CopyAsync(CopyAsync),
    CopyCommit,
    /// Waits until at most so many groups are pending.
    CopyWait(u32),
    LoadMatrix(LoadMatrix),
    Multiply(Box<Multiply>),
}

/// A load or a store.
pub(crate) struct Memory {
    pub(crate) space: Space,
    pub(crate) address: Index,
    pub(crate) offset: i64,
    /// Bytes of an element.
    pub(crate) bytes: u8,
    /// Whether a loaded element is extended by its sign.
    pub(crate) signed: bool,
    /// The registers of the elements; `None` for one that is thrown away.
    pub(crate) registers: [Option<Index>; 4],
    /// Elements, 1, 2 or 4.
    pub(crate) len: u8,
}

/// What an atomic writes, given the old value and its one or two operands, as bits.
pub(crate) type Update = fn(u64, u64, u64) -> u64;

/// A read-modify-write.
pub(crate) struct Atomic {
    pub(crate) space: Space,
    pub(crate) address: Index,
    pub(crate) offset: i64,
    pub(crate) bytes: u8,
    /// Where the old value goes, unless it is a `red`.
    pub(crate) to: Option<Index>,
    pub(crate) from: [Index; 2],
    pub(crate) update: Update,
}

/// How a shuffle picks the lane to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShuffleMode {
    Up,
    Down,
    Butterfly,
    Index,
}

pub(crate) struct Shuffle {
    pub(crate) mode: ShuffleMode,
    pub(crate) to: Index,
    /// Whether the source lane was in range.
    pub(crate) in_range: Option<Index>,
    /// Value, lane operand, clamp and segment, member mask.
    pub(crate) from: [Index; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteMode {
    All,
    Any,
    Uniform,
    Ballot,
}

pub(crate) struct Vote {
    pub(crate) mode: VoteMode,
    pub(crate) to: Index,
    pub(crate) predicate: Index,
    pub(crate) negated: bool,
    pub(crate) mask: Index,
}

pub(crate) struct CopyAsync {
    pub(crate) to: Index,
    pub(crate) to_offset: i64,
    pub(crate) from: Index,
    pub(crate) from_offset: i64,
    /// Bytes written: 4, 8 or 16.
    pub(crate) bytes: u8,
    /// Bytes read, the others being zero; all where it is left out.
    pub(crate) read: Option<Index>,
}

/// `ldmatrix`: one to four 8 x 8 matrices of 16-bit elements.
pub(crate) struct LoadMatrix {
    pub(crate) address: Index,
    pub(crate) offset: i64,
    pub(crate) to: Vec<Index>,
    pub(crate) transposed: bool,
}

/// The type of a matrix product's factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Factor {
    Tf32,
    F16,
    Bf16,
}

/// `mma.sync.m16n8k`: a 16 x 8 product, summed over `depth`, plus an accumulator in `f32`.
pub(crate) struct Multiply {
    pub(crate) factor: Factor,
    pub(crate) depth: usize,
    pub(crate) d: Vec<Index>,
    pub(crate) a: Vec<Index>,
    pub(crate) b: Vec<Index>,
    pub(crate) c: Vec<Index>,
}

/// A number known before a block starts, to be put in every lane of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Constant {
    Value(u64),
    /// So many bytes into the module's variables.
    Variable(u64),
    Special(Special),
}

/// A special register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    ThreadIndex(u8),
    BlockSize(u8),
    BlockIndex(u8),
    GridSize(u8),
    Lane,
    Warp,
    WarpCount,
    /// Lanes below, at, or above this one: the comparison's name.
    LaneMask(LaneMask),
    DynamicSharedSize,
    TotalSharedSize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LaneMask {
    Equal,
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
}

/// A kernel, with the device functions that it calls before its own instructions.
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) code: Vec<Instruction>,
    /// Where it starts.
    pub(crate) start: u32,
    pub(crate) registers: usize,
    pub(crate) constants: Vec<(Index, Constant)>,
    /// Offset and size of each parameter.
    pub(crate) parameters: Vec<(usize, usize)>,
    /// Bytes of static shared memory, aligned for the dynamic part to follow.
    pub(crate) shared: usize,
    /// Bytes of local memory of a thread.
    pub(crate) local: usize,
    /// The smallest access that may be to shared memory: what races are looked for in.
    pub(crate) granule: usize,
    pub(crate) max_threads: Option<[u32; 3]>,
    pub(crate) required_threads: Option<[u32; 3]>,
}

/// A variable of a module, in its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Offset in the module's image.
    pub offset: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Whether kernels may only read it (`__constant__`).
    pub constant: bool,
}
