//! Products and the sums beside them, with their tables and working memory on the device.

use std::rc::Rc;

use cudarc::driver::CudaSlice;
use msssim_kernels::network::{Activation, OutputSums, Product};

use super::{Buffer, Network};
use crate::driver::network::{Part, PlannedProduct};
use crate::error::Error;

/// A product as its kernels need it.
#[derive(Debug)]
pub(super) struct DeviceProduct {
    product: Product,
    phases: Rc<CudaSlice<i32>>,
    taps: Rc<CudaSlice<i32>>,
    parts: Option<Buffer>,
}

/// The sums that make the gradient by biases.
#[derive(Debug)]
pub(super) struct DeviceSums {
    sums: OutputSums,
    /// Doubles as pairs of floats.
    parts: Buffer,
}

impl Network {
    pub(super) fn plan_product(&self, product: Product) -> Result<DeviceProduct, Error> {
        let phases: Vec<i32> = product.phases.iter().flat_map(|p| p.to_array()).collect();
        let taps: Vec<i32> = product.taps.iter().flat_map(|tap| tap.to_array()).collect();
        Ok(DeviceProduct {
            phases: self.table(&phases)?,
            taps: self.table(&taps)?,
            parts: match product.parts_len() {
                0 => None,
                len => Some(self.zeros(len)?),
            },
            product,
        })
    }

    /// `out = activation(left right + bias)`.
    pub(super) fn multiply(
        &self,
        product: &DeviceProduct,
        factors: [Part; 2],
        bias: Option<Part>,
        out: Part,
    ) -> Result<(), Error> {
        let planned = PlannedProduct {
            product: &product.product,
            phases: self.integers(&product.phases),
            taps: self.integers(&product.taps),
            parts: product.parts.as_ref().map(|parts| self.whole(parts)),
        };
        let stream = &self.stream;
        Ok(self.kernels.product(stream, &planned, factors, bias, out)?)
    }

    pub(super) fn plan_sums(&self, sums: OutputSums) -> Result<DeviceSums, Error> {
        let len = 2 * sums.parts as usize * sums.channels as usize;
        Ok(DeviceSums {
            sums,
            parts: self.zeros(len)?,
        })
    }

    /// Takes `dout` back through the activation that made `out`, in place, and sums it to the gradient by the
    /// biases.
    pub(super) fn output_backward(
        &self,
        sums: &DeviceSums,
        activation: Activation,
        out: Part,
        dout: Part,
        dbias: Part,
    ) -> Result<(), Error> {
        let parts = self.whole(&sums.parts);
        let stream = &self.stream;
        Ok(self.kernels.output_backward(
            stream,
            &sums.sums,
            activation,
            [out, dout],
            parts,
            dbias,
        )?)
    }
}
