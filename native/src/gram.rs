// SPDX-License-Identifier: Apache-2.0
//! The integers that are proven: inner products of the data rows.

use rayon::prelude::*;

use crate::column::Column;
use crate::error::{Error, Result};
use crate::statement::{GRAM_BITS, triangle};

/// With rows below 2^21 in magnitude, so many products stay below 2^54.
const BATCH: usize = 1 << 12;

/// Upper triangle of G[i][j] = sum over l < dim of v_i[l] v_j[l], exact.
pub fn gram(columns: &[Column], dim: usize) -> Result<Vec<i64>> {
    let entries = triangle(columns.len());
    let sums = (0..dim.div_ceil(BATCH))
        .into_par_iter()
        .map(|batch| batch_products(columns, batch * BATCH, dim.min((batch + 1) * BATCH)))
        .reduce(
            || vec![0i128; entries],
            |mut total, part| {
                total.iter_mut().zip(&part).for_each(|(sum, other)| *sum += other);
                total
            },
        );
    let mut index = (0..columns.len()).flat_map(|i| (i..columns.len()).map(move |j| (i, j)));
    let narrow = |sum: i128| {
        let (row, column) = index.next().expect("one pair an entry");
        if sum.unsigned_abs() >> GRAM_BITS != 0 {
            return Err(Error::GramTooLarge { row, column });
        }
        Ok(sum as i64)
    };
    sums.into_iter().map(narrow).collect()
}

fn batch_products(columns: &[Column], first: usize, end: usize) -> Vec<i128> {
    let values: Vec<Vec<i64>> = columns.iter().map(|c| (first..end).map(|row| c.value(row)).collect()).collect();
    let values = zeroize::Zeroizing::new(values);
    let product = |i: usize, j: usize| values[i].iter().zip(&values[j]).map(|(a, b)| a * b).sum::<i64>();
    let pairs = (0..columns.len()).flat_map(|i| (i..columns.len()).map(move |j| (i, j)));
    pairs.map(|(i, j)| product(i, j).into()).collect()
}
