// SPDX-License-Identifier: Apache-2.0
//! Strings: made, checked, damaged.

use std::path::{Path, PathBuf};

use ark_bn254::Fr;
use ark_ff::Field;
use merit_native::malicious::generate_from_tau;
use merit_native::*;
use tempfile::TempDir;

use crate::scene::{CONTEXT, SMALL, srs_path};

const SMALL_K: u32 = 6;
const SMALL_N: usize = 1 << SMALL_K;

struct Copy {
    directory: TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A string of 64 powers with a known tau.
fn small() -> Copy {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kzg6.srs");
    generate_from_tau(&path, SMALL_K, &Fr::from(123456789u64)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    Copy { directory, path, bytes }
}

fn checked(path: &Path) -> Result<[u8; 32]> {
    check(&Srs::open(path)?, &mut silent)
}

fn reason(result: Result<[u8; 32]>) -> String {
    match result {
        Err(Error::Srs { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_generated_string_is_what_its_format_says() {
    let small = small();
    let tau = Fr::from(123456789u64);
    let srs = Srs::open(&small.path).unwrap();
    let g = srs.power(0).to_affine();
    assert_eq!(point_to_bytes(&g)[31], 1);
    assert_eq!(point_to_bytes(&g)[63], 2);
    let generator = Fr::from(7u64);
    let mut exponent = <Fr as ark_ff::PrimeField>::MODULUS;
    exponent.0[0] -= 1;
    let omega = generator.pow(exponent >> SMALL_K);
    for i in 0..SMALL_N {
        assert_eq!(srs.power(i).to_affine(), g * tau.pow([i as u64]), "power {i}");
        // L_i(tau) = product over j != i of (tau - w^j) / (w^i - w^j)
        let row = |l: usize| omega.pow([l as u64]);
        let lagrange: Fr = (0..SMALL_N).filter(|&j| j != i).map(|j| (tau - row(j)) / (row(i) - row(j))).product();
        assert_eq!(srs.lagrange(i).to_affine(), g * lagrange, "row {i}");
    }
    for (i, next) in srs.next_powers().unwrap().iter().enumerate() {
        assert_eq!(next.to_affine(), g * tau.pow([(SMALL_N + i) as u64]));
    }
    assert_eq!(checked(&small.path).unwrap(), srs.digest());
    assert_eq!(small.bytes.len(), 4 + 128 * SMALL_N + 256);
}

#[test]
fn two_strings_have_two_taus() {
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = ["a.srs", "b.srs"].map(|name| {
        let path = directory.path().join(name);
        generate(&path, SMALL_K, &mut silent).unwrap();
        Srs::open(&path).unwrap()
    });
    assert_ne!(a.power(1), b.power(1));
}

#[test]
fn every_point_is_checked() {
    let small = small();
    let copy = small.directory.path().join("damaged.srs");
    let point = |i: usize| 4 + 64 * i..4 + 64 * (i + 1);
    // Off the curve.
    for i in 1..2 * SMALL_N {
        let mut bytes = small.bytes.clone();
        bytes[point(i).start] ^= 1;
        std::fs::write(&copy, bytes).unwrap();
        assert!(reason(checked(&copy)).contains("off the curve"), "point {i}");
    }
    // On the curve, and another point.
    for i in 1..2 * SMALL_N {
        let mut bytes = small.bytes.clone();
        let other = small.bytes[point(if i == 5 { 6 } else { 5 })].to_vec();
        bytes[point(i)].copy_from_slice(&other);
        std::fs::write(&copy, bytes).unwrap();
        let expected = if i < SMALL_N { "powers are not of one tau" } else { "Lagrange points do not fit" };
        assert!(reason(checked(&copy)).contains(expected), "point {i}");
    }
    // Coordinates that are not reduced: 2^256 - 1.
    let mut bytes = small.bytes.clone();
    bytes[point(9)][..32].fill(0xff);
    std::fs::write(&copy, bytes).unwrap();
    assert!(reason(checked(&copy)).contains("power 9 is off the curve"));
}

#[test]
fn tau_in_g2_is_checked() {
    let small = small();
    let copy = small.directory.path().join("damaged.srs");
    let other = small.directory.path().join("other.srs");
    generate_from_tau(&other, SMALL_K, &Fr::from(5u64)).unwrap();
    let other = std::fs::read(other).unwrap();
    let tail = small.bytes.len() - 128;
    let mut bytes = small.bytes.clone();
    bytes[tail..].copy_from_slice(&other[tail..]);
    std::fs::write(&copy, &bytes).unwrap();
    assert!(reason(checked(&copy)).contains("powers are not of one tau"));
    bytes[tail] ^= 1;
    std::fs::write(&copy, &bytes).unwrap();
    assert!(reason(checked(&copy)).contains("tau G2 is off the curve"));
    let mut bytes = small.bytes.clone();
    bytes.copy_within(tail.., tail - 128);
    std::fs::write(&copy, &bytes).unwrap();
    assert!(reason(checked(&copy)).contains("first powers are not the generators"));
}

#[test]
fn files_of_another_shape() {
    let small = small();
    let copy = small.directory.path().join("damaged.srs");
    for bytes in [vec![], vec![6, 0, 0], small.bytes[..small.bytes.len() - 1].to_vec(), vec![0xff; 4 + 256]] {
        std::fs::write(&copy, bytes).unwrap();
        assert!(matches!(checked(&copy), Err(Error::Srs { file, .. }) if file == "damaged.srs"));
    }
    let mut longer = small.bytes.clone();
    longer.push(0);
    std::fs::write(&copy, longer).unwrap();
    reason(checked(&copy));
    reason(checked(&small.directory.path().join("missing.srs")));
    reason(checked(small.directory.path()));
    for k in [0, 27, u32::MAX] {
        assert!(matches!(generate(&copy, k, &mut silent), Err(Error::Field { .. })));
    }
}

#[test]
fn the_powers_beyond_the_file() {
    let small = small();
    let side = small.path.with_extension("next");
    let honest = std::fs::read(&side).unwrap();
    assert_eq!(honest.len(), 4 + 3 * 64);
    for i in 0..3 {
        let mut bytes = honest.clone();
        bytes[4 + 64 * i] ^= 1;
        std::fs::write(&side, &bytes).unwrap();
        assert!(reason(checked(&small.path)).contains("off the curve"));
        let other = honest[4 + 64 * ((i + 1) % 3)..][..64].to_vec();
        let mut bytes = honest.clone();
        bytes[4 + 64 * i..][..64].copy_from_slice(&other);
        std::fs::write(&side, &bytes).unwrap();
        assert!(reason(checked(&small.path)).contains("not of the same tau"));
    }
    for bytes in [vec![], honest[..195].to_vec(), [&[7, 0, 0, 0], &honest[4..]].concat()] {
        std::fs::write(&side, bytes).unwrap();
        assert!(reason(checked(&small.path)).contains("does not hold"));
    }
    std::fs::remove_file(&side).unwrap();
    assert!(checked(&small.path).is_ok());

    // They come from a larger string of the same tau, and of no other.
    let larger = small.directory.path().join("kzg7.srs");
    generate_from_tau(&larger, SMALL_K + 1, &Fr::from(5u64)).unwrap();
    let srs = Srs::open(&small.path).unwrap();
    assert!(matches!(srs.extend_from(&Srs::open(&larger).unwrap()), Err(Error::Srs { .. })));
    assert!(matches!(srs.extend_from(&srs), Err(Error::Srs { .. })));
    assert!(!side.exists());
    generate_from_tau(&larger, SMALL_K + 1, &Fr::from(123456789u64)).unwrap();
    srs.extend_from(&Srs::open(&larger).unwrap()).unwrap();
    assert_eq!(std::fs::read(&side).unwrap(), honest);
}

#[test]
fn a_prover_without_the_side_file_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kzg10.srs");
    std::fs::copy(srs_path(), &path).unwrap();
    let srs = Srs::open(&path).unwrap();
    let columns = SMALL.columns(&SMALL.rows(1));
    let points: Vec<_> = columns.iter().map(|column| commit(&srs, column).unwrap()).collect();
    let refused = prove(&srs, &SMALL.key(), CONTEXT, &points, &columns, &mut silent).err();
    assert!(matches!(refused, Some(Error::Srs { file, .. }) if file == "kzg10.next"));
}

#[test]
fn a_damaged_string_yields_no_proof() {
    // A power that no check on opening looks at.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kzg10.srs");
    let mut bytes = std::fs::read(srs_path()).unwrap();
    let other = bytes[4 + 64 * 5..][..64].to_vec();
    bytes[4 + 64 * 77..][..64].copy_from_slice(&other);
    std::fs::write(&path, bytes).unwrap();
    std::fs::copy(srs_path().with_extension("next"), path.with_extension("next")).unwrap();
    let srs = Srs::open(&path).unwrap();
    let key = make_key(&srs, SMALL.dim, 8, 8).unwrap();
    let columns = SMALL.columns(&SMALL.rows(1));
    let points: Vec<_> = columns.iter().map(|column| commit(&srs, column).unwrap()).collect();
    let refused = prove(&srs, &key, CONTEXT, &points, &columns, &mut silent).err();
    assert!(matches!(refused, Some(Error::Srs { reason, .. }) if reason.contains("does not verify")));
}

#[test]
fn generation_leaves_nothing_behind_when_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kzg6.srs");
    let mut stop = |_: &'static str, done: usize, _: usize| go_on(done == 0);
    assert_eq!(generate(&path, SMALL_K, &mut stop), Err(Error::Cancelled));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let missing = directory.path().join("none").join("kzg6.srs");
    assert!(matches!(generate(&missing, SMALL_K, &mut silent), Err(Error::Srs { .. })));
}
