// SPDX-License-Identifier: Apache-2.0
//! A proof and its bytes.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;

use crate::error::{Error, Result};
use crate::point::{POINT_BYTES, WORD_BYTES, point_from_bytes, point_to_bytes, scalar_from_bytes, scalar_to_bytes};
use crate::statement::Key;

/// Parts of the quotient: Q0 + X^n Q1 + X^2n Q2.
pub const QUOTIENTS: usize = 3;

/// What the prover sends, in the order in which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// D_ij for j = 1 .. m_i - 1; digit 0 is what remains.
    pub digits: Vec<Vec<G1Affine>>,
    pub z: G1Affine,
    pub quotients: [G1Affine; QUOTIENTS],
    pub values: Values,
    /// The opening at zeta, and of z at w zeta.
    pub w: G1Affine,
    pub w_next: G1Affine,
}

/// Values at zeta, and of z at w zeta.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub columns: Vec<Fr>,
    /// d_ij for j = 1 .. m_i - 1.
    pub digits: Vec<Vec<Fr>>,
    pub selector: Fr,
    pub z: Fr,
    pub z_next: Fr,
}

impl Values {
    /// In the order of the wire.
    pub fn flat(&self) -> Vec<Fr> {
        let digits = self.digits.iter().flatten();
        self.columns.iter().chain(digits).chain([&self.selector, &self.z, &self.z_next]).copied().collect()
    }
}

impl Proof {
    /// Points, values, points, as protocol says; no length and no padding.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let points = self.digits.iter().flatten().chain([&self.z]).chain(&self.quotients);
        points.for_each(|point| out.extend(point_to_bytes(point)));
        self.values.flat().iter().for_each(|value| out.extend(scalar_to_bytes(value)));
        [self.w, self.w_next].iter().for_each(|point| out.extend(point_to_bytes(point)));
        out
    }

    /// The inverse of `to_bytes` for N columns of this key.
    pub fn from_bytes(key: &Key, columns: usize, bytes: &[u8]) -> Result<Self> {
        let expected = proof_bytes(key, columns);
        if bytes.len() != expected {
            return Err(Error::proof(format!("{} bytes, it must have {expected}", bytes.len())));
        }
        let mut reader = Reader { bytes, at: 0 };
        let counts: Vec<usize> = (0..columns).map(|i| key.digits_of(i) - 1).collect();
        Ok(Self {
            digits: counts.iter().map(|&count| reader.points(count)).collect::<Result<_>>()?,
            z: reader.point()?,
            quotients: [reader.point()?, reader.point()?, reader.point()?],
            values: Values {
                columns: reader.scalars(columns)?,
                digits: counts.iter().map(|&count| reader.scalars(count)).collect::<Result<_>>()?,
                selector: reader.scalar()?,
                z: reader.scalar()?,
                z_next: reader.scalar()?,
            },
            w: reader.point()?,
            w_next: reader.point()?,
        })
    }
}

/// Bytes of a proof about N columns.
pub fn proof_bytes(key: &Key, columns: usize) -> usize {
    let digits: usize = (0..columns).map(|i| key.digits_of(i) - 1).sum();
    POINT_BYTES * (digits + 1 + QUOTIENTS + 2) + WORD_BYTES * (columns + digits + 3)
}

/// Reads within a length that was checked.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        self.at += count;
        &self.bytes[self.at - count..self.at]
    }

    fn point(&mut self) -> Result<G1Affine> {
        let at = self.at;
        let point = point_from_bytes(self.take(POINT_BYTES));
        let point = point.map_err(|reason| Error::proof(format!("at byte {at}: {reason}")))?;
        if point.is_zero() {
            return Err(Error::proof(format!("at byte {at}: the point at infinity")));
        }
        Ok(point)
    }

    fn scalar(&mut self) -> Result<Fr> {
        let at = self.at;
        let scalar = scalar_from_bytes(self.take(WORD_BYTES));
        scalar.ok_or_else(|| Error::proof(format!("at byte {at}: a scalar is not below r")))
    }

    fn points(&mut self, count: usize) -> Result<Vec<G1Affine>> {
        (0..count).map(|_| self.point()).collect()
    }

    fn scalars(&mut self, count: usize) -> Result<Vec<Fr>> {
        (0..count).map(|_| self.scalar()).collect()
    }
}
