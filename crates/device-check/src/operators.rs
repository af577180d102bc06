//! Every operator, on shapes of the models and on odd ones.

use crate::compare::{Kind, Operator, Precision, Row};
use anyhow::Context;
use candle_core::{Result, Tensor, Var};
use flicker_core::losses;
use flicker_kernels::{
    Activation, ConvSpec, Window, activate, attention, avg_pool2d, batch_norm_eval, batch_norm_train,
    bias_add, conv_transpose2d, conv2d, conv2d_bias, conv2d_weight_grad, group_norm, layer_norm, linear,
    max_pool2d, softmax_last, upsample_bilinear2d, upsample_nearest2d,
};

/// Checks them all.
pub(crate) fn check(precision: &Precision) -> anyhow::Result<Vec<Row>> {
    let mut operators = convolutions();
    operators.extend(activations_and_norms());
    operators.extend(products_and_pools());
    operators.extend(losses());
    let mut rows = Vec::new();
    for operator in operators {
        rows.push(operator.check(precision).with_context(|| operator.name.clone())?);
    }
    Ok(rows)
}

fn convolutions() -> Vec<Operator> {
    let square = ConvSpec::square;
    let mut all = Vec::new();
    for (name, x, w, spec) in [
        ("4×4 stride 2, first layer", [16, 1, 32, 32], [64, 1, 4, 4], square(2, 1)),
        ("4×4 stride 2", [16, 64, 16, 16], [128, 64, 4, 4], square(2, 1)),
        ("4×4 over the whole map", [16, 256, 4, 4], [100, 256, 4, 4], square(1, 0)),
        ("3×3", [8, 32, 32, 32], [64, 32, 3, 3], square(1, 1)),
        ("3×3 stride 2", [8, 64, 16, 16], [64, 64, 3, 3], square(2, 1)),
        ("1×1", [8, 128, 8, 8], [64, 128, 1, 1], square(1, 0)),
        ("3×3 stride 2, parities differ", [2, 8, 16, 13], [8, 8, 3, 3], square(2, 1)),
        (
            "3×3 dilation 2, 2 groups",
            [2, 8, 9, 9],
            [6, 4, 3, 3],
            ConvSpec { dilation: (2, 2), groups: 2, ..square(1, 2) },
        ),
        (
            "2×3 rectangular",
            [2, 4, 9, 7],
            [6, 2, 2, 3],
            ConvSpec { stride: (3, 2), padding: (0, 3), dilation: (2, 1), groups: 2 },
        ),
    ] {
        all.push(Operator::new(format!("conv2d {name}"), Kind::Convolution, &[&x, &w], move |t| {
            conv2d(&t[0], &t[1], &spec)
        }));
    }
    let (x, w, b): (&[usize], &[usize], &[usize]) = (&[8, 32, 16, 16], &[64, 32, 3, 3], &[64]);
    all.push(Operator::new("conv2d 3×3 with bias and relu", Kind::Convolution, &[x, w, b], move |t| {
        conv2d_bias(&t[0], &t[1], &t[2], &square(1, 1), Activation::Relu)
    }));
    for (name, x, w, spec, padding) in [
        ("4×4 from one pixel", [16, 100, 1, 1], [100, 256, 4, 4], square(1, 0), (0, 0)),
        ("4×4 stride 2", [16, 128, 8, 8], [128, 64, 4, 4], square(2, 1), (0, 0)),
        ("4×4 stride 2, last layer", [16, 64, 16, 16], [64, 1, 4, 4], square(2, 1), (0, 0)),
        ("3×3 stride 2, output padding", [2, 8, 7, 6], [8, 6, 3, 3], square(2, 1), (1, 0)),
        (
            "3×3 dilation 2 stride 3",
            [2, 4, 4, 5],
            [4, 3, 3, 3],
            ConvSpec { dilation: (2, 2), ..square(3, 1) },
            (0, 2),
        ),
    ] {
        all.push(Operator::new(format!("conv_transpose2d {name}"), Kind::Convolution, &[&x, &w], move |t| {
            conv_transpose2d(&t[0], &t[1], &spec, padding)
        }));
    }
    all.push(Operator::new("conv2d_weight_grad", Kind::Product, &[&[8, 16, 16, 16], &[8, 24, 8, 8]], |t| {
        conv2d_weight_grad(&t[0], &t[1], (4, 4), &ConvSpec::square(2, 1))
    }));
    all
}

const ACTIVATIONS: [(&str, Activation); 6] = [
    ("none", Activation::None),
    ("relu", Activation::Relu),
    ("leaky relu", Activation::LeakyRelu(0.2)),
    ("silu", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

/// Batch norm in training mode, with running statistics that nobody looks at.
fn training_norm(t: &[Tensor], activation: Activation) -> Result<Tensor> {
    let (mean, var) = (Var::from_tensor(&t[1].zeros_like()?)?, Var::from_tensor(&t[1].ones_like()?)?);
    batch_norm_train(&t[0], &t[1], &t[2], &mean, &var, 0.1, 1e-5, activation)
}

fn activations_and_norms() -> Vec<Operator> {
    let mut all = Vec::new();
    let (image, c): (&[usize], &[usize]) = (&[16, 24, 12, 12], &[24]);
    for (name, activation) in ACTIVATIONS {
        all.push(Operator::new(format!("activation {name}"), Kind::Elementwise, &[&[64, 1000]], move |t| {
            activate(&t[0], activation)
        }));
        all.push(Operator::new(
            format!("batch norm, training, {name}"),
            Kind::Sum,
            &[image, c, c],
            move |t| training_norm(t, activation),
        ));
        all.push(Operator::new(
            format!("batch norm, evaluation, {name}"),
            Kind::Sum,
            &[image, c, c],
            move |t| {
                let (mean, var) = ((t[1].detach() * 0.5)?, (t[2].detach().sqr()? + 0.5)?);
                batch_norm_eval(&t[0], &t[1], &t[2], &mean, &var, 1e-5, activation)
            },
        ));
        all.push(Operator::new(format!("group norm, {name}"), Kind::Sum, &[image, c, c], move |t| {
            group_norm(&t[0], &t[1], &t[2], 8, 1e-5, activation)
        }));
    }
    all.push(Operator::new(
        "batch norm, training, features",
        Kind::Sum,
        &[&[65, 784], &[784], &[784]],
        |t| training_norm(t, Activation::None),
    ));
    all.push(Operator::new("layer norm", Kind::Sum, &[&[32, 3, 50], &[3, 50], &[3, 50]], |t| {
        layer_norm(&t[0], &t[1], &t[2], 1e-5, Activation::None)
    }));
    all
}

fn products_and_pools() -> Vec<Operator> {
    let mut all = Vec::new();
    for (name, activation) in ACTIVATIONS {
        all.push(Operator::new(
            format!("linear, {name}"),
            Kind::Product,
            &[&[65, 784], &[512, 784], &[512]],
            move |t| {
                // Sums of 784 normal numbers would saturate tanh.
                linear(&(&t[0] * 0.03)?, &t[1], Some(&t[2]), activation)
            },
        ));
        all.push(Operator::new(format!("bias, {name}"), Kind::Sum, &[&[8, 32, 9, 9], &[32]], move |t| {
            bias_add(&t[0], &t[1], activation)
        }));
    }
    all.push(Operator::new("attention", Kind::Product, &[&[4, 64, 32], &[4, 50, 32], &[4, 50, 16]], |t| {
        attention(&t[0], &t[1], &t[2])
    }));
    all.push(Operator::new("bias of each sample", Kind::Sum, &[&[8, 32, 9, 9], &[8, 32]], |t| {
        bias_add(&t[0], &t[1], Activation::None)
    }));
    all.push(Operator::new("softmax", Kind::Sum, &[&[64, 300]], |t| softmax_last(&t[0])));
    for (name, window) in [
        ("2×2", Window::square(2, 2, 0)),
        ("3×3 stride 2", Window::square(3, 2, 1)),
        ("3×2 stride 1×3", Window { kernel: (3, 2), stride: (1, 3), padding: (1, 0) }),
    ] {
        let image: &[usize] = &[4, 8, 17, 16];
        all.push(Operator::new(format!("max pool {name}"), Kind::Elementwise, &[image], move |t| {
            max_pool2d(&t[0], window)
        }));
        all.push(Operator::new(format!("average pool {name}"), Kind::Elementwise, &[image], move |t| {
            avg_pool2d(&t[0], window)
        }));
    }
    let image: &[usize] = &[4, 8, 7, 9];
    all.push(Operator::new("nearest upsampling", Kind::Elementwise, &[image], |t| {
        upsample_nearest2d(&t[0], 2)
    }));
    all.push(Operator::new("bilinear upsampling", Kind::Product, &[image], |t| {
        upsample_bilinear2d(&t[0], 14, 20)
    }));
    all.push(Operator::new("bilinear downsampling", Kind::Product, &[image], |t| {
        upsample_bilinear2d(&t[0], 3, 4)
    }));
    all
}

type Loss = fn(&Tensor, &Tensor) -> flicker_core::Result<Tensor>;

fn losses() -> Vec<Operator> {
    let all: [(&str, Kind, Loss); 7] = [
        ("mse", Kind::Sum, losses::mse),
        ("l1", Kind::Sum, losses::l1),
        ("binary cross entropy", Kind::Sum, losses::bce_with_logits),
        ("Gaussian divergence", Kind::Sum, losses::gaussian_kl),
        ("l1 by sample", Kind::Sum, losses::l1_per_sample),
        ("mse by sample", Kind::Sum, losses::mse_per_sample),
        ("ssim", Kind::Product, |x, y| losses::ssim(x, y, 6.0)),
    ];
    let as_candle = |error: flicker_core::Error| candle_core::Error::Msg(error.to_string());
    let operator = |(name, kind, loss): (&str, Kind, Loss)| {
        let shape: &[usize] = &[8, 3, 16, 16];
        Operator::new(format!("loss {name}"), kind, &[shape, shape], move |t| {
            loss(&t[0], &t[1]).map_err(as_candle)
        })
    };
    let mut all: Vec<Operator> = all.into_iter().map(operator).collect();
    all.push(Operator::new("loss cross entropy", Kind::Sum, &[&[32, 10]], move |t| {
        let labels: Vec<u32> = (0..32).map(|row| row % 10).collect();
        let labels = Tensor::from_vec(labels, 32, t[0].device())?;
        losses::cross_entropy(&t[0], &labels, None).map_err(as_candle)
    }));
    all
}
