//! Which vertices of the three-dimensional lattice a point's noise is made of, in the program of 2014.
//!
//! Its noise is the sum over the corners of the tetrahedron or octahedron that the point lies in, and over two more vertices that
//! follow from the two corners nearest to it. Near the rim of a sphere this leaves out a third one now and then.

/// Steps from the vertex at the cell's origin.
type Step = [i64; 3];

/// The steps to the vertices that count at the point with fractional indices `f`: at most eight, the first `n` of the array.
pub(super) fn vertices(f: [f64; 3]) -> ([Step; 8], usize) {
    let [x, y, z] = f;
    let sum = x + y + z;
    let (low, high, extra) = if sum <= 1.0 {
        (0, 1, tetrahedron(f, 1.0 - sum))
    } else if sum >= 2.0 {
        // The same seen from the opposite corner: the scores are negative, so that the comparisons stay exact.
        (2, 3, tetrahedron([-x, -y, -z], sum - 3.0).map(|step| step.map(|s| 1 - s)))
    } else {
        (1, 2, octahedron([y + z - 1.0, x + z - 1.0, x + y - 1.0]))
    };
    let mut all = [[0; 3]; 8];
    let mut n = 0;
    let corners = (0..8).map(|bits: i64| [bits & 1, bits >> 1 & 1, bits >> 2]);
    for step in corners.filter(|step| (low..=high).contains(&step.iter().sum::<i64>())).chain(extra) {
        all[n] = step;
        n += 1;
    }
    (all, n)
}

fn unit(axis: usize) -> Step {
    std::array::from_fn(|a| i64::from(a == axis))
}

fn combined(a: Step, factor: i64, b: Step) -> Step {
    std::array::from_fn(|axis| a[axis] + factor * b[axis])
}

/// The two largest of three scores, in the program's order of comparison, which decides ties.
fn two_largest(first: usize, second: usize, third: usize, scores: [f64; 3]) -> (usize, usize) {
    let (a, b, c) = (scores[first], scores[second], scores[third]);
    if a >= b && c > b {
        (first, third)
    } else if a < b && c > a {
        (third, second)
    } else {
        (first, second)
    }
}

/// Beside a tetrahedron with corners 0 and the three units: `own` is the nearness of 0, the scores are those of the units.
fn tetrahedron(scores: [f64; 3], own: f64) -> [Step; 2] {
    let (a, b) = two_largest(0, 1, 2, scores);
    if own > scores[a] || own > scores[b] {
        let nearest = if scores[b] > scores[a] { b } else { a };
        let beside = |axis| combined(unit(nearest), -1, unit(axis));
        match nearest {
            0 => [beside(1), beside(2)],
            1 => [beside(0), beside(2)],
            _ => [beside(0), beside(1)],
        }
    } else {
        let edge = combined(unit(a), 1, unit(b));
        [edge, combined(edge, -1, unit(3 - a - b))]
    }
}

/// Beside an octahedron. Its corners are three pairs: a unit, and all ones less that unit; `sides` says for each axis how much
/// nearer the second is.
fn octahedron(sides: [f64; 3]) -> [Step; 2] {
    let (a, b) = two_closest_pairs(sides);
    let (far_a, far_b) = (sides[a] > 0.0, sides[b] > 0.0);
    let rest = unit(3 - a - b);
    let ones = [1; 3];
    match (far_a, far_b) {
        (true, true) => [ones, combined(rest, 1, rest)],
        (false, false) => [[0; 3], combined(ones, -2, rest)],
        (true, false) => [combined(ones, -2, unit(a)), combined(unit(b), 1, unit(b))],
        (false, true) => [combined(ones, -2, unit(b)), combined(unit(a), 1, unit(a))],
    }
}

/// The two axes with the largest scores. Here a tie goes the other way than among the corners of a tetrahedron.
fn two_closest_pairs(sides: [f64; 3]) -> (usize, usize) {
    let [x, y, z] = sides.map(f64::abs);
    if z <= y && z < x {
        (0, 1)
    } else if z > y && y < x {
        (2, 0)
    } else {
        (2, 1)
    }
}
