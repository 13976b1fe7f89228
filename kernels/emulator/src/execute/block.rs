//! One block: warps in turn, barriers, and the instructions that touch memory or control flow.

use super::warp::{Wait, Warp, lanes};
use super::{Counters, LaneFault, Launch, Outcome, constant};
use crate::finding::{Fault, Finding};
use crate::lanes::{Index, LANES, keep, mask_of};
use crate::memory::{DeviceMemory, Toucher};
use crate::program::{Constant, Instruction, Op};
use crate::shared::{SharedMemory, Thread};

/// What comes after an instruction.
pub(super) enum Next {
    /// The next instruction, for all lanes that were here.
    Step,
    /// Program counters have been set.
    Scattered,
}

pub(super) struct Block<'r> {
    pub(super) launch: &'r Launch<'r>,
    pub(super) memory: &'r mut DeviceMemory,
    pub(super) shared: SharedMemory,
    /// Every thread's local memory, one after the other.
    pub(super) local: Vec<u8>,
    pub(super) by: Toucher,
    index: [u32; 3],
    /// Warps that have arrived at each barrier without waiting there.
    arrived: [u32; 16],
    executed: u64,
    pub(super) counters: Counters,
}

impl<'r> Block<'r> {
    pub(super) fn new(
        launch: &'r Launch<'r>,
        memory: &'r mut DeviceMemory,
        shared: SharedMemory,
        by: Toucher,
    ) -> (Self, Vec<Warp>) {
        let threads: u32 = launch.block.iter().product();
        let warps = (0..threads.div_ceil(32))
            .map(|_| Warp::new(launch.kernel.registers))
            .collect();
        let block = Self {
            launch,
            memory,
            shared,
            local: vec![0xcd; launch.kernel.local * threads as usize],
            by,
            index: [0; 3],
            arrived: [0; 16],
            executed: 0,
            counters: Counters::default(),
        };
        (block, warps)
    }

    /// Puts every warp at the kernel's start, for the block at `index`.
    pub(super) fn begin(&mut self, index: [u32; 3], warps: &mut [Warp]) {
        let first = self.by.block == 0;
        self.index = index;
        self.by.block += 1;
        self.by.fenced = false;
        self.arrived = [0; 16];
        self.executed = 0;
        self.shared.begin_block();
        let threads: u32 = self.launch.block.iter().product();
        for (number, warp) in (0..).zip(warps) {
            let count = (threads - 32 * number).min(32);
            warp.live = u32::MAX >> (32 - count);
            warp.pc = [self.launch.kernel.start; LANES];
            (warp.at_barrier, warp.parked, warp.wait, warp.epoch) = (0, 0, None, 0);
            warp.copies.clear();
            warp.committed = [0; LANES];
            for &(register, value) in &self.launch.kernel.constants {
                // Only the block's index changes from block to block.
                if first || matches!(value, Constant::Special(_)) {
                    for lane in 0..LANES {
                        warp.registers[usize::from(register)][lane] =
                            constant(value, self.launch, index, number, lane as u32);
                    }
                }
            }
        }
    }

    /// Runs the block to its end.
    pub(super) fn run(&mut self, warps: &mut [Warp]) -> Result<(), Box<Finding>> {
        loop {
            let mut progress = false;
            for (number, warp) in (0..).zip(warps.iter_mut()) {
                if warp.ready() != 0 {
                    progress = true;
                    self.run_warp(number, warp)?;
                }
            }
            if warps.iter().all(|warp| warp.live == 0) {
                return Ok(());
            }
            if !self.release(warps) && !progress {
                return Err(self.deadlock(warps));
            }
        }
    }

    /// Lets go of the barriers at which all have arrived.
    fn release(&mut self, warps: &mut [Warp]) -> bool {
        let running = warps.iter().filter(|warp| warp.live != 0).count() as u32;
        let mut released = false;
        for barrier in 0..16u8 {
            let waits = |warp: &&Warp| warp.wait.is_some_and(|wait| wait.barrier == barrier);
            let waiting = warps.iter().filter(waits).count() as u32;
            let Some(wait) = warps.iter().find(waits).and_then(|warp| warp.wait) else {
                continue;
            };
            let needed = wait.warps.unwrap_or(running);
            if waiting + self.arrived[usize::from(barrier)] < needed {
                continue;
            }
            for warp in warps.iter_mut() {
                if warp.wait.is_some_and(|wait| wait.barrier == barrier) {
                    (warp.at_barrier, warp.wait) = (0, None);
                }
            }
            self.arrived[usize::from(barrier)] = 0;
            self.shared.barrier();
            released = true;
        }
        released
    }

    fn deadlock(&self, warps: &[Warp]) -> Box<Finding> {
        let mut lines: Vec<u32> = warps
            .iter()
            .filter_map(|w| w.wait)
            .map(|w| w.line)
            .collect();
        let line = lines.first().copied().unwrap_or(0);
        lines.sort_unstable();
        lines.dedup();
        let waiting = warps
            .iter()
            .enumerate()
            .filter(|(_, warp)| warp.wait.is_some())
            .fold(0, |mask, (number, _)| mask | 1 << number);
        let first = warps.iter().position(|warp| warp.wait.is_some());
        let fault = Fault::BarrierDeadlock { waiting, lines };
        self.finding(
            first.unwrap_or(0) as u32,
            line,
            LaneFault { lane: None, fault },
        )
    }

    fn finding(&self, warp: u32, line: u32, fault: LaneFault) -> Box<Finding> {
        Box::new(Finding {
            kernel: self.launch.kernel.name.clone(),
            block: self.index,
            warp,
            lane: fault.lane,
            line,
            fault: fault.fault,
        })
    }

    /// Runs a warp until all its lanes wait or have returned.
    fn run_warp(&mut self, number: u32, warp: &mut Warp) -> Result<(), Box<Finding>> {
        let code: &'r [Instruction] = &self.launch.kernel.code;
        while let Some((mut pc, mut here, mut next)) = warp.pick() {
            warp.parked &= !here;
            while pc < next {
                let instruction = &code[pc as usize];
                let active = match instruction.guard {
                    None => here,
                    Some((register, negated)) => {
                        let truth = mask_of(&warp.registers[usize::from(register)]);
                        here & if negated { !truth } else { truth }
                    }
                };
                self.counters.warp_instructions += 1;
                self.counters.lane_instructions += u64::from(active.count_ones());
                if let Op::Lanes(op) = &instruction.op {
                    (op.run)(&mut warp.registers, op, active);
                    pc += 1;
                    continue;
                }
                if let Op::Branch(target) = instruction.op {
                    self.executed += 1;
                    if self.executed > self.launch.limit {
                        let limit = self.launch.limit;
                        let fault = Fault::TooManyInstructions { limit };
                        return Err(self.finding(
                            number,
                            instruction.line,
                            LaneFault { lane: None, fault },
                        ));
                    }
                    if active == 0 {
                        pc += 1;
                    } else if active == here {
                        pc = target;
                    } else {
                        let fall = here & !active;
                        let (low, low_pc, high, high_pc) = if target < pc {
                            (active, target, fall, pc + 1)
                        } else {
                            (fall, pc + 1, active, target)
                        };
                        warp.set_pc(high, high_pc);
                        next = next.min(high_pc);
                        (here, pc) = (low, low_pc);
                    }
                    if warp.parked != 0 {
                        // Lanes that wait may be where these have jumped to.
                        break;
                    }
                    continue;
                }
                if active == 0 {
                    pc += 1;
                    continue;
                }
                warp.set_pc(here, pc);
                let outcome = self.instruction(number, warp, instruction, here, active, pc);
                match outcome.map_err(|fault| self.finding(number, instruction.line, *fault))? {
                    Next::Step => pc += 1,
                    Next::Scattered => {
                        here = 0;
                        break;
                    }
                }
            }
            warp.set_pc(here, pc);
        }
        if warp.parked != 0 {
            // Nobody is left who could come.
            let lane = warp.parked.trailing_zeros() as usize;
            let instruction = &code[warp.pc[lane] as usize];
            let present = lanes(warp.parked)
                .filter(|&l| warp.pc[l] == warp.pc[lane])
                .fold(0, |mask, l| mask | 1 << l);
            let fault = Fault::AbsentLanes {
                named: super::collective::named(instruction, warp, lane),
                present,
            };
            return Err(self.finding(number, instruction.line, LaneFault { lane: None, fault }));
        }
        Ok(())
    }

    /// Executes an instruction that is more than arithmetic.
    fn instruction(
        &mut self,
        number: u32,
        warp: &mut Warp,
        instruction: &Instruction,
        here: u32,
        active: u32,
        pc: u32,
    ) -> Outcome<Next> {
        match &instruction.op {
            Op::Load(load) => self.load(number, warp, load, active)?,
            Op::Store(store) => self.store(number, warp, store, active)?,
            Op::Atomic(atomic) => self.atomic(number, warp, atomic, active)?,
            Op::Call(target, link) => {
                let back = [u64::from(pc) + 1; LANES];
                keep(&mut warp.registers, *link, active, &back);
                warp.set_pc(here & !active, pc + 1);
                warp.set_pc(active, *target);
                return Ok(Next::Scattered);
            }
            Op::Return(link) => {
                warp.set_pc(here & !active, pc + 1);
                for lane in lanes(active) {
                    warp.pc[lane] = warp.registers[usize::from(*link)][lane] as u32;
                }
                return Ok(Next::Scattered);
            }
            Op::Exit => {
                warp.live &= !active;
                warp.set_pc(here & !active, pc + 1);
                return Ok(Next::Scattered);
            }
            Op::Trap => return Err(Fault::Trap.into()),
            Op::Fence => self.by.fenced = true,
            Op::Barrier { id, count, waits } => {
                let lane = active.trailing_zeros() as usize;
                let value = |index: &Index| warp.registers[usize::from(*index)][lane];
                let wait = Wait {
                    barrier: value(id) as u8 & 15,
                    warps: count.as_ref().map(|count| value(count) as u32 / 32),
                    line: instruction.line,
                };
                if !waits {
                    self.arrived[usize::from(wait.barrier)] += 1;
                    return Ok(Next::Step);
                }
                if warp.wait.is_some_and(|other| other != wait) {
                    return Err(Fault::BarrierDivergence {
                        present: active,
                        absent: warp.at_barrier,
                    }
                    .into());
                }
                warp.wait = Some(wait);
                warp.at_barrier |= active;
                warp.set_pc(here, pc + 1);
                return Ok(Next::Scattered);
            }
            Op::CopyAsync(copy) => self.copy_async(number, warp, copy, active)?,
            Op::CopyCommit => {
                for lane in lanes(active) {
                    warp.committed[lane] += 1;
                }
            }
            Op::CopyWait(pending) => self.copy_wait(number, warp, *pending, active),
            _ => return self.collective(number, warp, instruction, here, active),
        }
        Ok(Next::Step)
    }

    pub(super) fn thread(number: u32, lane: usize, warp: &Warp) -> Thread {
        Thread {
            number: number * 32 + lane as u32,
            warp_epoch: warp.epoch,
        }
    }
}
