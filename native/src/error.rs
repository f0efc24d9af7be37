// SPDX-License-Identifier: Apache-2.0
//! Every way to fail. Each error names the field, or the index, that is wrong and the limit that it broke.

use thiserror::Error as Derive;

/// What went wrong.
#[derive(Debug, Derive, PartialEq, Eq)]
pub enum Error {
    /// An argument is malformed.
    #[error("{field}: got {got}, but {limit}")]
    Field { field: String, got: String, limit: String },
    /// A row lies outside [-limit, limit).
    #[error("column {column}, row {row}: got {value}, but it must lie in [-{limit}, {limit})")]
    OutOfRange { column: usize, row: usize, value: i64, limit: i64 },
    /// A Gram integer has 62 bits or more.
    #[error("gram[{row}][{column}]: its magnitude reaches 2^62")]
    GramTooLarge { row: usize, column: usize },
    /// A column, or a model, does not open the point that it was handed with.
    #[error("column {column}: it does not open the commitment that it was handed with")]
    CommitmentMismatch { column: usize },
    /// A structured reference string is missing, malformed or inconsistent.
    #[error("{file}: {reason}")]
    Srs { file: String, reason: String },
    /// A proof does not decode, or does not hold for its statement.
    #[error("proof: {reason}")]
    InvalidProof { reason: String },
    /// The progress callback asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// Something that cannot happen did.
    #[error("internal: {0}")]
    Internal(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn field(field: impl Into<String>, got: impl ToString, limit: impl Into<String>) -> Self {
        Self::Field { field: field.into(), got: got.to_string(), limit: limit.into() }
    }

    pub(crate) fn proof(reason: impl Into<String>) -> Self {
        Self::InvalidProof { reason: reason.into() }
    }
}
