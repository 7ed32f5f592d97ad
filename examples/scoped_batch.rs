//! Batches over borrowed data with one pool: a grid is blurred in place, its rows are summed by a batch
//! inside a batch, and tasks of different kinds run side by side. Nothing is copied.
//!
//! `cargo run --release --example scoped_batch`

use std::error::Error;

use ringmill::Pool;

const SIDE: usize = 512;

/// The mean of each cell and its two neighbours in the row.
fn blur(row: &mut [u32; SIDE]) {
    let old = *row;
    for (at, cell) in row.iter_mut().enumerate() {
        let left = old[at.saturating_sub(1)];
        let right = old[(at + 1).min(SIDE - 1)];
        *cell = (left + old[at] + right) / 3;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut seed = 1_u32;
    let mut random = || {
        seed ^= seed << 13; // Marsaglia's xorshift.
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed % 256
    };
    let mut grid: Vec<[u32; SIDE]> = (0..SIDE)
        .map(|_| std::array::from_fn(|_| random()))
        .collect();
    let mut expected = grid.clone();

    let pool = Pool::builder().workers(4).start()?;

    // In place: each piece is some of the rows, and nobody else's.
    for _round in 0..8 {
        pool.for_each_mut(&mut grid, |rows| rows.iter_mut().for_each(blur));
    }
    for _round in 0..8 {
        expected.iter_mut().for_each(blur);
    }
    assert!(grid == expected);

    // A batch inside a batch: results come in the order of the items.
    let sums = pool.map(&grid, |row| {
        let quarters: Vec<&[u32]> = row.chunks(SIDE / 4).collect();
        let sums = pool.map(&quarters, |quarter| quarter.iter().sum::<u32>());
        sums.iter().sum::<u32>()
    });
    assert!(
        sums.iter()
            .copied()
            .eq(grid.iter().map(|row| row.iter().sum()))
    );

    // Tasks of different kinds, each with a place of its own for its result.
    let (mut brightest, mut darkest, mut histogram) = (0, 0, [0_usize; 256]);
    pool.scope(|scope| {
        scope.spawn(|| brightest = grid.iter().flatten().copied().max().unwrap_or(0));
        scope.spawn(|| darkest = grid.iter().flatten().copied().min().unwrap_or(0));
        scope.spawn(|| {
            for &cell in grid.iter().flatten() {
                histogram[cell as usize] += 1;
            }
        });
    });
    println!("cells from {darkest} to {brightest}");
    println!("rows sum to {:?} ..", &sums[..4]);
    assert_eq!(histogram.iter().sum::<usize>(), SIDE * SIDE);
    assert!(histogram[brightest as usize] > 0 && histogram[darkest as usize] > 0);
    Ok(())
}
