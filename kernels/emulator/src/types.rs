//! The words of PTX that instructions are made of: types, state spaces, sizes.

/// A PTX type as an instruction or a declaration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Pred,
    B(u8),
    U(u8),
    S(u8),
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
}

impl Type {
    /// The type that the modifier `word` names, without its dot.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "pred" => Self::Pred,
            "f16" => Self::F16,
            "f16x2" => Self::F16x2,
            "bf16" => Self::Bf16,
            "bf16x2" => Self::Bf16x2,
            "tf32" => Self::Tf32,
            "f32" => Self::F32,
            "f64" => Self::F64,
            _ => {
                let bytes = match word.get(1..)? {
                    "8" => 1,
                    "16" => 2,
                    "32" => 4,
                    "64" => 8,
                    _ => return None,
                };
                match word.as_bytes()[0] {
                    b'b' => Self::B(bytes),
                    b'u' => Self::U(bytes),
                    b's' => Self::S(bytes),
                    _ => return None,
                }
            }
        })
    }

    /// Bytes in memory; a predicate, which has none, counts as one.
    pub(crate) fn size(self) -> u8 {
        match self {
            Self::Pred => 1,
            Self::B(bytes) | Self::U(bytes) | Self::S(bytes) => bytes,
            Self::F16 | Self::Bf16 => 2,
            Self::F16x2 | Self::Bf16x2 | Self::Tf32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Self::S(_))
    }
}

/// Where an address points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Decided by the address: a window for shared and one for local memory, global elsewhere.
    Generic,
    /// Device memory.
    Global,
    /// Device memory that a kernel only reads.
    Constant,
    /// The block's memory.
    Shared,
    /// The thread's own memory.
    Local,
    /// The kernel's arguments.
    Parameter,
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Generic => "generic",
            Self::Global => "global",
            Self::Constant => "constant",
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Parameter => "parameter",
        })
    }
}

/// Where shared memory lies among generic addresses.
pub(crate) const SHARED_WINDOW: u64 = 0x1000_0000_0000;
/// Where a thread's local memory lies among generic addresses.
pub(crate) const LOCAL_WINDOW: u64 = 0x2000_0000_0000;
/// The first address of device memory.
pub(crate) const GLOBAL_WINDOW: u64 = 0x4000_0000_0000;
