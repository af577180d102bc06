//! One octave of a whole slice `z = const` of the three-dimensional noise, on a grid of pixels.
//!
//! Every vertex of the lattice adds a smooth bump to the disc that its sphere of radius √2 cuts out of the slice. So the loop
//! goes over vertices, not pixels: a vertex's indices, hash and gradient are found once; along a row the bump is a polynomial of
//! the column, whose parts that all rows share (`dx²` and `gₓ·dx`) are found once a vertex. What remains for a pixel is seven
//! operations without a branch, eight pixels at a time.

use super::Simplex;
use super::gradients::THREE;

/// Pixels that are worked on at a time. Rows have as many unused pixels before and behind.
pub(super) const LANES: usize = 8;

/// Rows `first .. first + rows` of a field of the given width. A row of `values` is `LANES + width + LANES` long.
pub(super) struct Band {
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

impl Band {
    pub(super) fn new(first: usize, rows: usize, width: usize) -> Self {
        Self { first, rows, width, values: vec![0.0; rows * (width + 2 * LANES)] }
    }

    /// The pixels of a row of the band.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        let start = row * (self.width + 2 * LANES) + LANES;
        &self.values[start..start + self.width]
    }
}

/// One octave: pixel `(row, column)` lies at `((column + offset[0]) / wavelength, (row + offset[1]) / wavelength, z)`.
#[derive(Clone, Copy)]
pub(super) struct Octave {
    pub(super) wavelength: f64,
    /// In pixels: x, y.
    pub(super) offset: [f64; 2],
    /// In units of the lattice.
    pub(super) z: f64,
    pub(super) amplitude: f64,
}

/// What the rows of a bump share.
#[derive(Default)]
pub(super) struct Table {
    dx2: Vec<f32>,
    gdx: Vec<f32>,
}

/// A vertex whose sphere reaches the slice.
struct Vertex {
    x: f64,
    y: f64,
    /// Distance of the slice from the vertex, squared and subtracted from 2: the squared radius of the disc.
    room: f64,
    gradient: [f64; 2],
    /// The gradient times the way along z.
    along_z: f64,
}

/// The smallest and largest coordinate of a vertex that reaches one of `n` pixels from `first` on.
#[inline(always)]
fn reached(first: usize, n: usize, offset: f64, wavelength: f64, radius: f64) -> [f64; 2] {
    let first = first as f64 + offset;
    [first / wavelength - radius, (first + (n - 1) as f64) / wavelength + radius]
}

impl Octave {
    /// Adds the octave to the band. The order in which a pixel gets its parts is the lattice's own, whatever the band.
    #[inline(always)]
    pub(super) fn add_to(&self, noise: &Simplex, band: &mut Band, table: &mut Table) {
        let (top, rows, width) = (band.first, band.rows, band.width);
        let xs = |radius| reached(0, width, self.offset[0], self.wavelength, radius);
        let ys = |radius| reached(top, rows, self.offset[1], self.wavelength, radius);
        let ([x0, x1], [y0, y1]) = (xs(0.0), ys(0.0));
        let reach = 2f64.sqrt();
        // The coordinates of a vertex add up to twice its indices' sum; those of a way of length √2 to at most √6.
        let slack = 6f64.sqrt();
        let low = ((x0 + y0 + self.z - slack) / 2.0).ceil() as i64;
        let high = ((x1 + y1 + self.z + slack) / 2.0).floor() as i64;
        for total in low..=high {
            let squished = total as f64 / 3.0;
            let height = self.z - squished;
            for k in (height - reach).ceil() as i64..=(height + reach).floor() as i64 {
                let dz = height - k as f64;
                let room = 2.0 - dz * dz;
                if room <= 0.0 {
                    continue;
                }
                let ([x0, x1], [y0, y1]) = (xs(room.sqrt()), ys(room.sqrt()));
                // Both of y = j + total/3 and x = (total - j - k) + total/3 must be in reach.
                let x_of_zero = (total - k) as f64 + squished;
                let first = (y0 - squished).max(x_of_zero - x1).ceil() as i64;
                let last = (y1 - squished).min(x_of_zero - x0).floor() as i64;
                for j in first..=last {
                    let i = total - j - k;
                    let scale = self.amplitude / 103.0;
                    let [gx, gy, gz] = THREE[noise.third([i, j, k])];
                    let vertex = Vertex {
                        x: i as f64 + squished,
                        y: j as f64 + squished,
                        room,
                        gradient: [gx * scale, gy * scale],
                        along_z: gz * scale * dz,
                    };
                    self.add_bump(&vertex, band, table);
                }
            }
        }
    }

    #[inline(always)]
    fn add_bump(&self, vertex: &Vertex, band: &mut Band, table: &mut Table) {
        let step = 1.0 / self.wavelength;
        let column = vertex.x * self.wavelength - self.offset[0];
        let row = vertex.y * self.wavelength - self.offset[1];
        let radius = vertex.room.sqrt() * self.wavelength;
        // Columns are cut into blocks that begin at the first one of the disc; those wholly outside of the image are left out.
        let first = (column - radius).ceil() as i64;
        let last = (column + radius).floor() as i64;
        let lanes = LANES as i64;
        let from = if first <= -lanes { (-first) / lanes } else { 0 };
        let to = ((last - first) / lanes + 1).min((band.width as i64 - 1 - first) / lanes + 1);
        if last < first || first >= band.width as i64 || from >= to {
            return;
        }
        table.fill(from, to, (first as f64 + self.offset[0]) * step - vertex.x, step, vertex.gradient[0]);
        let top = ((row - radius).ceil() as i64).max(band.first as i64);
        let bottom = ((row + radius).floor() as i64).min((band.first + band.rows) as i64 - 1);
        if top > bottom {
            return;
        }
        let stride = band.width + 2 * LANES;
        let disc = Disc {
            room: vertex.room as f32,
            dy: ((top as f64 + self.offset[1]) * step - vertex.y) as f32,
            step: step as f32,
            gradient: vertex.gradient[1] as f32,
            along_z: vertex.along_z as f32,
        };
        // The first block begins at a column after -LANES, so the padding before the row holds it.
        let start = (top as usize - band.first) * stride + (first + lanes * from + lanes) as usize;
        let rows = band.values[start..].chunks_mut(stride).take((bottom - top) as usize + 1);
        let columns = LANES * from as usize..LANES * to as usize;
        let (dx2, gdx) = (&table.dx2[columns.clone()], &table.gdx[columns]);
        match to - from {
            1 => disc.add_narrow::<LANES>(dx2, gdx, rows),
            2 => disc.add_narrow::<{ 2 * LANES }>(dx2, gdx, rows),
            3 => disc.add_narrow::<{ 3 * LANES }>(dx2, gdx, rows),
            _ => {
                let centre = (column - (first + lanes * from) as f64) as f32;
                disc.add_wide(dx2, gdx, centre, self.wavelength as f32, rows);
            }
        }
    }
}

/// The part of a bump's disc that lies in a band, row by row.
struct Disc {
    room: f32,
    /// Of the first row from the vertex.
    dy: f32,
    step: f32,
    gradient: f32,
    along_z: f32,
}

impl Disc {
    /// What is left of `room` in a row, and the part of the slope that does not change along it.
    #[inline(always)]
    fn row(&self, row: usize) -> (f32, f32) {
        let dy = self.dy + row as f32 * self.step;
        (self.room - dy * dy, self.gradient * dy + self.along_z)
    }

    /// Rows of `N` pixels, all of which are worked on: outside of the disc they get 0.
    #[inline(always)]
    fn add_narrow<'a, const N: usize>(
        &self,
        dx2: &[f32],
        gdx: &[f32],
        rows: impl Iterator<Item = &'a mut [f32]>,
    ) {
        let (Some(dx2), Some(gdx)) = (dx2.first_chunk::<N>(), gdx.first_chunk::<N>()) else { return };
        let (dx2, gdx) = (*dx2, *gdx);
        for (y, pixels) in rows.enumerate() {
            let (room, flat) = self.row(y);
            let Some(pixels) = pixels.first_chunk_mut::<N>() else { return };
            for n in 0..N {
                pixels[n] += bump(room, flat, dx2[n], gdx[n]);
            }
        }
    }

    /// Longer rows: of each, the blocks that the disc reaches. `centre` is the vertex's column, from the first one on.
    #[inline(always)]
    fn add_wide<'a>(
        &self,
        dx2: &[f32],
        gdx: &[f32],
        centre: f32,
        wavelength: f32,
        rows: impl Iterator<Item = &'a mut [f32]>,
    ) {
        for (y, pixels) in rows.enumerate() {
            let (room, flat) = self.row(y);
            if room <= 0.0 {
                continue;
            }
            let radius = room.sqrt() * wavelength;
            // Numbers below 0 become 0 here.
            let from = (centre - radius) as usize / LANES * LANES;
            let to = (((centre + radius) as usize / LANES + 1) * LANES).min(dx2.len());
            if from < to {
                add_row(room, flat, &dx2[from..to], &gdx[from..to], &mut pixels[from..to]);
            }
        }
    }
}

impl Table {
    /// Blocks `from..to` of a bump whose column 0 of block 0 is `dx` from the vertex.
    #[inline(always)]
    fn fill(&mut self, from: i64, to: i64, dx: f64, step: f64, gradient: f64) {
        let (from, to) = (LANES * from as usize, LANES * to as usize);
        if self.dx2.len() < to {
            self.dx2.resize(to, 0.0);
            self.gdx.resize(to, 0.0);
        }
        let (dx, gradient) = (dx + from as f64 * step, gradient as f32);
        let (dx2, gdx) = (&mut self.dx2[from..to], &mut self.gdx[from..to]);
        for (n, (dx2, gdx)) in dx2.iter_mut().zip(gdx).enumerate() {
            let dx = (dx + n as i32 as f64 * step) as f32;
            *dx2 = dx * dx;
            *gdx = gradient * dx;
        }
    }
}

/// `max(0, room - dx²)⁴ · (gₓ·dx + flat)` added to the pixels, whose number is a multiple of [`LANES`].
#[inline(always)]
fn add_row(room: f32, flat: f32, dx2: &[f32], gdx: &[f32], pixels: &mut [f32]) {
    for ((pixel, dx2), gdx) in pixels.iter_mut().zip(dx2).zip(gdx) {
        *pixel += bump(room, flat, *dx2, *gdx);
    }
}

/// What a pixel gets.
#[inline(always)]
fn bump(room: f32, flat: f32, dx2: f32, gdx: f32) -> f32 {
    let left = room - dx2;
    let left = if left > 0.0 { left } else { 0.0 };
    let square = left * left;
    square * square * (gdx + flat)
}
