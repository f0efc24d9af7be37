// SPDX-License-Identifier: Apache-2.0
//! The verifier: the same bytes, and the same equations, as the contract's.

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, One};

use crate::column::half;
use crate::domain::inverse;
use crate::error::{Error, Result};
use crate::forms::powers_of;
use crate::proof::{Proof, Values};
use crate::statement::{Key, Statement};
use crate::transcript::{Challenges, Transcript};

/// InvalidProof, with the reason, unless the bytes prove the statement.
pub fn verify(key: &Key, statement: &Statement, proof: &[u8]) -> Result<()> {
    statement.require_shape()?;
    let proof = Proof::from_bytes(key, statement.points.len(), proof)?;
    check(key, statement, &proof, &challenges(key, statement, &proof))
}

/// Every challenge, each drawn after all that it has to depend on.
pub fn challenges(key: &Key, statement: &Statement, proof: &Proof) -> Challenges {
    let mut transcript = Transcript::new(key, statement);
    proof.digits.iter().for_each(|points| transcript.absorb_points(points));
    let (alpha, beta) = (transcript.challenge(), transcript.challenge());
    transcript.absorb_points(&[proof.z]);
    let eta = transcript.challenge();
    transcript.absorb_points(&proof.quotients);
    let zeta = transcript.challenge();
    transcript.absorb_scalars(&proof.values.flat());
    let nu = transcript.challenge();
    // u folds the two openings into one, so it comes after both: a prover who knew it could choose one to fit.
    transcript.absorb_points(&[proof.w, proof.w_next]);
    let u = transcript.challenge();
    Challenges { alpha, beta, eta, zeta, nu, u }
}

/// The identity at zeta and both openings, for given challenges.
pub(crate) fn check(key: &Key, statement: &Statement, proof: &Proof, c: &Challenges) -> Result<()> {
    let zeta_n = c.zeta.pow([key.domain.n as u64]);
    if zeta_n.is_one() {
        return Err(Error::proof("zeta is a row of the domain"));
    }
    let quotient = identity(key, statement, &proof.values, c) * inverse(zeta_n - Fr::ONE);
    let (points, values) = opened(key, statement, proof, zeta_n, quotient);
    let weights = powers_of(c.nu, values.len());
    let value: Fr = values.iter().zip(&weights).map(|(value, weight)| *value * weight).sum();
    let batch = G1Projective::msm_unchecked(&G1Projective::normalize_batch(&points), &weights);

    let omega_zeta = key.domain.omega * c.zeta;
    let left = proof.w_next * c.u + proof.w;
    let right = proof.w * c.zeta + proof.w_next * (c.u * omega_zeta) + batch + proof.z * c.u
        - G1Affine::generator() * (value + c.u * proof.values.z_next);
    let pairs = [left, -right].map(|point| point.into_affine());
    if Bn254::multi_pairing(pairs, [key.tau_g2, G2Affine::generator()]).0.is_one() {
        Ok(())
    } else {
        Err(Error::proof("it does not hold for this statement"))
    }
}

/// F(zeta) = z(w zeta) - z - a b S + t / n + sum over all digits of eta^(1 + index) d (d - 1) (d - 2) (d - 3).
pub(crate) fn identity(key: &Key, statement: &Statement, values: &Values, c: &Challenges) -> Fr {
    let columns = values.columns.len();
    let (alpha, beta) = (powers_of(c.alpha, columns), powers_of(c.beta, columns));
    let combine = |weights: &[Fr]| values.columns.iter().zip(weights).map(|(v, w)| *v * w).sum::<Fr>();
    let (a, b) = (combine(&alpha), combine(&beta));
    let t = statement.combined_gram(&alpha, &beta);
    let mut f = values.z_next - values.z - a * b * values.selector + t * key.domain.n_inverse;
    let mut power = c.eta;
    for (i, (value, digits)) in values.columns.iter().zip(&values.digits).enumerate() {
        let mut lowest = *value + Fr::from(half(key.bits_of(i)));
        for (j, digit) in digits.iter().enumerate() {
            lowest -= Fr::from(1u64 << (2 * (j + 1))) * digit;
        }
        for digit in std::iter::once(&lowest).chain(digits) {
            f += power * range4(*digit);
            power *= c.eta;
        }
    }
    f
}

/// d (d - 1) (d - 2) (d - 3): 0 exactly for a digit.
#[inline]
pub(crate) fn range4(d: Fr) -> Fr {
    // With e = d^2 - 3d, it is e (e + 2).
    let e = d.square() - d.double() - d;
    e * (e + Fr::ONE.double())
}

/// What the batched opening is of: columns, digits, selector, z, Q0 + zeta^n Q1 + zeta^2n Q2; points, then values.
fn opened(key: &Key, statement: &Statement, proof: &Proof, zeta_n: Fr, quotient: Fr) -> (Vec<G1Projective>, Vec<Fr>) {
    let [q0, q1, q2] = proof.quotients;
    let linear = q1 * zeta_n + q2 * zeta_n.square() + q0;
    let sent = statement.points.iter().chain(proof.digits.iter().flatten()).chain([&key.selector, &proof.z]);
    let points = sent.map(|point| point.into_group()).chain([linear]).collect();

    let values = &proof.values;
    let digits = values.digits.iter().flatten();
    let values = values.columns.iter().chain(digits).chain([&values.selector, &values.z, &quotient]);
    (points, values.copied().collect())
}
