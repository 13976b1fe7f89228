//! `mma.sync`: products of small matrices that are spread over the lanes of a warp.

use crate::half::{bf16_to_f32, f16_to_f32, truncate_to_tf32};
use crate::lanes::{Index, LANES, Lane, Register};
use crate::program::{Factor, Multiply};

/// Element `half` of a register, as a factor.
fn element(factor: Factor, bits: u64, half: usize) -> f64 {
    let bits16 = (bits >> (16 * half)) as u16;
    f64::from(match factor {
        Factor::Tf32 => truncate_to_tf32(bits as u32),
        Factor::F16 => f16_to_f32(bits16),
        Factor::Bf16 => bf16_to_f32(bits16),
    })
}

/// `d = a b + c`, with the layout of fragments that the PTX manual gives for m16n8k4, k8 and k16.
///
/// Products are exact and summed in `f64`, from the accumulator up; a tensor core sums in an order
/// and a width of its own, so that results agree to about `f32`'s precision and not to the bit.
pub(super) fn multiply(registers: &mut [Register], product: &Multiply) {
    let depth = product.depth;
    let per_register = if product.factor == Factor::Tf32 { 1 } else { 2 };
    let register = |index: Index| &registers[usize::from(index)];
    let mut a = [[0.0; 16]; 16];
    let mut b = [[0.0; 8]; 16];
    for lane in 0..LANES {
        let (group, member) = (lane / 4, lane % 4);
        for half in 0..per_register {
            let column = |i: usize| member * per_register + half + 4 * per_register * i;
            for (i, &index) in product.a.iter().enumerate() {
                a[group + 8 * (i % 2)][column(i / 2)] =
                    element(product.factor, register(index)[lane], half);
            }
            for (i, &index) in product.b.iter().enumerate() {
                b[column(i)][group] = element(product.factor, register(index)[lane], half);
            }
        }
    }
    let mut results = [[0; LANES]; 4];
    for lane in 0..LANES {
        for (i, result) in results.iter_mut().enumerate() {
            let (row, column) = (lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2);
            let mut sum = f64::from(f32::read(register(product.c[i])[lane]));
            for k in 0..depth {
                sum += a[row][k] * b[k][column];
            }
            result[lane] = (sum as f32).write();
        }
    }
    for (&index, result) in product.d.iter().zip(&results) {
        registers[usize::from(index)] = *result;
    }
}
