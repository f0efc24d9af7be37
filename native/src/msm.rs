// SPDX-License-Identifier: Apache-2.0
//! Multi-scalar multiplications: by byte for small scalars, by signed windows for full ones.

use ark_bn254::{Fr, G1Projective};
use ark_ff::{AdditiveGroup, BigInt, PrimeField};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::buckets::Buckets;
use crate::point::Xy;

/// Rows whose points are sorted and added at a time: what the second-level cache holds.
const BYTE_BATCH: usize = 1 << 12;
const SCALAR_BITS: usize = 254;

/// For each byte value, the sum of the points whose byte it is; `skip` is left out, its sum is infinity.
///
/// Args:
///     bytes: one a row.
///     point: the point of a row.
pub(crate) fn sums_by_byte(bytes: &[u8], skip: u8, point: impl Fn(usize) -> Xy + Sync) -> Vec<G1Projective> {
    let share = bytes.len().div_ceil(rayon::current_num_threads()).max(BYTE_BATCH);
    let parts: Vec<Vec<G1Projective>> = bytes
        .par_chunks(share)
        .enumerate()
        .map(|(part, bytes)| {
            let mut buckets = Buckets::new(256);
            for (batch, bytes) in bytes.chunks(BYTE_BATCH).enumerate() {
                let first = part * share + batch * BYTE_BATCH;
                let bucket = |i: usize| (bytes[i] != skip).then_some(bytes[i] as usize);
                buckets.add(bytes.len(), bucket, |i| point(first + i));
            }
            buckets.finish()
        })
        .collect();
    let add = |mut total: Vec<G1Projective>, part: Vec<G1Projective>| {
        total.iter_mut().zip(&part).for_each(|(sum, other)| *sum += other);
        total
    };
    parts.into_iter().reduce(add).unwrap_or_else(|| vec![G1Projective::ZERO; 256])
}

/// sum(weight(y) * sums[y]) for small signed weights.
pub(crate) fn weigh(sums: &[G1Projective], weight: impl Fn(u8) -> i64) -> G1Projective {
    let weights: Vec<i64> = (0..sums.len()).map(|y| weight(y as u8)).collect();
    let top = weights.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
    let mut total = G1Projective::ZERO;
    for bit in (0..u64::BITS - top.leading_zeros()).rev() {
        total.double_in_place();
        for (sum, weight) in sums.iter().zip(&weights) {
            if weight.unsigned_abs() >> bit & 1 == 1 {
                if *weight > 0 { total += sum } else { total -= sum }
            }
        }
    }
    total
}

/// sum(scalars[l] * point(l)).
pub(crate) fn msm(scalars: &[Fr], point: impl Fn(usize) -> Xy + Sync) -> G1Projective {
    let integers: Zeroizing<Vec<BigInt<4>>> = Zeroizing::new(scalars.par_iter().map(|s| s.into_bigint()).collect());
    msm_of_integers(&integers, SCALAR_BITS, point)
}

/// sum(integers[l] * point(l)) for integers below 2^bits, bits <= 254. Pippenger's buckets with signed windows.
pub(crate) fn msm_of_integers(integers: &[BigInt<4>], bits: usize, point: impl Fn(usize) -> Xy + Sync) -> G1Projective {
    let windows = Windows::new(integers.len(), bits);
    let sums: Vec<G1Projective> =
        (0..windows.count).into_par_iter().map(|w| window_sum(integers, &windows, w, &point)).collect();
    let mut total = G1Projective::ZERO;
    for sum in sums.into_iter().rev() {
        for _ in 0..windows.width {
            total.double_in_place();
        }
        total += sum;
    }
    total
}

/// How scalars are cut: signed digits of `width` bits, the top one unsigned.
struct Windows {
    width: usize,
    count: usize,
    /// Half of each signed window's range, at its place: with it added, no digit borrows from the next.
    bias: BigInt<4>,
}

impl Windows {
    fn new(len: usize, bits: usize) -> Self {
        let width = ((usize::BITS - len.leading_zeros()) as usize * 7 / 10).clamp(3, 13);
        let count = (bits + 1).div_ceil(width);
        let mut bias = BigInt::<4>::new([0; 4]);
        for window in 0..count - 1 {
            let bit = window * width + width - 1;
            bias.0[bit / 64] |= 1 << (bit % 64);
        }
        Self { width, count, bias }
    }

    /// The digit of `integer` in window w, in [-2^(width - 1), 2^(width - 1)].
    #[inline]
    fn digit(&self, integer: &BigInt<4>, w: usize) -> i64 {
        let mut biased = *integer;
        ark_ff::BigInteger::add_with_carry(&mut biased, &self.bias);
        let (limb, shift) = (w * self.width / 64, w * self.width % 64);
        let mut value = biased.0[limb] >> shift;
        if shift + self.width > 64 && limb < 3 {
            value |= biased.0[limb + 1] << (64 - shift);
        }
        let value = (value & ((1 << self.width) - 1)) as i64;
        if w + 1 == self.count { value } else { value - (1 << (self.width - 1)) }
    }
}

fn window_sum(
    integers: &[BigInt<4>],
    windows: &Windows,
    w: usize,
    point: &(impl Fn(usize) -> Xy + Sync),
) -> G1Projective {
    let half = 1usize << (windows.width - 1);
    let batch = (16 * half).max(BYTE_BATCH);
    let mut buckets = Buckets::new(half + 1);
    let mut digits = Zeroizing::new(Vec::with_capacity(batch));
    for (c, part) in integers.chunks(batch).enumerate() {
        digits.clear();
        digits.extend(part.iter().map(|integer| windows.digit(integer, w)));
        let bucket = |i: usize| (digits[i] != 0).then_some(digits[i].unsigned_abs() as usize);
        let signed = |i: usize| {
            let p = point(c * batch + i);
            if digits[i] < 0 { p.negated() } else { p }
        };
        buckets.add(part.len(), bucket, signed);
    }
    let (mut running, mut total) = (G1Projective::ZERO, G1Projective::ZERO);
    for sum in buckets.finish().into_iter().skip(1).rev() {
        running += sum;
        total += running;
    }
    total
}
