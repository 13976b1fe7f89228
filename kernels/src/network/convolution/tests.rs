use super::*;

const SRCNN: Conv = Conv {
    images: 128,
    in_channels: 64,
    out_channels: 32,
    height: 33,
    width: 33,
    kernel: 5,
    stride: 1,
    replicate: true,
    transposed: false,
    activation: Activation::Relu,
};

const AUTOENCODER: Conv = Conv {
    stride: 2,
    replicate: false,
    ..SRCNN
};

fn products(plan: &ConvPlan) -> [&Product; 3] {
    [&plan.down, &plan.up, &plan.weight]
}

#[test]
fn parts_cover_the_depth_and_depend_on_the_shape_alone() {
    for conv in [
        SRCNN,
        AUTOENCODER,
        Conv { images: 1, ..SRCNN },
        Conv {
            in_channels: 1,
            out_channels: 64,
            kernel: 9,
            ..SRCNN
        },
    ] {
        let plan = ConvPlan::new(conv).unwrap();
        for product in products(&plan) {
            let Gather { parts, of_part, .. } = product.gather;
            let depth = product.phases[0].depth;
            assert!(product.phases.iter().all(|phase| phase.depth <= depth));
            assert!(parts * of_part >= depth && (parts - 1) * of_part < depth);
        }
        assert_eq!(plan, ConvPlan::new(conv).unwrap());
    }
}

#[test]
fn steps_name_every_weight_once() {
    for conv in [SRCNN, AUTOENCODER, Conv { stride: 7, ..SRCNN }] {
        let plan = ConvPlan::new(conv).unwrap();
        for (product, channels, of_channel) in [(&plan.down, 64, 25), (&plan.up, 32, 1600)] {
            let mut weights: Vec<i32> = product.taps.iter().map(|tap| tap.weight).collect();
            weights.sort_unstable();
            // Of the first column: the kernels of one output channel, or of one input channel.
            let expected = (0..channels).flat_map(|n| (0..25).map(move |k| n * of_channel + k));
            assert!(weights.into_iter().eq(expected), "{conv:?}");
        }
    }
}

#[test]
fn phases_have_every_sample_once_and_no_product_with_a_zero_between() {
    for (stride, replicate, height) in
        [(1, true, 33), (2, false, 33), (2, false, 12), (3, true, 13)]
    {
        let conv = Conv {
            stride,
            replicate,
            height,
            ..SRCNN
        };
        let product = ConvPlan::new(conv).unwrap().up;
        let ([height, width], _) = conv.din();
        let mut seen = vec![false; (height * width) as usize];
        for phase in &product.phases {
            for i in 0..phase.height {
                for j in 0..phase.width {
                    let row = phase.row + i * stride;
                    let place = (row * width + phase.column + j * stride) as usize;
                    assert!(!std::mem::replace(&mut seen[place], true));
                }
            }
        }
        assert!(seen.iter().all(|seen| *seen));
        // All phases together take the kernel's steps once.
        assert_eq!(product.taps.len(), 32 * 25);
    }
}

#[test]
fn everything_gathered_lies_within_the_border() {
    for (stride, replicate, kernel) in [(1, true, 5), (2, false, 5), (3, true, 5), (4, false, 3)] {
        let conv = Conv {
            stride,
            replicate,
            kernel,
            images: 2,
            ..SRCNN
        };
        let plan = ConvPlan::new(conv).unwrap();
        for (product, border) in [
            (&plan.down, plan.border),
            (&plan.up, plan.dout_border),
            (&plan.weight, plan.border),
        ] {
            let Gather {
                images,
                in_image,
                in_width,
                stride,
                ..
            } = product.gather;
            let last = product.phases.iter().map(|phase| {
                let taps = &product.taps[phase.first as usize..][..phase.depth as usize];
                let reach = taps.iter().map(|tap| tap.offset).max().unwrap_or(0);
                let row = (phase.height - 1) * stride * in_width;
                (images - 1) * in_image + row + (phase.width - 1) * stride + reach
            });
            let last = last.max().unwrap() as usize;
            assert!(last < border.outer_len(), "{conv:?}");
            let first = product.taps.iter().map(|tap| tap.offset).min().unwrap();
            assert!(first >= 0);
        }
    }
}

#[test]
fn impossible_shapes_have_no_plan() {
    for conv in [
        Conv { images: 0, ..SRCNN },
        Conv { kernel: 4, ..SRCNN },
        Conv { stride: 0, ..SRCNN },
        Conv {
            width: i32::MAX,
            ..SRCNN
        },
        Conv {
            images: 1 << 20,
            ..SRCNN
        },
        Conv {
            transposed: true,
            ..SRCNN
        },
        // Too many phases.
        Conv {
            images: 1,
            height: 300,
            width: 300,
            stride: 300,
            ..SRCNN
        },
    ] {
        assert_eq!(ConvPlan::new(conv), None);
    }
}
