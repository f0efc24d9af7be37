// SPDX-License-Identifier: Apache-2.0
//! The vectors that all verifiers share: this crate's own, and those of the independent oracle in tests/native.

use std::path::Path;

use ark_bn254::Fr;
use ark_ff::PrimeField;
use merit_native::*;
use serde_json::Value;

use crate::scene::rejected;

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().strip_prefix("0x").unwrap();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

struct Vector {
    key: Key,
    statement: Statement,
    proof: Vec<u8>,
}

fn vector(value: &Value, points: Vec<u8>) -> Result<Vector> {
    let statement = Statement {
        context: bytes(&value["context"]).try_into().unwrap(),
        points: points_from_bytes("points", &points)?,
        gram: gram_from_bytes(&bytes(&value["gram"]))?,
    };
    Ok(Vector { key: Key::from_bytes(&bytes(&value["vk"]))?, statement, proof: bytes(&value["proof"]) })
}

fn scalars(bytes: &[u8]) -> Vec<Fr> {
    bytes.chunks(32).map(Fr::from_be_bytes_mod_order).collect()
}

fn drawn(vector: &Vector) -> Vec<Fr> {
    let proof = Proof::from_bytes(&vector.key, vector.statement.points.len(), &vector.proof).unwrap();
    let c = challenges(&vector.key, &vector.statement, &proof);
    vec![c.alpha, c.beta, c.eta, c.zeta, c.nu, c.u]
}

#[test]
fn the_crates_own_vectors() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let value = read(entry.unwrap().path().to_str().unwrap());
        let points: Vec<u8> = value["points"].as_array().unwrap().iter().flat_map(bytes).collect();
        let vector = vector(&value, points).unwrap();
        assert_eq!(verify(&vector.key, &vector.statement, &vector.proof), Ok(()));
        let names = ["alpha", "beta", "eta", "zeta", "nu", "u"];
        let expected: Vec<Fr> = names.iter().flat_map(|name| scalars(&bytes(&value["challenges"][name]))).collect();
        assert_eq!(drawn(&vector), expected);
        assert_eq!(vector.key.digest().to_vec(), bytes(&value["vk_digest"]));
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn the_oracles_honest_proofs() {
    for file in ["update-argument.json", "update-argument-gas.json"] {
        let vectors = read(&format!("../contracts/test/vectors/{file}"));
        assert!(vectors.as_object().unwrap().len() >= 3);
        for (name, value) in vectors.as_object().unwrap() {
            let vector = vector(value, bytes(&value["points"])).unwrap();
            assert_eq!(verify(&vector.key, &vector.statement, &vector.proof), Ok(()), "{name}");
            assert_eq!(drawn(&vector), scalars(&bytes(&value["challenges"])), "{name}");
        }
    }
}

#[test]
fn the_oracles_cheats() {
    let vectors = read("../contracts/test/vectors/update-argument-cheats.json");
    assert!(vectors.as_object().unwrap().len() >= 20);
    for (name, value) in vectors.as_object().unwrap() {
        match vector(value, bytes(&value["points"])) {
            Ok(vector) => match verify(&vector.key, &vector.statement, &vector.proof) {
                Err(Error::Field { .. }) => {}
                result => rejected(result),
            },
            Err(error) => assert!(matches!(error, Error::Field { .. }), "{name}: {error}"),
        }
    }
}
