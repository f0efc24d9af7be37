"""Any model to a flat vector and back: float types, ties, freezing, buffers, strides; and what is refused by name."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import InvalidModel, InvalidParameter, InvalidTraining
from clients.parameters import Parameters, flatten, unflatten

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def small_net() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2, bias=False)
    )


class Holder(torch.nn.Module):
    """Parameters as they are given."""

    def __init__(self, **parameters: torch.nn.Parameter) -> None:
        super().__init__()
        for name, parameter in parameters.items():
            self.register_parameter(name, parameter)


def laid_out(values: torch.Tensor, layout: str) -> torch.Tensor:
    """The same values in memory of another order."""
    if layout == "transposed":
        return values.t().contiguous().t()
    if layout == "strided":
        wide = torch.zeros(values.shape[0], 2 * values.shape[1], dtype=values.dtype)
        wide[:, ::2] = values
        return wide[:, ::2]
    return values.contiguous()


@st.composite
def models(draw: st.DrawFn) -> tuple[Holder, list[str]]:
    """A model with buffers, frozen and tied parameters, and the names that should count, in order."""
    parameters: dict[str, torch.nn.Parameter] = {}
    counted = []
    for index in range(draw(st.integers(1, 5))):
        name = f"p{index}"
        kind = draw(st.sampled_from(["trained", "trained", "frozen", "tied"]))
        if kind == "tied" and parameters:
            parameters[name] = parameters[draw(st.sampled_from(sorted(parameters)))]
            continue
        rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        values = torch.zeros(rows, columns, dtype=draw(st.sampled_from(DTYPES)))
        layout = draw(st.sampled_from(["plain", "transposed", "strided"]))
        parameters[name] = torch.nn.Parameter(laid_out(values, layout), requires_grad=kind != "frozen")
        if kind != "frozen":
            counted.append(name)
    if not counted:
        parameters["last"] = torch.nn.Parameter(torch.zeros(2))
        counted.append("last")
    model = Holder(**parameters)
    model.register_buffer("statistics", torch.ones(3))
    return model, counted


@given(models(), st.integers(0, 1000))
def test_what_is_written_is_read(drawn: tuple[Holder, list[str]], seed: int) -> None:
    """Up to each parameter's own rounding, in the order of the state_dict; buffers and frozen ones stay."""
    model, counted = drawn
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters, state = Parameters(model), model.state_dict()
    assert parameters.dim == sum(state[name].numel() for name in counted)
    vector = np.random.default_rng(seed).normal(size=parameters.dim)
    parameters.write(vector)
    parts = np.split(vector, np.cumsum([state[name].numel() for name in counted])[:-1])
    for name, part in zip(counted, parts, strict=True):
        expected = torch.from_numpy(part).to(state[name].dtype).reshape(state[name].shape)
        assert torch.equal(model.state_dict()[name], expected)
    expected_parts = [model.state_dict()[name].double().reshape(-1) for name in counted]
    assert (parameters.read() == torch.cat(expected_parts).numpy()).all()
    trained = {id(model.get_parameter(name)) for name in counted}
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in trained:
            assert torch.equal(value.detach(), before[name])


@given(models(), st.integers(0, 1000))
def test_a_model_that_was_not_trained_has_not_changed(drawn: tuple[Holder, list[str]], seed: int) -> None:
    """Read after write is a fixed point: rounding to float16 is not taken for training."""
    parameters = Parameters(drawn[0])
    parameters.write(np.random.default_rng(seed).normal(size=parameters.dim))
    start = parameters.read()
    parameters.write(start)
    assert (parameters.read() == start).all()


def test_order_is_the_state_dicts_and_buffers_stay_out() -> None:
    model = small_net()
    expected = [
        value.double().reshape(-1)
        for name, value in model.state_dict().items()
        if "running" not in name and "num_batches" not in name
    ]
    assert (flatten(model) == torch.cat(expected).numpy()).all()


def test_frozen_parameters_stay_out() -> None:
    model = small_net()
    before = flatten(model).size
    next(model.parameters()).requires_grad_(False)
    assert flatten(model).size == before - 12


def test_tied_weights_count_once_and_stay_tied() -> None:
    model = torch.nn.ModuleDict({"read": torch.nn.Embedding(5, 3), "write": torch.nn.Linear(3, 5, bias=False)})
    model["write"].weight = model["read"].weight  # type: ignore[union-attr]
    vector = np.arange(15, dtype=np.float64)
    unflatten(model, vector)
    assert (flatten(model) == vector).all()
    assert model["write"].weight is model["read"].weight  # type: ignore[union-attr]


def test_compiled_and_wrapped_models_are_the_models_inside() -> None:
    model = small_net()
    vector = np.random.default_rng(1).normal(size=flatten(model).size).astype(np.float32).astype(np.float64)
    unflatten(torch.nn.DataParallel(model), vector)
    assert (flatten(model) == vector).all()
    assert (flatten(torch.compile(model)) == vector).all()  # type: ignore[arg-type]


def test_freezing_or_replacing_layers_between_rounds_changes_no_order() -> None:
    model = small_net()
    parameters = Parameters(model)
    before = parameters.read()
    next(model.parameters()).requires_grad_(False)
    model[3] = torch.nn.Linear(4, 2, bias=False)  # type: ignore[operator]
    after = parameters.read()
    assert after.size == before.size
    assert (after[:-8] == before[:-8]).all()
    parameters.write(before)
    assert (parameters.read() == before).all()


def test_gradients_and_modes_are_left_alone() -> None:
    model = small_net()
    model(torch.randn(8, 3)).sum().backward()
    gradient = next(model.parameters()).grad
    unflatten(model, flatten(model) + 1)
    assert next(model.parameters()).grad is gradient
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    model(torch.randn(8, 3)).sum().backward()


# ----------------------------------------------------------------- what is refused


def expanded() -> torch.nn.Module:
    return Holder(wide=torch.nn.Parameter(torch.zeros(1).expand(4)))


def sparse() -> torch.nn.Module:
    return Holder(holes=torch.nn.Parameter(torch.eye(3).to_sparse()))


def complex_numbers() -> torch.nn.Module:
    return Holder(phase=torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64)))


def meta() -> torch.nn.Module:
    return torch.nn.Linear(2, 2, device="meta")


def lazy() -> torch.nn.Module:
    return torch.nn.LazyLinear(2)


def overlapping() -> torch.nn.Module:
    memory = torch.zeros(6)
    return Holder(first=torch.nn.Parameter(memory[:4]), second=torch.nn.Parameter(memory[3:]))


class Hiding(torch.nn.Linear):
    def _save_to_state_dict(self, destination: dict[str, object], prefix: str, keep_vars: bool) -> None:
        destination[prefix + "weight"] = self.weight


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (expanded, "wide"),
        (sparse, "holes"),
        (complex_numbers, "phase"),
        (meta, "weight"),
        (lazy, "weight"),
        (overlapping, "second"),
        (lambda: Hiding(2, 2), "bias"),
    ],
)
def test_a_parameter_that_cannot_be_taken_is_named(make: Callable[[], torch.nn.Module], name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Parameters(make())
    assert caught.value.name == name
    assert str(caught.value).startswith(name + ":")


def test_parameters_side_by_side_in_one_memory_are_no_overlap() -> None:
    """As the weights of recurrent layers are on some devices."""
    memory = torch.zeros(6)
    model = Holder(first=torch.nn.Parameter(memory[:4]), second=torch.nn.Parameter(memory[4:]))
    unflatten(model, np.arange(6.0))
    assert memory.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("model", [{}, None, torch.zeros(3), torch.nn.ReLU()])
def test_what_is_no_model_is_refused(model: object) -> None:
    with pytest.raises(InvalidModel):
        Parameters(model)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(31,), (33,), (32, 1), ()])
def test_a_vector_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    assert Parameters(small_net()).dim == 32
    with pytest.raises(InvalidTraining):
        unflatten(small_net(), np.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_number_that_does_not_fit_is_named_and_nothing_is_written(dtype: torch.dtype) -> None:
    model = Holder(first=torch.nn.Parameter(torch.zeros(3)), second=torch.nn.Parameter(torch.zeros(2, dtype=dtype)))
    with pytest.raises(InvalidParameter) as caught:
        unflatten(model, np.array([1, 1, 1, 1, 1e39]))
    assert caught.value.name == "second"
    assert not flatten(model).any()


@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_that_are_none_are_named(poison: float, dtype: torch.dtype) -> None:
    model = small_net().to(dtype)
    with torch.no_grad():
        model[3].weight[1, 2] = poison  # type: ignore[index, operator, union-attr]
    with pytest.raises(InvalidParameter, match="entry 6") as caught:
        flatten(model)
    assert caught.value.name == "3.weight"


def test_a_layer_of_another_shape_in_the_place_of_one_is_named() -> None:
    model = small_net()
    parameters = Parameters(model)
    model[3] = torch.nn.Linear(4, 3)  # type: ignore[operator]
    for act in (parameters.read, lambda: parameters.write(np.zeros(32))):
        with pytest.raises(InvalidParameter) as caught:
            act()
        assert caught.value.name == "3.weight"
