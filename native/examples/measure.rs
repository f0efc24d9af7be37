// SPDX-License-Identifier: Apache-2.0
//! Prints how long each stage takes: `measure K DIM COLUMNS BITS`. Draws its own string, in a temporary directory.

use std::time::Instant;

use ark_std::rand::Rng;
use ark_std::rand::rngs::OsRng;
use merit_native::{Column, SALT_ROWS, Srs, commit, generate, make_key, prove, silent, verify};

fn main() {
    let number = |i: usize| std::env::args().nth(i).and_then(|text| text.parse::<usize>().ok());
    let [Some(k), Some(dim), Some(count), Some(bits)] = [1, 2, 3, 4].map(number) else {
        eprintln!("usage: measure K DIM COLUMNS BITS");
        std::process::exit(2);
    };
    let (k, bits) = (k as u32, bits as u32);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = std::env::args().nth(5).map(Into::into).unwrap_or(directory.path().join("test.srs"));
    if !path.exists() {
        timed("generate", || generate(&path, k, &mut silent).expect("k is valid"));
    }
    let srs = Srs::open(&path).expect("a string");
    let key = timed("key", || make_key(&srs, dim, bits, bits).expect("the shape is valid"));
    let half = 1i64 << (bits - 1);
    let draw = |rows: usize| (0..rows).map(|_| OsRng.gen_range(-half..half)).collect::<Vec<i64>>().into_iter();
    let columns: Vec<Column> = (0..count)
        .map(|i| Column::from_parts(i, bits, srs.n(), draw(dim), draw(SALT_ROWS), 1).expect("in range"))
        .collect();
    let points: Vec<_> =
        columns.iter().map(|column| timed("commit", || commit(&srs, column).expect("same size"))).collect();

    let (start, start_used) = (Instant::now(), used_seconds());
    let (mut name, mut since, mut since_used) = ("", start, start_used);
    let mut report = |stage: &'static str, done: usize, total: usize| {
        if stage != name {
            (name, since, since_used) = (stage, Instant::now(), used_seconds());
        }
        if done == total {
            let (wall, used) = (since.elapsed().as_secs_f64(), used_seconds() - since_used);
            println!("  {stage}: {wall:.2} s, {used:.2} s of all cores");
        }
        Ok(())
    };
    let (statement, proof) = prove(&srs, &key, [0; 32], &points, &columns, &mut report).expect("honest");
    let (wall, used) = (start.elapsed().as_secs_f64(), used_seconds() - start_used);
    println!("prove: {wall:.2} s, {used:.2} s of all cores, {} bytes", proof.len());
    timed("verify", || verify(&key, &statement, &proof).expect("honest"));
}

/// Seconds of all cores that this process has used: what counts on a machine that others load.
fn used_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |i: usize| after_name.split_whitespace().nth(i).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let (start, used) = (Instant::now(), used_seconds());
    let result = work();
    println!("{name}: {:.3} s, {:.2} s of all cores", start.elapsed().as_secs_f64(), used_seconds() - used);
    result
}
