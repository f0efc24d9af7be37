// SPDX-License-Identifier: Apache-2.0
//! Honest callers' mistakes: each has its own error, which names the place.

use std::ops::ControlFlow;

use merit_native::*;

use crate::scene::{CONTEXT, N, SMALL, srs};

fn parts(values: &[i64], salts: usize, bits: u32) -> Result<Column> {
    Column::from_parts(7, bits, N, values.iter().copied(), vec![1i64; salts].into_iter(), 1)
}

#[test]
fn rows_out_of_range_are_named() {
    for (bits, limit) in [(4u32, 8i64), (8, 128), (16, 1 << 15), (22, 1 << 21)] {
        assert!(parts(&[limit - 1, -limit], 512, bits).is_ok());
        for value in [limit, -limit - 1, i64::MAX, i64::MIN] {
            let refused = parts(&[0, 0, value], 512, bits).err();
            assert_eq!(refused, Some(Error::OutOfRange { column: 7, row: 2, value, limit }));
        }
    }
    let salts = [vec![0i64; 511], vec![200]].concat();
    let refused = Column::from_parts(0, 8, N, [1i64, 2].into_iter(), salts.into_iter(), 1).err();
    assert_eq!(refused, Some(Error::OutOfRange { column: 0, row: 513, value: 200, limit: 128 }));
    let refused = Column::from_parts(0, 8, N, [1i64].into_iter(), vec![0i64; 512].into_iter(), 128).err();
    assert_eq!(refused, Some(Error::OutOfRange { column: 0, row: N - 6, value: 128, limit: 128 }));
}

#[test]
fn columns_of_another_shape() {
    let field = |result: Result<Column>| match result {
        Err(Error::Field { field, .. }) => field,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    };
    assert_eq!(field(parts(&[0; 3], 511, 8)), "columns[7].salts");
    assert_eq!(field(parts(&[0; 507], 512, 8)), "columns[7].values");
    assert!(parts(&[0; 506], 512, 8).is_ok());
    assert_eq!(field(parts(&[], 512, 8)), "columns[7].values");
    assert_eq!(field(parts(&[0], 512, 0)), "bits");
    assert_eq!(field(parts(&[0], 512, 24)), "bits");
    for n in [0usize, 1000, 1 << 40, usize::MAX] {
        let made = Column::from_parts(0, 8, n, [1i64].into_iter(), vec![1i64; 512].into_iter(), 1);
        assert!(matches!(made, Err(Error::Field { .. })), "{n}");
    }
}

#[test]
fn a_column_that_does_not_open_its_point() {
    let rows = SMALL.rows(1);
    let columns = SMALL.columns(&rows);
    let mut points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
    points[2] = -points[2];
    let refused = prove(srs(), &SMALL.key(), CONTEXT, &points, &columns, &mut silent).err();
    assert_eq!(refused, Some(Error::CommitmentMismatch { column: 2 }));
}

#[test]
fn a_column_with_a_digit_that_is_always_zero() {
    for digit in 0..4 {
        let mut rows = SMALL.rows(1);
        for row in &mut rows[1] {
            *row = ((*row + 128) & !(3 << (2 * digit))) - 128;
        }
        let columns = SMALL.columns(&rows);
        let points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
        let (statement, proof) = prove(srs(), &SMALL.key(), CONTEXT, &points, &columns, &mut silent).unwrap();
        assert_eq!(verify(&SMALL.key(), &statement, &proof), Ok(()), "digit {digit}");
    }
}

#[test]
fn inner_products_beyond_the_limit() {
    // 2^20 rows of -2^21 have the inner product 2^62.
    let column = Column::from_rows(0, 22, vec![-(1i64 << 21); 1 << 20].into_iter()).unwrap();
    let columns = [Column::from_rows(0, 8, vec![1i64; 1 << 20].into_iter()).unwrap(), column];
    assert_eq!(gram(&columns, (1 << 20) - 1), Ok(vec![(1 << 20) - 1, -((1 << 41) - (1 << 21)), (1 << 62) - (1 << 42)]));
    assert_eq!(gram(&columns, 1 << 20), Err(Error::GramTooLarge { row: 1, column: 1 }));
}

#[test]
fn keys_of_another_shape() {
    for (dim, bits, bits0) in [(0, 8, 8), (507, 8, 8), (5, 6, 6), (5, 8, 6), (5, 8, 9), (5, 8, 24), (5, 2, 2)] {
        assert!(matches!(make_key(srs(), dim, bits, bits0), Err(Error::Field { .. })), "{dim} {bits} {bits0}");
    }
}

#[test]
fn a_prover_with_arguments_that_do_not_fit() {
    let columns = SMALL.columns(&SMALL.rows(1));
    let points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
    let field =
        |key: &Key, points: &[_], columns: &[Column]| match prove(srs(), key, CONTEXT, points, columns, &mut silent) {
            Err(Error::Field { field, .. }) => field,
            Err(Error::Srs { .. }) => "srs".into(),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted"),
        };
    let key = SMALL.key();
    assert_eq!(field(&key, &points[..2], &columns), "points");
    assert_eq!(field(&key, &[], &[]), "columns");
    assert_eq!(field(&make_key(srs(), 40, 16, 16).unwrap(), &points, &columns), "columns[0].bits");
    assert_eq!(field(&make_key(srs(), 40, 8, 10).unwrap(), &points, &columns), "columns[0].bits");
    let short = Column::from_rows(0, 8, [1i64; 512].into_iter()).unwrap();
    assert_eq!(field(&key, &points[..1], &[short]), "columns[0]");
    let mut other = key.clone();
    other.srs_digest[0] ^= 1;
    assert_eq!(field(&other, &points, &columns), "srs");
}

#[test]
fn openings_of_any_width() {
    for magnitude in [1i64, 100, 1 << 15, 1 << 20, 1 << 22, 1 << 40, i64::MAX] {
        let values: Vec<i64> = (0..40).map(|l| if l % 2 == 0 { magnitude } else { -magnitude } / (l + 1)).collect();
        let salts: Vec<i64> = (0..512).map(|l| magnitude / 512 * l).collect();
        let tail = -magnitude;
        let rows: Vec<i64> =
            values.iter().chain(&salts).copied().chain(vec![0; N - 558]).chain(vec![tail; 6]).collect();
        let expected =
            rows.iter().enumerate().map(|(l, &row)| srs().lagrange(l).to_affine() * ark_bn254::Fr::from(row));
        let expected: ark_bn254::G1Projective = expected.sum();
        let opening =
            |values: Vec<i64>, salts: Vec<i64>, tail| Opening { values: values.into(), salts: salts.into(), tail };
        let honest = opening(values.clone(), salts.clone(), tail);
        let point = honest.commit(srs()).unwrap();
        assert_eq!(point, expected, "{magnitude}");
        assert_eq!(honest.check(srs(), &point), Ok(()));
        let mut other = values.clone();
        other[3] ^= 1;
        let refused = Err(Error::CommitmentMismatch { column: 0 });
        assert_eq!(opening(other, salts.clone(), tail).check(srs(), &point), refused);
        let mut other = salts.clone();
        other[511] ^= 1;
        assert_eq!(opening(values.clone(), other, tail).check(srs(), &point), refused);
        assert_eq!(opening(values.clone(), salts.clone(), tail ^ 1).check(srs(), &point), refused);
    }
    // The lowest integer of all has no positive counterpart.
    let lowest = Opening { values: vec![i64::MIN].into(), salts: vec![0; 512].into(), tail: 0 };
    let expected = srs().lagrange(0).to_affine() * ark_bn254::Fr::from(i64::MIN);
    assert_eq!(lowest.commit(srs()).unwrap(), expected);
}

#[test]
fn a_salt_redrawn_moves_the_commitment() {
    let rows = SMALL.rows(9);
    let before = commit(srs(), &SMALL.columns(&rows)[0]).unwrap();
    for (row, value) in [(40, -128), (100, 127), (551, 0)] {
        let mut moved = rows.clone();
        moved[0][row] = value;
        let after = commit(srs(), &SMALL.columns(&moved)[0]).unwrap();
        assert_eq!(commit_delta(srs(), &before, row, value - rows[0][row]), Ok(after));
    }
    assert!(matches!(commit_delta(srs(), &before, N, 1), Err(Error::Field { field, .. }) if field == "row"));
}

#[test]
fn progress_counts_to_the_end_and_can_stop_anywhere() {
    let columns = SMALL.columns(&SMALL.rows(1));
    let points: Vec<_> = columns.iter().map(|column| commit(srs(), column).unwrap()).collect();
    let key = SMALL.key();
    let mut reports: Vec<(&'static str, usize, usize)> = vec![];
    let mut record = |stage: &'static str, done: usize, total: usize| {
        reports.push((stage, done, total));
        Ok(())
    };
    prove(srs(), &key, CONTEXT, &points, &columns, &mut record).unwrap();
    let stages: Vec<_> = reports.iter().filter(|(_, done, _)| *done == 0).map(|(stage, ..)| *stage).collect();
    assert_eq!(stages, ["commit to digits", "running sum", "quotient", "commit to quotient", "open"]);
    for stage in stages {
        let own: Vec<_> = reports.iter().filter(|(name, ..)| *name == stage).collect();
        assert!(own.iter().enumerate().all(|(i, (_, done, total))| *done == i && *total == own.len() - 1), "{stage}");
    }
    for stop in 0..reports.len() {
        let mut left = ControlFlow::Continue(stop);
        let mut count = |_: &'static str, _: usize, _: usize| match left {
            ControlFlow::Continue(0) => {
                left = ControlFlow::Break(());
                Err(Error::Cancelled)
            }
            ControlFlow::Continue(more) => {
                left = ControlFlow::Continue(more - 1);
                Ok(())
            }
            ControlFlow::Break(()) => panic!("called after it said stop"),
        };
        let stopped = prove(srs(), &key, CONTEXT, &points, &columns, &mut count).err();
        assert_eq!(stopped, Some(Error::Cancelled));
    }
}
