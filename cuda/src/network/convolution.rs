//! Convolutions and transposed ones, forward and backward.

use std::ops::Range;
use std::rc::Rc;

use cudarc::driver::CudaSlice;
use msssim_kernels::network::{
    Border, Conv, ConvPlan, PackedPlan, PackedWeight, Packing, WeightPacking,
};

use super::product::{DeviceProduct, DeviceSums};
use super::{Buffer, Network};
use crate::driver::network::Part;
use crate::error::Error;

/// A planned convolution, or transposed one, with the memory that it works in.
#[derive(Debug)]
pub struct Convolution {
    conv: Conv,
    /// The convolution's input and its output's gradient, as products take them.
    large: Side,
    small: Side,
    down: Direction,
    up: Direction,
    weight: Weight,
    sums: DeviceSums,
    /// What `up` makes where it has a border.
    larger: Option<Buffer>,
}

/// Tensors of one side of a convolution.
#[derive(Debug)]
struct Side {
    border: Border,
    packing: Option<Packing>,
    /// The last one with its border.
    prepared: Buffer,
}

/// A product with the weights, and what they are packed into where they are.
#[derive(Debug)]
struct Direction {
    product: DeviceProduct,
    packed: Option<(WeightPacking, Buffer)>,
}

/// The gradient by the weights.
#[derive(Debug)]
enum Weight {
    Gathered(DeviceProduct),
    Packed {
        weight: PackedWeight,
        outputs: Rc<CudaSlice<i32>>,
        parts: Buffer,
    },
}

impl Network {
    /// Plans a convolution or a transposed one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a count of 0, an even kernel, a stride of 256, 2^31 elements, or a transposed
    /// convolution that repeats the border; [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn plan_conv2d(&self, conv: Conv) -> Result<Convolution, Error> {
        let plan = ConvPlan::new(conv).ok_or(Error::Unsupported {
            what: "convolutions of such a shape (counts of 0, an even kernel, a stride of 256, 2^31 elements, or a transposed \
                   one that repeats the border)",
        })?;
        let packed = self.precision.factors_of_word();
        let packed = packed.and_then(|factors| PackedPlan::new(&plan, factors));
        let sums = self.plan_sums(plan.sums)?;
        let larger = match plan.fold {
            false => None,
            true => Some(self.zeros(plan.border.outer_len())?),
        };
        let side = |border: Border, packing: Option<Packing>| -> Result<Side, Error> {
            let len = packing.map_or(border.outer_len(), |packing| packing.packed_len());
            Ok(Side {
                border,
                packing,
                prepared: self.zeros(len)?,
            })
        };
        let Some(packed) = packed else {
            let direction = |product| -> Result<Direction, Error> {
                Ok(Direction {
                    product: self.plan_product(product)?,
                    packed: None,
                })
            };
            return Ok(Convolution {
                conv,
                large: side(plan.border, None)?,
                small: side(plan.dout_border, None)?,
                down: direction(plan.down)?,
                up: direction(plan.up)?,
                weight: Weight::Gathered(self.plan_product(plan.weight)?),
                sums,
                larger,
            });
        };
        let direction = |product, weights: WeightPacking| -> Result<Direction, Error> {
            Ok(Direction {
                product: self.plan_product(product)?,
                packed: Some((weights, self.zeros(weights.packed_len())?)),
            })
        };
        Ok(Convolution {
            conv,
            large: side(plan.border, Some(packed.input))?,
            small: side(plan.dout_border, Some(packed.dout))?,
            down: direction(packed.down, packed.down_weights)?,
            up: direction(packed.up, packed.up_weights)?,
            weight: Weight::Packed {
                outputs: self.table(packed.weight.outputs.as_flattened())?,
                parts: self.zeros(packed.weight.parts_len())?,
                weight: packed.weight,
            },
            sums,
            larger,
        })
    }

    /// `output = activation(weights * input + bias)`; `weight` and `bias` are ranges of `parameters`.
    /// The plan keeps a copy of the input for [`Network::conv2d_backward`].
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer or range is not of the planned length.
    pub fn conv2d_forward(
        &self,
        conv: &Convolution,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<(), Error> {
        let (direction, side) = if conv.conv.transposed {
            (&conv.up, &conv.small)
        } else {
            (&conv.down, &conv.large)
        };
        self.prepare(side, self.whole(input))?;
        let [weight, bias] = [self.part(parameters, weight), self.part(parameters, bias)];
        self.apply(direction, side, weight, Some(bias), self.whole(output))
    }

    /// The gradients by a convolution's weights, biases and, where wanted, input, from that by its output.
    /// `input` and `output` are those of the last forward call with this plan; `doutput` is used up.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer or range is not of the planned length.
    #[expect(
        clippy::too_many_arguments,
        reason = "the forward call's buffers and the gradient of each"
    )]
    pub fn conv2d_backward(
        &self,
        conv: &Convolution,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        input: &Buffer,
        output: &Buffer,
        doutput: &mut Buffer,
        dinput: Option<&mut Buffer>,
        dparameters: &mut Buffer,
    ) -> Result<(), Error> {
        let dout = self.whole(doutput);
        let dbias = self.part(dparameters, bias);
        let activation = conv.conv.activation;
        self.output_backward(&conv.sums, activation, self.whole(output), dout, dbias)?;
        // The forward call prepared one side; the gradient comes from the other one, and goes by the product in the
        // other direction.
        let (back, from, small) = if conv.conv.transposed {
            (&conv.down, &conv.large, self.whole(input))
        } else {
            (&conv.up, &conv.small, dout)
        };
        let packed = matches!(conv.weight, Weight::Packed { .. });
        if packed || conv.conv.transposed || dinput.is_some() {
            self.prepare(from, dout)?;
        }
        let dweight = self.part(dparameters, weight.clone());
        self.weight_gradient(conv, small, dweight)?;
        let Some(dinput) = dinput else {
            return Ok(());
        };
        let weight = self.part(parameters, weight);
        let din = self.whole(dinput);
        match &conv.larger {
            None => self.apply(back, from, weight, None, din),
            Some(larger) => {
                let larger = self.whole(larger);
                self.apply(back, from, weight, None, larger)?;
                let (stream, border) = (&self.stream, &conv.large.border);
                Ok(self.kernels.fold(stream, border, larger, din)?)
            }
        }
    }

    /// Gives a tensor its border, and packs it where its products want that.
    fn prepare(&self, side: &Side, from: Part) -> Result<(), Error> {
        let to = self.whole(&side.prepared);
        match &side.packing {
            None => self.kernels.pad(&self.stream, &side.border, from, to)?,
            Some(packing) => self.kernels.pack(&self.stream, packing, from, to)?,
        }
        Ok(())
    }

    /// The product of what a side was prepared with and the weights.
    fn apply(
        &self,
        direction: &Direction,
        side: &Side,
        weight: Part,
        bias: Option<Part>,
        out: Part,
    ) -> Result<(), Error> {
        let weight = match &direction.packed {
            None => weight,
            Some((packing, packed)) => {
                let packed = self.whole(packed);
                self.kernels
                    .pack_weights(&self.stream, packing, weight, packed)?;
                packed
            }
        };
        let factors = [self.whole(&side.prepared), weight];
        self.multiply(&direction.product, factors, bias, out)
    }

    /// From both sides as they were prepared; `small` is the smaller one as it was.
    fn weight_gradient(&self, conv: &Convolution, small: Part, dweight: Part) -> Result<(), Error> {
        let large = self.whole(&conv.large.prepared);
        match (&conv.weight, &conv.large.packing, &conv.small.packing) {
            (Weight::Gathered(product), ..) => {
                self.multiply(product, [large, small], None, dweight)
            }
            (
                Weight::Packed {
                    weight,
                    outputs,
                    parts,
                },
                Some(of_large),
                Some(of_small),
            ) => {
                let small = self.whole(&conv.small.prepared);
                let sides = [(large, of_large), (small, of_small)];
                let (outputs, parts) = (self.integers(outputs), self.whole(parts));
                let stream = &self.stream;
                Ok(self
                    .kernels
                    .packed_weight(stream, weight, outputs, sides, parts, dweight)?)
            }
            (Weight::Packed { .. }, ..) => unreachable!("both sides are packed, or neither"),
        }
    }
}
