// SPDX-License-Identifier: Apache-2.0
//! A smoke test of zero knowledge: proofs about two different sets of updates with the same Gram matrix, and fresh
//! salts, are not told apart by any one value at its place. It can only find gross leaks.

use ark_bn254::Fr;
use ark_ff::{BigInteger, PrimeField};
use merit_native::*;

use crate::scene::{CONTEXT, SMALL, gram_of, srs};

const PROOFS: usize = 64;
/// Standard deviations that a share of bits may be off: with 2 * 8 * 15 comparisons, chance fails one run in a million.
const DEVIATIONS: f64 = 6.5;

/// Low bytes of every value of many proofs about these data rows.
fn samples(data: &[Vec<i64>], seed: u64) -> Vec<Vec<u8>> {
    let key = SMALL.key();
    (0..PROOFS)
        .map(|round| {
            let mut rows = SMALL.rows(seed + round as u64);
            for (rows, data) in rows.iter_mut().zip(data) {
                rows[..SMALL.dim].copy_from_slice(data);
            }
            let columns = SMALL.columns(&rows);
            let points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
            let (_, proof) = prove(srs(), &key, CONTEXT, &points, &columns, &mut silent).unwrap();
            let values = Proof::from_bytes(&key, columns.len(), &proof).unwrap().values.flat();
            values.iter().map(|value: &Fr| value.into_bigint().to_bytes_le()[0]).collect()
        })
        .collect()
}

#[test]
fn no_single_value_tells_two_sets_of_updates_apart() {
    let first: Vec<Vec<i64>> = SMALL.rows(1).into_iter().map(|rows| rows[..SMALL.dim].to_vec()).collect();
    // Another set: coordinates in another order, and one sign turned everywhere. All inner products stay.
    let second: Vec<Vec<i64>> = first
        .iter()
        .map(|rows| rows.iter().rev().enumerate().map(|(l, &x)| if l == 3 { -x.max(-127) } else { x }).collect())
        .collect();
    let first: Vec<Vec<i64>> = first
        .iter()
        .map(|rows| rows.iter().enumerate().map(|(l, &x)| if l == SMALL.dim - 4 { x.max(-127) } else { x }).collect())
        .collect();
    assert_ne!(first, second);
    assert_eq!(gram_of(&first, SMALL.dim), gram_of(&second, SMALL.dim));

    let (first, second) = (samples(&first, 1000), samples(&second, 2000));
    let selector = first[0].len() - 3;
    for place in (0..first[0].len()).filter(|place| *place != selector) {
        for bit in 0..8 {
            let ones = |samples: &[Vec<u8>]| samples.iter().filter(|s| s[place] >> bit & 1 == 1).count() as f64;
            let deviation = (2.0 * PROOFS as f64 * 0.25).sqrt();
            let apart = (ones(&first) - ones(&second)).abs() / deviation;
            assert!(apart < DEVIATIONS, "value {place}, bit {bit}: {apart} deviations apart");
        }
        let distinct: std::collections::HashSet<u8> = first.iter().map(|sample| sample[place]).collect();
        assert!(distinct.len() > PROOFS / 4, "value {place} hardly varies: {}", distinct.len());
    }
}
