"""What defines each attack, on any updates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.fixedpoint import FixedPoint, quantize
from clients import attacks
from clients.attacks import ATTACKS, Scene
from clients.attacks.alie import Alie
from clients.attacks.backdoor import Backdoor
from clients.attacks.copycat import Copycat
from clients.attacks.free_rider import FreeRider
from clients.attacks.gaussian import Gaussian
from clients.attacks.label_flip import LabelFlip
from clients.attacks.min_max import MinMax
from clients.attacks.scaling import Scaling
from clients.attacks.sign_flip import SignFlip
from clients.attacks.sybil_split import SybilSplit
from clients.data import Samples, digits
from clients.errors import UnknownAttack

DIM = 40


def scene(seed: int, *, own: int = 2, seen: int = 6, dim: int = DIM) -> Scene:
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=dim)
    return Scene(
        own=centre + rng.normal(size=(own, dim)),
        seen=centre + rng.normal(size=(seen, dim)),
        previous=rng.normal(size=dim),
        rng=np.random.default_rng([seed, 1]),
    )


scenes = st.builds(scene, st.integers(0, 10_000), own=st.integers(2, 5), seen=st.integers(1, 8))


@pytest.fixture(scope="module")
def shard() -> Samples:
    return digits(seed=1, weights=(1, 1))[0][0]


@pytest.mark.parametrize("name", sorted(ATTACKS))
@given(at=scenes)
def test_every_attack_sends_what_can_be_quantised(name: str, at: Scene) -> None:
    sent = attacks.load(name).craft(at)
    assert sent.shape == at.own.shape
    fmt = FixedPoint(bits=8, fraction_bits=4)
    for row in sent:
        values = quantize(row, fmt).values
        assert fmt.lowest <= values.min()
        assert values.max() <= fmt.highest


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_attackers_alone_compute_the_same(name: str) -> None:
    attack = attacks.load(name)
    assert (attack.craft(scene(7)) == attack.craft(scene(7))).all()


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {"label_flip", "backdoor"}))
def test_attacks_on_updates_leave_data_alone(name: str, shard: Samples) -> None:
    assert attacks.load(name).poison(shard) is shard


def test_unknown_attack_lists_the_names() -> None:
    with pytest.raises(UnknownAttack) as caught:
        attacks.load("nothing")
    assert caught.value.known == sorted(ATTACKS)
    assert "sybil_split" in str(caught.value)


@given(scenes)
def test_sign_flip_goes_the_other_way(at: Scene) -> None:
    assert (SignFlip(factor=3).craft(at) == -3 * at.own).all()


@given(scenes)
def test_scaling_goes_the_same_way_too_far(at: Scene) -> None:
    assert (Scaling(factor=10).craft(at) == 10 * at.own).all()


def test_gaussian_is_noise_of_the_updates_size_times_its_factor() -> None:
    at = scene(3, dim=20_000)
    sent = Gaussian(factor=3).craft(at)
    ratio = np.sqrt((sent**2).mean(axis=1) / (at.own**2).mean(axis=1))
    assert ratio == pytest.approx(3, rel=0.05)
    assert abs(np.corrcoef(sent[0], at.own[0])[0, 1]) < 0.05
    assert abs(np.corrcoef(sent[0], sent[1])[0, 1]) < 0.05


def test_label_flip_makes_every_label_wrong(shard: Samples) -> None:
    flipped = LabelFlip().poison(shard)
    assert (flipped.labels == 9 - shard.labels).all()
    assert (flipped.labels != shard.labels).all()
    assert (flipped.inputs == shard.inputs).all()


@given(scenes, st.floats(0, 3))
def test_alie_stays_within_its_deviations_of_what_is_seen(at: Scene, deviations: float) -> None:
    sent = Alie(deviations=deviations).craft(at)
    away = at.seen.mean(axis=0) - sent
    assert away == pytest.approx(np.tile(deviations * at.seen.std(axis=0), (len(at.own), 1)), abs=1e-12)


@given(scenes)
def test_min_max_is_as_far_as_the_widest_pair_and_no_farther(at: Scene) -> None:
    sent = MinMax().craft(at)
    widest = max(np.linalg.norm(a - b) for a in at.seen for b in at.seen)
    for row in sent:
        assert max(np.linalg.norm(row - u) for u in at.seen) == pytest.approx(widest)
    # Away from the mean, against the standard deviation.
    assert (sent <= at.seen.mean(axis=0) + 1e-12).all()


@given(scenes)
def test_copycat_sends_anothers_values_to_the_last_bit(at: Scene) -> None:
    assert (Copycat().craft(at) == at.seen[0]).all()


@given(scenes)
def test_free_rider_uses_public_models_alone(at: Scene) -> None:
    sent = FreeRider().craft(at)
    assert (sent == at.previous).all()


@given(scenes)
def test_sybil_parts_sum_to_the_original_and_differ(at: Scene) -> None:
    sent = SybilSplit().craft(at)
    assert sent.sum(axis=0) == pytest.approx(at.own[0], abs=1e-9)
    assert len({row.tobytes() for row in sent}) == len(at.own)


def test_backdoor_marks_its_share_and_labels_it_as_the_target(shard: Samples) -> None:
    attack = Backdoor(share=0.5, target=0, side=3)
    poisoned = attack.poison(shard)
    count = round(len(shard) / 2)
    corner = poisoned.inputs.reshape(-1, 8, 8)[:, 5:, 5:]
    assert (corner[:count] == 1).all()
    assert (poisoned.labels[:count] == 0).all()
    assert (poisoned.inputs[count:] == shard.inputs[count:]).all()
    assert (poisoned.labels[count:] == shard.labels[count:]).all()
    # Nothing but the corner is touched, and the shard itself is not.
    changed = (poisoned.inputs != shard.inputs).reshape(-1, 8, 8)
    changed[:, 5:, 5:] = False
    assert not changed.any()
    assert (shard.inputs.reshape(-1, 8, 8)[:, 5:, 5:] != 1).any()
