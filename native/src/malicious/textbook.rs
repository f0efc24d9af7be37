// SPDX-License-Identifier: Apache-2.0
//! The prover as the specification says it, by coefficients, for small domains, with places to cheat at.
//!
//! Independent of the fast prover but for field, points and transcript: F is multiplied out and divided by X^n - 1.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::VariableBaseMSM;
use ark_ff::{AdditiveGroup, Field};
use ark_poly::univariate::DensePolynomial;
use ark_poly::{DenseUVPolynomial, Polynomial};
use ark_std::UniformRand;
use ark_std::rand::SeedableRng;
use ark_std::rand::rngs::StdRng;

use crate::column::half;
use crate::forms::powers_of;
use crate::point::lower;
use crate::proof::{Proof, Values};
use crate::srs::Srs;
use crate::statement::{Key, Statement};
use crate::transcript::{Challenges, Transcript};
use crate::verify::challenges;

type Poly = DensePolynomial<Fr>;

/// What a cheat may change, each right before it is committed to or sent.
pub trait Cheat {
    /// digits[i][j - 1][row], j = 1 .. m_i - 1.
    fn digits(&mut self, _digits: &mut [Vec<Vec<Fr>>]) {}
    /// z, before its mask.
    fn running_sum(&mut self, _z: &mut [Fr]) {}
    /// Coefficients of Q0, Q1, Q2, with their masks.
    fn quotients(&mut self, _parts: &mut [Vec<Fr>; 3]) {}
    fn values(&mut self, _values: &mut Values) {}
    /// W and W_w.
    fn openings(&mut self, _points: &mut [G1Affine; 2]) {}
}

/// Changes nothing.
pub struct Honest;

impl Cheat for Honest {}

/// A prover for any rows and any claimed Gram matrix, true or not.
pub struct Textbook<'a> {
    pub srs: &'a Srs,
    pub key: &'a Key,
    pub context: [u8; 32],
    /// rows[i][l], not necessarily in range.
    pub rows: Vec<Vec<i64>>,
    /// The claim.
    pub gram: Vec<i64>,
    pub seed: u64,
}

/// A proof, and the polynomials behind it.
pub struct Transcribed {
    pub statement: Statement,
    pub proof: Proof,
    /// The sum of nu^k times each opened polynomial.
    pub batch: Vec<Fr>,
    pub z: Vec<Fr>,
}

impl Textbook<'_> {
    /// Commitments to the rows.
    pub fn points(&self) -> Vec<G1Affine> {
        self.rows.iter().map(|rows| self.commit(&self.interpolate(&field(rows)))).collect()
    }

    pub fn prove(&self, cheat: &mut dyn Cheat) -> Transcribed {
        let statement = Statement { context: self.context, points: self.points(), gram: self.gram.clone() };
        self.prove_statement(statement, cheat)
    }

    /// As `prove`, for points that need not be the rows' own.
    pub fn prove_statement(&self, statement: Statement, cheat: &mut dyn Cheat) -> Transcribed {
        let (key, n) = (self.key, self.key.domain.n);
        let mut rng = StdRng::seed_from_u64(self.seed);
        let columns: Vec<Poly> = self.rows.iter().map(|rows| self.interpolate(&field(rows))).collect();
        let mut digit_rows: Vec<Vec<Vec<Fr>>> = (0..columns.len()).map(|i| self.digits_of(i)).collect();
        cheat.digits(&mut digit_rows);
        let digits: Vec<Vec<Poly>> = digit_rows
            .iter()
            .map(|own| {
                own.iter().map(|rows| self.interpolate(rows)).map(|digit| self.masked(digit, &mut rng)).collect()
            })
            .collect();
        let sent_digits: Vec<Vec<G1Affine>> =
            digits.iter().map(|own| own.iter().map(|digit| self.commit(digit)).collect()).collect();

        let mut transcript = Transcript::new(key, &statement);
        sent_digits.iter().for_each(|own| transcript.absorb_points(own));
        let (alpha, beta) = (transcript.challenge(), transcript.challenge());
        let alphas = powers_of(alpha, columns.len());
        let betas = powers_of(beta, columns.len());
        let a = sum(columns.iter().zip(&alphas).map(|(v, x)| v * *x));
        let b = sum(columns.iter().zip(&betas).map(|(v, x)| v * *x));
        let step = statement.combined_gram(&alphas, &betas) * key.domain.n_inverse;
        let z = self.running_sum(&alphas, &betas, step, &mut rng, cheat);
        let sent_z = self.commit(&z);
        transcript.absorb_points(&[sent_z]);
        let eta = transcript.challenge();

        let mut ones = vec![Fr::ZERO; n];
        ones[..key.dim].fill(Fr::ONE);
        let selector = self.interpolate(&ones);
        let shifted: Vec<Fr> =
            z.coeffs.iter().zip(key.domain.powers(Fr::ONE).iter().cycle()).map(|(c, w)| *c * w).collect();
        let mut f = &poly(shifted) - &z;
        f = &f - &(&(&a * &b) * &selector);
        f = &f + &constant(step);
        let mut power = eta;
        for (i, (column, own)) in columns.iter().zip(&digits).enumerate() {
            let mut lowest = column + &constant(Fr::from(half(key.bits_of(i))));
            for (j, digit) in own.iter().enumerate() {
                lowest = &lowest - &(digit * Fr::from(1u64 << (2 * (j + 1))));
            }
            for d in std::iter::once(&lowest).chain(own) {
                f = &f + &(&range4(d) * power);
                power *= eta;
            }
        }
        let quotients = self.split(&f, &mut rng, cheat);
        let sent_quotients = [0, 1, 2].map(|i| self.commit(&quotients[i]));
        transcript.absorb_points(&sent_quotients);
        let zeta = transcript.challenge();

        let mut values = Values {
            columns: columns.iter().map(|v| v.evaluate(&zeta)).collect(),
            digits: digits.iter().map(|own| own.iter().map(|d| d.evaluate(&zeta)).collect()).collect(),
            selector: selector.evaluate(&zeta),
            z: z.evaluate(&zeta),
            z_next: z.evaluate(&(zeta * key.domain.omega)),
        };
        cheat.values(&mut values);
        transcript.absorb_scalars(&values.flat());
        let nu = transcript.challenge();
        let zeta_n = zeta.pow([n as u64]);
        let linear = sum(quotients.iter().zip(powers_of(zeta_n, 3)).map(|(q, x)| q * x));
        let opened = columns.iter().chain(digits.iter().flatten()).chain([&selector, &z, &linear]);
        let mut weight = Fr::ONE;
        let mut batch = poly(vec![]);
        for polynomial in opened {
            batch = &batch + &(polynomial * weight);
            weight *= nu;
        }
        let mut openings = [self.commit(&divide(&batch, zeta)), self.commit(&divide(&z, zeta * key.domain.omega))];
        cheat.openings(&mut openings);
        let proof = Proof {
            digits: sent_digits,
            z: sent_z,
            quotients: sent_quotients,
            values,
            w: openings[0],
            w_next: openings[1],
        };
        Transcribed { statement, proof, batch: batch.coeffs, z: z.coeffs }
    }

    /// Openings that pass the last equation for this u, whatever the values that the proof claims: both challenges and
    /// values of `transcribed` stay.
    pub fn forge_openings(&self, transcribed: &Transcribed, u: Fr) -> (Proof, Challenges) {
        let mut proof = transcribed.proof.clone();
        let drawn = Challenges { u, ..challenges(self.key, &transcribed.statement, &proof) };
        let zeta_next = drawn.zeta * self.key.domain.omega;
        let claimed = claimed_batch(self.key, &transcribed.statement, &proof.values, &drawn);
        let target = &(&poly(transcribed.batch.clone()) - &constant(claimed))
            + &(&(&poly(transcribed.z.clone()) - &constant(proof.values.z_next)) * u);
        let free = target.evaluate(&drawn.zeta) / (u * (drawn.zeta - zeta_next));
        let rest = &target - &(&poly(vec![-zeta_next, Fr::ONE]) * (u * free));
        proof.w_next = self.commit(&constant(free));
        proof.w = self.commit(&divide(&rest, drawn.zeta));
        (proof, drawn)
    }

    fn interpolate(&self, rows: &[Fr]) -> Poly {
        let mut values = rows.to_vec();
        self.key.domain.interpolate(&mut values);
        poly(values)
    }

    fn commit(&self, polynomial: &Poly) -> G1Affine {
        let n = self.srs.n();
        let next = self.srs.next_powers().expect("the test's string has its side file");
        let power = |i: usize| if i < n { self.srs.power(i) } else { next[i - n] }.to_affine();
        let powers: Vec<G1Affine> = (0..polynomial.coeffs.len()).map(power).collect();
        lower(G1Projective::msm_unchecked(&powers, &polynomial.coeffs))
    }

    /// Digits 1 .. m - 1 of column i; a row out of range leaves its excess to digit 0.
    fn digits_of(&self, i: usize) -> Vec<Vec<Fr>> {
        let bits = self.key.bits_of(i);
        let digit = |j: usize, x: i64| Fr::from((x + half(bits)) >> (2 * j) & 3);
        (1..bits as usize / 2).map(|j| self.rows[i].iter().map(|&x| digit(j, x)).collect()).collect()
    }

    /// d + m (X^n - 1) for a random m.
    fn masked(&self, digit: Poly, rng: &mut StdRng) -> Poly {
        let mut coefficients = digit.coeffs;
        coefficients.resize(self.key.domain.n + 1, Fr::ZERO);
        let mask = Fr::rand(rng);
        coefficients[0] -= mask;
        coefficients[self.key.domain.n] = mask;
        poly(coefficients)
    }

    fn running_sum(&self, alphas: &[Fr], betas: &[Fr], step: Fr, rng: &mut StdRng, cheat: &mut dyn Cheat) -> Poly {
        let combine = |weights: &[Fr], l: usize| -> Fr {
            self.rows.iter().zip(weights).map(|(rows, weight)| Fr::from(rows[l]) * weight).sum()
        };
        let mut z = vec![Fr::rand(rng)];
        for l in 0..self.key.domain.n - 1 {
            let product = if l < self.key.dim { combine(alphas, l) * combine(betas, l) } else { Fr::ZERO };
            z.push(z[l] + product - step);
        }
        cheat.running_sum(&mut z);
        let mask: [Fr; 3] = std::array::from_fn(|_| Fr::rand(rng));
        let mut coefficients = self.interpolate(&z).coeffs;
        coefficients.resize(self.key.domain.n, Fr::ZERO);
        for (slot, m) in coefficients.iter_mut().zip(&mask) {
            *slot -= m;
        }
        coefficients.extend(mask);
        poly(coefficients)
    }

    /// F / (X^n - 1) in three parts; a remainder, which only a cheat leaves, is dropped.
    fn split(&self, f: &Poly, rng: &mut StdRng, cheat: &mut dyn Cheat) -> [Poly; 3] {
        let n = self.key.domain.n;
        let mut rest = f.coeffs.clone();
        let mut quotient = vec![Fr::ZERO; 3 * n + 1];
        for i in (n..rest.len()).rev() {
            quotient[i - n] = rest[i];
            let top = rest[i];
            rest[i - n] += top;
        }
        let mut parts: [Vec<Fr>; 3] = std::array::from_fn(|i| quotient[i * n..(i + 1) * n].to_vec());
        parts[2].push(quotient[3 * n]);
        for i in 0..2 {
            let mask = Fr::rand(rng);
            parts[i].push(mask);
            parts[i + 1][0] -= mask;
        }
        cheat.quotients(&mut parts);
        parts.map(poly)
    }
}

/// E: what the batch would be at zeta if the claimed values were true.
fn claimed_batch(key: &Key, statement: &Statement, values: &Values, drawn: &Challenges) -> Fr {
    let vanishing = drawn.zeta.pow([key.domain.n as u64]) - Fr::ONE;
    let quotient = crate::verify::identity(key, statement, values, drawn) / vanishing;
    let flat = values.flat();
    let opened = flat[..flat.len() - 1].iter().chain([&quotient]);
    opened.zip(powers_of(drawn.nu, flat.len())).map(|(value, weight)| *value * weight).sum()
}

fn field(rows: &[i64]) -> Vec<Fr> {
    rows.iter().map(|&x| Fr::from(x)).collect()
}

fn poly(coefficients: Vec<Fr>) -> Poly {
    Poly::from_coefficients_vec(coefficients)
}

fn constant(x: Fr) -> Poly {
    poly(vec![x])
}

fn sum(terms: impl Iterator<Item = Poly>) -> Poly {
    terms.fold(poly(vec![]), |total, term| &total + &term)
}

fn range4(d: &Poly) -> Poly {
    let less = |i: u64| d - &constant(Fr::from(i));
    &(&(d * &less(1)) * &less(2)) * &less(3)
}

/// (p - p(x)) / (X - x).
fn divide(p: &Poly, x: Fr) -> Poly {
    let mut quotient = vec![Fr::ZERO; p.coeffs.len().saturating_sub(1)];
    let mut carry = Fr::ZERO;
    for i in (1..p.coeffs.len()).rev() {
        carry = carry * x + p.coeffs[i];
        quotient[i - 1] = carry;
    }
    poly(quotient)
}
