// SPDX-License-Identifier: Apache-2.0
//! Rows to coefficients to values on the cosets, for many polynomials in a row: nearly all of a long proof.
//!
//! Coefficients stay in bit-reversed order, in which the one transform leaves them and the other takes them, so nothing
//! is put in order. A coset's shift is in its twiddle factors, which are made once. Two levels go over memory at a time.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use rayon::prelude::*;

use crate::domain::{COSETS, Domain, chunk_rows, inverse, powers};
use crate::prove::Secret;

/// Values that one thread transforms by itself: what the second-level cache holds beside their factors.
const LEAF: usize = 1 << 12;

/// One polynomial's coefficients, and its values on one coset.
pub(crate) struct Cosets {
    n: usize,
    n_inverse: Fr,
    down: Twiddles,
    up: [Twiddles; COSETS],
    values: Secret,
}

impl Cosets {
    pub(crate) fn new(domain: &Domain) -> Self {
        Self {
            n: domain.n,
            n_inverse: domain.n_inverse,
            down: Twiddles::new(domain.n, inverse(domain.omega), Fr::ONE),
            up: std::array::from_fn(|i| Twiddles::new(domain.n, domain.omega, domain.coset_shift(i))),
            values: Secret::new(vec![Fr::ZERO; domain.n]),
        }
    }

    /// What rows are multiplied by beforehand: it costs less there.
    pub(crate) fn unit(&self) -> Fr {
        self.n_inverse
    }

    /// Rows, times `unit`, to coefficients in bit-reversed order.
    pub(crate) fn interpolate(&self, rows: &mut [Fr]) {
        assert_eq!(rows.len(), self.n);
        fall(rows, &self.down);
    }

    /// The values on coset i, in order, of a polynomial by its coefficients in bit-reversed order.
    pub(crate) fn on_coset(&mut self, i: usize, coefficients: &[Fr]) -> &[Fr] {
        self.values.copy_from_slice(coefficients);
        rise(&mut self.values, &self.up[i]);
        &self.values
    }
}

/// Factors by level: where blocks of 2h fall into halves or rise from them, element j of the second half has factor
/// shift^(n/2h) w_2h^j, w_2h being the root of order 2h.
struct Twiddles(Vec<Fr>);

impl Twiddles {
    fn new(n: usize, root: Fr, shift: Fr) -> Self {
        let mut all = Vec::with_capacity(n);
        for half in (0..n.ilog2()).map(|level| 1usize << level) {
            let blocks = [(n / (2 * half)) as u64];
            all.extend(powers(root.pow(blocks), shift.pow(blocks), half));
        }
        Self(all)
    }

    fn level(&self, half: usize) -> &[Fr] {
        &self.0[half - 1..2 * half - 1]
    }

    /// Of two levels at once: of blocks of 2h, and both halves of those of blocks of 4h.
    fn two_levels(&self, half: usize) -> [&[Fr]; 3] {
        let (low, high) = self.level(2 * half).split_at(half);
        [self.level(half), low, high]
    }
}

/// Decimation in frequency: in order in, bit-reversed out.
fn fall(block: &mut [Fr], twiddles: &Twiddles) {
    let quarter = block.len() / 4;
    if block.len() > LEAF {
        by_chunks(block, twiddles.two_levels(quarter), fall_twice);
        block.par_chunks_mut(quarter).for_each(|part| fall(part, twiddles));
        return;
    }
    let mut half = quarter;
    while half > 0 {
        for part in block.chunks_exact_mut(4 * half) {
            fall_twice(quarters(part), twiddles.two_levels(half));
        }
        half /= 4;
    }
    if block.len().ilog2() % 2 == 1 {
        for pair in block.chunks_exact_mut(2) {
            (pair[0], pair[1]) = (pair[0] + pair[1], pair[0] - pair[1]);
        }
    }
}

/// Decimation in time: bit-reversed in, in order out.
fn rise(block: &mut [Fr], twiddles: &Twiddles) {
    let quarter = block.len() / 4;
    if block.len() > LEAF {
        block.par_chunks_mut(quarter).for_each(|part| rise(part, twiddles));
        by_chunks(block, twiddles.two_levels(quarter), rise_twice);
        return;
    }
    let mut half = 1;
    if block.len().ilog2() % 2 == 1 {
        let factor = twiddles.level(1)[0];
        for pair in block.chunks_exact_mut(2) {
            let second = pair[1] * factor;
            (pair[0], pair[1]) = (pair[0] + second, pair[0] - second);
        }
        half = 2;
    }
    while half <= quarter {
        for part in block.chunks_exact_mut(4 * half) {
            rise_twice(quarters(part), twiddles.two_levels(half));
        }
        half *= 4;
    }
}

/// Two levels of a block: `pass` over its quarters, in parallel.
fn by_chunks(block: &mut [Fr], [a, low, high]: [&[Fr]; 3], pass: impl Fn([&mut [Fr]; 4], [&[Fr]; 3]) + Sync) {
    let chunk = chunk_rows(a.len());
    let [q0, q1, q2, q3] = quarters(block).map(|quarter| quarter.par_chunks_mut(chunk));
    let [a, low, high] = [a, low, high].map(|factors| factors.par_chunks(chunk));
    (q0, q1, q2, q3, a, low, high)
        .into_par_iter()
        .for_each(|(q0, q1, q2, q3, a, low, high)| pass([q0, q1, q2, q3], [a, low, high]));
}

fn quarters(block: &mut [Fr]) -> [&mut [Fr]; 4] {
    let (first, second) = block.split_at_mut(block.len() / 2);
    let (q0, q1) = first.split_at_mut(first.len() / 2);
    let (q2, q3) = second.split_at_mut(second.len() / 2);
    [q0, q1, q2, q3]
}

#[inline]
fn fall_twice([q0, q1, q2, q3]: [&mut [Fr]; 4], [a, low, high]: [&[Fr]; 3]) {
    let quarters = q0.iter_mut().zip(q1).zip(q2).zip(q3);
    for ((((q0, q1), q2), q3), ((a, low), high)) in quarters.zip(a.iter().zip(low).zip(high)) {
        let (y0, y2) = (*q0 + *q2, (*q0 - *q2) * low);
        let (y1, y3) = (*q1 + *q3, (*q1 - *q3) * high);
        (*q0, *q1) = (y0 + y1, (y0 - y1) * a);
        (*q2, *q3) = (y2 + y3, (y2 - y3) * a);
    }
}

#[inline]
fn rise_twice([q0, q1, q2, q3]: [&mut [Fr]; 4], [a, low, high]: [&[Fr]; 3]) {
    let quarters = q0.iter_mut().zip(q1).zip(q2).zip(q3);
    for ((((q0, q1), q2), q3), ((a, low), high)) in quarters.zip(a.iter().zip(low).zip(high)) {
        let (x1, x3) = (*q1 * a, *q3 * a);
        let (y0, y1) = (*q0 + x1, *q0 - x1);
        let (y2, y3) = ((*q2 + x3) * low, (*q2 - x3) * high);
        (*q0, *q2) = (y0 + y2, y0 - y2);
        (*q1, *q3) = (y1 + y3, y1 - y3);
    }
}

#[cfg(test)]
mod tests {
    use ark_std::UniformRand;
    use ark_std::rand::rngs::OsRng;

    use super::*;

    fn reversed(values: &[Fr]) -> Vec<Fr> {
        let bits = values.len().ilog2();
        (0..values.len()).map(|i| values[i.reverse_bits() >> (usize::BITS - bits)]).collect()
    }

    #[test]
    fn the_same_values_as_one_transform_at_a_time() {
        // Sizes within a leaf, of both parities, and of one and two levels of recursion above it.
        for k in (1..=LEAF.ilog2() + 3).filter(|k| *k < 7 || *k > 11) {
            let domain = Domain::new(k).unwrap();
            let mut cosets = Cosets::new(&domain);
            let rows: Vec<Fr> = (0..domain.n).map(|_| Fr::rand(&mut OsRng)).collect();
            let mut expected = rows.clone();
            domain.interpolate(&mut expected);
            let mut coefficients: Vec<Fr> = rows.iter().map(|row| *row * cosets.unit()).collect();
            cosets.interpolate(&mut coefficients);
            assert_eq!(reversed(&coefficients), expected, "k = {k}");
            for i in 0..COSETS {
                let mut values = expected.clone();
                domain.evaluate_on_coset(i, &mut values);
                assert_eq!(cosets.on_coset(i, &coefficients), values, "k = {k}, coset {i}");
            }
        }
    }
}
