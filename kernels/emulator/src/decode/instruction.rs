//! One statement to one or more instructions.

use super::arithmetic::{Run, comparison, lane_function};
use super::convert::conversion;
use super::integer::truth_table;
use super::symbols::Symbol;
use super::{Decoder, Placed};
use crate::ast::{Operand, Statement};
use crate::error::{ParseError, Problem};
use crate::lanes::{Index, Lane, LaneOp, lanes};
use crate::program::{Constant, Op};
use crate::types::{LOCAL_WINDOW, SHARED_WINDOW, Space, Type};

pub(super) type Guard = Option<(Index, bool)>;

/// The error that an instruction, as written, is beyond this crate.
pub(super) fn unsupported<T>(statement: &Statement<'_>) -> Result<T, ParseError> {
    Err(Problem::UnsupportedInstruction(statement.opcode.into()).at(statement.line))
}

/// The error that an instruction's operands do not fit it.
pub(super) fn bad_operands<T>(statement: &Statement<'_>) -> Result<T, ParseError> {
    Err(Problem::BadOperands(statement.opcode.into()).at(statement.line))
}

impl<'a> Decoder<'_, 'a> {
    pub(super) fn instruction(&mut self, statement: &Statement<'a>) -> Result<(), ParseError> {
        let guard = match statement.guard {
            Some((name, negated)) => Some((self.register_named(name, statement)?, negated)),
            None => None,
        };
        let mut parts = statement.opcode.split('.');
        let name = parts.next().unwrap_or_default();
        let modifiers: Vec<&str> = parts.collect();
        match name {
            "ld" | "ldu" | "st" => self.load_or_store(statement, guard, name, &modifiers),
            "atom" | "red" => self.atomic(statement, guard, name, &modifiers),
            "cp" => self.copy_async(statement, guard, &modifiers),
            "bra" => self.branch(statement, guard, &modifiers),
            "call" => self.call(statement, guard),
            "ret" => {
                let op = if self.in_kernel {
                    Op::Exit
                } else {
                    Op::Return(self.link)
                };
                self.without_operands(statement, guard, op)
            }
            "exit" => self.without_operands(statement, guard, Op::Exit),
            "trap" => self.without_operands(statement, guard, Op::Trap),
            "membar" | "fence" => self.without_operands(statement, guard, Op::Fence),
            "bar" | "barrier" | "shfl" | "vote" | "activemask" | "ldmatrix" | "mma" => {
                self.warp_instruction(statement, guard, name, &modifiers)
            }
            "mov" => self.mov(statement, guard, &modifiers),
            "setp" => self.setp(statement, guard, &modifiers),
            "set" => self.set(statement, guard, &modifiers),
            "cvta" => self.cvta(statement, guard, &modifiers),
            "cvt" => match conversion(&modifiers) {
                Some((run, arity)) => self.plain(statement, guard, run, arity),
                None => unsupported(statement),
            },
            "lop3" if modifiers == ["b32"] => self.plain(statement, guard, truth_table(), 4),
            _ => match lane_function(name, &modifiers) {
                Some((run, arity)) => self.plain(statement, guard, run, arity),
                None => unsupported(statement),
            },
        }
    }

    fn without_operands(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        op: Op,
    ) -> Result<(), ParseError> {
        if !statement.operands.is_empty() {
            return bad_operands(statement);
        }
        self.emit(guard, statement.line, op);
        Ok(())
    }

    /// The register called `name`, which must be one.
    pub(super) fn register_named(
        &mut self,
        name: &str,
        statement: &Statement<'a>,
    ) -> Result<Index, ParseError> {
        match self.symbol(name, statement.line)? {
            Symbol::Register(index) => Ok(index),
            _ => bad_operands(statement),
        }
    }

    /// The register that an instruction writes; `_` is one that nobody reads.
    pub(super) fn target(
        &mut self,
        operand: &Operand<'a>,
        statement: &Statement<'a>,
    ) -> Result<Index, ParseError> {
        match operand {
            Operand::Name("_") => self.register(statement.line),
            Operand::Name(name) if super::symbols::special(name).is_none() => {
                self.register_named(name, statement)
            }
            _ => bad_operands(statement),
        }
    }

    /// The register that holds what an instruction reads.
    pub(super) fn read(
        &mut self,
        operand: &Operand<'a>,
        statement: &Statement<'a>,
    ) -> Result<Index, ParseError> {
        let line = statement.line;
        match *operand {
            Operand::Name(name) => Ok(self.value(name, 0, line)?.0),
            Operand::Sum(name, offset) => {
                let (index, space) = self.value(name, offset, line)?;
                match space {
                    // The offset would be lost.
                    None => bad_operands(statement),
                    Some(_) => Ok(index),
                }
            }
            Operand::Number(value) => self.constant(Constant::Value(value), line),
            _ => bad_operands(statement),
        }
    }

    /// An instruction whose first operand is written and whose others are read, lane by lane.
    fn plain(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        run: Run,
        arity: usize,
    ) -> Result<(), ParseError> {
        let [to, from @ ..] = &statement.operands[..] else {
            return bad_operands(statement);
        };
        if from.len() != arity {
            return bad_operands(statement);
        }
        let to = self.target(to, statement)?;
        let mut sources = [0; 4];
        for (source, operand) in sources.iter_mut().zip(from) {
            *source = self.read(operand, statement)?;
        }
        self.lane_op(statement.line, guard, run, to, sources);
        Ok(())
    }

    pub(super) fn lane_op(
        &mut self,
        line: u32,
        guard: Guard,
        run: Run,
        to: Index,
        from: [Index; 4],
    ) {
        self.emit(guard, line, Op::Lanes(LaneOp { run, to, from }));
    }

    /// `mov`, which also packs and unpacks `{a, b}`.
    fn mov(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let [ty] = modifiers else {
            return unsupported(statement);
        };
        let Some(bytes) = Type::parse(ty).map(Type::size) else {
            return unsupported(statement);
        };
        let line = statement.line;
        match &statement.operands[..] {
            [to, Operand::Vector(parts)] => {
                let run = match (bytes, parts.len()) {
                    (4, 2) => lanes!(|a: u16, b: u16| -> u32 { u32::from(b) << 16 | u32::from(a) }),
                    (8, 2) => lanes!(|a: u32, b: u32| -> u64 { u64::from(b) << 32 | u64::from(a) }),
                    (4, 4) => lanes!(|a: u8, b: u8, c: u8, d: u8| -> u32 {
                        u32::from_le_bytes([a, b, c, d])
                    }),
                    (8, 4) => lanes!(|a: u16, b: u16, c: u16, d: u16| -> u64 {
                        u64::from(d) << 48 | u64::from(c) << 32 | u64::from(b) << 16 | u64::from(a)
                    }),
                    (2, 2) => lanes!(|a: u8, b: u8| -> u16 { u16::from_le_bytes([a, b]) }),
                    _ => return bad_operands(statement),
                };
                let to = self.target(to, statement)?;
                let mut sources = [0; 4];
                for (source, part) in sources.iter_mut().zip(parts) {
                    *source = self.read(part, statement)?;
                }
                self.lane_op(line, guard, run, to, sources);
                Ok(())
            }
            [Operand::Vector(parts), from] => {
                let len = parts.len();
                let run = match usize::from(bytes).checked_div(len) {
                    Some(1) => lanes!(|a: u64, shift: u32| -> u8 { (a >> shift) as u8 }),
                    Some(2) => lanes!(|a: u64, shift: u32| -> u16 { (a >> shift) as u16 }),
                    Some(4) => lanes!(|a: u64, shift: u32| -> u32 { (a >> shift) as u32 }),
                    _ => return bad_operands(statement),
                };
                let source = self.read(from, statement)?;
                let step = 8 * usize::from(bytes) / len;
                for (i, part) in parts.iter().enumerate() {
                    let to = self.target(part, statement)?;
                    let shift = self.constant(Constant::Value((i * step) as u64), line)?;
                    self.lane_op(line, guard, run, to, [source, shift, 0, 0]);
                }
                Ok(())
            }
            _ => match lane_function("mov", modifiers) {
                Some((run, arity)) => self.plain(statement, guard, run, arity),
                None => unsupported(statement),
            },
        }
    }

    /// `setp.cmp[.and|.or|.xor].type p[|q], a, b[, c]`
    fn setp(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let (name, combine, ty) = match modifiers {
            [name, ty] => (name, None, ty),
            [name, combine, ty] => (name, Some(*combine), ty),
            _ => return unsupported(statement),
        };
        let Some(ty) = Type::parse(ty) else {
            return unsupported(statement);
        };
        let (to, a, b, third) = match (&statement.operands[..], combine) {
            ([to, a, b], None) => (to, a, b, None),
            ([to, a, b, c], Some(combine)) => (to, a, b, Some((combine, c))),
            _ => return bad_operands(statement),
        };
        let targets = match to {
            Operand::Pair(p, q) => vec![(*p, false), (*q, true)],
            Operand::Name(p) => vec![(*p, false)],
            _ => return bad_operands(statement),
        };
        let (a, b) = (self.read(a, statement)?, self.read(b, statement)?);
        let line = statement.line;
        let third = match third {
            None => None,
            Some((combine, operand)) => {
                let (name, negated) = match operand {
                    Operand::Name(name) => (name, false),
                    Operand::Not(name) => (name, true),
                    _ => return bad_operands(statement),
                };
                let run = match (combine, negated) {
                    ("and", false) => lanes!(|a: bool, b: bool| -> bool { a & b }),
                    ("and", true) => lanes!(|a: bool, b: bool| -> bool { a & !b }),
                    ("or", false) => lanes!(|a: bool, b: bool| -> bool { a | b }),
                    ("or", true) => lanes!(|a: bool, b: bool| -> bool { a | !b }),
                    ("xor", false) => lanes!(|a: bool, b: bool| -> bool { a ^ b }),
                    ("xor", true) => lanes!(|a: bool, b: bool| -> bool { a ^ !b }),
                    _ => return unsupported(statement),
                };
                // The operand may be one of the results: its old value counts.
                let copy = self.register(line)?;
                let index = self.register_named(name, statement)?;
                let keep = lanes!(|a: bool| -> bool { a });
                self.lane_op(line, guard, keep, copy, [index, 0, 0, 0]);
                Some((run, copy))
            }
        };
        for (target, negated) in targets {
            let Some(run) = comparison(name, ty) else {
                return unsupported(statement);
            };
            let to = self.target(&Operand::Name(target), statement)?;
            self.lane_op(line, guard, run, to, [a, b, 0, 0]);
            if negated {
                let not = lanes!(|a: bool| -> bool { !a });
                self.lane_op(line, guard, not, to, [to, 0, 0, 0]);
            }
            if let Some((run, other)) = third {
                self.lane_op(line, guard, run, to, [to, other, 0, 0]);
            }
        }
        Ok(())
    }

    /// `set.cmp.result.type d, a, b`: all ones, or 1.0, where it holds.
    fn set(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let ([name, result, ty], [to, a, b]) = (modifiers, &statement.operands[..]) else {
            return unsupported(statement);
        };
        let compare = Type::parse(ty).and_then(|ty| comparison(name, ty));
        let widen = match *result {
            "u32" | "s32" => lanes!(|p: bool| -> u32 { if p { !0 } else { 0 } }),
            "f32" => lanes!(|p: bool| -> f32 { if p { 1.0 } else { 0.0 } }),
            _ => return unsupported(statement),
        };
        let Some(compare) = compare else {
            return unsupported(statement);
        };
        let to = self.target(to, statement)?;
        let (a, b) = (self.read(a, statement)?, self.read(b, statement)?);
        let p = self.register(statement.line)?;
        self.lane_op(statement.line, guard, compare, p, [a, b, 0, 0]);
        self.lane_op(statement.line, guard, widen, to, [p, 0, 0, 0]);
        Ok(())
    }

    /// `cvta[.to].space.u64`: between a space's own addresses and generic ones.
    fn cvta(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let ((to_space, space), [to, from]) = (
            match modifiers {
                ["to", space, "u64"] => (true, *space),
                [space, "u64"] => (false, *space),
                _ => return unsupported(statement),
            },
            &statement.operands[..],
        ) else {
            return bad_operands(statement);
        };
        let window = match space {
            "global" | "const" => 0,
            "shared" => SHARED_WINDOW,
            "local" => LOCAL_WINDOW,
            _ => return unsupported(statement),
        };
        let to = self.target(to, statement)?;
        let from = self.read(from, statement)?;
        let window = self.constant(Constant::Value(window), statement.line)?;
        let run = if to_space {
            lanes!(|a: u64, window: u64| -> u64 { a.wrapping_sub(window) })
        } else {
            lanes!(|a: u64, window: u64| -> u64 { a.wrapping_add(window) })
        };
        self.lane_op(statement.line, guard, run, to, [from, window, 0, 0]);
        Ok(())
    }

    fn branch(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let ([] | ["uni"], [Operand::Name(label)]) = (modifiers, &statement.operands[..]) else {
            return unsupported(statement);
        };
        self.branches
            .push((self.code.len(), label, self.scopes.chain(), statement.line));
        self.emit(guard, statement.line, Op::Branch(0));
        Ok(())
    }

    /// `call (result), function, (arguments)`, each a variable of the parameter space.
    fn call(&mut self, statement: &Statement<'a>, guard: Guard) -> Result<(), ParseError> {
        let (results, name, arguments) = match &statement.operands[..] {
            [Operand::Name(name)] => (&[][..], name, &[][..]),
            [Operand::Name(name), Operand::Group(arguments)] => (&[][..], name, &arguments[..]),
            [Operand::Group(results), Operand::Name(name)] => (&results[..], name, &[][..]),
            [
                Operand::Group(results),
                Operand::Name(name),
                Operand::Group(arguments),
            ] => (&results[..], name, &arguments[..]),
            _ => return unsupported(statement),
        };
        let line = statement.line;
        if *name == "__assertfail" {
            self.emit(guard, line, Op::Trap);
            return Ok(());
        }
        let Some(Placed {
            start,
            link,
            parameters,
            results: returned,
        }) = self.placed.get(name)
        else {
            return Err(Problem::Undeclared((*name).into()).at(line));
        };
        let (start, link) = (*start, *link);
        let (parameters, returned) = (parameters.clone(), returned.clone());
        if parameters.len() != arguments.len() || returned.len() != results.len() {
            return Err(Problem::BadCall((*name).into()).at(line));
        }
        for (argument, (to, bytes)) in arguments.iter().zip(parameters) {
            let from = self.call_variable(argument, statement)?;
            self.copy_local(guard, to as u64, from, bytes, line)?;
        }
        self.emit(guard, line, Op::Call(start, link));
        for (result, (from, bytes)) in results.iter().zip(returned) {
            let to = self.call_variable(result, statement)?;
            self.copy_local(guard, to, from as u64, bytes, line)?;
        }
        Ok(())
    }

    fn call_variable(
        &mut self,
        operand: &Operand<'a>,
        statement: &Statement<'a>,
    ) -> Result<u64, ParseError> {
        let Operand::Name(name) = operand else {
            return unsupported(statement);
        };
        match self.symbol(name, statement.line)? {
            Symbol::Memory(Space::Local, offset) => Ok(offset),
            _ => unsupported(statement),
        }
    }
}
