//! A PTX file as written: declarations, functions and statements.

use crate::error::{ParseError, Problem};
use crate::types::Type;

/// A PTX file.
#[derive(Debug, Default)]
pub(crate) struct Source<'a> {
    pub(crate) version: String,
    pub(crate) target: &'a str,
    pub(crate) variables: Vec<Variable<'a>>,
    pub(crate) functions: Vec<Function<'a>>,
}

/// A declared name: a variable, a parameter or a range of registers.
#[derive(Debug)]
pub(crate) struct Variable<'a> {
    pub(crate) line: u32,
    pub(crate) name: &'a str,
    /// The state space without its dot: `reg`, `shared`, `local`, `param`, `const` or `global`.
    pub(crate) space: &'a str,
    pub(crate) element: Type,
    /// Alignment in bytes.
    pub(crate) align: usize,
    /// Elements; for registers the `n` of `%r<n>`. `None` for `name[]`.
    pub(crate) len: Option<usize>,
    /// Whether a register is a range `%r<n>`.
    pub(crate) range: bool,
    /// The first elements' values; the others are zero.
    pub(crate) initial: Vec<u64>,
}

impl Variable<'_> {
    /// Bytes in memory, none for `name[]`.
    pub(crate) fn bytes(&self) -> Result<usize, ParseError> {
        self.len
            .unwrap_or(0)
            .checked_mul(self.element.size().into())
            .filter(|&bytes| bytes <= 1 << 30)
            .ok_or_else(|| Problem::TooLarge("a variable").at(self.line))
    }
}

/// A kernel (`.entry`) or a device function (`.func`).
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) line: u32,
    pub(crate) name: &'a str,
    pub(crate) is_kernel: bool,
    pub(crate) results: Vec<Variable<'a>>,
    pub(crate) parameters: Vec<Variable<'a>>,
    /// `.maxntid`, threads a block may have in all.
    pub(crate) max_threads: Option<[u32; 3]>,
    /// `.reqntid`, the only size a block may have.
    pub(crate) required_threads: Option<[u32; 3]>,
    /// `None` for a declaration.
    pub(crate) body: Option<Vec<Item<'a>>>,
}

/// A piece of a function's body.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Open,
    Close,
    Label(&'a str, u32),
    Declaration(Variable<'a>),
    Statement(Statement<'a>),
}

/// One instruction as written.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) line: u32,
    /// The guard's register, and whether it is negated.
    pub(crate) guard: Option<(&'a str, bool)>,
    pub(crate) opcode: &'a str,
    pub(crate) operands: Vec<Operand<'a>>,
}

/// An operand as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand<'a> {
    Name(&'a str),
    Number(u64),
    /// `!%p`
    Not(&'a str),
    /// `%p|%q`
    Pair(&'a str, &'a str),
    /// `name+8`
    Sum(&'a str, i64),
    /// `[name+8]`
    Address(Base<'a>, i64),
    /// `{a, b}`
    Vector(Vec<Operand<'a>>),
    /// `(a, b)`
    Group(Vec<Operand<'a>>),
}

/// What an address counts from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Base<'a> {
    Name(&'a str),
    Number(u64),
}
