//! Names: of registers and memory in nested scopes, of labels, of special registers, of a module.

use std::collections::HashMap;

use super::Image;
use crate::ast::{Source, Variable as Declared};
use crate::error::{ParseError, Problem};
use crate::lanes::Index;
use crate::program::{LaneMask, Special, Variable};
use crate::types::Space;

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Symbol {
    Register(Index),
    /// A place in a state space: its offset there, or in the module's image.
    Memory(Space, u64),
    /// The register that holds the offset of dynamic shared memory.
    DynamicShared(Index),
}

/// The names of a function in its nested braces.
pub(super) struct Scopes<'a> {
    /// The scopes that are open, innermost last, as indices.
    open: Vec<usize>,
    names: Vec<HashMap<&'a str, Symbol>>,
    /// `%r<99>` by the name without its number: first register and count.
    ranges: Vec<HashMap<&'a str, (Index, usize)>>,
    labels: Vec<HashMap<&'a str, u32>>,
}

impl Default for Scopes<'_> {
    fn default() -> Self {
        let mut scopes = Self {
            open: Vec::new(),
            names: Vec::new(),
            ranges: Vec::new(),
            labels: Vec::new(),
        };
        scopes.open();
        scopes
    }
}

impl<'a> Scopes<'a> {
    pub(super) fn open(&mut self) {
        self.open.push(self.names.len());
        self.names.push(HashMap::new());
        self.ranges.push(HashMap::new());
        self.labels.push(HashMap::new());
    }

    /// The parser has matched the braces, so the function's own scope stays open.
    pub(super) fn close(&mut self) {
        self.open.pop();
    }

    fn innermost(&self) -> usize {
        self.open.last().copied().unwrap_or(0)
    }

    /// The scopes that are open.
    pub(super) fn chain(&self) -> Vec<usize> {
        self.open.clone()
    }

    pub(super) fn declare(
        &mut self,
        name: &'a str,
        symbol: Symbol,
        line: u32,
    ) -> Result<(), ParseError> {
        let scope = self.innermost();
        match self.names[scope].insert(name, symbol) {
            None => Ok(()),
            Some(_) => Err(Problem::Redeclared(name.into()).at(line)),
        }
    }

    pub(super) fn declare_range(
        &mut self,
        name: &'a str,
        first: Index,
        count: usize,
        line: u32,
    ) -> Result<(), ParseError> {
        let scope = self.innermost();
        match self.ranges[scope].insert(name, (first, count)) {
            None => Ok(()),
            Some(_) => Err(Problem::Redeclared(name.into()).at(line)),
        }
    }

    pub(super) fn label(&mut self, name: &'a str, at: u32, line: u32) -> Result<(), ParseError> {
        let scope = self.innermost();
        match self.labels[scope].insert(name, at) {
            None => Ok(()),
            Some(_) => Err(Problem::Redeclared(name.into()).at(line)),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<Symbol> {
        let (stem, number) =
            name.split_at(name.trim_end_matches(|c: char| c.is_ascii_digit()).len());
        self.open.iter().rev().find_map(|&scope| {
            if let Some(&symbol) = self.names[scope].get(name) {
                return Some(symbol);
            }
            let &(first, count) = self.ranges[scope].get(stem)?;
            let number: usize = number.parse().ok()?;
            (number < count).then(|| Symbol::Register(first + number as Index))
        })
    }

    pub(super) fn find_label(&self, name: &str, chain: &[usize]) -> Option<u32> {
        chain
            .iter()
            .rev()
            .find_map(|&scope| self.labels[scope].get(name).copied())
    }
}

/// The special register that `name` names.
pub(super) fn special(name: &str) -> Option<Special> {
    let axis = |rest: &str| match rest {
        "x" => Some(0),
        "y" => Some(1),
        "z" => Some(2),
        _ => None,
    };
    Some(match name.strip_prefix('%')?.split_once('.') {
        Some(("tid", rest)) => Special::ThreadIndex(axis(rest)?),
        Some(("ntid", rest)) => Special::BlockSize(axis(rest)?),
        Some(("ctaid", rest)) => Special::BlockIndex(axis(rest)?),
        Some(("nctaid", rest)) => Special::GridSize(axis(rest)?),
        _ => match name {
            "%laneid" => Special::Lane,
            "%warpid" => Special::Warp,
            "%nwarpid" => Special::WarpCount,
            "%lanemask_eq" => Special::LaneMask(LaneMask::Equal),
            "%lanemask_le" => Special::LaneMask(LaneMask::LessOrEqual),
            "%lanemask_lt" => Special::LaneMask(LaneMask::Less),
            "%lanemask_ge" => Special::LaneMask(LaneMask::GreaterOrEqual),
            "%lanemask_gt" => Special::LaneMask(LaneMask::Greater),
            "%dynamic_smem_size" => Special::DynamicSharedSize,
            "%total_smem_size" => Special::TotalSharedSize,
            _ => return None,
        },
    })
}

/// The names that a module declares outside its functions.
#[derive(Default)]
pub(crate) struct ModuleSymbols<'a> {
    /// Offset in the image, and global or constant.
    pub(super) variables: HashMap<&'a str, (u64, Space)>,
    pub(super) shared: HashMap<&'a str, Declared<'a>>,
}

impl<'a> ModuleSymbols<'a> {
    /// Lays out the variables of `source`, which loses them.
    pub(crate) fn new(source: &mut Source<'a>) -> Result<(Self, Image), ParseError> {
        let mut symbols = Self::default();
        let mut image = Image {
            bytes: Vec::new(),
            variables: Vec::new(),
        };
        for variable in std::mem::take(&mut source.variables) {
            let (name, line) = (variable.name, variable.line);
            let known = symbols.variables.contains_key(name) || symbols.shared.contains_key(name);
            if known {
                return Err(Problem::Redeclared(name.into()).at(line));
            }
            if variable.space == "shared" {
                symbols.shared.insert(name, variable);
                continue;
            }
            let bytes = variable.bytes()?;
            // Sixteen bytes between two variables: a step beyond one is not a step into the next.
            let end = image.bytes.len() + if image.bytes.is_empty() { 0 } else { 16 };
            let offset = end.next_multiple_of(variable.align.max(16));
            if offset + bytes > 1 << 30 {
                return Err(Problem::TooLarge("the module's variables").at(line));
            }
            image.bytes.resize(offset + bytes, 0);
            let size = usize::from(variable.element.size());
            for (i, value) in variable.initial.iter().enumerate() {
                image.bytes[offset + i * size..][..size]
                    .copy_from_slice(&value.to_le_bytes()[..size]);
            }
            let constant = variable.space == "const";
            let space = if constant {
                Space::Constant
            } else {
                Space::Global
            };
            symbols.variables.insert(name, (offset as u64, space));
            image.variables.push(Variable {
                name: name.to_owned(),
                offset: offset as u64,
                bytes: bytes as u64,
                constant,
            });
        }
        Ok((symbols, image))
    }
}
