"""What a user may say after --attack."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.attacks import ATTACKS
from clients.attacks.group import Group, parse, places
from clients.cli import app
from clients.demo.plan import Plan
from clients.errors import InvalidAttackers, UnknownAttack


def test_name_and_count() -> None:
    assert parse("alie:2") == Group(name="alie", count=2)
    assert parse("sign_flip:7") == Group(name="sign_flip", count=7)


def test_a_name_alone_is_for_as_few_as_it_takes() -> None:
    assert parse("alie") == Group(name="alie", count=2)
    assert parse("scaling") == Group(name="scaling", count=1)


@pytest.mark.parametrize("text", ["alie:", "alie:x", "alie:-2", "alie:2:2", "alie:²", "alie:0", "alie:1", "scaling:0"])
def test_other_counts_are_refused(text: str) -> None:
    with pytest.raises(InvalidAttackers, match=r"alie|scaling"):
        parse(text)


@pytest.mark.parametrize("text", ["", ":2", "ALIE:2", "krum:2", "honest:2"])
def test_unknown_names_are_refused(text: str) -> None:
    with pytest.raises(UnknownAttack) as caught:
        parse(text)
    assert caught.value.known == sorted(ATTACKS)


def test_groups_take_places_and_the_others_are_honest() -> None:
    groups = [Group(name="alie", count=2), Group(name="scaling", count=1)]
    assert places(groups, (3, 0, 1), 5) == ("alie", "scaling", "honest", "alie", "honest")


@pytest.mark.parametrize("count", [8, 9, 100])
def test_somebody_must_be_honest(count: int) -> None:
    with pytest.raises(InvalidAttackers, match=f"{count} attackers"):
        Plan(attackers=(Group(name="scaling", count=count),))
    assert Plan(attackers=(Group(name="scaling", count=7),)).roles.count("honest") == 1


def test_colluders_are_those_with_the_same_attack() -> None:
    plan = Plan(attackers=(parse("alie:2"), parse("min_max:3")))
    groups = [plan.colluders(i) for i in range(8)]
    assert sorted(map(len, groups)) == [0, 0, 0, 2, 2, 3, 3, 3]
    assert all(i in group for i, group in enumerate(groups) if group)


def test_the_demo_by_itself_has_a_label_and_a_sign_flipper() -> None:
    assert Plan().roles == (
        "honest", "honest", "label_flip", "honest", "honest", "sign_flip", "honest", "honest",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing:2"], "alie, backdoor"),
        (["alie:1"], "at least 2"),
        (["alie:2", "scaling:6"], "8 attackers"),
    ],
)
def test_the_command_line_says_what_is_wrong(arguments: list[str], message: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = [part for text in arguments for part in ("--attack", text)]
    done = CliRunner().invoke(app, ["demo", "--out", str(out), *options], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert message in done.output
    assert not out.exists()
