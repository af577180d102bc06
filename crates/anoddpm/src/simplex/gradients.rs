//! The gradients: in each dimension a set whose sum of squares is the same along every axis.

/// Eight in two dimensions.
pub(super) const TWO: [[f64; 2]; 8] =
    [[5., 2.], [2., 5.], [-5., 2.], [-2., 5.], [5., -2.], [2., -5.], [-5., -2.], [-2., -5.]];

/// Twenty-four in three dimensions: (±11, ±4, ±4) with the 11 at each axis. The second twelve are the first with z negated.
pub(super) const THREE: [[f64; 3]; 24] = three();

/// Sixty-four in four dimensions: (±3, ±1, ±1, ±1) with the 3 at each axis.
pub(super) const FOUR: [[f64; 4]; 64] = four();

const fn three() -> [[f64; 3]; 24] {
    let mut all = [[0.0; 3]; 24];
    // The order of the long axis within a group of three, and of the signs of x and y among the groups.
    let signs = [[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]];
    let mut n = 0;
    while n < 24 {
        let [x, y] = signs[(n / 3) % 4];
        let z = if n < 12 { 1.0 } else { -1.0 };
        let long = n % 3;
        all[n] = [
            x * if long == 0 { 11.0 } else { 4.0 },
            y * if long == 1 { 11.0 } else { 4.0 },
            z * if long == 2 { 11.0 } else { 4.0 },
        ];
        n += 1;
    }
    all
}

const fn four() -> [[f64; 4]; 64] {
    let mut all = [[0.0; 4]; 64];
    let mut n = 0;
    while n < 64 {
        let (pattern, long) = (n / 4, n % 4);
        let mut axis = 0;
        while axis < 4 {
            let sign = if pattern >> axis & 1 == 0 { 1.0 } else { -1.0 };
            all[n][axis] = sign * if axis == long { 3.0 } else { 1.0 };
            axis += 1;
        }
        n += 1;
    }
    all
}
