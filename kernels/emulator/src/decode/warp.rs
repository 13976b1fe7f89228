//! Instructions of a whole warp or block: barriers, shuffles, votes, matrices.

use super::Decoder;
use super::instruction::{Guard, bad_operands, unsupported};
use crate::ast::{Operand, Statement};
use crate::error::ParseError;
use crate::lanes::Index;
use crate::program::{Factor, LoadMatrix, Multiply, Op, Shuffle, ShuffleMode, Vote, VoteMode};

impl<'a> Decoder<'_, 'a> {
    pub(super) fn warp_instruction(
        &mut self,
        statement: &Statement<'a>,
        guard: Guard,
        name: &str,
        modifiers: &[&str],
    ) -> Result<(), ParseError> {
        let op = match (name, modifiers, &statement.operands[..]) {
            ("bar", ["warp", "sync"], [mask]) => Op::WarpBarrier(self.read(mask, statement)?),
            (
                "bar" | "barrier",
                ["sync" | "arrive"]
                | ["sync" | "arrive", "aligned"]
                | ["cta", "sync" | "arrive"]
                | ["cta", "sync" | "arrive", "aligned"],
                [id, count @ ..],
            ) if count.len() <= 1 => {
                let waits = modifiers.contains(&"sync");
                if !waits && count.is_empty() {
                    return bad_operands(statement);
                }
                let id = self.read(id, statement)?;
                let count = match count {
                    [count] => Some(self.read(count, statement)?),
                    _ => None,
                };
                Op::Barrier { id, count, waits }
            }
            ("shfl", ["sync", mode, "b32"], [to, from @ ..]) => {
                let mode = match *mode {
                    "up" => ShuffleMode::Up,
                    "down" => ShuffleMode::Down,
                    "bfly" => ShuffleMode::Butterfly,
                    "idx" => ShuffleMode::Index,
                    _ => return unsupported(statement),
                };
                let [value, lane, clamp, mask] = from else {
                    return bad_operands(statement);
                };
                let (to, in_range) = match to {
                    Operand::Pair(to, p) => (
                        self.target(&Operand::Name(to), statement)?,
                        Some(self.target(&Operand::Name(p), statement)?),
                    ),
                    to => (self.target(to, statement)?, None),
                };
                let from = [
                    self.read(value, statement)?,
                    self.read(lane, statement)?,
                    self.read(clamp, statement)?,
                    self.read(mask, statement)?,
                ];
                Op::Shuffle(Shuffle {
                    mode,
                    to,
                    in_range,
                    from,
                })
            }
            ("vote", ["sync", mode, ty], [to, predicate, mask]) => {
                let mode = match (*mode, *ty) {
                    ("all", "pred") => VoteMode::All,
                    ("any", "pred") => VoteMode::Any,
                    ("uni", "pred") => VoteMode::Uniform,
                    ("ballot", "b32") => VoteMode::Ballot,
                    _ => return unsupported(statement),
                };
                let (predicate, negated) = match predicate {
                    Operand::Not(name) => (self.register_named(name, statement)?, true),
                    other => (self.read(other, statement)?, false),
                };
                Op::Vote(Vote {
                    mode,
                    to: self.target(to, statement)?,
                    predicate,
                    negated,
                    mask: self.read(mask, statement)?,
                })
            }
            ("activemask", ["b32"], [to]) => Op::ActiveMask(self.target(to, statement)?),
            (
                "ldmatrix",
                ["sync", "aligned", "m8n8", count, shape @ ..],
                [Operand::Vector(to), address],
            ) => {
                let transposed = match shape {
                    ["shared" | "shared::cta", "b16"] => false,
                    ["trans", "shared" | "shared::cta", "b16"] => true,
                    _ => return unsupported(statement),
                };
                let count = match *count {
                    "x1" => 1,
                    "x2" => 2,
                    "x4" => 4,
                    _ => return unsupported(statement),
                };
                if to.len() != count {
                    return bad_operands(statement);
                }
                let (address, offset, _) = self.address(address, statement)?;
                Op::LoadMatrix(LoadMatrix {
                    address,
                    offset,
                    to: self.targets(to, statement)?,
                    transposed,
                })
            }
            ("mma", ["sync", "aligned", shape, "row", "col", "f32", a, b, "f32"], _) if a == b => {
                let (factor, depth) = match (*shape, *a) {
                    ("m16n8k4", "tf32") => (Factor::Tf32, 4),
                    ("m16n8k8", "tf32") => (Factor::Tf32, 8),
                    ("m16n8k8", "f16") => (Factor::F16, 8),
                    ("m16n8k16", "f16") => (Factor::F16, 16),
                    ("m16n8k8", "bf16") => (Factor::Bf16, 8),
                    ("m16n8k16", "bf16") => (Factor::Bf16, 16),
                    _ => return unsupported(statement),
                };
                self.multiply(statement, factor, depth)?
            }
            _ => return unsupported(statement),
        };
        self.emit(guard, statement.line, op);
        Ok(())
    }

    fn targets(
        &mut self,
        operands: &[Operand<'a>],
        statement: &Statement<'a>,
    ) -> Result<Vec<Index>, ParseError> {
        operands
            .iter()
            .map(|operand| self.target(operand, statement))
            .collect()
    }

    fn multiply(
        &mut self,
        statement: &Statement<'a>,
        factor: Factor,
        depth: usize,
    ) -> Result<Op, ParseError> {
        let [
            Operand::Vector(d),
            Operand::Vector(a),
            Operand::Vector(b),
            Operand::Vector(c),
        ] = &statement.operands[..]
        else {
            return bad_operands(statement);
        };
        let per_register = if factor == Factor::Tf32 { 1 } else { 2 };
        // 16 x depth and depth x 8 elements over 32 lanes.
        let (a_len, b_len) = (depth / 2 / per_register, depth / 4 / per_register);
        if (d.len(), a.len(), b.len(), c.len()) != (4, a_len, b_len, 4) {
            return bad_operands(statement);
        }
        let mut read = |operands: &[Operand<'a>]| -> Result<Vec<Index>, ParseError> {
            operands
                .iter()
                .map(|operand| self.read(operand, statement))
                .collect()
        };
        let (a, b, c) = (read(a)?, read(b)?, read(c)?);
        let d = self.targets(d, statement)?;
        Ok(Op::Multiply(Box::new(Multiply {
            factor,
            depth,
            d,
            a,
            b,
            c,
        })))
    }
}
