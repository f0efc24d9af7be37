// SPDX-License-Identifier: Apache-2.0
//! Writes the test vectors that the Rust, Solidity and Python verifiers share: `vectors DIRECTORY`.
//!
//! Everything is drawn from fixed seeds, so that a second run writes the same files.

use std::path::Path;

use ark_bn254::Fr;
use ark_ff::{BigInteger, PrimeField};
use ark_std::UniformRand;
use ark_std::rand::rngs::StdRng;
use ark_std::rand::{Rng, SeedableRng};
use merit_native::malicious::{generate_from_tau, prove_from_seed};
use merit_native::{
    Column, Proof, SALT_ROWS, Srs, challenges, commit, gram_to_bytes, make_key, point_to_bytes, verify,
};
use serde_json::{Value, json};

const K: u32 = 10;

struct Shape {
    name: &'static str,
    columns: usize,
    dim: usize,
    bits: u32,
    bits0: u32,
    /// How many updates column 0 is the sum of.
    summed: i64,
}

const SHAPES: [Shape; 6] = [
    Shape { name: "one", columns: 1, dim: 3, bits: 8, bits0: 8, summed: 1 },
    Shape { name: "four_bits", columns: 2, dim: 5, bits: 4, bits0: 4, summed: 1 },
    Shape { name: "eight_bits", columns: 4, dim: 40, bits: 8, bits0: 8, summed: 1 },
    Shape { name: "sixteen_bits", columns: 3, dim: 33, bits: 16, bits0: 16, summed: 1 },
    Shape { name: "wide_anchor", columns: 3, dim: 20, bits: 8, bits0: 14, summed: 32 },
    Shape { name: "widest_anchor", columns: 2, dim: 506, bits: 16, bits0: 22, summed: 32 },
];

fn main() {
    let directory = std::env::args().nth(1).expect("the directory to write to");
    for (seed, shape) in SHAPES.iter().enumerate() {
        let value = vector(shape, seed as u64);
        let path = Path::new(&directory).join(format!("{}.json", shape.name));
        std::fs::write(path, serde_json::to_string_pretty(&value).expect("plain values") + "\n").expect("writable");
    }
}

fn vector(shape: &Shape, seed: u64) -> Value {
    let mut rng = StdRng::seed_from_u64(seed);
    let tau = Fr::rand(&mut rng);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("kzg10.srs");
    generate_from_tau(&path, K, &tau).expect("k is valid");
    let srs = Srs::open(&path).expect("just written");
    let key = make_key(&srs, shape.dim, shape.bits, shape.bits0).expect("the shape is valid");

    let parts: Vec<Parts> = (0..shape.columns).map(|i| Parts::draw(shape, i, &mut rng)).collect();
    let columns: Vec<Column> = parts.iter().enumerate().map(|(i, part)| part.column(i, key.bits_of(i))).collect();
    let points: Vec<_> = columns.iter().map(|column| commit(&srs, column).expect("same size")).collect();
    let context: [u8; 32] = rng.r#gen();
    let (statement, bytes) = prove_from_seed(&srs, &key, context, &points, &columns, seed).expect("honest");
    verify(&key, &statement, &bytes).expect("honest");
    let proof = Proof::from_bytes(&key, points.len(), &bytes).expect("honest");
    let drawn = challenges(&key, &statement, &proof);
    json!({
        "name": shape.name, "k": K, "dim": shape.dim, "bits": shape.bits, "bits0": shape.bits0,
        "columns": shape.columns, "tau": word(&tau), "srs_sha256": hex(&srs.digest()),
        "vk": hex(&key.to_bytes()), "vk_digest": hex(&key.digest()), "context": hex(&context),
        "points": points.iter().map(|point| hex(&point_to_bytes(point))).collect::<Vec<_>>(),
        "gram": hex(&gram_to_bytes(&statement.gram)), "gram_integers": statement.gram,
        "proof": hex(&bytes),
        "challenges": {
            "alpha": word(&drawn.alpha), "beta": word(&drawn.beta), "eta": word(&drawn.eta),
            "zeta": word(&drawn.zeta), "nu": word(&drawn.nu), "u": word(&drawn.u),
        },
        "witness": parts.iter().map(Parts::json).collect::<Vec<_>>(),
    })
}

/// One column: data, salts, and the integer of its tail rows.
struct Parts {
    values: Vec<i64>,
    salts: Vec<i64>,
    tail: i64,
}

impl Parts {
    fn draw(shape: &Shape, index: usize, rng: &mut StdRng) -> Self {
        let half = 1i64 << (shape.bits - 1);
        let summed = if index == 0 { shape.summed } else { 1 };
        let mut rows =
            |count: usize| (0..count).map(|_| (0..summed).map(|_| rng.gen_range(-half..half)).sum()).collect();
        let mut values: Vec<i64> = rows(shape.dim);
        // Both ends of the range are there.
        values[0] = -half * summed;
        values[1] = (half - 1) * summed;
        Self { values, salts: rows(SALT_ROWS), tail: summed }
    }

    fn column(&self, index: usize, bits: u32) -> Column {
        let (values, salts) = (self.values.iter().copied(), self.salts.iter().copied());
        Column::from_parts(index, bits, 1 << K, values, salts, self.tail).expect("drawn within range")
    }

    fn json(&self) -> Value {
        json!({ "values": self.values, "salts": self.salts, "tail": self.tail })
    }
}

fn word(x: &Fr) -> String {
    hex(&x.into_bigint().to_bytes_be())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_string(), |text, byte| text + &format!("{byte:02x}"))
}
