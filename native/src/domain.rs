// SPDX-License-Identifier: Apache-2.0
//! The evaluation domain of n = 2^k rows: halo2's, the one that SRS files have their Lagrange points over.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, FftField, Field, PrimeField};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Multiplicative generator that halo2 takes roots of unity from. arkworks' own is 5: its default domain is another.
const GENERATOR: u64 = 7;
pub const MAX_K: u32 = Fr::TWO_ADICITY;
/// The quotient has degree below 3n, so its values on this many cosets of size n determine it.
pub const COSETS: usize = 3;

/// Rows w^0 .. w^(n-1), and cosets of them.
#[derive(Clone)]
pub struct Domain {
    pub k: u32,
    pub n: usize,
    pub omega: Fr,
    pub n_inverse: Fr,
    rows: Radix2EvaluationDomain<Fr>,
    cosets: [Radix2EvaluationDomain<Fr>; COSETS],
}

impl Domain {
    /// The domain of 2^k rows; k in [1, 28].
    pub fn new(k: u32) -> Result<Self> {
        if !(1..=MAX_K).contains(&k) {
            return Err(Error::field("k", k, format!("it must lie in [1, {MAX_K}]")));
        }
        let omega = root_of_unity(k);
        let size = Fr::from(1u64 << k);
        let n_inverse = inverse(size);
        let rows = Radix2EvaluationDomain {
            size: 1 << k,
            log_size_of_group: k,
            size_as_field_element: size,
            size_inv: n_inverse,
            group_gen: omega,
            group_gen_inv: inverse(omega),
            offset: Fr::ONE,
            offset_inv: Fr::ONE,
            offset_pow_size: Fr::ONE,
        };
        // 7 generates the whole group, so 7^n, 7^2n and 7^3n are distinct, and none is 1.
        let shift = |i: usize| Fr::from(GENERATOR).pow([i as u64 + 1]);
        let coset = |i: usize| rows.get_coset(shift(i)).expect("a power of the generator is not 0");
        Ok(Self { k, n: 1 << k, omega, n_inverse, rows, cosets: std::array::from_fn(coset) })
    }

    /// Values on the rows to coefficients.
    pub fn interpolate(&self, values: &mut Vec<Fr>) {
        debug_assert_eq!(values.len(), self.n);
        self.rows.ifft_in_place(values);
    }

    /// Coefficients to values on the rows.
    #[cfg(any(test, feature = "malicious"))]
    pub fn evaluate(&self, coefficients: &mut Vec<Fr>) {
        self.rows.fft_in_place(coefficients);
    }

    /// n coefficients to values on coset i.
    #[cfg(test)]
    pub fn evaluate_on_coset(&self, i: usize, coefficients: &mut Vec<Fr>) {
        debug_assert_eq!(coefficients.len(), self.n);
        self.cosets[i].fft_in_place(coefficients);
    }

    /// Values on coset i to n coefficients.
    pub fn interpolate_from_coset(&self, i: usize, values: &mut Vec<Fr>) {
        debug_assert_eq!(values.len(), self.n);
        self.cosets[i].ifft_in_place(values);
    }

    /// What X is at row 0 of coset i.
    pub fn coset_shift(&self, i: usize) -> Fr {
        self.cosets[i].offset
    }

    /// What X^n is on all of coset i: never 1.
    pub fn coset_power(&self, i: usize) -> Fr {
        self.cosets[i].offset_pow_size
    }

    /// L_l(x) for every row l; x outside the domain.
    pub fn lagrange_at(&self, x: Fr) -> Vec<Fr> {
        let scale = (x.pow([self.n as u64]) - Fr::ONE) * self.n_inverse;
        let mut weights = self.powers(Fr::ONE);
        let chunk = chunk_rows(self.n);
        weights.par_chunks_mut(chunk).for_each(|part| {
            let mut inverses: Vec<Fr> = part.iter().map(|power| x - power).collect();
            ark_ff::fields::batch_inversion(&mut inverses);
            for (weight, inverse) in part.iter_mut().zip(&inverses) {
                *weight *= *inverse * scale;
            }
        });
        weights
    }

    /// first * w^l for every row l.
    pub fn powers(&self, first: Fr) -> Vec<Fr> {
        powers(self.omega, first, self.n)
    }
}

/// first * base^l for l in [0, count).
pub(crate) fn powers(base: Fr, first: Fr, count: usize) -> Vec<Fr> {
    let mut out = vec![Fr::ZERO; count];
    let chunk = chunk_rows(count);
    out.par_chunks_mut(chunk).enumerate().for_each(|(c, part)| {
        let mut power = first * base.pow([(c * chunk) as u64]);
        for slot in part {
            *slot = power;
            power *= base;
        }
    });
    out
}

/// Rows that a thread works on at a time.
pub(crate) fn chunk_rows(n: usize) -> usize {
    n.div_ceil(8 * rayon::current_num_threads()).clamp(256, 1 << 14)
}

/// halo2's 2^k-th root of unity: 7^((r - 1) / 2^k).
fn root_of_unity(k: u32) -> Fr {
    let mut exponent = Fr::MODULUS;
    exponent.0[0] -= 1;
    Fr::from(GENERATOR).pow(exponent >> k)
}

pub(crate) fn inverse(x: Fr) -> Fr {
    x.inverse().expect("only called on what is not 0")
}

#[cfg(test)]
mod tests {
    use ark_std::UniformRand;
    use ark_std::rand::rngs::OsRng;

    use super::*;

    fn horner(coefficients: &[Fr], x: Fr) -> Fr {
        coefficients.iter().rev().fold(Fr::ZERO, |sum, c| sum * x + c)
    }

    fn random(n: usize) -> Vec<Fr> {
        (0..n).map(|_| Fr::rand(&mut OsRng)).collect()
    }

    #[test]
    fn the_root_is_halo2s() {
        // halo2curves' ROOT_OF_UNITY of BN254's scalar field, of order 2^28.
        let known = "03ddb9f5166d18b798865ea93dd31f743215cf6dd39329c8d34f1ed960c37c9c";
        let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&known[2 * i..2 * i + 2], 16).unwrap()).collect();
        assert_eq!(Domain::new(28).unwrap().omega, Fr::from_be_bytes_mod_order(&bytes));
        for k in [1, 2, 9, 21] {
            let domain = Domain::new(k).unwrap();
            assert_eq!(domain.omega.pow([1 << (k - 1)]), -Fr::ONE);
            assert_eq!(domain.n_inverse * Fr::from(domain.n as u64), Fr::ONE);
        }
        assert!(Domain::new(0).is_err() && Domain::new(29).is_err());
    }

    #[test]
    fn transforms_are_evaluations() {
        for k in [1, 2, 5, 9] {
            let domain = Domain::new(k).unwrap();
            let coefficients = random(domain.n);
            let mut values = coefficients.clone();
            domain.evaluate(&mut values);
            let rows = domain.powers(Fr::ONE);
            assert!(rows.iter().zip(&values).all(|(x, value)| horner(&coefficients, *x) == *value));
            domain.interpolate(&mut values);
            assert_eq!(values, coefficients);
            for i in 0..COSETS {
                let mut values = coefficients.clone();
                domain.evaluate_on_coset(i, &mut values);
                let points = domain.powers(domain.coset_shift(i));
                assert!(points.iter().zip(&values).all(|(x, value)| horner(&coefficients, *x) == *value));
                assert!(points.iter().all(|x| x.pow([domain.n as u64]) == domain.coset_power(i)));
                domain.interpolate_from_coset(i, &mut values);
                assert_eq!(values, coefficients);
            }
        }
    }

    #[test]
    fn the_cosets_are_apart_from_each_other_and_from_the_rows() {
        for k in 1..=MAX_K {
            let domain = Domain::new(k).unwrap();
            let powers: Vec<Fr> = (0..COSETS).map(|i| domain.coset_power(i)).chain([Fr::ONE]).collect();
            for i in 0..powers.len() {
                assert!(powers[i] != Fr::ZERO && powers[..i].iter().all(|other| *other != powers[i]), "k = {k}");
            }
        }
    }

    #[test]
    fn lagrange_weights() {
        for k in [1, 4, 9] {
            let domain = Domain::new(k).unwrap();
            let x = Fr::rand(&mut OsRng);
            let weights = domain.lagrange_at(x);
            assert_eq!(weights.iter().sum::<Fr>(), Fr::ONE);
            let values = random(domain.n);
            let mut coefficients = values.clone();
            domain.interpolate(&mut coefficients);
            let by_rows: Fr = values.iter().zip(&weights).map(|(value, weight)| *value * weight).sum();
            assert_eq!(by_rows, horner(&coefficients, x));
        }
    }
}
