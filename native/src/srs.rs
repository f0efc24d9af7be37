// SPDX-License-Identifier: Apache-2.0
//! Structured reference strings on disk, mapped, never copied.
//!
//! Format (halo2's): 4-byte little-endian k; 2^k powers in G1; 2^k Lagrange points in G1; G2; tau G2. A coordinate is
//! 32 bytes of little-endian Montgomery limbs, so a file has 128 * 2^k + 260 bytes.
//!
//! The prover's masks have degree up to n + 2. The three powers that this takes beyond the file's n lie beside it, in
//! `<name>.next`: the same 4-byte k, then tau^n G, tau^(n+1) G, tau^(n+2) G. They are checked by pairing against the
//! file's own tau G2, so it does not matter where they come from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ark_bn254::{Bn254, Fq2, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{One, PrimeField};
use ark_std::UniformRand;
use ark_std::rand::rngs::OsRng;
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::point::{POINT_BYTES, Xy, limbs};

/// The largest string of the public ceremony.
pub const MAX_K: u32 = 26;
/// Powers beyond the file's n that the masks take.
pub const NEXT_POWERS: usize = 3;
pub(crate) const HEADER_BYTES: usize = 4;
pub(crate) const G2_BYTES: usize = 128;

/// One string.
pub struct Srs {
    path: PathBuf,
    k: u32,
    map: Mmap,
    g2: G2Affine,
    tau_g2: G2Affine,
    next: OnceLock<[Xy; NEXT_POWERS]>,
    digest: OnceLock<[u8; 32]>,
}

impl Srs {
    /// Maps a file; its size, its first power and its G2 points are checked, the rest by `check`.
    ///
    /// The file must not be changed while it is mapped.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| failure(path, format!("cannot be read ({error})")))?;
        // SAFETY: the map is read-only, and nothing in this process writes to the file.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| failure(path, format!("cannot be mapped ({error})")))?;
        let k = header(&map).filter(|k| (1..=MAX_K).contains(k) && map.len() == file_bytes(*k));
        let Some(k) = k else {
            return Err(failure(path, format!("{} bytes are no halo2 string", map.len())));
        };
        let tail = HEADER_BYTES + 2 * POINT_BYTES * (1 << k);
        let g2 = decode_g2(&map[tail..]).ok_or_else(|| failure(path, "G2 is off the curve"))?;
        let tau_g2 = decode_g2(&map[tail + G2_BYTES..]).ok_or_else(|| failure(path, "tau G2 is off the curve"))?;
        let srs = Self { path: path.to_path_buf(), k, map, g2, tau_g2, next: OnceLock::new(), digest: OnceLock::new() };
        if srs.power(0).to_affine() != G1Affine::generator() || srs.g2 != G2Affine::generator() {
            return Err(srs.failure("its first powers are not the generators"));
        }
        Ok(srs)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// log2 of the number of powers.
    pub fn k(&self) -> u32 {
        self.k
    }

    /// Number of powers.
    pub fn n(&self) -> usize {
        1 << self.k
    }

    /// tau in G2.
    pub fn tau_g2(&self) -> G2Affine {
        self.tau_g2
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> [u8; 32] {
        *self.digest.get_or_init(|| Sha256::digest(&self.map).into())
    }

    /// tau^i G for i in [0, n); not checked to be on the curve.
    #[inline]
    pub fn power(&self, i: usize) -> Xy {
        debug_assert!(i < self.n());
        Xy::from_limbs(&self.map[HEADER_BYTES + POINT_BYTES * i..])
    }

    /// L_row(tau) G for row in [0, n); not checked to be on the curve.
    #[inline]
    pub fn lagrange(&self, row: usize) -> Xy {
        debug_assert!(row < self.n());
        Xy::from_limbs(&self.map[HEADER_BYTES + POINT_BYTES * (self.n() + row)..])
    }

    /// tau^n G, tau^(n+1) G, tau^(n+2) G, from the file's side file, checked by pairing.
    pub fn next_powers(&self) -> Result<&[Xy; NEXT_POWERS]> {
        if self.next.get().is_none() {
            let path = next_path(&self.path);
            let points = read_next(&path, self.k)?;
            self.require_continued(&points).map_err(|reason| failure(&path, reason))?;
            let _ = self.next.set(points);
        }
        Ok(self.next.get().expect("set above"))
    }

    /// Takes the three next powers from a larger string of the same ceremony, and writes the side file.
    pub fn extend_from(&self, larger: &Srs) -> Result<()> {
        if larger.k <= self.k {
            return Err(larger.failure(format!("it must hold more than 2^{} powers", self.k)));
        }
        let points = std::array::from_fn(|i| larger.power(self.n() + i));
        self.require_continued(&points).map_err(|reason| larger.failure(reason))?;
        crate::srs_generate::write_next(&next_path(&self.path), self.k, &points)
    }

    /// One pairing equation for all three: each point is tau times the one before it, up to random factors.
    fn require_continued(&self, points: &[Xy; NEXT_POWERS]) -> std::result::Result<(), &'static str> {
        if points.iter().any(|point| !point.is_on_curve()) {
            return Err("a point is off the curve");
        }
        let before = [self.power(self.n() - 1), points[0], points[1]];
        let (mut left, mut right) = (G1Projective::default(), G1Projective::default());
        for (point, previous) in points.iter().zip(&before) {
            let rho = Fr::rand(&mut OsRng).into_bigint();
            left += point.to_affine().mul_bigint(rho);
            right += previous.to_affine().mul_bigint(rho);
        }
        if self.continues(left, right) { Ok(()) } else { Err("it is not of the same tau") }
    }

    /// Whether left = tau * right.
    pub(crate) fn continues(&self, left: G1Projective, right: G1Projective) -> bool {
        Bn254::multi_pairing([left, -right].map(|p| p.into_affine()), [self.g2, self.tau_g2]).0.is_one()
    }

    pub(crate) fn failure(&self, reason: impl Into<String>) -> Error {
        failure(&self.path, reason)
    }
}

/// Bytes of a file of 2^k powers.
pub(crate) fn file_bytes(k: u32) -> usize {
    HEADER_BYTES + 2 * POINT_BYTES * (1 << k) + 2 * G2_BYTES
}

/// `kzg20.next` beside `kzg20.srs`.
pub fn next_path(path: &Path) -> PathBuf {
    path.with_extension("next")
}

/// Errors carry the file's name only: where it lies is the caller's business.
pub(crate) fn failure(path: &Path, reason: impl Into<String>) -> Error {
    let name = path.file_name().unwrap_or(path.as_os_str());
    Error::Srs { file: name.to_string_lossy().into_owned(), reason: reason.into() }
}

fn header(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(..HEADER_BYTES)?.try_into().ok()?))
}

fn read_next(path: &Path, k: u32) -> Result<[Xy; NEXT_POWERS]> {
    let bytes = std::fs::read(path).map_err(|error| {
        failure(path, format!("cannot be read ({error}); make it from a larger string of the same ceremony"))
    })?;
    if header(&bytes) != Some(k) || bytes.len() != HEADER_BYTES + NEXT_POWERS * POINT_BYTES {
        return Err(failure(path, format!("it does not hold the {NEXT_POWERS} powers after 2^{k}")));
    }
    Ok(std::array::from_fn(|i| Xy::from_limbs(&bytes[HEADER_BYTES + POINT_BYTES * i..])))
}

/// The point, if it is on the curve and in the subgroup of order r.
fn decode_g2(bytes: &[u8]) -> Option<G2Affine> {
    let coordinate = |i: usize| Fq2::new(limbs(&bytes[64 * i..]), limbs(&bytes[64 * i + 32..]));
    let (x, y) = (coordinate(0), coordinate(1));
    let reduced = [x.c0, x.c1, y.c0, y.c1].iter().all(|c| c.0 < ark_bn254::Fq::MODULUS);
    let point = G2Affine::new_unchecked(x, y);
    (reduced && point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve()).then_some(point)
}
