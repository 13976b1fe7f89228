//! Instructions for which lanes of a warp must come together.

use super::block::{Block, Next};
use super::matrix::multiply;
use super::warp::{Warp, lanes};
use super::{LaneFault, Outcome};
use crate::finding::{Access, Fault};
use crate::lanes::{Index, LANES, keep, mask_of};
use crate::program::{Instruction, LoadMatrix, Op, Shuffle, ShuffleMode, Vote, VoteMode};
use crate::types::Space;

/// The lanes that an instruction names, by its member mask in lane `lane`.
pub(super) fn named(instruction: &Instruction, warp: &Warp, lane: usize) -> u32 {
    let value = |index: Index| warp.registers[usize::from(index)][lane] as u32;
    match &instruction.op {
        Op::WarpBarrier(mask) => value(*mask),
        Op::Shuffle(shuffle) => value(shuffle.from[3]),
        Op::Vote(vote) => value(vote.mask),
        _ => u32::MAX,
    }
}

impl Block<'_> {
    pub(super) fn collective(
        &mut self,
        number: u32,
        warp: &mut Warp,
        instruction: &Instruction,
        here: u32,
        active: u32,
    ) -> Outcome<Next> {
        if let Op::ActiveMask(to) = &instruction.op {
            keep(
                &mut warp.registers,
                *to,
                active,
                &[u64::from(active); LANES],
            );
            return Ok(Next::Step);
        }
        // Lanes may name different sets, each of which must be here.
        let mut missing = 0;
        for lane in lanes(active) {
            let named = named(instruction, warp, lane);
            if named >> lane & 1 == 0 {
                return Err(LaneFault::new(
                    lane,
                    Fault::AbsentLanes {
                        named,
                        present: active,
                    },
                ));
            }
            missing |= named & !active;
        }
        if missing != 0 {
            let elsewhere = warp.ready() & !here;
            if elsewhere == 0 {
                let lane = active.trailing_zeros() as usize;
                return Err(Fault::AbsentLanes {
                    named: named(instruction, warp, lane),
                    present: active,
                }
                .into());
            }
            // Others may still come: wait for them here.
            let pc = warp.pc[here.trailing_zeros() as usize];
            warp.set_pc(here & !active, pc + 1);
            warp.parked |= active;
            return Ok(Next::Scattered);
        }
        match &instruction.op {
            Op::WarpBarrier(_) => warp.epoch += 1,
            Op::Shuffle(shuffle) => self::shuffle(warp, shuffle, active)?,
            Op::Vote(vote) => self::vote(warp, vote, active),
            Op::LoadMatrix(load) => self.load_matrix(number, warp, load, active)?,
            Op::Multiply(product) => multiply(&mut warp.registers, product),
            _ => {}
        }
        Ok(Next::Step)
    }

    /// Lane `8 m + r` has the address of row `r` of matrix `m`; lane `l` receives columns
    /// `2 (l mod 4)` and the next of row `l / 4`, of columns for rows if transposed.
    fn load_matrix(
        &mut self,
        number: u32,
        warp: &mut Warp,
        load: &LoadMatrix,
        active: u32,
    ) -> Outcome {
        for (matrix, &to) in load.to.iter().enumerate() {
            let mut rows = [[0u16; 8]; 8];
            for (row, elements) in rows.iter_mut().enumerate() {
                let lane = 8 * matrix + row;
                let base = warp.registers[usize::from(load.address)][lane];
                let address = base.wrapping_add_signed(load.offset);
                let thread = Self::thread(number, lane, warp);
                let data = self
                    .touch(Space::Shared, address, 16, Access::Read, thread)
                    .map_err(|fault| LaneFault::new(lane, fault))?;
                for (element, bytes) in elements.iter_mut().zip(data.chunks_exact(2)) {
                    *element = u16::from_le_bytes([bytes[0], bytes[1]]);
                }
            }
            let mut result = [0; LANES];
            for (lane, result) in result.iter_mut().enumerate() {
                let (row, column) = (lane / 4, 2 * (lane % 4));
                let pair = if load.transposed {
                    [rows[column][row], rows[column + 1][row]]
                } else {
                    [rows[row][column], rows[row][column + 1]]
                };
                *result = u64::from(pair[1]) << 16 | u64::from(pair[0]);
            }
            keep(&mut warp.registers, to, active, &result);
        }
        Ok(())
    }
}

fn shuffle(warp: &mut Warp, shuffle: &Shuffle, active: u32) -> Outcome {
    let [value, operand, clamp, _] = shuffle.from.map(|r| warp.registers[usize::from(r)]);
    let (mut result, mut in_range) = ([0; LANES], [0; LANES]);
    for lane in lanes(active) {
        let (b, c) = (operand[lane] as u32 & 31, clamp[lane] as u32);
        let (clamp, segment) = (c & 31, c >> 8 & 31);
        let own = lane as u32;
        let low = own & segment;
        let high = low | (clamp & !segment);
        let (source, inside) = match shuffle.mode {
            ShuffleMode::Up => (own.wrapping_sub(b), own as i32 - b as i32 >= high as i32),
            ShuffleMode::Down => (own + b, own + b <= high),
            ShuffleMode::Butterfly => (own ^ b, own ^ b <= high),
            ShuffleMode::Index => {
                let source = low | (b & !segment);
                (source, source <= high)
            }
        };
        let source = if inside { source } else { own };
        if active >> source & 1 == 0 {
            return Err(LaneFault::new(
                lane,
                Fault::ShuffleFromAbsentLane { source },
            ));
        }
        result[lane] = u64::from(value[source as usize] as u32);
        in_range[lane] = u64::from(inside);
    }
    keep(&mut warp.registers, shuffle.to, active, &result);
    if let Some(to) = shuffle.in_range {
        keep(&mut warp.registers, to, active, &in_range);
    }
    Ok(())
}

fn vote(warp: &mut Warp, vote: &Vote, active: u32) {
    let truth = mask_of(&warp.registers[usize::from(vote.predicate)]);
    let truth = if vote.negated { !truth } else { truth };
    let mut result = [0; LANES];
    for lane in lanes(active) {
        let members = warp.registers[usize::from(vote.mask)][lane] as u32;
        let yes = truth & members;
        result[lane] = match vote.mode {
            VoteMode::All => u64::from(yes == members),
            VoteMode::Any => u64::from(yes != 0),
            VoteMode::Uniform => u64::from(yes == 0 || yes == members),
            VoteMode::Ballot => u64::from(yes),
        };
    }
    keep(&mut warp.registers, vote.to, active, &result);
}
