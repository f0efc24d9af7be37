"""Orders and medians, as integers and as graphs.

A sort costs one proven comparison a neighbouring pair and a shuffle argument: the prover brings the order and the
circuit checks it. Values at a rank that depends on the number of active slots are picked out of it by masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from circuits.tensors import torch

# Stands for "infinitely far" in sorts: above every legitimate value, and below 2^53, so that float64 graphs are exact.
SENTINEL_BITS = 52
SENTINEL = 1 << SENTINEL_BITS


def lower_median(values: Sequence[int]) -> int:
    """The element of rank ceil(n / 2) from below; 0 of nothing."""
    return sorted(values)[(len(values) - 1) // 2] if values else 0


def ascending(values: torch.Tensor) -> torch.Tensor:
    """Sorted along the last axis: TopK over all of it, for the prover loads no Sort."""
    return torch.topk(values, int(values.shape[-1]), dim=-1, largest=False, sorted=True).values


def masked(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The values where mask is 1, SENTINEL where it is 0."""
    return (values - SENTINEL) * mask + SENTINEL


def below(count: torch.Tensor, length: int, *, start: int = 0, stride: int = 1) -> torch.Tensor:
    """[start + stride * k < count] for k < length, as 0 or 1. `count` is a scalar."""
    ranks = torch.from_numpy(start + stride * np.arange(length, dtype=np.float64))
    return (ranks < count).to(torch.float64)


def lower_median_of(ordered: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Lower median along the last axis of what `ascending` gave, of the first `count` values (at most its length)."""
    half = (int(ordered.shape[-1]) + 1) // 2
    even = below(count, half + 1, stride=2)
    return torch.sum(ordered[..., :half] * (even[:half] - even[1:]), dim=-1)
