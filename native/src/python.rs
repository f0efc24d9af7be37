// SPDX-License-Identifier: Apache-2.0
//! The Python module: arguments in, bytes out. Work runs without the interpreter's lock, and no panic gets out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use ark_bn254::G1Affine;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::{Column, Key, Opening, Srs, Statement};

/// Called as (stage, done, total); an answer of False stops the work.
type Progress<'py> = Option<Bound<'py, PyAny>>;

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::{
        PyColumn, PySrs, check_opening, commit, commit_delta, generate_srs, key_digest, make_key, peak_bytes,
        proof_bytes, prove, verify,
    };

    #[pymodule_export]
    const SALT_ROWS: usize = crate::SALT_ROWS;
    #[pymodule_export]
    const TAIL_ROWS: usize = crate::TAIL_ROWS;
    #[pymodule_export]
    const MAX_COLUMNS: usize = crate::MAX_COLUMNS;
    #[pymodule_export]
    const MAX_BITS: u32 = crate::MAX_BITS;
    #[pymodule_export]
    const KEY_BYTES: usize = crate::KEY_BYTES;
}

#[pyclass(name = "Srs", module = "merit_native", frozen)]
struct PySrs(Srs);

#[pymethods]
impl PySrs {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        without_lock(py, || Srs::open(&path)).map(Self)
    }

    #[getter]
    fn k(&self) -> u32 {
        self.0.k()
    }

    #[getter]
    fn n(&self) -> usize {
        self.0.n()
    }

    fn digest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &without_lock(py, || Ok(self.0.digest()))?))
    }

    #[pyo3(signature = (progress=None))]
    fn check<'py>(&self, py: Python<'py>, progress: Progress<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let digest = with_progress(py, progress, |callback| crate::check(&self.0, callback))?;
        Ok(PyBytes::new(py, &digest))
    }

    fn extend_from(&self, py: Python<'_>, larger: &Bound<'_, PySrs>) -> PyResult<()> {
        let larger = larger.get();
        without_lock(py, || self.0.extend_from(&larger.0))
    }
}

#[pyclass(name = "Column", module = "merit_native", frozen)]
struct PyColumn(Column);

#[pymethods]
impl PyColumn {
    #[new]
    #[pyo3(signature = (values, salts, *, n, bits, tail=1, index=0))]
    fn new(
        py: Python<'_>,
        values: &Bound<'_, PyAny>,
        salts: &Bound<'_, PyAny>,
        n: usize,
        bits: u32,
        tail: i64,
        index: usize,
    ) -> PyResult<Self> {
        let (values, salts) = (integers("values", values)?, integers("salts", salts)?);
        let make = || Column::from_parts(index, bits, n, values.iter().copied(), salts.iter().copied(), tail);
        without_lock(py, make).map(Self)
    }

    #[staticmethod]
    #[pyo3(signature = (rows, *, bits, index=0))]
    fn from_rows(py: Python<'_>, rows: &Bound<'_, PyAny>, bits: u32, index: usize) -> PyResult<Self> {
        let rows = integers("rows", rows)?;
        without_lock(py, || Column::from_rows(index, bits, rows.iter().copied())).map(Self)
    }

    #[getter]
    fn bits(&self) -> u32 {
        self.0.bits()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

#[pyfunction]
#[pyo3(signature = (path, k, progress=None))]
fn generate_srs(py: Python<'_>, path: PathBuf, k: u32, progress: Progress<'_>) -> PyResult<()> {
    with_progress(py, progress, |callback| crate::generate(&path, k, callback))
}

#[pyfunction]
#[pyo3(signature = (srs, *, dim, bits, bits0=None))]
fn make_key<'py>(
    py: Python<'py>,
    srs: &Bound<'py, PySrs>,
    dim: usize,
    bits: u32,
    bits0: Option<u32>,
) -> PyResult<Bound<'py, PyBytes>> {
    let srs = srs.get();
    let key = without_lock(py, || crate::make_key(&srs.0, dim, bits, bits0.unwrap_or(bits)))?;
    Ok(PyBytes::new(py, &key.to_bytes()))
}

#[pyfunction]
fn key_digest<'py>(py: Python<'py>, key: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let digest = without_lock(py, || Ok(Key::from_bytes(key)?.digest()))?;
    Ok(PyBytes::new(py, &digest))
}

#[pyfunction]
fn proof_bytes(py: Python<'_>, key: &[u8], columns: usize) -> PyResult<usize> {
    without_lock(py, || {
        crate::statement::require_columns(columns)?;
        Ok(crate::proof_bytes(&Key::from_bytes(key)?, columns))
    })
}

#[pyfunction]
fn peak_bytes(py: Python<'_>, k: u32) -> PyResult<usize> {
    without_lock(py, || Ok(crate::peak_bytes(crate::domain::Domain::new(k)?.n)))
}

#[pyfunction]
#[pyo3(signature = (srs, values, salts, *, tail=1))]
fn commit<'py>(
    py: Python<'py>,
    srs: &Bound<'py, PySrs>,
    values: &Bound<'py, PyAny>,
    salts: &Bound<'py, PyAny>,
    tail: i64,
) -> PyResult<Bound<'py, PyBytes>> {
    let srs = srs.get();
    let opening = Opening { values: integers("values", values)?, salts: integers("salts", salts)?, tail };
    let point = without_lock(py, || opening.commit(&srs.0))?;
    Ok(PyBytes::new(py, &crate::point_to_bytes(&point)))
}

#[pyfunction]
#[pyo3(signature = (srs, point, *, row, change))]
fn commit_delta<'py>(
    py: Python<'py>,
    srs: &Bound<'py, PySrs>,
    point: &[u8],
    row: usize,
    change: i64,
) -> PyResult<Bound<'py, PyBytes>> {
    let srs = srs.get();
    let moved = without_lock(py, || crate::commit_delta(&srs.0, &one_point(point)?, row, change))?;
    Ok(PyBytes::new(py, &crate::point_to_bytes(&moved)))
}

#[pyfunction]
#[pyo3(signature = (srs, point, values, salts, *, tail=1))]
fn check_opening(
    py: Python<'_>,
    srs: &Bound<'_, PySrs>,
    point: &[u8],
    values: &Bound<'_, PyAny>,
    salts: &Bound<'_, PyAny>,
    tail: i64,
) -> PyResult<()> {
    let srs = srs.get();
    let opening = Opening { values: integers("values", values)?, salts: integers("salts", salts)?, tail };
    without_lock(py, || opening.check(&srs.0, &one_point(point)?))
}

#[pyfunction]
#[pyo3(signature = (srs, *, key, context, points, columns, progress=None))]
fn prove<'py>(
    py: Python<'py>,
    srs: &Bound<'py, PySrs>,
    key: &[u8],
    context: &[u8],
    points: &[u8],
    columns: Vec<Bound<'py, PyColumn>>,
    progress: Progress<'py>,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let srs = srs.get();
    let columns: Vec<Column> = columns.iter().map(|column| column.get().0.clone()).collect();
    let (statement, proof) = with_progress(py, progress, |callback| {
        let (key, points) = (Key::from_bytes(key)?, crate::points_from_bytes("points", points)?);
        crate::prove(&srs.0, &key, word("context", context)?, &points, &columns, callback)
    })?;
    let gram = crate::gram_to_bytes(&statement.gram);
    Ok((PyBytes::new(py, &gram), PyBytes::new(py, &proof)))
}

#[pyfunction]
#[pyo3(signature = (*, key, context, points, gram, proof))]
fn verify(py: Python<'_>, key: &[u8], context: &[u8], points: &[u8], gram: &[u8], proof: &[u8]) -> PyResult<()> {
    without_lock(py, || {
        let statement = Statement {
            context: word("context", context)?,
            points: crate::points_from_bytes("points", points)?,
            gram: crate::gram_from_bytes(gram)?,
        };
        crate::verify(&Key::from_bytes(key)?, &statement, proof)
    })
}

fn word(field: &str, bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::field(field, format!("{} bytes", bytes.len()), "it must be 32"))
}

fn one_point(bytes: &[u8]) -> Result<G1Affine> {
    crate::point_from_bytes(bytes).map_err(|reason| Error::field("point", format!("{} bytes", bytes.len()), reason))
}

/// A flat buffer of signed integers, copied: others may write to it while the lock is away.
fn integers(field: &str, object: &Bound<'_, PyAny>) -> PyResult<Zeroizing<Vec<i64>>> {
    let found = copy_as::<i8>(object)
        .or_else(|| copy_as::<i16>(object))
        .or_else(|| copy_as::<i32>(object))
        .or_else(|| copy_as::<i64>(object));
    found.ok_or_else(|| {
        let got = object.get_type().to_string();
        raise(object.py(), Error::field(field, got, "it must be a flat buffer of int8, int16, int32 or int64"))
    })
}

fn copy_as<T: Element + Into<i64> + Zeroize>(object: &Bound<'_, PyAny>) -> Option<Zeroizing<Vec<i64>>> {
    let buffer = PyBuffer::<T>::get(object).ok().filter(|buffer| buffer.dimensions() == 1)?;
    let copy = Zeroizing::new(buffer.to_vec(object.py()).ok()?);
    Some(Zeroizing::new(copy.iter().map(|&value| value.into()).collect()))
}

/// Runs `work` without the interpreter's lock.
fn without_lock<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| caught(work)).map_err(|error| raise(py, error))
}

/// Runs `work` without the lock, taking it to report; the callback's own exception passes through.
fn with_progress<T: Send>(
    py: Python<'_>,
    progress: Progress<'_>,
    work: impl FnOnce(&mut crate::Callback<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let callback = progress.map(Bound::unbind);
    let mut raised = None;
    let result = py.detach(|| {
        caught(|| {
            work(&mut |stage, done, total| {
                Python::attach(|py| report(py, callback.as_ref(), stage, done, total)).map_or_else(
                    |error| {
                        raised = Some(error);
                        Err(Error::Cancelled)
                    },
                    crate::go_on,
                )
            })
        })
    });
    match raised {
        Some(error) => Err(error),
        None => result.map_err(|error| raise(py, error)),
    }
}

/// Whether to go on. Signals are looked at too, so that Ctrl-C ends a long proof.
fn report(py: Python<'_>, callback: Option<&Py<PyAny>>, stage: &str, done: usize, total: usize) -> PyResult<bool> {
    py.check_signals()?;
    let Some(callback) = callback else { return Ok(true) };
    let answer = callback.bind(py).call1((stage, done, total))?;
    Ok(!answer.is(pyo3::types::PyBool::new(py, false)))
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Internal(text.unwrap_or_else(|| "a panic".into())))
    })
}

/// The exception of `merit_native.errors` that an error stands for.
fn raise(py: Python<'_>, error: Error) -> PyErr {
    let (name, arguments) = match &error {
        Error::Field { field, got, limit } => ("FieldError", (field, got, limit).into_pyobject(py)),
        Error::OutOfRange { column, row, value, limit } => {
            ("OutOfRange", (*column, *row, *value, *limit).into_pyobject(py))
        }
        Error::GramTooLarge { row, column } => ("GramTooLarge", (*row, *column).into_pyobject(py)),
        Error::CommitmentMismatch { column } => ("CommitmentMismatch", (*column,).into_pyobject(py)),
        Error::Srs { file, reason } => ("SrsError", (file, reason).into_pyobject(py)),
        Error::InvalidProof { reason } => ("InvalidProof", (reason,).into_pyobject(py)),
        Error::Cancelled => ("Cancelled", Ok(PyTuple::empty(py))),
        Error::Internal(message) => ("InternalError", (message,).into_pyobject(py)),
    };
    let make = || py.import("merit_native.errors")?.getattr(name)?.call1(arguments?);
    make().map_or_else(|error| error, PyErr::from_value)
}
