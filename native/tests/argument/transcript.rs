// SPDX-License-Identifier: Apache-2.0
//! Order: whatever is public before a challenge changes it and all that follow, and nothing before.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::Field;
use merit_native::*;

use crate::scene::{Scene, Shape};

const TINY: Shape = Shape { columns: 2, dim: 3, bits: 8, bits0: 10 };

/// How many of alpha, beta, eta, zeta, nu, u stay as they are; the rest must all change.
fn kept(before: &Challenges, after: &Challenges) -> usize {
    let list = |c: &Challenges| [c.alpha, c.beta, c.eta, c.zeta, c.nu, c.u];
    let same: Vec<bool> = list(before).iter().zip(list(after)).map(|(x, y)| *x == y).collect();
    let kept = same.iter().take_while(|same| **same).count();
    assert!(same[kept..].iter().all(|same| !same), "a later challenge stayed: {same:?}");
    kept
}

fn other(point: &G1Affine) -> G1Affine {
    (*point + G1Affine::generator()).into()
}

#[test]
fn the_statement_comes_before_everything() {
    let scene = Scene::new(TINY, 2);
    let (key, statement, proof) = (&scene.key, &scene.statement, scene.decoded());
    let drawn = challenges(key, statement, &proof);
    let mut keys = vec![
        Key { dim: 4, ..key.clone() },
        Key { bits: 4, ..key.clone() },
        Key { bits0: 12, ..key.clone() },
        Key { selector: other(&key.selector), ..key.clone() },
        Key { tau_g2: -key.tau_g2, ..key.clone() },
    ];
    let mut digest = key.clone();
    digest.srs_digest[31] ^= 1;
    keys.push(digest);
    for (word, field) in [(0, "n"), (1, "omega"), (2, "1/n")] {
        let mut changed = key.clone();
        match word {
            0 => changed.domain.n *= 2,
            1 => changed.domain.omega += Fr::ONE,
            _ => changed.domain.n_inverse += Fr::ONE,
        }
        assert_ne!(changed.to_bytes(), key.to_bytes(), "{field}");
        keys.push(changed);
    }
    for changed in keys {
        assert_eq!(kept(&drawn, &challenges(&changed, statement, &proof)), 0);
    }
    let mut statements = vec![];
    for i in 0..statement.points.len() {
        let mut changed = statement.clone();
        changed.points[i] = other(&changed.points[i]);
        statements.push(changed);
    }
    for i in 0..statement.gram.len() {
        let mut changed = statement.clone();
        changed.gram[i] += 1;
        statements.push(changed);
    }
    for byte in 0..32 {
        let mut changed = statement.clone();
        changed.context[byte] ^= 1;
        statements.push(changed);
    }
    for changed in statements {
        assert_eq!(kept(&drawn, &challenges(key, &changed, &proof)), 0);
    }
}

#[test]
fn each_message_comes_before_its_challenge() {
    let scene = Scene::new(TINY, 2);
    let (key, statement, proof) = (&scene.key, &scene.statement, scene.decoded());
    let drawn = challenges(key, statement, &proof);
    let kept_after = |change: &dyn Fn(&mut Proof)| {
        let mut changed = proof.clone();
        change(&mut changed);
        kept(&drawn, &challenges(key, statement, &changed))
    };
    for (i, own) in proof.digits.iter().enumerate() {
        for j in 0..own.len() {
            assert_eq!(kept_after(&|p| p.digits[i][j] = other(&p.digits[i][j])), 0);
            assert_eq!(kept_after(&|p| p.values.digits[i][j] += Fr::ONE), 4);
        }
        assert_eq!(kept_after(&|p| p.values.columns[i] += Fr::ONE), 4);
    }
    assert_eq!(kept_after(&|p| p.z = other(&p.z)), 2);
    for i in 0..3 {
        assert_eq!(kept_after(&|p| p.quotients[i] = other(&p.quotients[i])), 3);
    }
    assert_eq!(kept_after(&|p| p.values.selector += Fr::ONE), 4);
    assert_eq!(kept_after(&|p| p.values.z += Fr::ONE), 4);
    assert_eq!(kept_after(&|p| p.values.z_next += Fr::ONE), 4);
    assert_eq!(kept_after(&|p| p.w = other(&p.w)), 5);
    assert_eq!(kept_after(&|p| p.w_next = other(&p.w_next)), 5);
}

#[test]
fn nothing_that_is_absorbed_stays_out() {
    // Messages of equal length swap places: the order itself is bound.
    let scene = Scene::new(TINY, 2);
    let (key, statement, proof) = (&scene.key, &scene.statement, scene.decoded());
    let drawn = challenges(key, statement, &proof);
    let mut swapped = proof.clone();
    swapped.quotients.swap(0, 2);
    assert_eq!(kept(&drawn, &challenges(key, statement, &swapped)), 3);
    let mut swapped = proof.clone();
    std::mem::swap(&mut swapped.w, &mut swapped.w_next);
    assert_eq!(kept(&drawn, &challenges(key, statement, &swapped)), 5);
    let mut swapped = proof.clone();
    std::mem::swap(&mut swapped.values.z, &mut swapped.values.z_next);
    assert_eq!(kept(&drawn, &challenges(key, statement, &swapped)), 4);
}
