//! Networks as ONNX files, which other programs run.
//!
//! The graph is the network layer by layer, its weights inside, with an input `image` and an output
//! `output`, each `images x channels x height x width` in 0 to 1; of an autoencoder also `code`. Any
//! number of images goes through at once; SRCNN takes any height and width. Operators are those of
//! ONNX's operator set 13; an EL-VAE's code is the mean.

use msssim_cpu::layers::{Conv2dShape, Padding};

use crate::autoencoder::{Model, Shape};
use crate::backend::{Activation, Error, ImageBatch, Layer, Operation};
use crate::network::Architecture;
use crate::parameters::Parameters;
use crate::protobuf::Message;
use crate::srcnn;

/// The version of ONNX's file format that operator set 13 came with.
const IR_VERSION: i64 = 7;

/// The version of the operators.
const OPERATORS: i64 = 13;

// Element types of tensors.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// The contents of an ONNX file of a network.
///
/// # Errors
/// An [`Error`] when the network is too large to plan.
///
/// # Panics
/// If `parameters` are of another network.
pub fn model(architecture: &Architecture, parameters: &Parameters) -> Result<Vec<u8>, Error> {
    assert!(
        *parameters.layout() == architecture.layout(),
        "parameters of another network than {architecture:?}"
    );
    let mut graph = Graph {
        parameters,
        message: Message::default().bytes(2, architecture.name()),
    };
    match architecture {
        Architecture::Srcnn { channels } => graph.srcnn(*channels)?,
        Architecture::Autoencoder(shape) => graph.autoencoder(shape)?,
    }
    let operators = Message::default().bytes(1, "").int(2, OPERATORS);
    let model = Message::default()
        .int(1, IR_VERSION)
        .bytes(2, "msssim")
        .bytes(3, env!("CARGO_PKG_VERSION"))
        .message(7, graph.message)
        .message(8, operators);
    Ok(model.into_bytes())
}

struct Graph<'a> {
    parameters: &'a Parameters,
    message: Message,
}

impl Graph<'_> {
    fn srcnn(&mut self, channels: usize) -> Result<(), Error> {
        let any = ImageBatch {
            images: 1,
            channels,
            height: 1,
            width: 1,
        };
        let sides = [Side::Any("height"), Side::Any("width")];
        let mut at = self.input("image", channels, sides);
        for layer in srcnn::layers(any)? {
            at = self.layer(&layer, &at, None);
        }
        self.rename(&at, "output");
        self.output("output", &[Side::Is(channels), sides[0], sides[1]]);
        Ok(())
    }

    fn autoencoder(&mut self, shape: &Shape) -> Result<(), Error> {
        let layers = shape.layers(1)?;
        let side = Side::Is(shape.side);
        let mut at = self.input("image", shape.channels, [side; 2]);
        // What the numbers between layers are: planes, or one row for each image.
        let mut flat = false;
        for (i, layer) in layers.encoder.iter().enumerate() {
            if let (Operation::Dense(_), false) = (layer.operation, flat) {
                at = self.node("Flatten", &[&at], &format!("{}.flat", layer.name), &[]);
                flat = true;
            }
            // Of the moments the means come first.
            let last = i + 1 == layers.encoder.len();
            let kept = (last && shape.model == Model::ElVae).then_some(shape.bottleneck);
            at = self.layer(layer, &at, kept);
        }
        self.rename(&at, "code");
        let mut planes = !flat;
        for layer in &layers.decoder {
            if let (Operation::ConvTranspose2d(conv), false) = (layer.operation, planes) {
                let dims = [conv.out_channels, conv.output_height(), conv.output_width()];
                at = self.reshape(&at, &format!("{}.planes", layer.name), dims);
                planes = true;
            }
            at = self.layer(layer, &at, None);
        }
        if planes {
            self.rename(&at, "output");
        } else {
            self.reshape(&at, "output", [shape.channels, shape.side, shape.side]);
        }
        self.output("output", &[Side::Is(shape.channels), side, side]);
        if flat {
            self.output("code", &[Side::Is(shape.code_len())]);
        } else if let Some(Operation::Conv2d(conv)) = layers.encoder.last().map(|l| l.operation) {
            let dims = [conv.out_channels, conv.output_height(), conv.output_width()];
            self.output("code", &dims.map(Side::Is));
        }
        Ok(())
    }

    /// A layer and its activation; of a dense one with `kept`, the first outputs only. The name of what it
    /// makes.
    fn layer(&mut self, layer: &Layer, input: &str, kept: Option<usize>) -> String {
        let Layer {
            name, operation, ..
        } = layer;
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.initializer(&weight, kept);
        self.initializer(&bias, kept);
        let sum = format!("{name}.sum");
        let mut input = input.to_owned();
        let sum = match operation {
            Operation::Conv2d(shape) => {
                let mut pads = [(shape.kernel / 2) as i64; 4];
                if shape.padding == Padding::Replicate {
                    input = self.pad(name, &input, pads[0]);
                    pads = [0; 4];
                }
                let attributes = [strides(shape), ints("pads", &pads)];
                self.node("Conv", &[&input, &weight, &bias], &sum, &attributes)
            }
            Operation::ConvTranspose2d(shape) => {
                let pads = [(shape.kernel / 2) as i64; 4];
                // What is missing when the smaller side is enlarged: an even side of stride 2 lacks 1.
                let lacking =
                    |side: usize, small: usize| (side - ((small - 1) * shape.stride + 1)) as i64;
                let lacking = [
                    lacking(shape.height, shape.output_height()),
                    lacking(shape.width, shape.output_width()),
                ];
                let attributes = [
                    strides(shape),
                    ints("pads", &pads),
                    ints("output_padding", &lacking),
                ];
                self.node(
                    "ConvTranspose",
                    &[&input, &weight, &bias],
                    &sum,
                    &attributes,
                )
            }
            Operation::Dense(_) => {
                let transposed = attribute("transB", 2).int(3, 1);
                self.node("Gemm", &[&input, &weight, &bias], &sum, &[transposed])
            }
        };
        let operator = match layer.activation {
            Activation::Identity => return sum,
            Activation::Relu => "Relu",
            Activation::Sigmoid => "Sigmoid",
        };
        self.node(operator, &[&sum], &format!("{name}.output"), &[])
    }

    /// Repeats the edge of all planes `by` samples outwards.
    fn pad(&mut self, name: &str, input: &str, by: i64) -> String {
        let pads = format!("{name}.pads");
        self.constant(&pads, &[0, 0, by, by, 0, 0, by, by]);
        let mode = attribute("mode", 3).bytes(4, "edge");
        self.node("Pad", &[input, &pads], &format!("{name}.padded"), &[mode])
    }

    fn reshape(&mut self, input: &str, output: &str, dims: [usize; 3]) -> String {
        let shape = format!("{output}.shape");
        let dims = dims.map(|n| n as i64);
        self.constant(&shape, &[-1, dims[0], dims[1], dims[2]]);
        self.node("Reshape", &[input, &shape], output, &[])
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.node("Identity", &[from], to, &[]);
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[Message],
    ) -> String {
        let mut node = Message::default();
        for input in inputs {
            node = node.bytes(1, input);
        }
        node = node.bytes(2, output).bytes(3, output).bytes(4, operator);
        for attribute in attributes {
            node = node.message(5, attribute.clone());
        }
        self.add(1, node);
        output.to_owned()
    }

    /// A tensor of the parameters; the first `kept` of its rows, if that is said.
    fn initializer(&mut self, name: &str, kept: Option<usize>) {
        let tensors = self.parameters.layout().tensors();
        let Some(tensor) = tensors.iter().find(|tensor| tensor.name == name) else {
            unreachable!("a layer's tensors are in the layout")
        };
        let mut dims = tensor.shape.clone();
        if let Some(kept) = kept {
            dims[0] = kept;
        }
        let len = dims.iter().product();
        let values = &self.parameters.values()[tensor.range.clone()][..len];
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let dims: Vec<i64> = dims.iter().map(|n| *n as i64).collect();
        self.add(5, tensor_of(name, FLOAT, &dims, &bytes));
    }

    fn constant(&mut self, name: &str, values: &[i64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.add(5, tensor_of(name, INT64, &[values.len() as i64], &bytes));
    }

    fn input(&mut self, name: &str, channels: usize, sides: [Side; 2]) -> String {
        self.add(11, value(name, &[Side::Is(channels), sides[0], sides[1]]));
        name.to_owned()
    }

    fn output(&mut self, name: &str, sides: &[Side]) {
        self.add(12, value(name, sides));
    }

    fn add(&mut self, field: u64, message: Message) {
        self.message = std::mem::take(&mut self.message).message(field, message);
    }
}

/// A side of a tensor.
#[derive(Clone, Copy)]
enum Side {
    Is(usize),
    Any(&'static str),
}

/// A tensor of floats that goes in or out, `images` long and of these sides.
fn value(name: &str, sides: &[Side]) -> Message {
    let mut shape = Message::default();
    for side in [Side::Any("images")].iter().chain(sides) {
        let dim = match side {
            Side::Is(n) => Message::default().int(1, *n as i64),
            Side::Any(name) => Message::default().bytes(2, name),
        };
        shape = shape.message(1, dim);
    }
    let tensor = Message::default().int(1, FLOAT).message(2, shape);
    let of_type = Message::default().message(1, tensor);
    Message::default().bytes(1, name).message(2, of_type)
}

fn tensor_of(name: &str, elements: i64, dims: &[i64], bytes: &[u8]) -> Message {
    let mut tensor = Message::default();
    for dim in dims {
        tensor = tensor.int(1, *dim);
    }
    tensor.int(2, elements).bytes(8, name).bytes(9, bytes)
}

/// An attribute's name and kind: 2 for an integer, 3 for a string, 7 for integers.
fn attribute(name: &str, kind: i64) -> Message {
    Message::default().bytes(1, name).int(20, kind)
}

fn ints(name: &str, values: &[i64]) -> Message {
    let attribute = attribute(name, 7);
    values.iter().fold(attribute, |a, value| a.int(8, *value))
}

fn strides(shape: &Conv2dShape) -> Message {
    ints("strides", &[shape.stride as i64; 2])
}
