//! A dense layer and its gradients as products.

use super::{Activation, Gather, Kind, OutputSums, Phase, Product, Tap, fits};

/// A dense layer: `out[n][o] = activation(bias[o] + sum_i weight[o][i] in[n][i])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Images of a batch.
    pub images: i32,
    /// Numbers that come in for each.
    pub inputs: i32,
    /// Numbers that go out for each.
    pub outputs: i32,
    /// What the layer does to its sums.
    pub activation: Activation,
}

/// What a dense layer and its gradients take. A batch has few images, so these are its columns, or its steps, and
/// each weight is read or written once for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DensePlan {
    /// Of what.
    pub dense: Dense,
    /// Rows are outputs, whose weights are lines; the left factor is the weights, the right one the input.
    pub forward: Product,
    /// Rows are inputs; the left factor is the weights, the right one the output's gradient.
    pub input: Product,
    /// Rows are inputs, columns outputs, steps images; the left factor is the input, the right one the output's
    /// gradient.
    pub weight: Product,
    /// The gradient by the biases.
    pub sums: OutputSums,
}

impl DensePlan {
    /// The plan of a dense layer; `None` where a count is not positive, or a matrix would have 2^31 elements.
    pub fn new(dense: Dense) -> Option<Self> {
        let Dense {
            images,
            inputs,
            outputs,
            ..
        } = dense;
        if [images, inputs, outputs].iter().any(|&n| n < 1) {
            return None;
        }
        let size = |n: i32| n as usize;
        let weights = fits(&[size(inputs), size(outputs)])?;
        let ins = fits(&[size(images), size(inputs)])?;
        let outs = fits(&[size(images), size(outputs)])?;
        // One line of `rows` samples `stride` apart, of which each sums `depth` steps.
        let product = |kind: Kind,
                       gather: Gather,
                       rows: i32,
                       depth: i32,
                       lens: [usize; 2],
                       tap: &dyn Fn(i32) -> Tap| {
            let gather = Gather {
                images: 1,
                out_column: rows,
                out_width: rows,
                apart: 1,
                len: rows * gather.columns,
                ..gather
            };
            let all = Phase {
                height: 1,
                width: rows,
                row: 0,
                column: 0,
                first: 0,
                depth,
            };
            Product::new(kind, gather, vec![all], (0..depth).map(tap).collect(), lens)
        };
        let forward = Gather {
            columns: images,
            stride: inputs,
            pitch: inputs,
            bias_of_sample: true,
            activation: dense.activation,
            ..Gather::default()
        };
        let input = Gather {
            columns: images,
            stride: 1,
            pitch: outputs,
            ..Gather::default()
        };
        let weight = Gather {
            columns: outputs,
            stride: 1,
            pitch: 1,
            ..Gather::default()
        };
        Some(Self {
            dense,
            forward: product(
                Kind::Lines,
                forward,
                outputs,
                inputs,
                [weights, ins],
                &|at| Tap {
                    offset: at,
                    weight: at,
                },
            )?,
            input: product(
                Kind::Gathered,
                input,
                inputs,
                outputs,
                [weights, outs],
                &|at| Tap {
                    offset: at * inputs,
                    weight: at,
                },
            )?,
            weight: product(Kind::Gathered, weight, inputs, images, [ins, outs], &|at| {
                Tap {
                    offset: at * inputs,
                    weight: at * outputs,
                }
            })?,
            sums: OutputSums::new(size(images), size(outputs), 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER: Dense = Dense {
        images: 32,
        inputs: 73_728,
        outputs: 512,
        activation: Activation::Relu,
    };

    #[test]
    fn long_sums_are_divided_and_short_ones_are_not() {
        let plan = DensePlan::new(PAPER).unwrap();
        for (product, rows, depth) in [
            (&plan.forward, 512u32, 73_728),
            (&plan.input, 73_728, 512),
            (&plan.weight, 73_728, 32),
        ] {
            let Gather { parts, of_part, .. } = product.gather;
            assert!(parts * of_part >= depth && (parts - 1) * of_part < depth);
            assert_eq!(parts > 1, rows == 512);
            assert_eq!(product.launch.grid[0], rows.div_ceil(128));
            assert_eq!(product.launch.grid[2], parts as u32);
        }
        assert_eq!(plan, DensePlan::new(PAPER).unwrap());
    }

    #[test]
    fn impossible_shapes_have_no_plan() {
        for dense in [
            Dense { images: 0, ..PAPER },
            Dense {
                outputs: -1,
                ..PAPER
            },
            Dense {
                outputs: 1 << 20,
                ..PAPER
            },
        ] {
            assert_eq!(DensePlan::new(dense), None);
        }
    }
}
