// SPDX-License-Identifier: Apache-2.0
//! F / (X^n - 1), from its values on three cosets of size n. Its degree is 3n, for the digits' masks give F one of 4n;
//! the one coefficient that three cosets do not hold follows from the masks.
//!
//! Digits are transformed one at a time and folded into the values of F, so memory does not grow with their number.
//! What is linear in the columns is combined on the rows, before it is transformed.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::column::Column;
use crate::cosets::Cosets;
use crate::domain::{COSETS, Domain, chunk_rows, inverse, powers};
use crate::error::Result;
use crate::forms::{combine, write_digit};
use crate::progress::{Callback, Stage};
use crate::prove::{DigitMasks, Secret};
use crate::srs::NEXT_POWERS;
use crate::statement::Key;
use crate::verify::range4;

/// z on the rows, and the mask by which it is blinded: z + mask(X) (X^n - 1).
pub(crate) struct RunningSum {
    pub(crate) rows: Secret,
    pub(crate) mask: Zeroizing<[Fr; NEXT_POWERS]>,
    /// t / n.
    pub(crate) step: Fr,
}

/// The weights of F.
pub(crate) struct Quotient {
    pub(crate) alpha: Vec<Fr>,
    pub(crate) beta: Vec<Fr>,
    pub(crate) eta: Fr,
}

impl Quotient {
    /// Q0, Q1, Q2 by their lowest n coefficients, and Q2's at X^n, with F = (Q0 + X^n Q1 + X^2n Q2) (X^n - 1).
    pub(crate) fn split(
        &self,
        key: &Key,
        columns: &[Column],
        masks: &DigitMasks,
        sum: &RunningSum,
        progress: &mut Callback<'_>,
    ) -> Result<([Secret; COSETS], Fr)> {
        let domain = &key.domain;
        let digits: usize = columns.iter().map(Column::digits).sum();
        let mut stage = Stage::start(progress, "quotient", digits + 3)?;
        let mut parts: [Secret; COSETS] = std::array::from_fn(|_| zeros(domain.n));
        let mut cosets = Cosets::new(domain);
        let mut polynomial = zeros(domain.n);

        // On a coset X^n - 1 is a constant, and so is each digit's mask.
        let vanishing: [Fr; COSETS] = std::array::from_fn(|c| domain.coset_power(c) - Fr::ONE);
        let mut top = Fr::ZERO;
        let mut power = self.eta;
        for (i, column) in columns.iter().enumerate() {
            for (j, mask) in masks.of_all(i).iter().enumerate() {
                write_digit(column, j, cosets.unit(), &mut polynomial);
                cosets.interpolate(&mut polynomial);
                for (c, part) in parts.iter_mut().enumerate() {
                    add_digit(part, cosets.on_coset(c, &polynomial), *mask * vanishing[c], power);
                }
                top += power * mask.square().square();
                power *= self.eta;
                stage.step()?;
            }
        }
        polynomial.par_iter_mut().zip(&sum.rows[..]).for_each(|(slot, z)| *slot = cosets.unit() * z);
        cosets.interpolate(&mut polynomial);
        for (c, part) in parts.iter_mut().enumerate() {
            add_sum(part, domain, c, cosets.on_coset(c, &polynomial), sum);
        }
        stage.step()?;
        self.subtract_products(key, columns, &mut cosets, polynomial, &mut parts);
        stage.step()?;
        drop(cosets);
        for (c, part) in parts.iter_mut().enumerate() {
            let (scale, beyond) = (inverse(vanishing[c]), top * domain.coset_power(c).pow([COSETS as u64]));
            part.par_iter_mut().for_each(|f| *f = (*f + sum.step) * scale - beyond);
            domain.interpolate_from_coset(c, part);
        }
        separate(domain, &mut parts);
        stage.step()?;
        Ok((parts, top))
    }

    /// Subtracts a b S.
    fn subtract_products(
        &self,
        key: &Key,
        columns: &[Column],
        cosets: &mut Cosets,
        mut selector: Secret,
        parts: &mut [Secret; COSETS],
    ) {
        let scaled = |weights: &[Fr]| weights.iter().map(|weight| *weight * cosets.unit()).collect::<Vec<_>>();
        let mut a = combine(columns, &scaled(&self.alpha), key.domain.n);
        let mut b = combine(columns, &scaled(&self.beta), key.domain.n);
        selector[..key.dim].fill(cosets.unit());
        selector[key.dim..].fill(Fr::ZERO);
        for polynomial in [&mut a, &mut b, &mut selector] {
            cosets.interpolate(polynomial);
        }
        let mut products = zeros(key.domain.n);
        for (c, part) in parts.iter_mut().enumerate() {
            products.copy_from_slice(cosets.on_coset(c, &a));
            products.par_iter_mut().zip(cosets.on_coset(c, &b)).for_each(|(product, b)| *product *= b);
            let factors = products.par_iter().zip(cosets.on_coset(c, &selector));
            part.par_iter_mut().zip(factors).for_each(|(f, (product, s))| *f -= *product * s);
        }
    }
}

/// Adds weight d (d - 1) (d - 2) (d - 3) for the masked digit d.
fn add_digit(part: &mut [Fr], digit: &[Fr], mask: Fr, weight: Fr) {
    let chunk = chunk_rows(digit.len());
    part.par_chunks_mut(chunk).zip(digit.par_chunks(chunk)).for_each(|(part, digit)| {
        part.iter_mut().zip(digit).for_each(|(f, d)| *f += weight * range4(*d + mask));
    });
}

/// Adds z(wX) - z(X). X^n is one constant on the coset, so the mask is a polynomial of degree 2 there.
fn add_sum(part: &mut [Fr], domain: &Domain, coset: usize, z: &[Fr], sum: &RunningSum) {
    let n = domain.n;
    let vanishing = domain.coset_power(coset) - Fr::ONE;
    let [m0, m1, m2] = sum.mask.map(|m| m * vanishing);
    let x = Secret::new(powers(domain.omega, domain.coset_shift(coset), n));
    let masked = |l: usize| z[l] + m0 + (m1 + m2 * x[l]) * x[l];
    part.par_iter_mut().enumerate().for_each(|(l, f)| *f += masked((l + 1) % n) - masked(l));
}

/// Each part holds Q0 + c Q1 + c^2 Q2 for its coset's c = X^n; afterwards Q0, Q1, Q2.
fn separate(domain: &Domain, parts: &mut [Secret; COSETS]) {
    let c: [Fr; COSETS] = std::array::from_fn(|i| domain.coset_power(i));
    // Newton's divided differences at three points.
    let first = inverse(c[1] - c[0]);
    let second = inverse(c[2] - c[1]);
    let third = inverse(c[2] - c[0]);
    let chunk = chunk_rows(domain.n);
    let [p0, p1, p2] = parts;
    p0.par_chunks_mut(chunk).zip(p1.par_chunks_mut(chunk)).zip(p2.par_chunks_mut(chunk)).for_each(|((p0, p1), p2)| {
        for ((y0, y1), y2) in p0.iter_mut().zip(p1).zip(p2) {
            let d01 = (*y1 - *y0) * first;
            let d12 = (*y2 - *y1) * second;
            let d = (d12 - d01) * third;
            *y0 += c[0] * (c[1] * d - d01);
            *y1 = d01 - d * (c[0] + c[1]);
            *y2 = d;
        }
    });
}

fn zeros(n: usize) -> Secret {
    Secret::new(vec![Fr::ZERO; n])
}
