// SPDX-License-Identifier: Apache-2.0
//! The columns that are proven about: dim data rows, 512 salts, zeros, and 6 tail rows.
//!
//! A row v is kept as the bytes of v + 2^(bits - 1), one plane a byte: digit j is then two bits of one byte, so that
//! whatever is linear in v and its digits is a sum over at most 256 byte values.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::domain::MAX_K;
use crate::error::{Error, Result};

pub const SALT_ROWS: usize = 512;
pub const TAIL_ROWS: usize = 6;
pub const MAX_BITS: u32 = 22;
/// Digits of two bits in a byte.
pub const DIGITS_PER_BYTE: usize = 4;

/// One column's n rows, each in [-2^(bits - 1), 2^(bits - 1)). Clones share the rows; the last one wipes them.
#[derive(Clone)]
pub struct Column {
    bits: u32,
    planes: Arc<Planes>,
}

type Planes = Vec<Zeroizing<Vec<u8>>>;

impl Column {
    /// From all n rows, in order; `index` only names the column in errors.
    pub fn from_rows(index: usize, bits: u32, rows: impl ExactSizeIterator<Item = i64>) -> Result<Self> {
        let mut planes = zeros(bits, rows.len())?;
        put(&mut planes, index, bits, 0, rows)?;
        Ok(Self { bits, planes: Arc::new(planes) })
    }

    /// From data and salts: zeros between, and `tail` in the last 6 rows.
    pub fn from_parts(
        index: usize,
        bits: u32,
        n: usize,
        values: impl ExactSizeIterator<Item = i64>,
        salts: impl ExactSizeIterator<Item = i64>,
        tail: i64,
    ) -> Result<Self> {
        let dim = values.len();
        if salts.len() != SALT_ROWS {
            let got = format!("{} rows", salts.len());
            return Err(Error::field(format!("columns[{index}].salts"), got, format!("there must be {SALT_ROWS}")));
        }
        require_fits(&format!("columns[{index}].values"), dim, n)?;
        let mut planes = zeros(bits, n)?;
        put(&mut planes, index, bits, 0, values)?;
        put(&mut planes, index, bits, dim, salts)?;
        put(&mut planes, index, bits, n - TAIL_ROWS, [tail; TAIL_ROWS].into_iter())?;
        Ok(Self { bits, planes: Arc::new(planes) })
    }

    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Number of rows, n.
    pub fn len(&self) -> usize {
        self.planes[0].len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of 2-bit digits, bits / 2.
    pub fn digits(&self) -> usize {
        self.bits as usize / 2
    }

    /// Bytes p of v + 2^(bits - 1), one a row, lowest byte first.
    pub(crate) fn planes(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.planes.iter().map(|plane| plane.as_slice())
    }

    /// Byte p of v + 2^(bits - 1) where v = 0: what padding rows hold.
    pub(crate) fn zero_byte(&self, p: usize) -> u8 {
        (half(self.bits) >> (8 * p)) as u8
    }

    /// The digit planes of digit j: which byte it is in, and its shift there.
    pub(crate) fn place(digit: usize) -> (usize, u32) {
        (digit / DIGITS_PER_BYTE, 2 * (digit % DIGITS_PER_BYTE) as u32)
    }

    /// The integer in a row.
    pub fn value(&self, row: usize) -> i64 {
        let byte = |(p, plane): (usize, &Zeroizing<Vec<u8>>)| i64::from(plane[row]) << (8 * p);
        self.planes.iter().enumerate().map(byte).sum::<i64>() - half(self.bits)
    }
}

/// n rows of 0.
fn zeros(bits: u32, n: usize) -> Result<Planes> {
    if !(1..=MAX_BITS).contains(&bits) {
        return Err(Error::field("bits", bits, format!("it must lie in [1, {MAX_BITS}]")));
    }
    if !n.is_power_of_two() || n > 1 << MAX_K {
        return Err(Error::field("n", n, format!("it must be a power of two, at most 2^{MAX_K}")));
    }
    let plane = |p: u32| Zeroizing::new(vec![(half(bits) >> (8 * p)) as u8; n]);
    Ok((0..bits.div_ceil(8)).map(plane).collect())
}

/// Writes rows from `first` on; OutOfRange names the first that does not fit.
fn put(
    planes: &mut Planes,
    index: usize,
    bits: u32,
    first: usize,
    rows: impl ExactSizeIterator<Item = i64>,
) -> Result<()> {
    let half = half(bits);
    for (row, value) in (first..).zip(rows) {
        if !(-half..half).contains(&value) {
            return Err(Error::OutOfRange { column: index, row, value, limit: half });
        }
        for (p, plane) in planes.iter_mut().enumerate() {
            plane[row] = ((value + half) >> (8 * p)) as u8;
        }
    }
    Ok(())
}

/// 2^(bits - 1).
pub(crate) fn half(bits: u32) -> i64 {
    1 << (bits - 1)
}

/// Field error unless dim data rows, the salts and the tail fit n rows.
pub(crate) fn require_fits(field: &str, dim: usize, n: usize) -> Result<()> {
    let room = n.saturating_sub(SALT_ROWS + TAIL_ROWS);
    if dim == 0 || dim > room {
        return Err(Error::field(field, format!("{dim} rows"), format!("it must lie in [1, {room}]")));
    }
    Ok(())
}
