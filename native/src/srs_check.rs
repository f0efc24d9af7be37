// SPDX-License-Identifier: Apache-2.0
//! Whether a string is what it says: every point on the curve, powers of one tau, Lagrange points of the same tau.

use ark_bn254::{Fr, G1Projective};
use ark_ff::{BigInt, PrimeField};
use ark_std::UniformRand;
use ark_std::rand::rngs::{OsRng, StdRng};
use ark_std::rand::{RngCore, SeedableRng};
use rayon::prelude::*;

use crate::domain::Domain;
use crate::error::Result;
use crate::msm::{msm, msm_of_integers};
use crate::point::Xy;
use crate::progress::{Callback, Stage};
use crate::srs::Srs;

/// A wrong string passes a random combination with probability 2^-128.
const FACTOR_BITS: usize = 128;

/// Checks every point of the file, and of its side file if there is one. Returns the file's SHA-256.
pub fn check(srs: &Srs, progress: &mut Callback<'_>) -> Result<[u8; 32]> {
    let mut stage = Stage::start(progress, "check", 5)?;
    require_on_curve(srs, "power", |i| srs.power(i))?;
    require_on_curve(srs, "Lagrange point", |i| srs.lagrange(i))?;
    stage.step()?;

    // e(sum rho_i g_(i+1), 1) = e(sum rho_i g_i, tau)
    let factors = random_integers(srs.n() - 1)?;
    let right = msm_of_integers(&factors, FACTOR_BITS, |i| srs.power(i));
    stage.step()?;
    let left = msm_of_integers(&factors, FACTOR_BITS, |i| srs.power(i + 1));
    if !srs.continues(left, right) {
        return Err(srs.failure("its powers are not of one tau"));
    }
    drop(factors);
    stage.step()?;

    require_lagrange(srs)?;
    stage.step()?;
    if crate::srs::next_path(srs.path()).exists() {
        srs.next_powers()?;
    }
    let digest = srs.digest();
    stage.step()?;
    Ok(digest)
}

fn require_on_curve(srs: &Srs, what: &str, point: impl Fn(usize) -> Xy + Sync) -> Result<()> {
    match (0..srs.n()).into_par_iter().find_first(|&i| !point(i).is_on_curve()) {
        Some(i) => Err(srs.failure(format!("{what} {i} is off the curve"))),
        None => Ok(()),
    }
}

/// The polynomial with random values on the rows commits to one point, through either basis.
fn require_lagrange(srs: &Srs) -> Result<()> {
    let factors = random_integers(srs.n())?;
    let by_rows = msm_of_integers(&factors, FACTOR_BITS, |l| srs.lagrange(l));
    let field = |integer: &BigInt<4>| Fr::from_bigint(*integer).expect("128 bits are below r");
    let mut polynomial: Vec<Fr> = factors.par_iter().map(field).collect();
    drop(factors);
    Domain::new(srs.k())?.interpolate(&mut polynomial);
    let by_powers: G1Projective = msm(&polynomial, |i| srs.power(i));
    if by_rows == by_powers { Ok(()) } else { Err(srs.failure("its Lagrange points do not fit its powers")) }
}

/// 128-bit integers from a generator with a fresh seed.
fn random_integers(count: usize) -> Result<Vec<BigInt<4>>> {
    let mut seed = [0; 32];
    OsRng.fill_bytes(&mut seed);
    let mut rng = StdRng::from_seed(seed);
    Ok((0..count).map(|_| BigInt::new([u64::rand(&mut rng), u64::rand(&mut rng), 0, 0])).collect())
}
