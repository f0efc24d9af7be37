// SPDX-License-Identifier: Apache-2.0
//! Strict decoding: one proof has one form, and every byte of it matters.

use ark_bn254::{Fq2, G2Affine};
use merit_native::*;

use crate::scene::{Scene, Shape, rejected};

const TINY: Shape = Shape { columns: 2, dim: 3, bits: 4, bits0: 6 };
const R: &str = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
const P: &str = "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";

fn word(hex: &str) -> Vec<u8> {
    (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// x - 1 for big-endian words that do not end in 00.
fn less_one(mut word: Vec<u8>) -> Vec<u8> {
    word[31] -= 1;
    word
}

fn one() -> Vec<u8> {
    let mut word = vec![0; 32];
    word[31] = 1;
    word
}

#[test]
fn every_byte_of_the_proof() {
    let scene = Scene::new(TINY, 1);
    assert_eq!(verify(&scene.key, &scene.statement, &scene.proof), Ok(()));
    for at in 0..scene.proof.len() {
        for mask in [1, 0x80] {
            let mut proof = scene.proof.clone();
            proof[at] ^= mask;
            rejected(verify(&scene.key, &scene.statement, &proof));
        }
    }
}

#[test]
fn every_word_replaced_by_an_edge() {
    let scene = Scene::new(TINY, 1);
    let edges = [vec![0; 32], one(), word(R), less_one(word(R)), word(P), less_one(word(P)), vec![0xff; 32]];
    for at in (0..scene.proof.len()).step_by(32) {
        for edge in &edges {
            let mut proof = scene.proof.clone();
            proof[at..at + 32].copy_from_slice(edge);
            rejected(verify(&scene.key, &scene.statement, &proof));
        }
    }
}

#[test]
fn every_point_at_infinity() {
    let scene = Scene::new(TINY, 1);
    let (points, values) = (1 + 2 + 4, 2 + 3 + 3);
    let starts = (0..points).map(|i| 64 * i).chain([64 * points + 32 * values, 64 * points + 32 * values + 64]);
    for at in starts {
        let mut proof = scene.proof.clone();
        proof[at..at + 64].fill(0);
        let refused = verify(&scene.key, &scene.statement, &proof);
        assert_eq!(refused, Err(Error::InvalidProof { reason: format!("at byte {at}: the point at infinity") }));
    }
}

/// Adds a modulus to the 32 bytes from `at` on: the same residue, in other bytes.
fn add_modulus(bytes: &mut [u8], at: usize, modulus: &str) {
    let mut carry = 0u16;
    for (byte, add) in bytes[at..at + 32].iter_mut().zip(word(modulus)).rev() {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0, "2^256 is more than five times the modulus");
}

#[test]
fn scalars_have_one_form() {
    let scene = Scene::new(TINY, 1);
    let first_value = 64 * (1 + 2 + 4);
    let mut proof = scene.proof.clone();
    add_modulus(&mut proof, first_value, R);
    let reason = format!("at byte {first_value}: a scalar is not below r");
    assert_eq!(verify(&scene.key, &scene.statement, &proof), Err(Error::InvalidProof { reason }));
}

#[test]
fn coordinates_have_one_form() {
    let scene = Scene::new(TINY, 1);
    for at in [0, 32] {
        let mut proof = scene.proof.clone();
        add_modulus(&mut proof, at, P);
        let reason = "at byte 0: a coordinate is not below the modulus".into();
        assert_eq!(verify(&scene.key, &scene.statement, &proof), Err(Error::InvalidProof { reason }));
        let mut point = point_to_bytes(&scene.statement.points[0]);
        add_modulus(&mut point, at, P);
        assert_eq!(point_from_bytes(&point), Err("a coordinate is not below the modulus"));
    }
}

#[test]
fn other_lengths() {
    let scene = Scene::new(TINY, 1);
    let mut proof = scene.proof.clone();
    proof.push(0);
    rejected(verify(&scene.key, &scene.statement, &proof));
    proof.extend([0; 31]);
    rejected(verify(&scene.key, &scene.statement, &proof));
    for length in [0, 1, 32, scene.proof.len() - 32, scene.proof.len() - 1] {
        rejected(verify(&scene.key, &scene.statement, &scene.proof[..length]));
    }
}

#[test]
fn keys_have_one_form() {
    let bytes = Scene::new(TINY, 1).key.to_bytes();
    assert_eq!(Key::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    for length in [0, 1, KEY_BYTES - 1] {
        assert!(Key::from_bytes(&bytes[..length]).is_err());
    }
    let (srs_digest, dim) = (6 * 32..7 * 32, 3 * 32..4 * 32);
    for at in 0..KEY_BYTES {
        let mut other = bytes;
        other[at] ^= 1;
        match Key::from_bytes(&other) {
            // Only the digest, which is any word, and another dim that fits, can be right.
            Ok(key) => assert!(srs_digest.contains(&at) || dim.contains(&at) && key.dim != 3, "byte {at}"),
            Err(error) => assert!(matches!(error, Error::Field { .. })),
        }
    }
}

#[test]
fn tau_has_order_r() {
    // A point of the twist that is on the curve, and not in the group.
    let key = Scene::new(TINY, 1).key;
    let outside = (1u64..)
        .find_map(|x| G2Affine::get_point_from_x_unchecked(Fq2::from(x), true))
        .filter(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .unwrap();
    let other = Key { tau_g2: outside, ..key };
    assert!(matches!(Key::from_bytes(&other.to_bytes()), Err(Error::Field { field, .. }) if field == "key.tau"));
}

#[test]
fn points_of_the_statement_are_decoded_strictly() {
    let scene = Scene::new(TINY, 1);
    let bytes: Vec<u8> = scene.statement.points.iter().flat_map(point_to_bytes).collect();
    assert_eq!(points_from_bytes("points", &bytes).unwrap(), scene.statement.points);
    for at in [0, 31, 63, 64, 127] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        assert!(points_from_bytes("points", &other).is_err());
    }
    assert!(points_from_bytes("points", &bytes[..127]).is_err());
    assert!(point_from_bytes(&[word(P), one()].concat()).is_err());
}

#[test]
fn gram_bytes_are_signed_big_endian() {
    let integers = [0, 1, -1, i64::MAX, i64::MIN];
    let bytes = gram_to_bytes(&integers);
    assert_eq!(&bytes[8..24], &[0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(gram_from_bytes(&bytes).unwrap(), integers);
    assert!(gram_from_bytes(&bytes[1..]).is_err());
}
