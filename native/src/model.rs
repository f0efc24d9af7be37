// SPDX-License-Identifier: Apache-2.0
//! Commitments to vectors of any signed 64-bit integers: a model is the sum of many updates, so its rows are wide.

use ark_bn254::G1Affine;
use ark_ff::BigInt;
use zeroize::Zeroizing;

use crate::column::{Column, MAX_BITS, SALT_ROWS, TAIL_ROWS, require_fits};
use crate::commit::commit;
use crate::error::{Error, Result};
use crate::msm::msm_of_integers;
use crate::point::lower;
use crate::srs::Srs;

/// Data rows, salts, and the integer in each of the last 6 rows: what one commitment opens to. Wiped when dropped.
pub struct Opening {
    pub values: Zeroizing<Vec<i64>>,
    pub salts: Zeroizing<Vec<i64>>,
    pub tail: i64,
}

impl Opening {
    /// The commitment, in the domain of `srs`.
    pub fn commit(&self, srs: &Srs) -> Result<G1Affine> {
        if self.salts.len() != SALT_ROWS {
            let got = format!("{} rows", self.salts.len());
            return Err(Error::field("salts", got, format!("there must be {SALT_ROWS}")));
        }
        require_fits("values", self.values.len(), srs.n())?;
        let bits = self.bits();
        if bits > MAX_BITS {
            return Ok(self.commit_wide(srs, bits));
        }
        let (values, salts) = (self.values.iter().copied(), self.salts.iter().copied());
        commit(srs, &Column::from_parts(0, bits, srs.n(), values, salts, self.tail)?)
    }

    /// CommitmentMismatch unless `point` commits to exactly this.
    pub fn check(&self, srs: &Srs, point: &G1Affine) -> Result<()> {
        if self.commit(srs)? == *point { Ok(()) } else { Err(Error::CommitmentMismatch { column: 0 }) }
    }

    /// Bits of the widest row, with its sign.
    fn bits(&self) -> u32 {
        let rows = self.values.iter().chain(self.salts.iter()).chain([&self.tail]);
        let widest = rows.map(|&row| i64::BITS - (row ^ (row >> 63)).leading_zeros()).max();
        widest.unwrap_or(0) + 1
    }

    fn commit_wide(&self, srs: &Srs, bits: u32) -> G1Affine {
        let (front, n) = (self.values.len() + SALT_ROWS, srs.n());
        let rows = self.values.iter().chain(self.salts.iter()).chain([&self.tail; TAIL_ROWS]);
        let signed = Zeroizing::new(rows.copied().collect::<Vec<i64>>());
        let magnitude = |row: &i64| BigInt::new([row.unsigned_abs(), 0, 0, 0]);
        let magnitudes = Zeroizing::new(signed.iter().map(magnitude).collect::<Vec<_>>());
        let point = |i: usize| {
            let own = srs.lagrange(if i < front { i } else { n - TAIL_ROWS + i - front });
            if signed[i] < 0 { own.negated() } else { own }
        };
        lower(msm_of_integers(&magnitudes, bits as usize, point))
    }
}
