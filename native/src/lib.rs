// SPDX-License-Identifier: Apache-2.0
//! The update argument: a proof that N committed integer vectors are in range and have a given Gram matrix.
//!
//! KZG commitments on BN254 over halo2's SRS files; the same bytes verify in the EVM.

mod buckets;
mod column;
mod commit;
mod cosets;
mod domain;
mod error;
mod forms;
mod gram;
#[cfg(feature = "malicious")]
pub mod malicious;
mod model;
mod msm;
mod point;
mod progress;
mod proof;
mod prove;
mod quotient;
mod srs;
mod srs_check;
mod srs_generate;
mod statement;
mod transcript;
mod verify;

pub use column::{Column, MAX_BITS, SALT_ROWS, TAIL_ROWS};
pub use commit::{check_opening, commit, commit_delta};
pub use error::{Error, Result};
pub use gram::gram;
pub use model::Opening;
pub use point::{POINT_BYTES, Xy, point_from_bytes, point_to_bytes, points_from_bytes};
pub use progress::{Callback, go_on, silent};
pub use proof::{Proof, Values, proof_bytes};
pub use prove::{make_key, peak_bytes, prove};
pub use srs::Srs;
pub use srs_check::check;
pub use srs_generate::generate;
pub use statement::{GRAM_BITS, KEY_BYTES, Key, MAX_COLUMNS, Statement, gram_from_bytes, gram_to_bytes};
pub use transcript::Challenges;
pub use verify::{challenges, verify};

#[cfg(feature = "python")]
mod python;
