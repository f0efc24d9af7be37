// SPDX-License-Identifier: Apache-2.0
//! The prover's peak of memory is what `peak_bytes` says, whatever the number of columns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ark_std::rand::rngs::StdRng;
use ark_std::rand::{Rng, SeedableRng};
use merit_native::*;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const K: u32 = 16;

/// Bytes above what was held before, at the peak of one proof about so many columns.
fn peak(srs: &Srs, columns: usize) -> usize {
    let mut rng = StdRng::seed_from_u64(1);
    let dim = srs.n() / 2;
    let key = make_key(srs, dim, 4, 4).unwrap();
    let mut draw = |count: usize| (0..count).map(|_| rng.gen_range(-8i64..8)).collect::<Vec<_>>().into_iter();
    let columns: Vec<Column> =
        (0..columns).map(|i| Column::from_parts(i, 4, srs.n(), draw(dim), draw(SALT_ROWS), 1).unwrap()).collect();
    let points: Vec<_> = columns.iter().map(|column| commit(srs, column).unwrap()).collect();
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    prove(srs, &key, [0; 32], &points, &columns, &mut silent).unwrap();
    PEAK.load(Ordering::Relaxed) - before
}

#[test]
fn memory_is_bounded_and_does_not_grow_with_the_columns() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.srs");
    generate(&path, K, &mut silent).unwrap();
    let srs = Srs::open(&path).unwrap();
    let n = srs.n();
    let (few, many) = (peak(&srs, 2), peak(&srs, 12));
    println!("peak: {few} bytes for 2 columns, {many} for 12; the bound is {}", peak_bytes(n));
    assert!(few <= peak_bytes(n) && many <= peak_bytes(n), "{few}, {many}, bound {}", peak_bytes(n));
    assert!(many.abs_diff(few) < n, "10 more columns took {} bytes", many.abs_diff(few));
    // The bound is not idle: factors, values of F and what is transformed are twelve vectors.
    assert!(few > 12 * 32 * n, "{few}");
}
