// SPDX-License-Identifier: Apache-2.0
//! Fiat-Shamir over Keccak-256: a challenge depends on every byte absorbed before it.

use ark_bn254::{Fr, G1Affine};
use ark_ff::PrimeField;
use sha3::{Digest, Keccak256};

use crate::point::{point_to_bytes, scalar_to_bytes};
use crate::statement::{Key, Statement, gram_to_bytes};

const LABEL: &[u8] = b"merit/update-argument/v1";

/// state = keccak256(state || absorbed since the last challenge); a challenge is the state mod r.
pub struct Transcript {
    state: [u8; 32],
    buffer: Vec<u8>,
}

impl Transcript {
    /// With the statement absorbed: key, N, context, points, Gram triangle.
    pub fn new(key: &Key, statement: &Statement) -> Self {
        let mut transcript = Self { state: Keccak256::digest(LABEL).into(), buffer: Vec::new() };
        transcript.buffer.extend(key.to_bytes());
        transcript.absorb_scalars(&[Fr::from(statement.points.len() as u64)]);
        transcript.buffer.extend(statement.context);
        transcript.absorb_points(&statement.points);
        transcript.buffer.extend(gram_to_bytes(&statement.gram));
        transcript
    }

    pub fn absorb_points(&mut self, points: &[G1Affine]) {
        points.iter().for_each(|point| self.buffer.extend(point_to_bytes(point)));
    }

    pub fn absorb_scalars(&mut self, scalars: &[Fr]) {
        scalars.iter().for_each(|scalar| self.buffer.extend(scalar_to_bytes(scalar)));
    }

    pub fn challenge(&mut self) -> Fr {
        let mut hash = Keccak256::new();
        hash.update(self.state);
        hash.update(&self.buffer);
        self.buffer.clear();
        self.state = hash.finalize().into();
        Fr::from_be_bytes_mod_order(&self.state)
    }
}

/// The verifier's random values, in the order in which they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenges {
    pub alpha: Fr,
    pub beta: Fr,
    pub eta: Fr,
    pub zeta: Fr,
    pub nu: Fr,
    pub u: Fr,
}
