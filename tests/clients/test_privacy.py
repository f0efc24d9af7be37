"""Differential privacy: what is clipped, how much noise, and what it costs, against published figures and by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import structlog
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from benchmarks.privacy import softmax_gradients
from clients.config import TrainerConfig
from clients.data import Samples
from clients.errors import InvalidTraining
from clients.parameters import flatten
from clients.privacy import (
    Mechanism,
    PrivateGradients,
    PrivateUpdate,
    Vector,
    clipped,
    delta_of,
    epsilon_of,
    gradients_of,
    multiplier_for,
    system_noise,
)
from clients.run import training_of
from clients.training import softmax_regression

RNG = np.random.default_rng(1)


def samples(count: int = 150, pixels: int = 6) -> Samples:
    rng = np.random.default_rng(3)
    return Samples(
        inputs=rng.random((count, pixels)).astype(np.float32) * 4, labels=rng.integers(0, 10, count).astype(np.int64)
    )


def silence(count: int) -> Vector:
    return np.zeros(count)


# opacus 1.6.0, PRVAccountant, eps_error 0.01, sample rate 1, delta 1e-5: it answers at most 0.02 above the truth.
PUBLISHED = [(1, 1, 4.3874), (2, 6, 5.5551), (5, 12, 2.8861), (0.5, 6, 32.1878)]


class TestAccount:
    @pytest.mark.parametrize(("noise", "releases", "published"), PUBLISHED)
    def test_agrees_with_an_accountant_of_other_making(self, noise: float, releases: int, published: float) -> None:
        epsilon = Mechanism(clip_norm=1, noise_multiplier=noise).epsilon(releases)
        assert published - 0.02 < epsilon <= published

    @given(ratio=st.floats(0.01, 20), delta=st.floats(1e-9, 0.1))
    def test_delta_is_what_was_asked_for(self, ratio: float, delta: float) -> None:
        epsilon = epsilon_of(ratio, delta)
        if epsilon == 0:
            assert delta_of(0, ratio) <= delta
        else:
            assert delta_of(epsilon, ratio) == pytest.approx(delta, rel=1e-6)

    def test_delta_is_the_worst_event_by_sampling(self) -> None:
        """P(y > t | x) - e^epsilon P(y > t | x') at the likelihood ratio's threshold, for sums one apart."""
        ratio, epsilon = 1.3, 0.7
        threshold = epsilon / ratio - ratio / 2
        by_hand = stats.norm.sf(threshold) - math.exp(epsilon) * stats.norm.sf(threshold + ratio)
        assert delta_of(epsilon, ratio) == pytest.approx(by_hand, rel=1e-9)

    @given(epsilon=st.floats(0.05, 500), releases=st.integers(1, 500))
    def test_a_budget_is_kept_and_used(self, epsilon: float, releases: int) -> None:
        mechanism = Mechanism(clip_norm=1, noise_multiplier=multiplier_for(epsilon, delta=1e-5, releases=releases))
        assert mechanism.epsilon(releases) == pytest.approx(epsilon, rel=1e-4)
        assert mechanism.epsilon(releases + 1) > mechanism.epsilon(releases)

    def test_the_clipping_norm_changes_nothing(self) -> None:
        small, large = (Mechanism(clip_norm=norm, noise_multiplier=2) for norm in (0.1, 10))
        assert small.epsilon(5) == large.epsilon(5)

    @pytest.mark.parametrize(
        ("field", "value"),
        [("clip_norm", 0), ("clip_norm", float("nan")), ("noise_multiplier", -1), ("delta", 0), ("delta", 1)],
    )
    def test_nonsense_is_refused_by_name(self, field: str, value: float) -> None:
        with pytest.raises(InvalidTraining, match=field):
            Mechanism(**{"clip_norm": 1, "noise_multiplier": 1, field: value})


class TestNoise:
    def test_is_standard_normal(self) -> None:
        drawn = system_noise(200_000)
        assert stats.kstest(drawn, "norm").pvalue > 1e-6
        assert np.isfinite(drawn).all()
        assert (system_noise(8) != system_noise(8)).all()

    def test_comes_from_the_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And its extreme words are numbers, too."""
        for byte, extreme in ((b"\xff", 8.21), (b"\0", -8.21)):
            monkeypatch.setattr("clients.privacy.os.urandom", lambda count, byte=byte: byte * count)
            assert system_noise(1)[0] == pytest.approx(extreme, abs=0.01)

    def test_has_the_deviation_that_is_accounted_for(self) -> None:
        """Neighbours are 2 C apart, so the noise's deviation over 2 C is what the account knows."""
        mechanism = Mechanism(clip_norm=3, noise_multiplier=1.5)
        assert mechanism.noisy(np.zeros(4), lambda count: np.arange(count, dtype=float)).tolist() == [0, 9, 18, 27]


class TestClipping:
    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(1e-3, 1e3))
    def test_shortens_and_keeps_the_direction(self, entries: list[float], norm: float) -> None:
        vector = np.array(entries)
        short = clipped(vector, norm)
        assert np.linalg.norm(short) <= norm * (1 + 1e-12)
        if np.linalg.norm(vector) <= norm:
            assert (short == vector).all()
        else:
            assert short @ vector == pytest.approx(np.linalg.norm(vector) * norm)

    @pytest.mark.parametrize("norm", [1e-3, 1.0, 1e6])
    def test_one_sample_moves_the_sum_by_no_more_than_two_norms(self, norm: float) -> None:
        one = samples()
        other = Samples(inputs=one.inputs.copy(), labels=one.labels.copy())
        other.inputs[7] = 50
        parameters = RNG.normal(size=70)
        sums = [gradients_of(softmax_regression(6), s)(parameters, norm) for s in (one, other)]
        assert np.linalg.norm(sums[0] - sums[1]) <= 2 * norm * (1 + 1e-5)

    def test_is_each_samples_own(self) -> None:
        """Against autograd, one sample after another, on a model with several layers and a buffer."""
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.Tanh(), torch.nn.Linear(5, 10)
        )
        data, parameters, norm = samples(70), flatten(model), 0.8
        total = gradients_of(model, data)(parameters, norm)
        by_hand = np.zeros_like(parameters)
        model.eval()
        for x, y in zip(data.inputs, data.labels, strict=True):
            loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)[None]), torch.tensor([int(y)]))
            grads = torch.autograd.grad(loss, list(model.parameters()))
            by_hand += clipped(torch.cat([g.reshape(-1) for g in grads]).double().numpy(), norm)
        assert np.allclose(total, by_hand, atol=1e-5)

    @pytest.mark.parametrize("norm", [0.1, 2.0, 1e6])
    def test_the_benchmarks_short_cut_is_the_same(self, norm: float) -> None:
        data, parameters = samples(), RNG.normal(size=70)
        expected = gradients_of(softmax_regression(6), data)(parameters, norm)
        assert np.allclose(softmax_gradients(data)(parameters, norm), expected, rtol=1e-4, atol=1e-4)


class TestTraining:
    MECHANISM = Mechanism(clip_norm=1, noise_multiplier=2)

    def test_gradients_without_noise_are_plain_descent(self) -> None:
        data = samples()
        gradients = softmax_gradients(data)
        train = PrivateGradients(gradients, self.MECHANISM, samples=150, steps=2, learning_rate=0.5, draw=silence)
        start = np.zeros(70)
        once = start - 0.5 * gradients(start, 1) / 150
        assert np.allclose(train(start, 0, None), once - 0.5 * gradients(once, 1) / 150)
        assert np.allclose(train(start, 0, 0.1), _steps(gradients, start, 0.1))

    def test_every_step_and_every_round_has_noise_of_its_own(self) -> None:
        drawn: list[int] = []

        def counting(count: int) -> Vector:
            drawn.append(count)
            return np.full(count, float(len(drawn)))

        train = PrivateGradients(
            lambda p, n: np.zeros_like(p), self.MECHANISM, samples=4, steps=3, learning_rate=1, draw=counting
        )
        moved = train(np.zeros(2), 0, None)
        assert drawn == [2, 2, 2]
        assert moved.tolist() == [-(1 + 2 + 3) * 4 / 4] * 2

    def test_an_update_is_clipped_before_the_noise(self) -> None:
        train = PrivateUpdate(lambda p, *_: p + np.array([30.0, 40.0]), self.MECHANISM, draw=silence)
        assert np.allclose(train(np.array([1.0, 1.0]), 0, None), [1.6, 1.8])
        noisy = PrivateUpdate(lambda p, *_: p, self.MECHANISM, draw=np.ones)
        assert noisy(np.zeros(2), 0, None).tolist() == [4, 4]

    def test_the_account_is_printed_each_round(self) -> None:
        structlog.reset_defaults()  # a level that another test has set would hide it
        with structlog.testing.capture_logs() as logs:
            train = PrivateGradients(
                lambda p, n: np.zeros_like(p), self.MECHANISM, samples=4, steps=3, learning_rate=1, draw=silence
            )
            train(np.zeros(2), 0, None)
            train(np.zeros(2), 4, None)
            PrivateUpdate(lambda p, *_: p, self.MECHANISM, draw=silence)(np.zeros(2), 4, None)
        assert [(entry["event"], entry["unit"]) for entry in logs] == [
            ("privacy.spent", "sample"),
            ("privacy.spent", "sample"),
            ("privacy.spent", "trainer"),
        ]
        expected = [self.MECHANISM.epsilon(releases) for releases in (3, 15, 5)]
        assert [entry["epsilon"] for entry in logs] == pytest.approx(expected, abs=1e-3)


def test_a_budget_is_not_overdrawn() -> None:
    mechanism = Mechanism.within(3.0, releases=6, clip_norm=1)
    assert mechanism.epsilon(6) == pytest.approx(3.0, rel=1e-4)
    train = PrivateGradients(
        lambda p, n: np.zeros_like(p), mechanism, samples=4, steps=3, learning_rate=1, draw=silence
    )
    train(np.zeros(2), 1, None)
    with pytest.raises(InvalidTraining, match="9 noisy sums"):
        train(np.zeros(2), 2, None)
    update = PrivateUpdate(lambda p, *_: p, mechanism, draw=silence)
    update(np.zeros(2), 5, None)
    with pytest.raises(InvalidTraining, match="7 noisy sums"):
        update(np.zeros(2), 6, None)


def test_a_trainers_configuration_can_ask_for_it(tmp_path: Path) -> None:
    fields = {
        "rpc_url": "http://127.0.0.1:1", "market": "0x" + "11" * 20, "aggregator_target": "127.0.0.1:1",
        "directory": tmp_path, "task_id": 1, "shard": 2,
    }  # fmt: skip
    private = TrainerConfig.model_validate({**fields, "privacy": {"epsilon": 8, "rounds": 1}})
    start = np.zeros(650)
    with structlog.testing.capture_logs() as logs:
        changes = [training_of(private)(start.copy(), 0, None) for _ in range(2)]
    assert [entry["epsilon"] for entry in logs if entry["event"] == "privacy.spent"] == pytest.approx([8, 8], abs=1e-2)
    assert np.abs(changes[0] - changes[1]).min() > 0
    with pytest.raises(InvalidTraining, match="privacy"):
        training_of(private)(start, 1, None)
    with pytest.raises(ValidationError, match="epsilon"):
        TrainerConfig.model_validate({**fields, "privacy": {"epsilon": 0, "rounds": 1}})


def _steps(gradients: object, start: Vector, rate: float) -> Vector:
    for _ in range(2):
        start = start - rate * gradients(start, 1) / 150  # type: ignore[operator]
    return start
