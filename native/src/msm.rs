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

#[cfg(test)]
mod tests {
    use ark_bn254::G1Affine;
    use ark_ec::{AffineRepr, CurveGroup};
    use ark_ff::Field;
    use proptest::prelude::*;

    use super::*;

    fn points(count: usize) -> Vec<Xy> {
        let g = G1Affine::generator();
        let multiple = |i: usize| Xy::from_affine((g * Fr::from(i as u64 * 7919 + 3)).into_affine());
        (0..count).map(multiple).collect()
    }

    fn naive(points: &[Xy], scalars: impl Iterator<Item = Fr>) -> G1Projective {
        points.iter().zip(scalars).map(|(point, scalar)| point.to_affine() * scalar).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bytes_are_sorted_into_their_sums(bytes in prop::collection::vec(any::<u8>(), 0..600), skip: u8) {
            let points = points(bytes.len());
            let sums = sums_by_byte(&bytes, skip, |row| points[row]);
            for y in 0..=255u8 {
                let own = bytes.iter().map(|&byte| Fr::from(byte == y && y != skip));
                prop_assert_eq!(sums[y as usize], naive(&points, own));
            }
        }

        #[test]
        fn full_scalars(seeds in prop::collection::vec(any::<[u8; 32]>(), 0..120)) {
            let scalars: Vec<Fr> = seeds.iter().map(|seed| Fr::from_le_bytes_mod_order(seed)).collect();
            let points = points(scalars.len());
            prop_assert_eq!(msm(&scalars, |i| points[i]), naive(&points, scalars.iter().copied()));
        }

        #[test]
        fn integers_of_any_width(bits in 1usize..=254, seeds in prop::collection::vec(any::<[u64; 4]>(), 1..40)) {
            let below = |seed: &[u64; 4]| BigInt::<4>::new(*seed) >> (256 - bits as u32);
            let integers: Vec<BigInt<4>> = seeds.iter().map(below).collect();
            prop_assume!(integers.iter().all(|integer| *integer < Fr::MODULUS));
            let points = points(integers.len());
            let scalars = integers.iter().map(|integer| Fr::from_bigint(*integer).unwrap());
            prop_assert_eq!(msm_of_integers(&integers, bits, |i| points[i]), naive(&points, scalars));
        }
    }

    #[test]
    fn edges_of_the_windows() {
        let edges = [Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::from(2u64), -Fr::from(2u64), Fr::from(1u64 << 63)];
        let powers = (0..254).map(|bit| Fr::from(2u64).pow([bit]));
        let scalars: Vec<Fr> = edges.into_iter().chain(powers.clone()).chain(powers.map(|p| p - Fr::ONE)).collect();
        for count in [1, 6, 40, scalars.len()] {
            let points = points(count);
            assert_eq!(msm(&scalars[..count], |i| points[i]), naive(&points, scalars.iter().copied()));
        }
    }

    #[test]
    fn equal_and_opposite_points() {
        // Sums that double, and sums that vanish, inside one bucket.
        let p = points(1)[0];
        let all = [p, p, p.negated(), p, p, p.negated(), p.negated(), p.negated(), p, p, p];
        for count in 0..=all.len() {
            let sums = sums_by_byte(&vec![9; count], 0, |row| all[row]);
            assert_eq!(sums[9], naive(&all[..count], std::iter::repeat(Fr::ONE)), "{count}");
        }
        assert_eq!(msm(&[Fr::from(5u64), -Fr::from(5u64)], |_| p), G1Projective::ZERO);
    }

    #[test]
    fn more_rows_than_a_batch() {
        let few = points(16);
        let bytes: Vec<u8> = (0..3 * BYTE_BATCH + 5).map(|i| (i * i % 251) as u8).collect();
        let sums = sums_by_byte(&bytes, 0, |row| few[row % 16]);
        let mut expected = vec![G1Projective::ZERO; 256];
        for (row, &byte) in bytes.iter().enumerate() {
            if byte != 0 {
                expected[byte as usize] += few[row % 16].to_affine();
            }
        }
        assert_eq!(sums, expected);
        let scalars: Vec<Fr> = (0..bytes.len() as u64).map(|i| Fr::from(i) * Fr::from(i << 40) - Fr::ONE).collect();
        let mut by_point = [Fr::ZERO; 16];
        scalars.iter().enumerate().for_each(|(i, scalar)| by_point[i % 16] += scalar);
        assert_eq!(msm(&scalars, |i| few[i % 16]), naive(&few, by_point.into_iter()));
    }

    #[test]
    fn signed_weights() {
        let sums: Vec<G1Projective> = points(256).iter().map(|point| point.to_affine().into_group()).collect();
        for weight in [|y: u8| i64::from(y) - 128, |y: u8| i64::from(y & 3), |y: u8| -i64::from(y >> 6), |_| 0] {
            let expected: G1Projective = sums.iter().enumerate().map(|(y, sum)| *sum * Fr::from(weight(y as u8))).sum();
            assert_eq!(weigh(&sums, weight), expected);
        }
    }
}
