// SPDX-License-Identifier: Apache-2.0
//! Honest proofs verify, whatever the shape, and are those of the specification's prover.

use merit_native::malicious::{Honest, prove_from_seed};
use merit_native::*;
use proptest::prelude::*;

use crate::scene::{CONTEXT, Scene, Shape, gram_of, srs};

fn shapes() -> impl Strategy<Value = Shape> {
    let bits = prop_oneof![Just(4u32), Just(8), Just(16)];
    (1usize..=5, 1usize..=506, bits, 0u32..=9).prop_map(|(columns, dim, bits, wider)| {
        let bits0 = (bits + 2 * wider).min(MAX_BITS);
        Shape { columns, dim, bits, bits0 }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_proofs_verify(shape in shapes(), seed: u64) {
        let scene = Scene::new(shape, seed);
        prop_assert_eq!(&scene.statement.gram, &gram_of(&scene.rows, shape.dim));
        prop_assert_eq!(scene.proof.len(), proof_bytes(&scene.key, shape.columns));
        prop_assert_eq!(verify(&scene.key, &scene.statement, &scene.proof), Ok(()));
    }
}

#[test]
fn the_fast_prover_sends_the_bytes_of_the_textbook() {
    for (seed, shape) in [
        Shape { columns: 1, dim: 1, bits: 4, bits0: 4 },
        Shape { columns: 3, dim: 40, bits: 8, bits0: 8 },
        Shape { columns: 2, dim: 506, bits: 16, bits0: 22 },
        Shape { columns: 3, dim: 100, bits: 4, bits0: 10 },
    ]
    .into_iter()
    .enumerate()
    {
        let rows = shape.rows(seed as u64);
        let (key, columns) = (shape.key(), shape.columns(&rows));
        let points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
        let (statement, bytes) = prove_from_seed(srs(), &key, CONTEXT, &points, &columns, 99).unwrap();
        let textbook = merit_native::malicious::Textbook {
            srs: srs(),
            key: &key,
            context: CONTEXT,
            rows,
            gram: statement.gram.clone(),
            seed: 99,
        };
        assert_eq!(textbook.points(), points, "{shape:?}");
        assert_eq!(textbook.prove(&mut Honest).proof.to_bytes(), bytes, "{shape:?}");
    }
}

#[test]
fn thirty_two_columns_fit_and_thirty_three_do_not() {
    let shape = Shape { columns: 32, dim: 5, bits: 4, bits0: 10 };
    let scene = Scene::new(shape, 1);
    assert_eq!(verify(&scene.key, &scene.statement, &scene.proof), Ok(()));
    let more = Shape { columns: 33, ..shape };
    let columns = more.columns(&more.rows(1));
    let points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
    let refused = prove(srs(), &more.key(), CONTEXT, &points, &columns, &mut silent);
    assert!(matches!(refused, Err(Error::Field { field, .. }) if field == "columns"));
}

#[test]
fn proofs_of_one_statement_differ() {
    let shape = Shape { columns: 2, dim: 9, bits: 8, bits0: 8 };
    let (first, second) = (Scene::new(shape, 5), Scene::new(shape, 5));
    assert_eq!(first.statement.points, second.statement.points);
    let (first, second) = (first.decoded(), second.decoded());
    assert_ne!(first.digits, second.digits);
    assert_ne!(first.values.digits, second.values.digits);
    assert_ne!(first.z, second.z);
    assert_ne!(first.values.z, second.values.z);
}
