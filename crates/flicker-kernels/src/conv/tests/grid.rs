//! Every pass against the naive twin, on chosen and on random shapes.

use super::{Case, PASSES, check, numbers, op, operand_lens};
use crate::conv::ConvSpec;
use crate::conv::geometry::Geometry;
use crate::conv::op::Pass;
use crate::simd::Isa;
use proptest::prelude::*;

fn case(
    batch: usize,
    channels: (usize, usize),
    size: (usize, usize),
    kernel: (usize, usize),
    spec: ConvSpec,
) -> Case {
    Case { batch, channels, size, kernel, spec }
}

#[test]
fn small_shapes_agree() {
    let square = ConvSpec::square;
    for c in [
        case(1, (1, 1), (1, 1), (1, 1), square(1, 0)),
        case(2, (3, 5), (5, 4), (3, 2), square(1, 1)),
        case(1, (2, 3), (6, 7), (4, 4), square(2, 1)),
        case(2, (4, 6), (5, 5), (3, 3), ConvSpec { groups: 2, ..square(2, 2) }),
        case(1, (2, 2), (7, 6), (3, 2), ConvSpec { dilation: (2, 3), ..square(2, 3) }),
    ] {
        check(&c.geometry().unwrap());
    }
}

#[test]
fn shapes_of_the_models_agree() {
    let square = ConvSpec::square;
    for c in [
        case(3, (1, 64), (32, 32), (4, 4), square(2, 1)),
        case(5, (64, 48), (16, 16), (4, 4), square(2, 1)),
        case(2, (33, 17), (8, 8), (4, 4), square(2, 1)),
        case(7, (40, 100), (4, 4), (4, 4), square(1, 0)),
        case(2, (20, 1), (4, 4), (4, 4), square(1, 0)),
        case(2, (32, 32), (32, 32), (3, 3), square(1, 1)),
        case(2, (24, 40), (9, 11), (3, 3), square(2, 1)),
        case(2, (24, 40), (16, 13), (3, 3), square(2, 1)),
        case(3, (70, 30), (6, 6), (1, 1), square(1, 0)),
        case(1, (50, 30), (8, 8), (4, 4), square(2, 1)),
        case(2, (60, 40), (5, 7), (3, 3), ConvSpec { groups: 2, ..square(2, 1) }),
        case(1, (3, 4), (40, 60), (5, 7), square(1, 2)),
        case(65, (8, 3), (4, 4), (3, 3), square(1, 1)),
        case(1024, (2, 3), (3, 3), (2, 2), square(1, 0)),
        case(2, (12, 12), (9, 9), (3, 3), ConvSpec { groups: 12, ..square(1, 1) }),
        case(2, (40, 30), (16, 17), (1, 1), ConvSpec { groups: 2, ..square(1, 0) }),
        case(3, (32, 1), (12, 9), (3, 3), square(1, 1)),
        case(2, (24, 4), (9, 8), (3, 2), ConvSpec { groups: 2, dilation: (2, 1), ..square(1, 1) }),
        case(3, (10, 4), (4, 4), (4, 4), square(1, 0)),
        case(
            2,
            (8, 16),
            (10, 9),
            (3, 1),
            ConvSpec { stride: (3, 1), padding: (2, 0), dilation: (1, 2), groups: 4 },
        ),
        case(2, (3, 5), (9, 8), (2, 2), square(3, 0)),
        case(1, (2, 2), (5, 5), (3, 3), square(1, 4)),
    ] {
        check(&c.geometry().unwrap());
    }
}

/// The convolution that a transposed one with output padding is the gradient of leaves rows out.
#[test]
fn outputs_may_be_left_out() {
    let c = case(2, (3, 4), (8, 9), (3, 3), ConvSpec { dilation: (2, 2), ..ConvSpec::square(1, 1) });
    let mut g = c.geometry().unwrap();
    g.size_out = (g.size_out.0 - 1, g.size_out.1 - 2);
    check(&g);
}

fn any_case() -> impl Strategy<Value = Case> {
    let pair = |a: std::ops::Range<usize>| (a.clone(), a);
    let spec = (pair(1..4), pair(0..4), pair(1..4), 1..4usize)
        .prop_map(|(stride, padding, dilation, groups)| ConvSpec { stride, padding, dilation, groups });
    (1..6usize, pair(1..20), pair(1..20), pair(1..6), spec).prop_map(|(batch, c, size, kernel, spec)| {
        let channels = (c.0 * spec.groups, c.1 * spec.groups);
        Case { batch, channels, size, kernel, spec }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn random_shapes_agree(case in any_case()) {
        if let Some(g) = case.geometry() {
            check(&g);
        }
    }
}

/// The same bytes whatever the number of threads, on shapes that are large enough to be shared.
#[test]
fn threads_change_no_byte() {
    let square = ConvSpec::square;
    for c in [
        case(13, (64, 48), (16, 16), (4, 4), square(2, 1)),
        case(64, (100, 64), (4, 4), (4, 4), square(1, 0)),
        case(1, (32, 40), (32, 32), (3, 3), square(1, 1)),
        case(9, (1, 64), (32, 32), (4, 4), square(2, 1)),
        case(64, (64, 1), (4, 4), (4, 4), square(1, 0)),
        case(1, (100, 64), (4, 4), (4, 4), square(1, 0)),
        case(16, (64, 32), (32, 32), (1, 1), square(1, 0)),
        case(16, (32, 1), (32, 32), (3, 3), square(1, 1)),
    ] {
        let g = c.geometry().unwrap();
        for pass in PASSES {
            let (n_a, n_b) = operand_lens(pass, &g);
            let narrow = |n, seed| numbers(n, seed).iter().map(|&v| v as f32).collect::<Vec<f32>>();
            let (a, b) = (narrow(n_a, 1), narrow(n_b, 2));
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (out, _) = pool.install(|| op(pass, &g).compute::<f32>(Isa::best(), &g, &a, &b));
                out.iter().map(|v| v.to_bits()).collect::<Vec<u32>>()
            };
            let one = run(1);
            for threads in [2, 3, 16] {
                assert!(run(threads) == one, "{pass:?} {g:?} differs with {threads} threads");
            }
        }
    }
}

/// An image gets the same bytes alone and in a batch, forward and backward.
#[test]
fn batch_changes_no_byte() {
    let square = ConvSpec::square;
    for c in [
        case(9, (64, 48), (8, 8), (4, 4), square(2, 1)),
        case(9, (48, 100), (4, 4), (4, 4), square(1, 0)),
        case(9, (1, 64), (32, 32), (4, 4), square(2, 1)),
        case(9, (32, 40), (16, 16), (3, 3), square(1, 1)),
        case(9, (32, 40), (16, 16), (1, 1), square(1, 0)),
    ] {
        let many = c.geometry().unwrap();
        let one = Geometry { batch: 1, ..many };
        for pass in [Pass::Forward, Pass::InputGrad] {
            let (n_a, n_b) = operand_lens(pass, &many);
            let narrow = |n, seed| numbers(n, seed).iter().map(|&v| v as f32).collect::<Vec<f32>>();
            let (a, b) = (narrow(n_a, 1), narrow(n_b, 2));
            let (all, _) = op(pass, &many).compute::<f32>(Isa::best(), &many, &a, &b);
            let last = &a[n_a / 9 * 8..];
            let (alone, _) = op(pass, &one).compute::<f32>(Isa::best(), &one, last, &b);
            let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
            assert!(bits(&alone) == bits(&all[all.len() / 9 * 8..]), "{pass:?} {one:?}");
        }
    }
}
