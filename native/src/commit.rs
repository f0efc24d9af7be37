// SPDX-License-Identifier: Apache-2.0
//! Commitments to columns, to their digits, and to polynomials.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Zero};
use zeroize::{Zeroize, Zeroizing};

use crate::column::Column;
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::msm::{msm, sums_by_byte, weigh};
use crate::point::lower;
use crate::srs::{NEXT_POWERS, Srs};

/// For each byte of a column, the sum of the Lagrange points of the rows that hold each value: one addition a row and
/// byte gives the commitments to the column and to all of its digits.
pub(crate) struct Sums(Vec<Vec<G1Projective>>);

impl Sums {
    pub(crate) fn new(srs: &Srs, column: &Column) -> Result<Self> {
        if column.len() != srs.n() {
            let got = format!("{} rows", column.len());
            return Err(Error::field("column", got, format!("{} has {}", srs.path().display(), srs.n())));
        }
        let sums = |(p, plane)| sums_by_byte(plane, column.zero_byte(p), |row| srs.lagrange(row));
        Ok(Self(column.planes().enumerate().map(sums).collect()))
    }

    /// sum(v_l * [L_l(tau)]_1).
    pub(crate) fn column(&self, column: &Column) -> G1Affine {
        let mut total = G1Projective::ZERO;
        for (p, sums) in self.0.iter().enumerate().rev() {
            (0..8).for_each(|_| {
                total.double_in_place();
            });
            total += weigh(sums, |y| i64::from(y) - i64::from(column.zero_byte(p)));
        }
        lower(total)
    }

    /// sum(d_l * [L_l(tau)]_1) for digit j.
    pub(crate) fn digit(&self, column: &Column, j: usize) -> G1Affine {
        let (p, shift) = Column::place(j);
        let digit = |y: u8| i64::from(y >> shift & 3);
        // The rows that were skipped: all Lagrange points together sum to the generator.
        let base = digit(column.zero_byte(p));
        lower(weigh(&self.0[p], |y| digit(y) - base) + G1Affine::generator() * Fr::from(base))
    }
}

/// The commitment to a column.
pub fn commit(srs: &Srs, column: &Column) -> Result<G1Affine> {
    Ok(Sums::new(srs, column)?.column(column))
}

/// CommitmentMismatch unless `point` commits to exactly this column.
pub fn check_opening(srs: &Srs, index: usize, column: &Column, point: &G1Affine) -> Result<()> {
    if commit(srs, column)? == *point { Ok(()) } else { Err(Error::CommitmentMismatch { column: index }) }
}

/// The commitment after `change` was added to one row.
pub fn commit_delta(srs: &Srs, point: &G1Affine, row: usize, change: i64) -> Result<G1Affine> {
    if row >= srs.n() {
        return Err(Error::field("row", row, format!("it must lie in [0, {})", srs.n())));
    }
    let base = srs.lagrange(row);
    if !base.is_on_curve() {
        return Err(srs.failure(format!("Lagrange point {row} is off the curve")));
    }
    Ok(lower(base.to_affine() * Fr::from(change) + point))
}

/// The commitment to 1 on the first dim rows, 0 on the others.
pub(crate) fn commit_selector(srs: &Srs, dim: usize) -> G1Affine {
    let ones = vec![1u8; dim];
    lower(sums_by_byte(&ones, 0, |row| srs.lagrange(row))[1])
}

/// A polynomial of degree up to n + 2 by its coefficients: n of them, and those that masks reach beyond. Wiped when
/// dropped.
pub(crate) struct Polynomial {
    pub(crate) low: Zeroizing<Vec<Fr>>,
    pub(crate) high: [Fr; NEXT_POWERS],
}

impl Drop for Polynomial {
    fn drop(&mut self) {
        self.high.zeroize();
    }
}

impl Polynomial {
    pub(crate) fn new(low: Zeroizing<Vec<Fr>>) -> Self {
        Self { low, high: [Fr::ZERO; NEXT_POWERS] }
    }

    /// Adds mask(X) * (X^n - 1).
    pub(crate) fn add_vanishing_multiple(&mut self, mask: &[Fr; NEXT_POWERS]) {
        for (i, m) in mask.iter().enumerate() {
            self.low[i] -= m;
            self.high[i] += m;
        }
    }

    pub(crate) fn commit(&self, srs: &Srs) -> Result<G1Affine> {
        let mut total = msm(&self.low, |i| srs.power(i));
        for (coefficient, power) in self.high.iter().zip(srs.next_powers()?) {
            if !coefficient.is_zero() {
                total += power.to_affine() * coefficient;
            }
        }
        Ok(lower(total))
    }

    /// Divides by X - x in place; returns the remainder, which is the value at x.
    pub(crate) fn divide_at(&mut self, x: Fr) -> Fr {
        let mut carry = Fr::ZERO;
        for coefficient in self.high.iter_mut().rev().chain(self.low.iter_mut().rev()) {
            let value = *coefficient + carry * x;
            *coefficient = carry;
            carry = value;
        }
        carry
    }
}

/// The commitment to values on the rows, plus mask(X) * (X^n - 1).
pub(crate) fn commit_rows(srs: &Srs, rows: &[Fr], mask: &[Fr; NEXT_POWERS]) -> Result<G1Affine> {
    let mut total = msm(rows, |row| srs.lagrange(row));
    for (i, (m, next)) in mask.iter().zip(srs.next_powers()?).enumerate() {
        total += (next.to_affine() - srs.power(i).to_affine()) * m;
    }
    Ok(lower(total))
}

/// Field error unless the string is of the domain's size.
pub(crate) fn require_domain(srs: &Srs, domain: &Domain) -> Result<()> {
    if srs.k() == domain.k { Ok(()) } else { Err(srs.failure(format!("the key is for 2^{} rows", domain.k))) }
}
