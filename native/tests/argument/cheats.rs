// SPDX-License-Identifier: Apache-2.0
//! Provers that lie, each rejected. A cheat does everything else as well as it can.

use ark_bn254::{Fr, G1Affine};
use ark_ff::Field;
use merit_native::malicious::{Cheat, Honest, Transcribed, check_with};
use merit_native::*;

use crate::scene::{CONTEXT, N, SMALL, Scene, Shape, gram_of, rejected, srs};

fn verdict(key: &Key, transcribed: &Transcribed) -> Result<()> {
    verify(key, &transcribed.statement, &transcribed.proof.to_bytes())
}

fn scene() -> Scene {
    Scene::new(SMALL, 3)
}

/// Runs a cheat on the honest rows.
fn cheat_rejected(cheat: &mut dyn Cheat) {
    let scene = scene();
    let transcribed = scene.textbook().prove(cheat);
    rejected(verdict(&scene.key, &transcribed));
}

#[test]
fn the_honest_textbook_is_accepted() {
    let scene = scene();
    assert_eq!(verdict(&scene.key, &scene.textbook().prove(&mut Honest)), Ok(()));
}

#[test]
fn wrong_gram_integers() {
    let scene = scene();
    for index in 0..scene.statement.gram.len() {
        for change in [1, -1, 1 << 40] {
            let mut textbook = scene.textbook();
            textbook.gram[index] += change;
            rejected(verdict(&scene.key, &textbook.prove(&mut Honest)));
        }
    }
}

#[test]
fn gram_errors_that_cancel_in_a_plain_sum() {
    let scene = scene();
    let mut textbook = scene.textbook();
    textbook.gram[0] += 5;
    textbook.gram[3] -= 5;
    rejected(verdict(&scene.key, &textbook.prove(&mut Honest)));
}

#[test]
fn the_honest_proof_under_another_gram() {
    let scene = scene();
    for index in 0..scene.statement.gram.len() {
        let mut statement = scene.statement.clone();
        statement.gram[index] -= 1;
        rejected(verify(&scene.key, &statement, &scene.proof));
    }
}

#[test]
fn gram_integers_beyond_the_limit() {
    let scene = scene();
    for value in [1 << 62, -(1 << 62), i64::MAX, i64::MIN] {
        let mut statement = scene.statement.clone();
        statement.gram[2] = value;
        let refused = verify(&scene.key, &statement, &scene.proof);
        assert!(matches!(refused, Err(Error::Field { field, .. }) if field == "gram[2]"));
    }
}

#[test]
fn rows_out_of_range() {
    let shape = Shape { columns: 2, dim: 40, bits: 8, bits0: 12 };
    let scene = Scene::new(shape, 4);
    let (data, salt, padding, tail) = (5, 60, 800, N - 1);
    for (column, half) in [(0, 1 << 11), (1, 1 << 7)] {
        for row in [data, salt, padding, tail] {
            for value in [half, -half - 1, half + 1000, 1 << 30] {
                let mut textbook = scene.textbook();
                textbook.rows[column][row] = value;
                textbook.gram = gram_of(&textbook.rows, shape.dim);
                rejected(verdict(&scene.key, &textbook.prove(&mut Honest)));
            }
        }
    }
}

#[test]
fn the_ends_of_the_range_are_in_it() {
    let scene = scene();
    for value in [127, -128] {
        let mut textbook = scene.textbook();
        textbook.rows[1][5] = value;
        textbook.gram = gram_of(&textbook.rows, SMALL.dim);
        assert_eq!(verdict(&scene.key, &textbook.prove(&mut Honest)), Ok(()));
    }
}

/// A digit changed at one row; the lowest, which is what remains, moves against it.
struct BadDigit {
    column: usize,
    digit: usize,
    row: usize,
    value: Fr,
}

impl Cheat for BadDigit {
    fn digits(&mut self, digits: &mut [Vec<Vec<Fr>>]) {
        digits[self.column][self.digit - 1][self.row] = self.value;
    }
}

#[test]
fn digits_that_are_none() {
    for (column, digit, row) in [(0, 1, 3), (1, 2, 700), (2, 3, N - 1)] {
        for value in [Fr::from(4u64), -Fr::ONE, Fr::from(1u64 << 33), Fr::from(7u64).inverse().unwrap()] {
            cheat_rejected(&mut BadDigit { column, digit, row, value });
        }
    }
}

#[test]
fn a_digit_out_of_range_with_a_neighbour_that_makes_up_for_it() {
    // d1 - 4 and d2 + 1: the sum, and so the lowest digit, stays.
    struct Carried;
    impl Cheat for Carried {
        fn digits(&mut self, digits: &mut [Vec<Vec<Fr>>]) {
            digits[0][0][3] -= Fr::from(4u64);
            digits[0][1][3] += Fr::ONE;
        }
    }
    cheat_rejected(&mut Carried);
}

/// Adds to z from a row on.
struct Jump {
    row: usize,
    by: Fr,
}

impl Cheat for Jump {
    fn running_sum(&mut self, z: &mut [Fr]) {
        z[self.row..].iter_mut().for_each(|z| *z += self.by);
    }
}

#[test]
fn a_running_sum_that_jumps() {
    for row in [1, 20, 41, N - 1] {
        cheat_rejected(&mut Jump { row, by: Fr::ONE });
    }
    // From the first row on, it is another random start: no cheat.
    let scene = scene();
    assert_eq!(verdict(&scene.key, &scene.textbook().prove(&mut Jump { row: 0, by: Fr::ONE })), Ok(()));
}

#[test]
fn a_running_sum_that_does_not_close() {
    // A wrong Gram integer, and a jump in the last row that pays for it.
    let scene = scene();
    let mut textbook = scene.textbook();
    textbook.gram[0] += 1;
    rejected(verdict(&scene.key, &textbook.prove(&mut Jump { row: N - 1, by: -Fr::ONE })));
}

#[test]
fn wrong_quotients() {
    struct Wrong(fn(&mut [Vec<Fr>; 3]));
    impl Cheat for Wrong {
        fn quotients(&mut self, parts: &mut [Vec<Fr>; 3]) {
            self.0(parts);
        }
    }
    cheat_rejected(&mut Wrong(|parts| parts[0][0] += Fr::ONE));
    cheat_rejected(&mut Wrong(|parts| parts[1][17] += Fr::ONE));
    cheat_rejected(&mut Wrong(|parts| parts[2][N - 1] += Fr::ONE));
    cheat_rejected(&mut Wrong(|parts| parts[0][N] += Fr::ONE));
    cheat_rejected(&mut Wrong(|parts| parts.swap(0, 1)));
    cheat_rejected(&mut Wrong(|parts| parts.swap(1, 2)));
    cheat_rejected(&mut Wrong(|parts| parts[2] = vec![Fr::ONE]));
}

/// Changes one claimed value.
struct OtherValue {
    index: usize,
    by: Fr,
}

impl Cheat for OtherValue {
    fn values(&mut self, values: &mut Values) {
        let digits = values.digits.iter_mut().flatten();
        let last = [&mut values.selector, &mut values.z, &mut values.z_next];
        *values.columns.iter_mut().chain(digits).chain(last).nth(self.index).unwrap() += self.by;
    }
}

#[test]
fn values_of_another_polynomial() {
    let count = scene().decoded().values.flat().len();
    assert_eq!(count, 3 + 3 * 3 + 3);
    for index in 0..count {
        cheat_rejected(&mut OtherValue { index, by: Fr::ONE });
    }
}

#[test]
fn openings_of_something_else() {
    struct Other(fn(&mut [G1Affine; 2]));
    impl Cheat for Other {
        fn openings(&mut self, points: &mut [G1Affine; 2]) {
            self.0(points);
        }
    }
    cheat_rejected(&mut Other(|points| points.swap(0, 1)));
    cheat_rejected(&mut Other(|points| points[0] = -points[0]));
    cheat_rejected(&mut Other(|points| points[1] = (points[1] + points[0]).into()));
}

#[test]
fn openings_forged_for_a_known_u() {
    // Whoever knows u before W and W_w passes any false value. The equations alone accept that; the transcript, which
    // draws u after both, does not.
    let scene = scene();
    for index in [0, 4, 12, 13, 14] {
        let textbook = scene.textbook();
        let lie = textbook.prove(&mut OtherValue { index, by: Fr::from(9u64) });
        let (forged, drawn) = textbook.forge_openings(&lie, Fr::from(1234u64));
        assert_eq!(check_with(&scene.key, &lie.statement, &forged, &drawn), Ok(()));
        rejected(verify(&scene.key, &lie.statement, &forged.to_bytes()));
    }
}

#[test]
fn commitments_swapped_dropped_repeated() {
    let scene = scene();
    let points = &scene.statement.points;
    let orders: [&[usize]; 5] = [&[1, 0, 2], &[0, 2, 1], &[0, 1], &[0, 1, 1], &[0, 1, 2, 2]];
    for order in orders {
        let mut statement = scene.statement.clone();
        statement.points = order.iter().map(|&i| points[i]).collect();
        let rows: Vec<_> = order.iter().map(|&i| scene.rows[i].clone()).collect();
        statement.gram = gram_of(&rows, SMALL.dim);
        rejected(verify(&scene.key, &statement, &scene.proof));
        // Nor with the Gram integers as they were.
        if order.len() == points.len() {
            statement.gram = scene.statement.gram.clone();
            rejected(verify(&scene.key, &statement, &scene.proof));
        }
    }
}

#[test]
fn a_proof_made_for_commitments_to_other_rows() {
    let scene = scene();
    let mut textbook = scene.textbook();
    textbook.rows[2][0] ^= 1;
    textbook.gram = gram_of(&textbook.rows, SMALL.dim);
    let statement = Statement { gram: textbook.gram.clone(), ..scene.statement.clone() };
    rejected(verdict(&scene.key, &textbook.prove_statement(statement, &mut Honest)));
}

#[test]
fn another_context() {
    let scene = scene();
    for byte in [0, 31] {
        let mut statement = scene.statement.clone();
        statement.context[byte] ^= 1;
        rejected(verify(&scene.key, &statement, &scene.proof));
    }
}

#[test]
fn another_key() {
    let scene = scene();
    let honest = &scene.key;
    assert_eq!(scene.statement.context, CONTEXT);
    let other_dim = make_key(srs(), SMALL.dim + 1, 8, 8).unwrap();
    let mut other_srs = honest.clone();
    other_srs.srs_digest[0] ^= 1;
    let mut other_tau = honest.clone();
    other_tau.tau_g2 = (other_tau.tau_g2 + other_tau.tau_g2).into();
    let keys = [
        Key { dim: SMALL.dim + 1, ..honest.clone() },
        Key { selector: other_dim.selector, ..honest.clone() },
        other_dim,
        other_srs,
        other_tau,
    ];
    for key in keys {
        rejected(verify(&key, &scene.statement, &scene.proof));
    }
    // Other widths have other lengths.
    for (bits, bits0) in [(4, 4), (16, 16), (8, 10)] {
        rejected(verify(&make_key(srs(), SMALL.dim, bits, bits0).unwrap(), &scene.statement, &scene.proof));
    }
}

#[test]
fn a_selector_of_another_dim_proves_another_gram() {
    // The prover's selector is one row short, and its Gram integers fit that one.
    let scene = scene();
    let short = make_key(srs(), SMALL.dim - 1, 8, 8).unwrap();
    let mut textbook = scene.textbook();
    textbook.gram = gram_of(&textbook.rows, SMALL.dim - 1);
    textbook.key = &short;
    let transcribed = textbook.prove(&mut Honest);
    assert_eq!(verdict(&short, &transcribed), Ok(()));
    rejected(verdict(&scene.key, &transcribed));
}

#[test]
fn a_range_that_hides_in_another_columns_width() {
    // 14 bits are fine in column 0, and nowhere else.
    let shape = Shape { columns: 2, dim: 40, bits: 8, bits0: 14 };
    let scene = Scene::new(shape, 8);
    let mut textbook = scene.textbook();
    textbook.rows.swap(0, 1);
    textbook.gram = gram_of(&textbook.rows, shape.dim);
    rejected(verdict(&scene.key, &textbook.prove(&mut Honest)));
}

#[test]
fn a_zeta_among_the_rows() {
    // There the quotient is not determined: whoever draws one is refused.
    let scene = scene();
    let proof = scene.decoded();
    let drawn = challenges(&scene.key, &scene.statement, &proof);
    for row in [0, 3] {
        let drawn = Challenges { zeta: scene.key.domain.omega.pow([row]), ..drawn };
        rejected(check_with(&scene.key, &scene.statement, &proof, &drawn));
    }
}

#[test]
fn a_gram_matrix_of_another_size() {
    let scene = scene();
    for length in [0, 5, 7] {
        let mut statement = scene.statement.clone();
        statement.gram.resize(length, 0);
        let refused = verify(&scene.key, &statement, &scene.proof);
        assert!(matches!(refused, Err(Error::Field { field, .. }) if field == "gram"));
    }
}

#[test]
fn no_columns_or_too_many() {
    let scene = scene();
    for count in [0, 33] {
        let points = vec![scene.statement.points[0]; count];
        let statement = Statement { points, gram: vec![0; count * (count + 1) / 2], ..scene.statement.clone() };
        let refused = verify(&scene.key, &statement, &vec![0; proof_bytes(&scene.key, count)]);
        assert!(matches!(refused, Err(Error::Field { field, .. }) if field == "columns"));
    }
}
