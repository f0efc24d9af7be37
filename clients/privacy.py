"""Differential privacy for a trainer's data: clipping and Gaussian noise before quantisation (docs/privacy.md).

What leaves a trainer in a round is a function of noisy sums alone; quantising, salting, committing, and keeping what
quantisation took away for the next round add nothing to what they say. Two units of privacy:

    sample   no single sample of the shard can be told from another: each step's sum of clipped gradients is noisy
    trainer  no shard can be told from another: the clipped update is noisy, once a round

Neighbours differ by replacement, so with clipping at C a sum of gradients, or an update, moves by at most 2 C. The
whole shard takes part in every step, so T releases together are one with a sqrt(T)-th of the noise, and what they cost
is known exactly: https://arxiv.org/abs/1805.06530, theorem 8.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri
from torch.func import functional_call, grad, vmap

from clients.data import Samples
from clients.errors import InvalidTraining
from clients.parameters import Vector, unflatten
from process.logs import Log, get

Unit = Literal["sample", "trainer"]
Noise = Callable[[int], Vector]
"""How many -> so many independent draws from the standard normal distribution."""
ClippedSum = Callable[[Vector, float], Vector]
"""(parameters float64[dim], norm) -> float64[dim], the sum of the samples' gradients, each clipped to the norm."""
_SAMPLES_AT_ONCE = 64
_LEAST_RATIO, _LARGEST_RATIO = 1e-6, 1e4


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """What is added to what is clipped.

    Attributes:
        clip_norm: C, the largest norm of one contribution.
        noise_multiplier: deviation of the noise over 2 C, in each coordinate.
        delta: of the guarantee; well below one over the number of samples.
    """

    clip_norm: float
    noise_multiplier: float
    delta: float = 1e-5

    def __post_init__(self) -> None:
        for field in ("clip_norm", "noise_multiplier"):
            if not getattr(self, field) > 0:
                raise InvalidTraining(f"{field}: got {getattr(self, field)}, but it must be positive")
        if not 0 < self.delta < 1:
            raise InvalidTraining(f"delta: got {self.delta}, but it must lie between 0 and 1")

    def noisy(self, total: Vector, draw: Noise) -> Vector:
        """A sum of clipped contributions, with noise."""
        return total + 2 * self.clip_norm * self.noise_multiplier * draw(len(total))

    def epsilon(self, releases: int) -> float:
        """What so many noisy sums together cost."""
        return epsilon_of(math.sqrt(releases) / self.noise_multiplier, self.delta)


def epsilon_of(ratio: float, delta: float) -> float:
    """The smallest epsilon of a Gaussian mechanism, whose sensitivity is `ratio` times its deviation."""
    if delta_of(0, ratio) <= delta:
        return 0
    # Rényi divergence bounds it from above.
    highest = ratio**2 / 2 + ratio * math.sqrt(2 * math.log(1 / delta))
    return float(brentq(lambda epsilon: delta_of(epsilon, ratio) - delta, 0, highest))


def delta_of(epsilon: float, ratio: float) -> float:
    """Phi(ratio / 2 - epsilon / ratio) - e^epsilon Phi(-ratio / 2 - epsilon / ratio)."""
    far = float(log_ndtr(-ratio / 2 - epsilon / ratio))
    return float(ndtr(ratio / 2 - epsilon / ratio)) - math.exp(epsilon + far)


def multiplier_for(epsilon: float, *, delta: float, releases: int) -> float:
    """The smallest noise multiplier that keeps so many releases within a budget."""
    ratio = brentq(lambda ratio: epsilon_of(ratio, delta) - epsilon, _LEAST_RATIO, _LARGEST_RATIO)
    return math.sqrt(releases) / float(ratio)


class PrivateGradients:
    """Local training that hides each sample: full gradient descent on noisy sums of clipped gradients.

    Args:
        gradients: see `gradients_of`.
        samples: how many there are in the shard.
        steps, learning_rate: of a round. A rate that the task names takes precedence.
    """

    unit: Unit = "sample"

    def __init__(
        self,
        gradients: ClippedSum,
        mechanism: Mechanism,
        *,
        samples: int,
        steps: int,
        learning_rate: float,
        draw: Noise | None = None,
        log: Log | None = None,
    ) -> None:
        self._gradients = gradients
        self._samples = samples
        self._mechanism = mechanism
        self._steps = steps
        self._learning_rate = learning_rate
        self._draw = draw or system_noise
        self._log = log or get(role="trainer")

    def __call__(self, parameters: Vector, round: int, learning_rate: float | None) -> Vector:
        rate, at = learning_rate or self._learning_rate, parameters
        for _ in range(self._steps):
            total = self._gradients(at, self._mechanism.clip_norm)
            at = at - rate * self._mechanism.noisy(total, self._draw) / self._samples
        _tell(self._log, self.unit, self._mechanism, round, (round + 1) * self._steps)
        return at


class PrivateUpdate:
    """Local training that hides the whole shard: its change is clipped, and noisy."""

    unit: Unit = "trainer"

    def __init__(
        self,
        train: Callable[[Vector, int, float | None], Vector],
        mechanism: Mechanism,
        *,
        draw: Noise | None = None,
        log: Log | None = None,
    ) -> None:
        self._train = train
        self._mechanism = mechanism
        self._draw = draw or system_noise
        self._log = log or get(role="trainer")

    def __call__(self, parameters: Vector, round: int, learning_rate: float | None) -> Vector:
        change = self._train(parameters.copy(), round, learning_rate) - parameters
        released = self._mechanism.noisy(clipped(change, self._mechanism.clip_norm), self._draw)
        _tell(self._log, self.unit, self._mechanism, round, round + 1)
        return parameters + released


def clipped(vector: Vector, norm: float) -> Vector:
    """The vector, shortened to this norm if it is longer."""
    length = float(np.linalg.norm(vector))
    return vector * (norm / length) if length > norm else vector


def gradients_of(model: torch.nn.Module, samples: Samples) -> ClippedSum:
    """Gradients of cross-entropy on a shard, for any module; its parameters are overwritten."""
    return lambda parameters, norm: _clipped_sum(model, parameters, samples, norm)


def _clipped_sum(model: torch.nn.Module, parameters: Vector, samples: Samples, norm: float) -> Vector:
    """In the order of `flatten`."""
    unflatten(model, parameters)
    model.eval()
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    fixed = {name: value.detach() for name, value in model.state_dict().items() if name not in trained}
    order = [name for name in model.state_dict() if name in trained]

    def loss(values: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        outputs = functional_call(model, {**values, **fixed}, (x.unsqueeze(0),))
        return torch.nn.functional.cross_entropy(outputs, y.unsqueeze(0))

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))
    total = np.zeros(len(parameters))
    inputs, labels = torch.from_numpy(samples.inputs), torch.from_numpy(samples.labels)
    for start in range(0, len(labels), _SAMPLES_AT_ONCE):
        x, y = inputs[start : start + _SAMPLES_AT_ONCE], labels[start : start + _SAMPLES_AT_ONCE]
        found = gradients(trained, x, y)
        rows = torch.cat([found[name].reshape(len(y), -1) for name in order], dim=1).double().numpy()
        shorter = np.minimum(1, norm / np.maximum(np.linalg.norm(rows, axis=1), norm * 1e-9))
        total += shorter @ rows
    return total


def system_noise(count: int) -> Vector:
    """From the system's cryptographic generator: 52 uniform bits a draw, through the normal quantile function."""
    bits = np.frombuffer(os.urandom(8 * count), dtype="<u8") >> np.uint64(12)
    # Half a step off 0 and 1, which both have no quantile; with a bit more, that would be rounded away.
    drawn: Vector = ndtri((bits.astype(np.float64) + 0.5) * 2.0**-52)
    return drawn


def _tell(log: Log, unit: Unit, mechanism: Mechanism, round: int, releases: int) -> None:
    """What all rounds up to this one have cost; those that were missed cost nothing, and are counted."""
    epsilon = mechanism.epsilon(releases)
    log.info("privacy.spent", unit=unit, epsilon=float(f"{epsilon:.3f}"), delta=mechanism.delta, round=round)
