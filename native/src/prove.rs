// SPDX-License-Identifier: Apache-2.0
//! The prover: digits, running sum, quotient, openings, in the order of the transcript.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Field, One};
use ark_std::UniformRand;
use ark_std::rand::rngs::OsRng;
use ark_std::rand::{CryptoRng, RngCore};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::column::Column;
use crate::commit::{Polynomial, Sums, commit_rows, commit_selector, require_domain};
use crate::domain::{Domain, chunk_rows};
use crate::error::{Error, Result};
use crate::forms::{Form, combine, evaluate, powers_of};
use crate::gram::gram;
use crate::point::lower;
use crate::progress::{Callback, Stage};
use crate::proof::{Proof, Values};
use crate::quotient::{Quotient, RunningSum};
use crate::srs::Srs;
use crate::statement::{Key, Statement, require_columns};
use crate::transcript::Transcript;
use crate::verify::verify;

/// Field elements, wiped when dropped.
pub(crate) type Secret = Zeroizing<Vec<Fr>>;

/// The key of the tasks with this string, dim and widths.
pub fn make_key(srs: &Srs, dim: usize, bits: u32, bits0: u32) -> Result<Key> {
    Key::require_shape(srs.n(), dim, bits, bits0)?;
    Ok(Key {
        domain: Domain::new(srs.k())?,
        dim,
        bits,
        bits0,
        srs_digest: srs.digest(),
        selector: commit_selector(srs, dim),
        tau_g2: srs.tau_g2(),
    })
}

/// A statement about these columns and its proof. Peak memory beyond the inputs: see `peak_bytes`.
///
/// Args:
///     points: the registered commitments; CommitmentMismatch names a column that does not open its own.
pub fn prove(
    srs: &Srs,
    key: &Key,
    context: [u8; 32],
    points: &[G1Affine],
    columns: &[Column],
    progress: &mut Callback<'_>,
) -> Result<(Statement, Vec<u8>)> {
    prove_with(srs, key, context, points, columns, progress, &mut OsRng)
}

/// Bytes that `prove` takes at most for n rows, whatever the number of columns, beyond the columns themselves
/// (N n ceil(bits / 8) bytes) and 16 MiB: thirteen vectors of n field elements.
pub fn peak_bytes(n: usize) -> usize {
    13 * 32 * n + (16 << 20)
}

pub(crate) fn prove_with(
    srs: &Srs,
    key: &Key,
    context: [u8; 32],
    points: &[G1Affine],
    columns: &[Column],
    progress: &mut Callback<'_>,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(Statement, Vec<u8>)> {
    require_inputs(srs, key, points, columns)?;
    srs.next_powers()?;
    let masks = DigitMasks::draw(key, columns.len(), rng);
    let digits = commit_digits(srs, key, points, columns, &masks, progress)?;
    let statement = Statement { context, points: points.to_vec(), gram: gram(columns, key.dim)? };
    let mut transcript = Transcript::new(key, &statement);
    digits.iter().for_each(|points| transcript.absorb_points(points));
    let (alpha, beta) = (transcript.challenge(), transcript.challenge());

    let mut stage = Stage::start(progress, "running sum", 2)?;
    let (alpha, beta) = (powers_of(alpha, columns.len()), powers_of(beta, columns.len()));
    let sum = running_sum(key, &statement, columns, &alpha, &beta, rng);
    stage.step()?;
    let z = commit_rows(srs, &sum.rows, &sum.mask)?;
    stage.step()?;
    transcript.absorb_points(&[z]);
    let eta = transcript.challenge();

    let weights = Quotient { alpha, beta, eta };
    let (quotients, top) = weights.split(key, columns, &masks, &sum, progress)?;
    let quotients = blind(key, quotients, top, rng);
    let mut stage = Stage::start(progress, "commit to quotient", quotients.len())?;
    let mut commitments = [G1Affine::zero(); 3];
    for (slot, part) in commitments.iter_mut().zip(&quotients) {
        *slot = part.commit(srs)?;
        stage.step()?;
    }
    transcript.absorb_points(&commitments);
    let zeta = transcript.challenge();
    if zeta.pow([key.domain.n as u64]).is_one() {
        return Err(Error::Internal("zeta is a row of the domain".into()));
    }

    let mut stage = Stage::start(progress, "open", 3)?;
    let values = evaluate_all(key, columns, &masks, &sum, zeta);
    stage.step()?;
    transcript.absorb_scalars(&values.flat());
    let nu = transcript.challenge();
    let w = open_batch(key, columns, &masks, &sum, quotients, zeta, nu).commit(srs)?;
    stage.step()?;
    let w_next = open_sum(key, &sum, zeta * key.domain.omega).commit(srs)?;
    stage.step()?;
    let proof = Proof { digits, z, quotients: commitments, values, w, w_next };
    let bytes = proof.to_bytes();
    // Costs milliseconds, and tells a damaged string from a proof before it is paid for.
    verify(key, &statement, &bytes)
        .map_err(|_| srs.failure("a proof made with it does not verify: is it consistent?"))?;
    Ok((statement, bytes))
}

fn require_inputs(srs: &Srs, key: &Key, points: &[G1Affine], columns: &[Column]) -> Result<()> {
    require_domain(srs, &key.domain)?;
    if key.srs_digest != srs.digest() || key.tau_g2 != srs.tau_g2() {
        return Err(srs.failure("the key is of another string"));
    }
    require_columns(columns.len())?;
    if points.len() != columns.len() {
        return Err(Error::field("points", points.len(), format!("there are {} columns", columns.len())));
    }
    for (i, column) in columns.iter().enumerate() {
        if column.len() != key.domain.n {
            let got = format!("{} rows", column.len());
            return Err(Error::field(format!("columns[{i}]"), got, format!("there must be {}", key.domain.n)));
        }
        if column.bits() != key.bits_of(i) {
            let limit = format!("the key has {}", key.bits_of(i));
            return Err(Error::field(format!("columns[{i}].bits"), column.bits(), limit));
        }
    }
    Ok(())
}

/// m_ij, by which the digits j >= 1 are blinded: d_ij + m_ij (X^n - 1). So a digit that is 0 on every row, which
/// whoever chooses the rows can bring about, is committed to like any other.
pub(crate) struct DigitMasks(Vec<Secret>);

impl DigitMasks {
    fn draw(key: &Key, columns: usize, rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let draw = |i| Secret::new((1..key.digits_of(i)).map(|_| Fr::rand(&mut *rng)).collect());
        Self((0..columns).map(draw).collect())
    }

    /// Of the digits 1 .. m - 1 of column i.
    pub(crate) fn of(&self, i: usize) -> &[Fr] {
        &self.0[i]
    }

    /// Of all digits of column i: the lowest has what the others leave.
    pub(crate) fn of_all(&self, i: usize) -> Secret {
        let left: Fr = self.of(i).iter().zip(1..).map(|(mask, j)| -Fr::from(1u64 << (2 * j)) * mask).sum();
        Secret::new(std::iter::once(left).chain(self.of(i).iter().copied()).collect())
    }
}

/// D_ij for j >= 1, and that each column opens its point.
fn commit_digits(
    srs: &Srs,
    key: &Key,
    points: &[G1Affine],
    columns: &[Column],
    masks: &DigitMasks,
    progress: &mut Callback<'_>,
) -> Result<Vec<Vec<G1Affine>>> {
    let vanishing = srs.next_powers()?[0].to_affine() - srs.power(0).to_affine();
    let mut stage = Stage::start(progress, "commit to digits", columns.len())?;
    let mut digits = Vec::with_capacity(columns.len());
    for (i, (column, point)) in columns.iter().zip(points).enumerate() {
        let sums = Sums::new(srs, column)?;
        if sums.column(column) != *point {
            return Err(Error::CommitmentMismatch { column: i });
        }
        let masked = |j: usize| lower(vanishing * masks.of(i)[j - 1] + sums.digit(column, j));
        digits.push((1..key.digits_of(i)).map(masked).collect());
        stage.step()?;
    }
    Ok(digits)
}

/// z(w^0) random, z(w^(l+1)) = z(w^l) + a_l b_l S_l - t/n, and the three coefficients of its mask.
fn running_sum(
    key: &Key,
    statement: &Statement,
    columns: &[Column],
    alpha: &[Fr],
    beta: &[Fr],
    rng: &mut (impl RngCore + CryptoRng),
) -> RunningSum {
    let dim = key.dim;
    let mut rows = combine(columns, alpha, key.domain.n);
    let other = combine(columns, beta, key.domain.n);
    let chunk = chunk_rows(dim);
    rows[..dim].par_chunks_mut(chunk).zip(other[..dim].par_chunks(chunk)).for_each(|(a, b)| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a *= b);
    });
    drop(other);
    rows[dim..].fill(Fr::ZERO);

    let step = statement.combined_gram(alpha, beta) * key.domain.n_inverse;
    let mut value = Fr::rand(rng);
    for row in rows.iter_mut() {
        let next = value + *row - step;
        *row = value;
        value = next;
    }
    RunningSum { rows, mask: Zeroizing::new(std::array::from_fn(|_| Fr::rand(rng))), step }
}

/// Q0 + r0 X^n, Q1 - r0 + r1 X^n, Q2 - r1, and what Q2 has at X^n: what they sum to stays.
fn blind(key: &Key, parts: [Secret; 3], top: Fr, rng: &mut (impl RngCore + CryptoRng)) -> [Polynomial; 3] {
    debug_assert!(parts.iter().all(|part| part.len() == key.domain.n));
    let mut parts = parts.map(Polynomial::new);
    for i in 0..2 {
        let mask = Zeroizing::new(Fr::rand(rng));
        parts[i].high[0] += *mask;
        parts[i + 1].low[0] -= *mask;
    }
    parts[2].high[0] = top;
    parts
}

/// All values at zeta by the rows' Lagrange weights: no transform.
fn evaluate_all(key: &Key, columns: &[Column], masks: &DigitMasks, sum: &RunningSum, zeta: Fr) -> Values {
    let weights = key.domain.lagrange_at(zeta);
    let vanishing = zeta.pow([key.domain.n as u64]) - Fr::ONE;
    let mut values = Values::default();
    for (i, column) in columns.iter().enumerate() {
        let (value, digits) = evaluate(column, &weights);
        values.columns.push(value);
        values.digits.push(digits[1..].iter().zip(masks.of(i)).map(|(d, m)| *d + *m * vanishing).collect());
    }
    values.selector = weights[..key.dim].iter().sum();
    let mask = |x: Fr| (sum.mask[0] + sum.mask[1] * x + sum.mask[2] * x.square()) * vanishing;
    let dot = |rows: &[Fr], weights: &[Fr]| -> Fr { rows.par_iter().zip(weights).map(|(z, w)| *z * w).sum() };
    values.z = dot(&sum.rows, &weights) + mask(zeta);
    // L_(l+1)(w x) = L_l(x).
    let shifted = dot(&sum.rows[1..], &weights) + sum.rows[0] * weights[key.domain.n - 1];
    values.z_next = shifted + mask(zeta * key.domain.omega);
    values
}

/// (sum of nu^k times each opened polynomial - its value) / (X - zeta).
fn open_batch(
    key: &Key,
    columns: &[Column],
    masks: &DigitMasks,
    sum: &RunningSum,
    quotients: [Polynomial; 3],
    zeta: Fr,
    nu: Fr,
) -> Polynomial {
    let digits: usize = columns.iter().map(|column| column.digits() - 1).sum();
    let weights = powers_of(nu, columns.len() + digits + 3);
    let (of_columns, rest) = weights.split_at(columns.len());
    let (mut of_digits, last) = rest.split_at(digits);

    // Everything that is known by rows, in one transform.
    let mut rows = Secret::new(vec![Fr::ZERO; key.domain.n]);
    let mut mask = Zeroizing::new(std::array::from_fn(|i| sum.mask[i] * last[1]));
    for (i, (column, weight)) in columns.iter().zip(of_columns).enumerate() {
        let (own, others) = of_digits.split_at(column.digits() - 1);
        of_digits = others;
        mask[0] += own.iter().zip(masks.of(i)).map(|(weight, m)| *weight * m).sum::<Fr>();
        let own: Vec<Fr> = std::iter::once(Fr::ZERO).chain(own.iter().copied()).collect();
        Form::new(column.bits(), *weight, &own).add_to(column, &mut rows);
    }
    rows[..key.dim].par_iter_mut().for_each(|row| *row += last[0]);
    rows.par_iter_mut().zip(&sum.rows[..]).for_each(|(row, z)| *row += last[1] * z);
    key.domain.interpolate(&mut rows);

    let mut batch = Polynomial::new(rows);
    batch.add_vanishing_multiple(&mask);
    let zeta_n = zeta.pow([key.domain.n as u64]);
    for (part, weight) in quotients.iter().zip(powers_of(zeta_n, 3)) {
        let weight = weight * last[2];
        batch.low.par_iter_mut().zip(&part.low[..]).for_each(|(slot, q)| *slot += weight * q);
        batch.high.iter_mut().zip(&part.high).for_each(|(slot, q)| *slot += weight * q);
    }
    batch.divide_at(zeta);
    batch
}

/// (z - z(x)) / (X - x).
fn open_sum(key: &Key, sum: &RunningSum, x: Fr) -> Polynomial {
    let mut rows = sum.rows.clone();
    key.domain.interpolate(&mut rows);
    let mut polynomial = Polynomial::new(rows);
    polynomial.add_vanishing_multiple(&sum.mask);
    polynomial.divide_at(x);
    polynomial
}
