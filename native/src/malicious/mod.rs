// SPDX-License-Identifier: Apache-2.0
//! For tests only: strings with a known tau, proofs from a known seed, and a prover that cheats.

mod textbook;

use std::path::Path;

use ark_bn254::{Fr, G1Affine};
use ark_std::rand::SeedableRng;
use ark_std::rand::rngs::StdRng;

pub use textbook::{Cheat, Honest, Textbook, Transcribed};

use crate::column::Column;
use crate::error::Result;
use crate::progress::silent;
use crate::proof::Proof;
use crate::srs::Srs;
use crate::statement::{Key, Statement};
use crate::transcript::Challenges;

/// `generate` with a tau that the test knows.
pub fn generate_from_tau(path: &Path, k: u32, tau: &Fr) -> Result<()> {
    crate::srs_generate::generate_from(path, k, tau, &mut silent)
}

/// `prove` with masks from a seed.
pub fn prove_from_seed(
    srs: &Srs,
    key: &Key,
    context: [u8; 32],
    points: &[G1Affine],
    columns: &[Column],
    seed: u64,
) -> Result<(Statement, Vec<u8>)> {
    let mut rng = StdRng::seed_from_u64(seed);
    crate::prove::prove_with(srs, key, context, points, columns, &mut silent, &mut rng)
}

/// The verifier's equations for challenges of the caller's choice.
pub fn check_with(key: &Key, statement: &Statement, proof: &Proof, challenges: &Challenges) -> Result<()> {
    crate::verify::check(key, statement, proof, challenges)
}
