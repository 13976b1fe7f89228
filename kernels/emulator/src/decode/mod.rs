//! Syntax to instructions: names become register indices, calls are laid out, labels resolved.

mod arithmetic;
mod convert;
mod instruction;
mod integer;
mod memory;
mod symbols;
mod warp;

use std::collections::HashMap;

use crate::ast::{Function, Item, Operand, Source};
use crate::error::{ParseError, Problem};
use crate::lanes::Index;
use crate::program::{Constant, Instruction, Kernel, Memory, Op, Variable};
use crate::types::Space;

pub(crate) use symbols::ModuleSymbols;
use symbols::{Scopes, Symbol};

/// The largest static shared memory and the largest local memory of a thread.
const LARGEST_MEMORY: usize = 1 << 20;

/// A device function that has been laid out.
struct Placed {
    start: u32,
    /// Where a lane's return address is kept.
    link: Index,
    /// Offset in local memory and size.
    parameters: Vec<(usize, usize)>,
    results: Vec<(usize, usize)>,
}

/// Lays out one kernel.
struct Decoder<'s, 'a> {
    source: &'s Source<'a>,
    module: &'s ModuleSymbols<'a>,
    code: Vec<Instruction>,
    registers: usize,
    constants: HashMap<Constant, Index>,
    /// Constants that stand for the first byte of dynamic shared memory.
    dynamic_shared: Option<Index>,
    dynamic_align: usize,
    shared: usize,
    module_shared: HashMap<&'a str, usize>,
    local: usize,
    granule: usize,
    placed: HashMap<&'a str, Placed>,
    placing: Vec<&'a str>,
    scopes: Scopes<'a>,
    /// Branches to be resolved: instruction, label, scopes, line.
    branches: Vec<(usize, &'a str, Vec<usize>, u32)>,
    /// The function being laid out.
    in_kernel: bool,
    link: Index,
}

/// Decodes kernel `kernel` of `source`.
pub(crate) fn decode<'a>(
    source: &Source<'a>,
    module: &ModuleSymbols<'a>,
    kernel: &Function<'a>,
) -> Result<Kernel, ParseError> {
    let mut decoder = Decoder {
        source,
        module,
        code: Vec::new(),
        registers: 0,
        constants: HashMap::new(),
        dynamic_shared: None,
        dynamic_align: 16,
        shared: 0,
        module_shared: HashMap::new(),
        local: 0,
        granule: 4,
        placed: HashMap::new(),
        placing: Vec::new(),
        scopes: Scopes::default(),
        branches: Vec::new(),
        in_kernel: true,
        link: 0,
    };
    decoder.callees(kernel)?;
    let parameters = decoder.kernel_parameters(kernel)?;
    let start = decoder.code.len() as u32;
    decoder.in_kernel = true;
    decoder.body(kernel)?;
    let shared = decoder.shared.next_multiple_of(decoder.dynamic_align);
    let mut constants: Vec<_> = decoder.constants.into_iter().map(|(c, i)| (i, c)).collect();
    constants.extend(
        decoder
            .dynamic_shared
            .map(|index| (index, Constant::Value(shared as u64))),
    );
    constants.sort_unstable_by_key(|&(index, _)| index);
    Ok(Kernel {
        name: kernel.name.to_owned(),
        code: decoder.code,
        start,
        registers: decoder.registers,
        constants,
        parameters,
        shared,
        local: decoder.local,
        granule: decoder.granule,
        max_threads: kernel.max_threads,
        required_threads: kernel.required_threads,
    })
}

impl<'a> Decoder<'_, 'a> {
    fn register(&mut self, line: u32) -> Result<Index, ParseError> {
        self.take_registers(1, line)
    }

    fn take_registers(&mut self, count: usize, line: u32) -> Result<Index, ParseError> {
        let first = self.registers;
        self.registers += count;
        if self.registers > usize::from(Index::MAX) {
            return Err(Problem::TooLarge("the number of registers").at(line));
        }
        Ok(first as Index)
    }

    fn constant(&mut self, constant: Constant, line: u32) -> Result<Index, ParseError> {
        if let Some(&index) = self.constants.get(&constant) {
            return Ok(index);
        }
        let index = self.register(line)?;
        self.constants.insert(constant, index);
        Ok(index)
    }

    fn emit(&mut self, guard: Option<(Index, bool)>, line: u32, op: Op) {
        self.code.push(Instruction { guard, line, op });
    }

    /// Takes `bytes` of the memory that `used` counts and returns their offset.
    fn place(used: &mut usize, bytes: usize, align: usize, line: u32) -> Result<usize, ParseError> {
        let offset = used.next_multiple_of(align);
        *used = offset + bytes;
        if *used > LARGEST_MEMORY {
            return Err(Problem::TooLarge("shared or local memory").at(line));
        }
        Ok(offset)
    }

    fn kernel_parameters(
        &mut self,
        kernel: &Function<'a>,
    ) -> Result<Vec<(usize, usize)>, ParseError> {
        self.scopes = Scopes::default();
        let (mut parameters, mut used) = (Vec::new(), 0);
        for parameter in &kernel.parameters {
            let bytes = parameter.bytes()?;
            let offset = Self::place(&mut used, bytes, parameter.align, parameter.line)?;
            self.scopes.declare(
                parameter.name,
                Symbol::Memory(Space::Parameter, offset as u64),
                parameter.line,
            )?;
            parameters.push((offset, bytes));
        }
        Ok(parameters)
    }

    /// Lays out the functions that `function` calls, the innermost first: lanes with the lowest
    /// program counter run first, so a warp comes together again after a call.
    fn callees(&mut self, function: &Function<'a>) -> Result<(), ParseError> {
        self.placing.push(function.name);
        for item in function.body.iter().flatten() {
            let Item::Statement(statement) = item else {
                continue;
            };
            if statement.opcode.split('.').next() != Some("call") {
                continue;
            }
            let callee = statement.operands.iter().find_map(|operand| match operand {
                Operand::Name(name) => Some(*name),
                _ => None,
            });
            let Some(name) = callee.filter(|name| !self.placed.contains_key(name)) else {
                continue;
            };
            if self.placing.contains(&name) {
                return Err(Problem::Recursion(name.into()).at(statement.line));
            }
            let source = self.source;
            let defined = source
                .functions
                .iter()
                .find(|f| f.name == name && !f.is_kernel && f.body.is_some());
            if let Some(callee) = defined {
                self.callees(callee)?;
                let placed = self.function(callee)?;
                self.placed.insert(name, placed);
            }
        }
        self.placing.pop();
        Ok(())
    }

    fn function(&mut self, function: &Function<'a>) -> Result<Placed, ParseError> {
        self.scopes = Scopes::default();
        let link = self.register(function.line)?;
        let mut frame = |variables: &[crate::ast::Variable<'a>]| {
            let mut placed = Vec::new();
            for variable in variables {
                if variable.space != "param" {
                    let problem = Problem::UnsupportedDirective(".reg parameter".into());
                    return Err(problem.at(variable.line));
                }
                let bytes = variable.bytes()?;
                let offset =
                    Self::place(&mut self.local, bytes, variable.align.max(8), variable.line)?;
                self.scopes.declare(
                    variable.name,
                    Symbol::Memory(Space::Local, offset as u64),
                    variable.line,
                )?;
                placed.push((offset, bytes));
            }
            Ok(placed)
        };
        let parameters = frame(&function.parameters)?;
        let results = frame(&function.results)?;
        let start = self.code.len() as u32;
        (self.in_kernel, self.link) = (false, link);
        self.body(function)?;
        Ok(Placed {
            start,
            link,
            parameters,
            results,
        })
    }

    fn body(&mut self, function: &Function<'a>) -> Result<(), ParseError> {
        self.branches.clear();
        let mut line = function.line;
        for item in function.body.iter().flatten() {
            match item {
                Item::Open => self.scopes.open(),
                Item::Close => self.scopes.close(),
                Item::Label(name, at) => self.scopes.label(name, self.code.len() as u32, *at)?,
                Item::Declaration(variable) => {
                    line = variable.line;
                    self.declare(variable)?;
                }
                Item::Statement(statement) => {
                    line = statement.line;
                    self.instruction(statement)?;
                }
            }
        }
        let end = if self.in_kernel {
            Op::Exit
        } else {
            Op::Return(self.link)
        };
        self.emit(None, line, end);
        for (at, name, scopes, line) in std::mem::take(&mut self.branches) {
            let target = self
                .scopes
                .find_label(name, &scopes)
                .ok_or_else(|| Problem::Undeclared(name.into()).at(line))?;
            self.code[at].op = Op::Branch(target);
        }
        Ok(())
    }

    fn declare(&mut self, variable: &crate::ast::Variable<'a>) -> Result<(), ParseError> {
        let line = variable.line;
        let symbol = match variable.space {
            "reg" if variable.range => {
                let count = variable.len.unwrap_or(0);
                let first = self.take_registers(count, line)?;
                return self.scopes.declare_range(variable.name, first, count, line);
            }
            "reg" => Symbol::Register(self.register(line)?),
            "shared" => {
                let bytes = variable.bytes()?;
                let offset = Self::place(&mut self.shared, bytes, variable.align, line)?;
                Symbol::Memory(Space::Shared, offset as u64)
            }
            _ => {
                let bytes = variable.bytes()?;
                let offset = Self::place(&mut self.local, bytes, variable.align.max(8), line)?;
                Symbol::Memory(Space::Local, offset as u64)
            }
        };
        self.scopes.declare(variable.name, symbol, line)
    }

    /// What `name` stands for.
    fn symbol(&mut self, name: &str, line: u32) -> Result<Symbol, ParseError> {
        if let Some(symbol) = self.scopes.find(name) {
            return Ok(symbol);
        }
        if let Some(special) = symbols::special(name) {
            let index = self.constant(Constant::Special(special), line)?;
            return Ok(Symbol::Register(index));
        }
        if let Some(&(offset, space)) = self.module.variables.get(name) {
            return Ok(Symbol::Memory(space, offset));
        }
        let Some((name, variable)) = self.module.shared.get_key_value(name) else {
            return Err(Problem::Undeclared(name.into()).at(line));
        };
        if variable.len.is_none() {
            self.dynamic_align = self.dynamic_align.max(variable.align);
            let index = match self.dynamic_shared {
                Some(index) => index,
                None => self.register(line)?,
            };
            self.dynamic_shared = Some(index);
            return Ok(Symbol::DynamicShared(index));
        }
        let offset = match self.module_shared.get(name) {
            Some(&offset) => offset,
            None => {
                let bytes = variable.bytes()?;
                let offset = Self::place(&mut self.shared, bytes, variable.align, line)?;
                self.module_shared.insert(name, offset);
                offset
            }
        };
        Ok(Symbol::Memory(Space::Shared, offset as u64))
    }

    /// The register that holds the value of `name + offset`, and the space that it points to if it
    /// is a variable.
    fn value(
        &mut self,
        name: &str,
        offset: i64,
        line: u32,
    ) -> Result<(Index, Option<Space>), ParseError> {
        Ok(match self.symbol(name, line)? {
            Symbol::Register(index) => (index, None),
            Symbol::DynamicShared(index) => (index, Some(Space::Shared)),
            Symbol::Memory(space @ (Space::Global | Space::Constant), at) => {
                let constant = Constant::Variable(at.wrapping_add_signed(offset));
                (self.constant(constant, line)?, Some(space))
            }
            Symbol::Memory(space, at) => {
                let constant = Constant::Value(at.wrapping_add_signed(offset));
                (self.constant(constant, line)?, Some(space))
            }
        })
    }

    /// Copies `bytes` of local memory, for a call's arguments and results.
    fn copy_local(
        &mut self,
        guard: Option<(Index, bool)>,
        to: u64,
        from: u64,
        bytes: usize,
        line: u32,
    ) -> Result<(), ParseError> {
        let temporary = self.register(line)?;
        let mut done = 0;
        while done < bytes {
            let chunk = [8, 4, 2, 1]
                .into_iter()
                .find(|n| done + n <= bytes)
                .unwrap_or(1);
            let memory = |address| Memory {
                space: Space::Local,
                address,
                offset: done as i64,
                bytes: chunk as u8,
                signed: false,
                registers: [Some(temporary), None, None, None],
                len: 1,
            };
            let from = self.constant(Constant::Value(from), line)?;
            self.emit(guard, line, Op::Load(memory(from)));
            let to = self.constant(Constant::Value(to), line)?;
            self.emit(guard, line, Op::Store(memory(to)));
            done += chunk;
        }
        Ok(())
    }
}

/// The variables of a module as they are laid out in its image.
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) variables: Vec<Variable>,
}
