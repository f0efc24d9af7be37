// SPDX-License-Identifier: Apache-2.0
//! F / (X^n - 1), from its values on three cosets of size n. Its degree is 3n, for the digits' masks give F one of 4n;
//! the one coefficient that three cosets do not hold follows from the masks.
//!
//! Columns and digits are transformed one at a time and folded into the accumulators, so memory does not grow with
//! their number. The lowest digit is what remains of the column on each point, without a transform of its own.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::column::{Column, half};
use crate::domain::{COSETS, Domain, chunk_rows, inverse, powers};
use crate::error::Result;
use crate::forms::{Form, write_digit};
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

/// F's terms on one coset, as far as they are known.
struct Accumulator {
    a: Secret,
    b: Secret,
    f: Secret,
    lowest: Secret,
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
        let mut cosets: [Accumulator; COSETS] = std::array::from_fn(|_| Accumulator::new(domain.n));
        let mut transform = Transform::new(domain);

        // On a coset X^n - 1 is a constant, and so is each digit's mask.
        let vanishing: [Fr; COSETS] = std::array::from_fn(|c| domain.coset_power(c) - Fr::ONE);
        let mut top = Fr::ZERO;
        let mut power = self.eta;
        for (i, column) in columns.iter().enumerate() {
            let offset = Fr::from(half(column.bits()));
            transform.load(|rows| Form::new(column.bits(), Fr::ONE, &[]).add_to(column, rows));
            for (c, coset) in cosets.iter_mut().enumerate() {
                coset.add_column(transform.on_coset(c), self.alpha[i], self.beta[i], offset);
            }
            stage.step()?;
            let (lowest, mut left) = (power, Fr::ZERO);
            for (j, mask) in (1..column.digits()).zip(masks.of(i)) {
                power *= self.eta;
                let unit = Fr::from(1u64 << (2 * j));
                transform.load(|rows| write_digit(column, j, rows));
                for (c, coset) in cosets.iter_mut().enumerate() {
                    coset.add_digit(transform.on_coset(c), *mask * vanishing[c], power, unit);
                }
                top += power * mask.square().square();
                left -= unit * mask;
                stage.step()?;
            }
            cosets.iter_mut().for_each(|coset| coset.add_lowest(lowest));
            top += lowest * left.square().square();
            power *= self.eta;
        }
        transform.load(|rows| rows.copy_from_slice(&sum.rows));
        for (c, coset) in cosets.iter_mut().enumerate() {
            coset.add_sum(domain, c, transform.on_coset(c), sum);
        }
        stage.step()?;
        transform.load(|rows| rows[..key.dim].fill(Fr::ONE));
        for (c, coset) in cosets.iter_mut().enumerate() {
            let beyond = top * domain.coset_power(c).pow([COSETS as u64]);
            coset.finish(transform.on_coset(c), sum.step, inverse(vanishing[c]), beyond);
        }
        drop(transform);
        stage.step()?;
        let mut parts = cosets.map(|coset| coset.f);
        for (c, part) in parts.iter_mut().enumerate() {
            domain.interpolate_from_coset(c, part);
        }
        separate(domain, &mut parts);
        stage.step()?;
        Ok((parts, top))
    }
}

/// One polynomial's coefficients, and its values on one coset.
struct Transform<'a> {
    domain: &'a Domain,
    coefficients: Secret,
    values: Secret,
}

impl<'a> Transform<'a> {
    fn new(domain: &'a Domain) -> Self {
        Self { domain, coefficients: zeros(domain.n), values: zeros(domain.n) }
    }

    /// Takes the rows that `write` puts over zeros.
    fn load(&mut self, write: impl FnOnce(&mut [Fr])) {
        self.coefficients.par_iter_mut().for_each(|slot| *slot = Fr::ZERO);
        write(&mut self.coefficients);
        self.domain.interpolate(&mut self.coefficients);
    }

    fn on_coset(&mut self, coset: usize) -> &[Fr] {
        self.values.copy_from_slice(&self.coefficients);
        self.domain.evaluate_on_coset(coset, &mut self.values);
        &self.values
    }
}

impl Accumulator {
    fn new(n: usize) -> Self {
        Self { a: zeros(n), b: zeros(n), f: zeros(n), lowest: zeros(n) }
    }

    fn add_column(&mut self, column: &[Fr], alpha: Fr, beta: Fr, offset: Fr) {
        let chunk = chunk_rows(column.len());
        self.a
            .par_chunks_mut(chunk)
            .zip(self.b.par_chunks_mut(chunk))
            .zip(self.lowest.par_chunks_mut(chunk))
            .zip(column.par_chunks(chunk))
            .for_each(|(((a, b), lowest), column)| {
                for (((a, b), lowest), v) in a.iter_mut().zip(b).zip(lowest).zip(column) {
                    *a += alpha * v;
                    *b += beta * v;
                    *lowest = offset + v;
                }
            });
    }

    fn add_digit(&mut self, digit: &[Fr], mask: Fr, weight: Fr, unit: Fr) {
        let chunk = chunk_rows(digit.len());
        self.f.par_chunks_mut(chunk).zip(self.lowest.par_chunks_mut(chunk)).zip(digit.par_chunks(chunk)).for_each(
            |((f, lowest), digit)| {
                for ((f, lowest), d) in f.iter_mut().zip(lowest).zip(digit) {
                    let d = *d + mask;
                    *f += weight * range4(d);
                    *lowest -= unit * d;
                }
            },
        );
    }

    fn add_lowest(&mut self, weight: Fr) {
        self.f.par_iter_mut().zip(&self.lowest[..]).for_each(|(f, d)| *f += weight * range4(*d));
    }

    /// Adds z(wX) - z(X). X^n is one constant on the coset, so the mask is a polynomial of degree 2 there.
    fn add_sum(&mut self, domain: &Domain, coset: usize, z: &[Fr], sum: &RunningSum) {
        let n = domain.n;
        let vanishing = domain.coset_power(coset) - Fr::ONE;
        let [m0, m1, m2] = sum.mask.map(|m| m * vanishing);
        let x = Secret::new(powers(domain.omega, domain.coset_shift(coset), n));
        let masked = |l: usize| z[l] + m0 + (m1 + m2 * x[l]) * x[l];
        self.f.par_iter_mut().enumerate().for_each(|(l, f)| *f += masked((l + 1) % n) - masked(l));
    }

    /// Subtracts a b S, adds t/n, divides by X^n - 1, and leaves out the term beyond.
    fn finish(&mut self, selector: &[Fr], step: Fr, scale: Fr, beyond: Fr) {
        let factors = self.a.par_iter().zip(&self.b[..]).zip(selector);
        self.f.par_iter_mut().zip(factors).for_each(|(f, ((a, b), s))| *f = (*f - *a * b * s + step) * scale - beyond);
    }
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
