// SPDX-License-Identifier: Apache-2.0
//! Strings for tests: whoever runs this could know tau, so nothing of value may rest on them.

use std::io::{BufWriter, Write};
use std::path::Path;

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::Field;
use ark_std::UniformRand;
use ark_std::rand::rngs::OsRng;
use tempfile::NamedTempFile;
use zeroize::{Zeroize, Zeroizing};

use crate::domain::{Domain, powers};
use crate::error::{Error, Result};
use crate::point::{Xy, limbs};
use crate::progress::{Callback, Stage};
use crate::srs::{MAX_K, NEXT_POWERS, failure, next_path};

/// Points made at a time.
const BATCH: usize = 1 << 18;

/// Writes a string of 2^k powers, and the side file of its next three, with a tau that is drawn here and wiped.
/// Each file appears whole or not at all.
pub fn generate(path: &Path, k: u32, progress: &mut Callback<'_>) -> Result<()> {
    let mut tau = Zeroizing::new(Fr::rand(&mut OsRng));
    let result = generate_from(path, k, &tau, progress);
    tau.zeroize();
    result
}

/// As `generate`, with a tau that the caller knows.
pub(crate) fn generate_from(path: &Path, k: u32, tau: &Fr, progress: &mut Callback<'_>) -> Result<()> {
    if !(1..=MAX_K).contains(&k) {
        return Err(Error::field("k", k, format!("it must lie in [1, {MAX_K}]")));
    }
    let domain = Domain::new(k)?;
    if tau.pow([domain.n as u64]) == Fr::ONE {
        return Err(Error::field("tau", "a row of the domain", "it must lie outside"));
    }
    let mut stage = Stage::start(progress, "generate", 2 * domain.n.div_ceil(BATCH))?;
    let table = BatchMulPreprocessing::new(G1Projective::generator(), BATCH);
    let io = |error: std::io::Error| failure(path, format!("cannot be written ({error})"));
    let mut file = BufWriter::new(temporary(path).map_err(io)?);

    file.write_all(&k.to_le_bytes()).map_err(io)?;
    let scalars = Zeroizing::new(powers(*tau, Fr::ONE, domain.n + NEXT_POWERS));
    for part in scalars[..domain.n].chunks(BATCH) {
        write_points(&mut file, &table.batch_mul(part)).map_err(io)?;
        stage.step()?;
    }
    let next = table.batch_mul(&scalars[domain.n..]);
    drop(scalars);
    let scalars = Zeroizing::new(domain.lagrange_at(*tau));
    for part in scalars.chunks(BATCH) {
        write_points(&mut file, &table.batch_mul(part)).map_err(io)?;
        stage.step()?;
    }
    write_g2(&mut file, &G2Affine::generator()).map_err(io)?;
    write_g2(&mut file, &(G2Projective::generator() * tau).into_affine()).map_err(io)?;

    let next: Vec<Xy> = next.into_iter().map(Xy::from_affine).collect();
    write_next(&next_path(path), k, next[..].try_into().expect("three points"))?;
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    persist(file, path).map_err(io)
}

/// The side file: k, then three points.
pub(crate) fn write_next(path: &Path, k: u32, points: &[Xy; NEXT_POWERS]) -> Result<()> {
    let io = |error: std::io::Error| failure(path, format!("cannot be written ({error})"));
    let mut file = temporary(path).map_err(io)?;
    file.write_all(&k.to_le_bytes()).map_err(io)?;
    for point in points {
        file.write_all(&point.to_limbs()).map_err(io)?;
    }
    persist(file, path).map_err(io)
}

/// In the same directory, so that the rename at the end is atomic.
fn temporary(path: &Path) -> std::io::Result<NamedTempFile> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(parent.unwrap_or(Path::new(".")))
}

fn persist(file: NamedTempFile, path: &Path) -> std::io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn write_points(out: &mut impl Write, points: &[G1Affine]) -> std::io::Result<()> {
    points.iter().try_for_each(|point| out.write_all(&Xy::from_affine(*point).to_limbs()))
}

fn write_g2(out: &mut impl Write, point: &G2Affine) -> std::io::Result<()> {
    let (x, y) = point.xy().expect("neither generator nor its multiple is infinity");
    for (c0, c1) in [(x.c0, x.c1), (y.c0, y.c1)] {
        out.write_all(&Xy { x: c0, y: c1 }.to_limbs())?;
    }
    debug_assert_eq!(limbs(&Xy { x: x.c0, y: x.c1 }.to_limbs()), x.c0);
    Ok(())
}
