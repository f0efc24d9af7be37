// SPDX-License-Identifier: Apache-2.0
//! What is proven: the verifying key, and the public values that a proof is bound to.

use ark_bn254::{Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use sha3::{Digest, Keccak256};

use crate::column::{MAX_BITS, require_fits};
use crate::domain::{Domain, MAX_K};
use crate::error::{Error, Result};
use crate::point::{
    WORD_BYTES, base_from_bytes, base_to_bytes, point_from_bytes, point_to_bytes, scalar_from_bytes, scalar_to_bytes,
};

/// Columns in one proof.
pub const MAX_COLUMNS: usize = 32;
/// Gram integers have a magnitude below 2^62.
pub const GRAM_BITS: u32 = 62;
/// n, omega, 1/n, dim, bits, bits0, SRS digest, selector (2), tau G2 (4).
pub const KEY_BYTES: usize = 13 * WORD_BYTES;
const BITS: [u32; 3] = [4, 8, 16];

/// The verifying key: everything about a task that the argument depends on.
#[derive(Clone)]
pub struct Key {
    pub domain: Domain,
    pub dim: usize,
    pub bits: u32,
    /// Of column 0, which may be wider than the others.
    pub bits0: u32,
    pub srs_digest: [u8; 32],
    /// Commitment to the polynomial that is 1 on the first dim rows and 0 on the others.
    pub selector: G1Affine,
    pub tau_g2: G2Affine,
}

impl Key {
    /// Field error unless dim and both widths are ones that the argument is for.
    pub(crate) fn require_shape(n: usize, dim: usize, bits: u32, bits0: u32) -> Result<()> {
        if !BITS.contains(&bits) {
            return Err(Error::field("bits", bits, format!("it must be one of {BITS:?}")));
        }
        if !bits0.is_multiple_of(2) || !(bits..=MAX_BITS).contains(&bits0) {
            return Err(Error::field("bits0", bits0, format!("it must be even, in [{bits}, {MAX_BITS}]")));
        }
        require_fits("dim", dim, n)
    }

    /// Bits of column i.
    pub fn bits_of(&self, column: usize) -> u32 {
        if column == 0 { self.bits0 } else { self.bits }
    }

    /// Digits of column i.
    pub fn digits_of(&self, column: usize) -> usize {
        self.bits_of(column) as usize / 2
    }

    /// 13 words.
    pub fn to_bytes(&self) -> [u8; KEY_BYTES] {
        let word = |x: u64| scalar_to_bytes(&Fr::from(x));
        let selector = point_to_bytes(&self.selector);
        let (x, y) = self.tau_g2.xy().expect("tau is not 0");
        let words = [
            word(self.domain.n as u64),
            scalar_to_bytes(&self.domain.omega),
            scalar_to_bytes(&self.domain.n_inverse),
            word(self.dim as u64),
            word(self.bits.into()),
            word(self.bits0.into()),
            self.srs_digest,
            selector[..32].try_into().expect("32 bytes"),
            selector[32..].try_into().expect("32 bytes"),
            base_to_bytes(&x.c1),
            base_to_bytes(&x.c0),
            base_to_bytes(&y.c1),
            base_to_bytes(&y.c0),
        ];
        words.concat().try_into().expect("13 words")
    }

    /// The inverse of `to_bytes`, every word checked but the SRS digest, which binds only.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != KEY_BYTES {
            return Err(Error::field("key", format!("{} bytes", bytes.len()), format!("it must be {KEY_BYTES}")));
        }
        let word = |i: usize| &bytes[WORD_BYTES * i..WORD_BYTES * (i + 1)];
        let small = |i: usize, field: &str| {
            let (high, low) = word(i).split_at(24);
            let value = u64::from_be_bytes(low.try_into().expect("8 bytes"));
            let limit = 1u64 << MAX_K;
            if high.iter().any(|&byte| byte != 0) || value > limit {
                return Err(Error::field(field, "a larger number", format!("it must be at most {limit}")));
            }
            Ok(value)
        };
        let n = small(0, "key.n")?;
        if !n.is_power_of_two() {
            return Err(Error::field("key.n", n, "it must be a power of two"));
        }
        let domain = Domain::new(n.trailing_zeros())?;
        if scalar_from_bytes(word(1)) != Some(domain.omega) || scalar_from_bytes(word(2)) != Some(domain.n_inverse) {
            return Err(Error::field("key.omega", "another word", "omega and 1/n must be those of n"));
        }
        let (dim, bits, bits0) = (small(3, "key.dim")? as usize, small(4, "key.bits")?, small(5, "key.bits0")?);
        Self::require_shape(domain.n, dim, bits as u32, bits0 as u32)?;
        let selector = point_from_bytes(&bytes[WORD_BYTES * 7..WORD_BYTES * 9])
            .map_err(|reason| Error::field("key.selector", "other bytes", reason))?;
        Ok(Self {
            domain,
            dim,
            bits: bits as u32,
            bits0: bits0 as u32,
            srs_digest: word(6).try_into().expect("32 bytes"),
            selector,
            tau_g2: decode_g2([word(9), word(10), word(11), word(12)])?,
        })
    }

    /// Keccak-256 of the bytes: what a contract pins.
    pub fn digest(&self) -> [u8; 32] {
        Keccak256::digest(self.to_bytes()).into()
    }
}

fn decode_g2(words: [&[u8]; 4]) -> Result<G2Affine> {
    let refuse = |reason: &str| Error::field("key.tau", "other bytes", reason);
    let mut coordinates = [ark_bn254::Fq::default(); 4];
    for (coordinate, word) in coordinates.iter_mut().zip(words) {
        *coordinate = base_from_bytes(word).ok_or_else(|| refuse("coordinates must be below the modulus"))?;
    }
    let [x1, x0, y1, y0] = coordinates;
    let point = G2Affine::new_unchecked(Fq2::new(x0, x1), Fq2::new(y0, y1));
    if !point.is_on_curve() || !point.is_in_correct_subgroup_assuming_on_curve() {
        return Err(refuse("it must be a point of order r"));
    }
    Ok(point)
}

/// The public values of one proof.
#[derive(Clone)]
pub struct Statement {
    /// keccak256(abi.encode(chain id, contract, task, round)).
    pub context: [u8; 32],
    /// Commitments of the N columns.
    pub points: Vec<G1Affine>,
    /// Upper triangle of the Gram matrix, row by row, N (N + 1) / 2 integers.
    pub gram: Vec<i64>,
}

impl Statement {
    /// Field error unless N, the triangle and each integer are within their limits.
    pub fn require_shape(&self) -> Result<()> {
        require_columns(self.points.len())?;
        let triangle = triangle(self.points.len());
        if self.gram.len() != triangle {
            let got = format!("{} integers", self.gram.len());
            return Err(Error::field("gram", got, format!("there must be {triangle}")));
        }
        match self.gram.iter().position(|g| g.unsigned_abs() >> GRAM_BITS != 0) {
            Some(i) => Err(Error::field(format!("gram[{i}]"), self.gram[i], "its magnitude must be below 2^62")),
            None => Ok(()),
        }
    }

    /// sum over all i, j of alpha^i beta^j G[i][j].
    pub(crate) fn combined_gram(&self, alpha: &[Fr], beta: &[Fr]) -> Fr {
        let n = self.points.len();
        let mut entries = self.gram.iter();
        let mut total = Fr::default();
        for i in 0..n {
            for j in i..n {
                let weight = if i == j { alpha[i] * beta[i] } else { alpha[i] * beta[j] + alpha[j] * beta[i] };
                total += weight * Fr::from(*entries.next().expect("the triangle's length was checked"));
            }
        }
        total
    }
}

/// Field error unless N columns fit one proof.
pub(crate) fn require_columns(count: usize) -> Result<()> {
    if (1..=MAX_COLUMNS).contains(&count) {
        return Ok(());
    }
    Err(Error::field("columns", count, format!("there must be 1 to {MAX_COLUMNS}")))
}

/// Entries of the upper triangle of an N by N matrix.
pub(crate) fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}

/// Signed 64-bit big-endian integers.
pub fn gram_from_bytes(bytes: &[u8]) -> Result<Vec<i64>> {
    if !bytes.len().is_multiple_of(8) {
        return Err(Error::field("gram", format!("{} bytes", bytes.len()), "an integer has 8 bytes"));
    }
    Ok(bytes.chunks_exact(8).map(|chunk| i64::from_be_bytes(chunk.try_into().expect("8 bytes"))).collect())
}

/// The inverse of `gram_from_bytes`.
pub fn gram_to_bytes(gram: &[i64]) -> Vec<u8> {
    gram.iter().flat_map(|g| g.to_be_bytes()).collect()
}
