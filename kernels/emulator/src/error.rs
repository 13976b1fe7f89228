//! What can be wrong with PTX text, and with a launch before it begins.

use thiserror::Error;

use crate::finding::Finding;

/// PTX text that cannot be run, and the line that says so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("PTX line {line}: {problem}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: u32,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a line of PTX.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A `/*` without its `*/`.
    #[error("comment without an end")]
    UnclosedComment,
    /// A `"` without its partner.
    #[error("text without a closing quote")]
    UnclosedText,
    /// A literal that is no number, or does not fit 64 bits.
    #[error("{0} is not a number")]
    BadNumber(String),
    /// The text ends in the middle of something.
    #[error("unexpected end of text")]
    UnexpectedEnd,
    /// Something else should stand here.
    #[error("{found} where {expected} belongs")]
    Unexpected {
        /// What would fit.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A directive outside the part of PTX that is understood.
    #[error("directive {0} is not supported")]
    UnsupportedDirective(String),
    /// An instruction outside the part of PTX that is understood, with all its modifiers.
    #[error("instruction {0} is not supported")]
    UnsupportedInstruction(String),
    /// An operand of the wrong kind, or too few or too many of them.
    #[error("operands of {0} do not fit it")]
    BadOperands(String),
    /// A name that was not declared.
    #[error("{0} is not declared")]
    Undeclared(String),
    /// A name that is declared already.
    #[error("{0} is declared twice")]
    Redeclared(String),
    /// A size beyond what a device has.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// Functions that call themselves, directly or not.
    #[error("function {0} is recursive, which is not supported")]
    Recursion(String),
    /// A call whose arguments do not fit the function.
    #[error("call of {0} with the wrong arguments")]
    BadCall(String),
}

impl Problem {
    pub(crate) fn at(self, line: u32) -> ParseError {
        ParseError {
            line,
            problem: self,
        }
    }
}

/// Why a launch failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The module has no such kernel.
    #[error("no kernel {0} in the module")]
    UnknownKernel(String),
    /// Too few or too many arguments.
    #[error("{kernel} takes {expected} arguments, {given} were given")]
    ArgumentCount {
        /// The kernel.
        kernel: String,
        /// Its number of parameters.
        expected: usize,
        /// The number of arguments.
        given: usize,
    },
    /// An argument of another size than its parameter.
    #[error("argument {index} of {kernel} has {given} bytes, the parameter has {expected}")]
    ArgumentSize {
        /// The kernel.
        kernel: String,
        /// Which argument, counted from 0.
        index: usize,
        /// Bytes of the parameter.
        expected: usize,
        /// Bytes of the argument.
        given: usize,
    },
    /// A block beyond the kernel's `.maxntid` or the device's limit, or other than its `.reqntid`.
    #[error("{kernel} was launched with blocks of {block:?} threads, its limit is {limit:?}")]
    BlockSize {
        /// The kernel.
        kernel: String,
        /// Threads asked for.
        block: [u32; 3],
        /// Threads allowed.
        limit: [u32; 3],
    },
    /// A grid with no blocks, or with more than a device can have.
    #[error("{kernel} was launched with a grid of {grid:?} blocks")]
    GridSize {
        /// The kernel.
        kernel: String,
        /// Blocks asked for.
        grid: [u32; 3],
    },
    /// More shared memory than a block can have.
    #[error("{kernel} needs {bytes} bytes of shared memory, a block has {limit}")]
    SharedSize {
        /// The kernel.
        kernel: String,
        /// Static and dynamic shared memory together.
        bytes: usize,
        /// What a block has.
        limit: usize,
    },
    /// The kernel did something that it must not do.
    #[error(transparent)]
    Finding(Box<Finding>),
}
