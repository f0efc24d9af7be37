"""docs/cli.md is what the command line and the configurations are."""

import tomllib
from pathlib import Path

import pytest

from clients.cli.config import kinds
from clients.cli.document import leaves, renewed
from clients.offer_file import OfferFile
from clients.script import Script
from process.configuration import SECTIONS, parse
from process.exits import Exit

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def blocks(language: str) -> list[str]:
    """Code of the page."""
    return [part.split("```")[0] for part in PAGE.split(f"```{language}\n")[1:]]


def test_the_generated_parts_are_current() -> None:
    """Else: python -m clients.cli.document docs/cli.md"""
    assert renewed(PAGE) == PAGE


def test_every_command_and_option() -> None:
    wanted = "serve status train verify withdraw config keys.new task.create task.show task.close tls.new-ca tls.issue"
    commands = dict(leaves())
    assert {f"merit {name.replace('.', ' ')}" for name in wanted.split()} <= set(commands)
    for name, command in commands.items():
        (section,) = [part for part in PAGE.split("\n### `")[1:] if part.startswith((f"{name} ", f"{name}`"))]
        for parameter in command.params:
            for flag in parameter.opts if parameter.param_type_name == "option" else []:
                assert f"`{flag}`" in section, (name, flag)


def test_every_command_prints_json() -> None:
    for name, command in leaves():
        assert any("--json" in parameter.opts for parameter in command.params), name


def test_no_option_takes_a_secret() -> None:
    for _, command in leaves():
        for parameter in command.params:
            names = " ".join(parameter.opts)
            assert not ("password" in names or "key" in names) or names.endswith("-file"), names


@pytest.mark.parametrize("code", list(Exit))
def test_every_exit_code(code: Exit) -> None:
    assert f"| {int(code)} | {code.name} |" in PAGE


def test_every_section() -> None:
    assert [name for name in SECTIONS if f"### [{name}]" not in PAGE] == []


def test_the_example_of_a_configuration_is_one() -> None:
    (example,) = [text for text in blocks("toml") if "[chain]" in text]
    content = tomllib.loads(example)
    for section in set(content) - {"chain"}:
        parse(kinds()[section], {**content["chain"], **content[section]}, section=section)


def test_the_example_of_a_task_is_one() -> None:
    (example,) = [text for text in blocks("toml") if "[genesis]" in text]
    assert parse(OfferFile, tomllib.loads(example)).reward_per_round_wei == 10**18


def test_the_examples_of_scripts_are_some(tmp_path: Path) -> None:
    examples = blocks("python")
    assert len(examples) == 2
    for text in examples:
        (tmp_path / "user.py").write_text(text)
        assert callable(Script(tmp_path / "user.py").training())
