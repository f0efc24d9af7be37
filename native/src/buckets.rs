// SPDX-License-Identifier: Apache-2.0
//! Sums of points by bucket, by additions in affine form that share one field inversion a batch.
//!
//! Formulas: the affine group law, and Montgomery's simultaneous inversion (six multiplications an addition).

use ark_bn254::{Fq, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Field};

use crate::point::Xy;

/// Running sums, one a bucket, and the memory that a batch needs.
pub(crate) struct Buckets {
    sums: Vec<Xy>,
    sizes: Vec<u32>,
    work: Vec<Xy>,
    next: Vec<Xy>,
    prefix: Vec<Fq>,
}

impl Buckets {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            sums: vec![Xy::INFINITY; count],
            sizes: vec![0; count],
            work: Vec::new(),
            next: Vec::new(),
            prefix: Vec::new(),
        }
    }

    /// Adds `point(i)` to bucket `bucket(i)` for i in [0, len); bucket None means to skip it.
    #[inline]
    pub(crate) fn add(&mut self, len: usize, bucket: impl Fn(usize) -> Option<usize>, point: impl Fn(usize) -> Xy) {
        // A bucket's running sum is the first of its points, so that it joins the batch.
        self.sizes.iter_mut().for_each(|size| *size = 1);
        for i in 0..len {
            if let Some(b) = bucket(i) {
                self.sizes[b] += 1;
            }
        }
        let mut starts = Vec::with_capacity(self.sums.len());
        let mut end = 0usize;
        for &size in &self.sizes {
            starts.push(end);
            end += size as usize;
        }
        self.work.resize(end, Xy::INFINITY);
        self.next.resize(end, Xy::INFINITY);
        for (start, sum) in starts.iter_mut().zip(&self.sums) {
            self.work[*start] = *sum;
            *start += 1;
        }
        for i in 0..len {
            if let Some(b) = bucket(i) {
                self.work[starts[b]] = point(i);
                starts[b] += 1;
            }
        }
        while self.sizes.iter().any(|&size| size > 1) {
            self.halve();
        }
        let count = self.sums.len();
        self.sums.copy_from_slice(&self.work[..count]);
    }

    /// The sums, projective.
    pub(crate) fn finish(&self) -> Vec<G1Projective> {
        self.sums.iter().map(|sum| sum.to_affine().into_group()).collect()
    }

    /// Adds the points of each bucket pairwise: one inversion for all of them.
    fn halve(&mut self) {
        self.prefix.clear();
        let mut product = Fq::ONE;
        let mut start = 0;
        for &size in &self.sizes {
            for pair in self.work[start..start + size as usize].chunks_exact(2) {
                self.prefix.push(product);
                product *= denominator(&pair[0], &pair[1]);
            }
            start += size as usize;
        }
        // No denominator is 0, so neither is their product.
        let mut inverse = product.inverse().unwrap_or(Fq::ONE);
        let mut read = start;
        let mut write = self.sizes.iter().map(|&size| size.div_ceil(2) as usize).sum::<usize>();
        let mut pair_index = self.prefix.len();
        for size in self.sizes.iter_mut().rev() {
            let length = *size as usize;
            if length % 2 == 1 {
                self.next[write - 1] = self.work[read - 1];
                write -= 1;
                read -= 1;
            }
            for _ in 0..length / 2 {
                let (p, q) = (&self.work[read - 2], &self.work[read - 1]);
                pair_index -= 1;
                let own = inverse * self.prefix[pair_index];
                inverse *= denominator(p, q);
                self.next[write - 1] = sum(p, q, own);
                write -= 1;
                read -= 2;
            }
            *size = size.div_ceil(2);
        }
        std::mem::swap(&mut self.work, &mut self.next);
    }
}

/// What the slope of p + q divides by; 1 where there is no slope. Never 0: no point of odd order has y = 0.
#[inline]
fn denominator(p: &Xy, q: &Xy) -> Fq {
    if p.is_infinity() || q.is_infinity() {
        return Fq::ONE;
    }
    let difference = q.x - p.x;
    if difference != Fq::ZERO {
        difference
    } else if p.y == q.y && p.y != Fq::ZERO {
        p.y.double()
    } else {
        Fq::ONE
    }
}

/// p + q, given the inverse of their denominator.
#[inline]
fn sum(p: &Xy, q: &Xy, inverse: Fq) -> Xy {
    if p.is_infinity() {
        return *q;
    }
    if q.is_infinity() {
        return *p;
    }
    let slope = if p.x != q.x {
        (q.y - p.y) * inverse
    } else if p.y == q.y {
        let square = p.x.square();
        (square.double() + square) * inverse
    } else {
        return Xy::INFINITY;
    };
    let x = slope.square() - p.x - q.x;
    Xy { x, y: slope * (p.x - x) - p.y }
}
