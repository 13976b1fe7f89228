//! Loads, stores, atomics and asynchronous copies.

use super::Decoder;
use super::instruction::{Guard, bad_operands, unsupported};
use crate::ast::{Base, Operand, Statement};
use crate::error::ParseError;
use crate::lanes::{F16, Index, Lane};
use crate::program::{Atomic, Constant, CopyAsync, Memory, Op, Update};
use crate::types::{Space, Type};

/// What the modifiers of a memory instruction say.
struct Modifiers<'m> {
    space: Space,
    len: u8,
    ty: Type,
    /// What is neither space, nor width, nor type, nor a hint.
    rest: Vec<&'m str>,
}

/// Orders, scopes and cache hints, none of which change what a sequential run computes.
const HINTS: [&str; 18] = [
    "weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys",
    "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc",
];

fn read_modifiers<'m>(modifiers: &[&'m str]) -> Option<Modifiers<'m>> {
    let (last, before) = modifiers.split_last()?;
    let mut out = Modifiers {
        space: Space::Generic,
        len: 1,
        ty: Type::parse(last)?,
        rest: Vec::new(),
    };
    for &word in before {
        match word {
            "global" => out.space = Space::Global,
            "const" => out.space = Space::Constant,
            "shared" | "shared::cta" => out.space = Space::Shared,
            "local" => out.space = Space::Local,
            "param" | "param::entry" | "param::func" => out.space = Space::Parameter,
            "v2" => out.len = 2,
            "v4" => out.len = 4,
            _ if HINTS.contains(&word) || word.starts_with("L1::") || word.starts_with("L2::") => {}
            _ => out.rest.push(word),
        }
    }
    Some(out)
}

impl<'a> Decoder<'_, 'a> {
    /// The register and the offset of `[name + offset]`, and its space where the name gives one.
    pub(super) fn address(
        &mut self,
        operand: &Operand<'a>,
        statement: &Statement<'a>,
    ) -> Result<(Index, i64, Option<Space>), ParseError> {
        let line = statement.line;
        match *operand {
            Operand::Address(Base::Number(number), offset) => {
                let index = self.constant(Constant::Value(number), line)?;
                Ok((index, offset, None))
            }
            Operand::Address(Base::Name(name), offset) => {
                let (index, space) = self.value(name, 0, line)?;
                Ok((index, offset, space))
            }
            _ => bad_operands(statement),
        }
    }

    /// The smallest access to what may be shared memory decides how finely races are looked for.
    fn note_granule(&mut self, space: Space, bytes: u8) {
        if matches!(space, Space::Shared | Space::Generic) {
            self.granule = self.granule.min(bytes.into());
        }
    }

    pub(super) fn load_or_store(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        name: &str,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let Some(modifiers) = read_modifiers(modifiers).filter(|m| m.rest.is_empty()) else {
            return unsupported(statement);
        };
        let is_load = name != "st";
        let (([data, address], true) | ([address, data], false)) =
            (&statement.operands[..], is_load)
        else {
            return bad_operands(statement);
        };
        let (address, offset, named) = self.address(address, statement)?;
        let space = match (modifiers.space, named) {
            // A parameter of a kernel, or one of a call, which lives in local memory.
            (Space::Parameter, Some(space)) => space,
            (Space::Parameter, None) if !self.in_kernel => Space::Local,
            // The name of a shared or local variable, given to an instruction without a space,
            // would have to be a generic address.
            (Space::Generic, Some(Space::Shared | Space::Local)) => return unsupported(statement),
            (space, _) => space,
        };
        let data = match data {
            Operand::Vector(parts) => &parts[..],
            one => std::slice::from_ref(one),
        };
        if data.len() != usize::from(modifiers.len) {
            return bad_operands(statement);
        }
        let mut registers = [None; 4];
        for (register, operand) in registers.iter_mut().zip(data) {
            *register = match operand {
                Operand::Name("_") if is_load => None,
                operand if is_load => Some(self.target(operand, statement)?),
                operand => Some(self.read(operand, statement)?),
            };
        }
        self.note_granule(space, modifiers.ty.size());
        let memory = Memory {
            space,
            address,
            offset,
            bytes: modifiers.ty.size(),
            signed: modifiers.ty.is_signed(),
            registers,
            len: modifiers.len,
        };
        let op = if is_load {
            Op::Load(memory)
        } else {
            Op::Store(memory)
        };
        self.emit(guard, statement.line, op);
        Ok(())
    }

    pub(super) fn atomic(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        name: &str,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let Some(modifiers) = read_modifiers(modifiers) else {
            return unsupported(statement);
        };
        let operation = match modifiers.rest[..] {
            [operation] | [operation, "noftz"] => operation,
            _ => return unsupported(statement),
        };
        let update = update(operation, modifiers.ty);
        let (Some(update), 1) = (update, modifiers.len) else {
            return unsupported(statement);
        };
        let (to, address, from) = match (name, &statement.operands[..]) {
            ("atom", [to, address, from @ ..]) => (Some(to), address, from),
            ("red", [address, from @ ..]) => (None, address, from),
            _ => return bad_operands(statement),
        };
        let arity = if operation == "cas" { 2 } else { 1 };
        if from.len() != arity {
            return bad_operands(statement);
        }
        let to = match to {
            Some(Operand::Name("_")) | None => None,
            Some(to) => Some(self.target(to, statement)?),
        };
        let (address, offset, _) = self.address(address, statement)?;
        let mut sources = [0; 2];
        for (source, operand) in sources.iter_mut().zip(from) {
            *source = self.read(operand, statement)?;
        }
        self.note_granule(modifiers.space, modifiers.ty.size());
        let atomic = Atomic {
            space: modifiers.space,
            address,
            offset,
            bytes: modifiers.ty.size(),
            to,
            from: sources,
            update,
        };
        self.emit(guard, statement.line, Op::Atomic(atomic));
        Ok(())
    }

    /// `cp.async.{ca,cg}.shared.global [to], [from], bytes[, read]` and the two that wait for it.
    pub(super) fn copy_async(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let line = statement.line;
        match (modifiers, &statement.operands[..]) {
            (["async", "commit_group"], []) => self.emit(guard, line, Op::CopyCommit),
            (["async", "wait_group"], [Operand::Number(pending)]) => {
                let pending = u32::try_from(*pending).unwrap_or(u32::MAX);
                self.emit(guard, line, Op::CopyWait(pending));
            }
            (["async", "wait_all"], []) => {
                self.emit(guard, line, Op::CopyCommit);
                self.emit(guard, line, Op::CopyWait(0));
            }
            (
                [
                    "async",
                    cache @ ("ca" | "cg"),
                    "shared" | "shared::cta",
                    "global",
                    hints @ ..,
                ],
                [to, from, Operand::Number(bytes), read @ ..],
            ) if hints.iter().all(|hint| hint.starts_with("L2::")) && read.len() <= 1 => {
                let bytes = match (*cache, *bytes) {
                    (_, 16) => 16,
                    ("ca", bytes @ (4 | 8)) => bytes as u8,
                    _ => return bad_operands(statement),
                };
                let (to, to_offset, _) = self.address(to, statement)?;
                let (from, from_offset, _) = self.address(from, statement)?;
                let read = match read {
                    [read] => Some(self.read(read, statement)?),
                    _ => None,
                };
                let copy = CopyAsync {
                    to,
                    to_offset,
                    from,
                    from_offset,
                    bytes,
                    read,
                };
                self.emit(guard, line, Op::CopyAsync(copy));
            }
            _ => return unsupported(statement),
        }
        Ok(())
    }
}

/// What `operation` writes, from the old value and the operands.
fn update(operation: &str, ty: Type) -> Option<Update> {
    macro_rules! integer {
        ($t:ty) => {
            match operation {
                "add" => |old, a, _| <$t>::read(old).wrapping_add(<$t>::read(a)).write(),
                "min" => |old, a, _| <$t>::read(old).min(<$t>::read(a)).write(),
                "max" => |old, a, _| <$t>::read(old).max(<$t>::read(a)).write(),
                "and" => |old, a, _| (<$t>::read(old) & <$t>::read(a)).write(),
                "or" => |old, a, _| (<$t>::read(old) | <$t>::read(a)).write(),
                "xor" => |old, a, _| (<$t>::read(old) ^ <$t>::read(a)).write(),
                "exch" => |_, a, _| <$t>::read(a).write(),
                "cas" => |old, a, b| {
                    let old = <$t>::read(old);
                    if old == <$t>::read(a) {
                        <$t>::read(b).write()
                    } else {
                        old.write()
                    }
                },
                "inc" => |old, a, _| {
                    let (old, a) = (<$t>::read(old), <$t>::read(a));
                    if old >= a {
                        0
                    } else {
                        old.wrapping_add(1).write()
                    }
                },
                "dec" => |old, a, _| {
                    let (old, a) = (<$t>::read(old), <$t>::read(a));
                    if old == 0 || old > a {
                        a.write()
                    } else {
                        old.wrapping_sub(1).write()
                    }
                },
                _ => return None,
            }
        };
    }
    let update: Update = match (ty, operation) {
        (Type::F32, "add") => |old, a, _| (f32::read(old) + f32::read(a)).write(),
        (Type::F64, "add") => |old, a, _| (f64::read(old) + f64::read(a)).write(),
        (Type::F16, "add") => |old, a, _| F16(F16::read(old).0 + F16::read(a).0).write(),
        (Type::B(2), "cas" | "exch") => integer!(u16),
        (Type::U(4) | Type::B(4), _) => integer!(u32),
        (Type::S(4), _) => integer!(i32),
        (Type::U(8) | Type::B(8), _) => integer!(u64),
        (Type::S(8), _) => integer!(i64),
        _ => return None,
    };
    Some(update)
}
