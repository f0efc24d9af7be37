// SPDX-License-Identifier: Apache-2.0
//! Points of G1 and scalars as bytes: on the wire (big-endian, as in the EVM) and in SRS files (Montgomery limbs).

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInt, BigInteger, PrimeField};

use crate::error::{Error, Result};

pub const POINT_BYTES: usize = 64;
pub const WORD_BYTES: usize = 32;

/// x and y of a point other than infinity, 64 bytes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xy {
    pub x: Fq,
    pub y: Fq,
}

impl Xy {
    /// (0, 0) is off the curve, and stands for infinity.
    pub const INFINITY: Self =
        Self { x: Fq::new_unchecked(BigInt::new([0; 4])), y: Fq::new_unchecked(BigInt::new([0; 4])) };

    pub fn is_infinity(&self) -> bool {
        self.x.0.is_zero() && self.y.0.is_zero()
    }

    /// y^2 = x^3 + 3, with reduced coordinates. G1 has prime order, so every such point is in it.
    pub fn is_on_curve(&self) -> bool {
        self.x.0 < Fq::MODULUS && self.y.0 < Fq::MODULUS && self.y * self.y == self.x * self.x * self.x + Fq::from(3u64)
    }

    pub fn to_affine(self) -> G1Affine {
        if self.is_infinity() { G1Affine::identity() } else { G1Affine::new_unchecked(self.x, self.y) }
    }

    pub fn from_affine(point: G1Affine) -> Self {
        match point.xy() {
            Some((x, y)) => Self { x, y },
            None => Self::INFINITY,
        }
    }

    pub fn negated(self) -> Self {
        Self { x: self.x, y: -self.y }
    }

    /// From 64 bytes of an SRS file; coordinates are not checked.
    #[inline]
    pub fn from_limbs(bytes: &[u8]) -> Self {
        Self { x: limbs(&bytes[..32]), y: limbs(&bytes[32..64]) }
    }

    /// As an SRS file holds it.
    pub fn to_limbs(self) -> [u8; POINT_BYTES] {
        let mut out = [0; POINT_BYTES];
        for (slot, limb) in out.chunks_exact_mut(8).zip(self.x.0.0.iter().chain(&self.y.0.0)) {
            slot.copy_from_slice(&limb.to_le_bytes());
        }
        out
    }
}

/// 32 bytes of little-endian Montgomery limbs.
#[inline]
pub(crate) fn limbs(bytes: &[u8]) -> Fq {
    let limb = |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 bytes"));
    Fq::new_unchecked(BigInt::new([limb(0), limb(1), limb(2), limb(3)]))
}

/// 64 bytes, x then y, big-endian; (0, 0) is infinity.
pub fn point_to_bytes(point: &G1Affine) -> [u8; POINT_BYTES] {
    let mut out = [0; POINT_BYTES];
    if let Some((x, y)) = point.xy() {
        out[..32].copy_from_slice(&base_to_bytes(&x));
        out[32..].copy_from_slice(&base_to_bytes(&y));
    }
    out
}

/// The inverse of `point_to_bytes`; the reason where it is none.
pub fn point_from_bytes(bytes: &[u8]) -> std::result::Result<G1Affine, &'static str> {
    if bytes.len() != POINT_BYTES {
        return Err("a point has 64 bytes");
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(G1Affine::identity());
    }
    let x = base_from_bytes(&bytes[..32]).ok_or("a coordinate is not below the modulus")?;
    let y = base_from_bytes(&bytes[32..]).ok_or("a coordinate is not below the modulus")?;
    if !(Xy { x, y }).is_on_curve() {
        return Err("a point is off the curve");
    }
    Ok(G1Affine::new_unchecked(x, y))
}

/// The points of `bytes`, 64 each, infinity included; Field errors name `field[index]`.
pub fn points_from_bytes(field: &str, bytes: &[u8]) -> Result<Vec<G1Affine>> {
    if !bytes.len().is_multiple_of(POINT_BYTES) {
        return Err(Error::field(field, format!("{} bytes", bytes.len()), "a point has 64 bytes"));
    }
    let decode = |(i, chunk): (usize, &[u8])| {
        point_from_bytes(chunk).map_err(|reason| Error::field(format!("{field}[{i}]"), "other bytes", reason))
    };
    bytes.chunks_exact(POINT_BYTES).enumerate().map(decode).collect()
}

pub(crate) fn base_to_bytes(x: &Fq) -> [u8; WORD_BYTES] {
    x.into_bigint().to_bytes_be().try_into().expect("32 bytes")
}

pub(crate) fn base_from_bytes(bytes: &[u8]) -> Option<Fq> {
    Fq::from_bigint(big_endian(bytes))
}

pub(crate) fn scalar_to_bytes(x: &Fr) -> [u8; WORD_BYTES] {
    x.into_bigint().to_bytes_be().try_into().expect("32 bytes")
}

/// None unless the 32 bytes are below r.
pub(crate) fn scalar_from_bytes(bytes: &[u8]) -> Option<Fr> {
    Fr::from_bigint(big_endian(bytes))
}

fn big_endian(bytes: &[u8]) -> BigInt<4> {
    let limb = |i: usize| u64::from_be_bytes(bytes[24 - 8 * i..32 - 8 * i].try_into().expect("8 bytes"));
    BigInt::new([limb(0), limb(1), limb(2), limb(3)])
}

/// Affine form of a point.
pub(crate) fn lower(point: G1Projective) -> G1Affine {
    point.into_affine()
}
