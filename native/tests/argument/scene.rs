// SPDX-License-Identifier: Apache-2.0
//! One string for all tests, and columns to prove about.

use std::path::PathBuf;
use std::sync::OnceLock;

use ark_std::rand::rngs::StdRng;
use ark_std::rand::{Rng, SeedableRng};
use merit_native::malicious::Textbook;
use merit_native::*;
use tempfile::TempDir;

pub const K: u32 = 10;
pub const N: usize = 1 << K;
pub const CONTEXT: [u8; 32] = [7; 32];

struct Files {
    _directory: TempDir,
    srs: Srs,
    path: PathBuf,
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kzg10.srs");
        generate(&path, K, &mut silent).unwrap();
        Files { srs: Srs::open(&path).unwrap(), path, _directory: directory }
    })
}

pub fn srs() -> &'static Srs {
    &files().srs
}

pub fn srs_path() -> &'static PathBuf {
    &files().path
}

/// What a task fixes.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub columns: usize,
    pub dim: usize,
    pub bits: u32,
    pub bits0: u32,
}

pub const SMALL: Shape = Shape { columns: 3, dim: 40, bits: 8, bits0: 8 };

impl Shape {
    pub fn key(&self) -> Key {
        make_key(srs(), self.dim, self.bits, self.bits0).unwrap()
    }

    /// All n rows of each column, uniform over its range.
    pub fn rows(&self, seed: u64) -> Vec<Vec<i64>> {
        let mut rng = StdRng::seed_from_u64(seed);
        let column = |i: usize| {
            let half = 1i64 << (if i == 0 { self.bits0 } else { self.bits } - 1);
            let front = self.dim + SALT_ROWS;
            let mut rows: Vec<i64> = (0..front).map(|_| rng.gen_range(-half..half)).collect();
            rows.resize(N - TAIL_ROWS, 0);
            rows.resize(N, 1);
            rows
        };
        (0..self.columns).map(column).collect()
    }

    pub fn columns(&self, rows: &[Vec<i64>]) -> Vec<Column> {
        let bits = |i: usize| if i == 0 { self.bits0 } else { self.bits };
        let column = |(i, rows): (usize, &Vec<i64>)| Column::from_rows(i, bits(i), rows.iter().copied()).unwrap();
        rows.iter().enumerate().map(column).collect()
    }
}

/// An honest statement and its proof.
pub struct Scene {
    pub key: Key,
    pub rows: Vec<Vec<i64>>,
    pub statement: Statement,
    pub proof: Vec<u8>,
}

impl Scene {
    pub fn new(shape: Shape, seed: u64) -> Self {
        let rows = shape.rows(seed);
        let key = shape.key();
        let columns = shape.columns(&rows);
        let points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
        let (statement, proof) = prove(srs(), &key, CONTEXT, &points, &columns, &mut silent).unwrap();
        Self { key, rows, statement, proof }
    }

    pub fn decoded(&self) -> Proof {
        Proof::from_bytes(&self.key, self.rows.len(), &self.proof).unwrap()
    }

    /// The specification's prover for the same rows and the same claim.
    pub fn textbook(&self) -> Textbook<'_> {
        Textbook {
            srs: srs(),
            key: &self.key,
            context: CONTEXT,
            rows: self.rows.clone(),
            gram: self.statement.gram.clone(),
            seed: 1,
        }
    }
}

/// Upper triangle of the rows' inner products over dim.
pub fn gram_of(rows: &[Vec<i64>], dim: usize) -> Vec<i64> {
    let product = |i: usize, j: usize| rows[i][..dim].iter().zip(&rows[j][..dim]).map(|(a, b)| a * b).sum();
    (0..rows.len()).flat_map(|i| (i..rows.len()).map(move |j| (i, j))).map(|(i, j)| product(i, j)).collect()
}

pub fn rejected(result: Result<()>) {
    match result {
        Err(Error::InvalidProof { .. }) => {}
        other => panic!("not rejected: {other:?}"),
    }
}
