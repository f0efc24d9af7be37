// SPDX-License-Identifier: Apache-2.0
//! Linear forms of a column's value and digits, by table: no transform, and no multiplication a row.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, Zero};
use rayon::prelude::*;

use crate::column::{Column, half};
use crate::domain::chunk_rows;
use crate::prove::Secret;

type Table = [Fr; 256];

/// c v + sum(e_j d_j), as a table for each byte of v + 2^(bits - 1).
pub(crate) struct Form {
    tables: Vec<Table>,
}

impl Form {
    /// `digits` holds e_0 .. e_(m-1); shorter means zeros.
    pub(crate) fn new(bits: u32, value: Fr, digits: &[Fr]) -> Self {
        let mut tables = vec![[Fr::ZERO; 256]; bits.div_ceil(8) as usize];
        for (p, table) in tables.iter_mut().enumerate() {
            let unit = value * Fr::from(1u64 << (8 * p));
            for y in 0..255 {
                table[y + 1] = table[y] + unit;
            }
        }
        for (j, e) in digits.iter().enumerate() {
            let (p, shift) = Column::place(j);
            let multiples = [Fr::ZERO, *e, e.double(), e.double() + e];
            for (y, slot) in tables[p].iter_mut().enumerate() {
                *slot += multiples[y >> shift & 3];
            }
        }
        let offset = value * Fr::from(half(bits));
        tables[0].iter_mut().for_each(|slot| *slot -= offset);
        Self { tables }
    }

    /// out[l] += form(row l).
    pub(crate) fn add_to(&self, column: &Column, out: &mut [Fr]) {
        let chunk = chunk_rows(out.len());
        for (table, plane) in self.tables.iter().zip(column.planes()) {
            out.par_chunks_mut(chunk).zip(plane.par_chunks(chunk)).for_each(|(out, plane)| {
                for (slot, &y) in out.iter_mut().zip(plane) {
                    *slot += table[y as usize];
                }
            });
        }
    }
}

/// sum(weights[i] v_i) on n rows.
pub(crate) fn combine(columns: &[Column], weights: &[Fr], n: usize) -> Secret {
    let mut rows = Secret::new(vec![Fr::ZERO; n]);
    for (column, weight) in columns.iter().zip(weights) {
        Form::new(column.bits(), *weight, &[]).add_to(column, &mut rows);
    }
    rows
}

/// out[l] = unit times digit j of row l.
pub(crate) fn write_digit(column: &Column, digit: usize, unit: Fr, out: &mut [Fr]) {
    let (p, shift) = Column::place(digit);
    let values = [0u64, 1, 2, 3].map(|digit| Fr::from(digit) * unit);
    let plane = column.planes().nth(p).expect("digits are of the column");
    let chunk = chunk_rows(out.len());
    out.par_chunks_mut(chunk).zip(plane.par_chunks(chunk)).for_each(|(out, plane)| {
        for (slot, &y) in out.iter_mut().zip(plane) {
            *slot = values[(y >> shift & 3) as usize];
        }
    });
}

/// v(x) and d_j(x) for every digit j, where weights[l] = L_l(x).
pub(crate) fn evaluate(column: &Column, weights: &[Fr]) -> (Fr, Vec<Fr>) {
    let by_byte: Vec<Vec<Fr>> = column.planes().map(|plane| weights_by_byte(plane, weights)).collect();
    let mut value = -Fr::from(half(column.bits()));
    for (p, sums) in by_byte.iter().enumerate() {
        let mut running = Fr::ZERO;
        let mut total = Fr::ZERO;
        for sum in sums.iter().skip(1).rev() {
            running += sum;
            total += running;
        }
        value += total * Fr::from(1u64 << (8 * p));
    }
    let digit = |j: usize| {
        let (p, shift) = Column::place(j);
        let mut of = [Fr::ZERO; 4];
        for (y, sum) in by_byte[p].iter().enumerate() {
            of[y >> shift & 3] += sum;
        }
        of[1] + of[2].double() + of[3] * Fr::from(3u64)
    };
    (value, (0..column.digits()).map(digit).collect())
}

/// For each byte value, the sum of the weights of the rows that hold it. All weights together sum to 1.
fn weights_by_byte(plane: &[u8], weights: &[Fr]) -> Vec<Fr> {
    let chunk = plane.len().div_ceil(rayon::current_num_threads()).max(256);
    plane
        .par_chunks(chunk)
        .zip(weights.par_chunks(chunk))
        .map(|(plane, weights)| {
            let mut sums = vec![Fr::zero(); 256];
            for (&y, weight) in plane.iter().zip(weights) {
                sums[y as usize] += weight;
            }
            sums
        })
        .reduce(
            || vec![Fr::zero(); 256],
            |mut total, part| {
                total.iter_mut().zip(&part).for_each(|(sum, other)| *sum += other);
                total
            },
        )
}

/// first, first * base, .. (count of them).
pub(crate) fn successive(first: Fr, base: Fr, count: usize) -> Vec<Fr> {
    std::iter::successors(Some(first), |power| Some(*power * base)).take(count).collect()
}

/// 1, x, x^2, .. (count of them).
pub(crate) fn powers_of(x: Fr, count: usize) -> Vec<Fr> {
    successive(Fr::ONE, x, count)
}

#[cfg(test)]
mod tests {
    use ark_std::UniformRand;
    use ark_std::rand::Rng;
    use ark_std::rand::rngs::OsRng;

    use super::*;

    fn column(bits: u32, n: usize) -> (Vec<i64>, Column) {
        let half = half(bits);
        let mut rows: Vec<i64> = (0..n).map(|_| OsRng.gen_range(-half..half)).collect();
        rows[0] = -half;
        rows[1] = half - 1;
        rows[2] = 0;
        let column = Column::from_rows(0, bits, rows.iter().copied()).unwrap();
        (rows, column)
    }

    fn digit(bits: u32, j: usize, row: i64) -> Fr {
        Fr::from((row + half(bits)) >> (2 * j) & 3)
    }

    #[test]
    fn forms_of_rows_and_digits() {
        for bits in [2, 4, 6, 8, 10, 14, 16, 18, 22] {
            let (rows, column) = column(bits, 64);
            assert!(rows.iter().enumerate().all(|(l, row)| column.value(l) == *row));
            let weights: Vec<Fr> = (0..=column.digits()).map(|_| Fr::rand(&mut OsRng)).collect();
            let mut out = vec![Fr::ONE; 64];
            Form::new(bits, weights[0], &weights[1..]).add_to(&column, &mut out);
            for (row, found) in rows.iter().zip(&out) {
                let digits: Fr = (0..column.digits()).map(|j| weights[j + 1] * digit(bits, j, *row)).sum();
                assert_eq!(*found, Fr::ONE + weights[0] * Fr::from(*row) + digits);
            }
            for j in 0..column.digits() {
                write_digit(&column, j, Fr::from(5u64), &mut out);
                assert!(rows.iter().zip(&out).all(|(row, found)| *found == digit(bits, j, *row) * Fr::from(5u64)));
            }
        }
    }

    #[test]
    fn values_by_weights() {
        for bits in [4, 8, 10, 16, 22] {
            let (rows, column) = column(bits, 1024);
            let mut weights: Vec<Fr> = (0..1024).map(|_| Fr::rand(&mut OsRng)).collect();
            let sum: Fr = weights.iter().sum();
            weights[7] += Fr::ONE - sum;
            let sum = |of: &dyn Fn(i64) -> Fr| rows.iter().zip(&weights).map(|(row, w)| of(*row) * w).sum::<Fr>();
            let (value, digits) = evaluate(&column, &weights);
            assert_eq!(value, sum(&|row| Fr::from(row)));
            for (j, found) in digits.iter().enumerate() {
                assert_eq!(*found, sum(&|row| digit(bits, j, row)));
            }
        }
    }
}
