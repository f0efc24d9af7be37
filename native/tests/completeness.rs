// SPDX-License-Identifier: Apache-2.0
//! Honest proofs verify, for every shape.

use merit_native::*;

#[test]
fn first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kzg10.srs");
    generate(&path, 10, &mut silent).unwrap();
    let srs = Srs::open(&path).unwrap();
    check(&srs, &mut silent).unwrap();
    let key = make_key(&srs, 40, 8, 8).unwrap();
    let columns: Vec<Column> = (0..3)
        .map(|i| {
            let values: Vec<i64> = (0..40).map(|l| (l * 37 + i * 11) % 256 - 128).collect();
            let salts: Vec<i64> = (0..512).map(|l| (l * l * 91 + i * 19 + 7) % 256 - 128).collect();
            Column::from_parts(i as usize, 8, 1024, values.into_iter(), salts.into_iter(), 1).unwrap()
        })
        .collect();
    let points: Vec<_> = columns.iter().map(|c| commit(&srs, c).unwrap()).collect();
    let (statement, proof) = prove(&srs, &key, [7; 32], &points, &columns, &mut silent).unwrap();
    verify(&key, &statement, &proof).unwrap();
}
