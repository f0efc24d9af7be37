"""`merit train`, and the demo's parties."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.options import ConfigOption, KeyOption, LinesOption, PasswordOption, TaskOption, config_file
from clients.cli.reporting import lines_for_people, reporting

if TYPE_CHECKING:
    from clients.connection import UserConfig
    from clients.local_training import LocalTraining

_PANEL = "Parties of the demo"


def register(app: typer.Typer) -> None:
    app.command()(train)
    app.command(rich_help_panel=_PANEL)(owner)
    app.command(rich_help_panel=_PANEL)(trainer)


def train(
    task: TaskOption,
    script: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Python file with train(parameters, round, learning_rate), or build() and train(model, ...).",
            exists=True,
            dir_okay=False,
        ),
    ],
    config: ConfigOption = None,
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    allowed: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Who may join, as the owner gave it; repeatable; none: everyone."),
    ] = None,
    max_stake_wei: Annotated[int, typer.Option(min=0, help="Refuse a task that asks for a larger stake.")] = 0,
    stake_token: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The ERC-20 that a stake may be in; default: the native currency."),
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Takes part in a task with your own training, until it is closed, and collects the pay.

    Reads the sections [chain] and [client]. Started again, it goes on where it was.
    """

    def work() -> None:
        from clients.connection import configured
        from clients.script import Script
        from process import logs

        found = configured(config_file(config), {"key_file": key_file, "password_file": password_file})
        logs.configure(found.log_level, human=lines_for_people(as_json))
        training = Script(script).training()
        asyncio.run(_train(found, task, training, tuple(allowed or ()), max_stake_wei, stake_token))

    reporting(work)


async def _train(
    config: "UserConfig",
    task_id: int,
    training: "LocalTraining",
    allowed: tuple[str, ...],
    max_stake_wei: int,
    stake_token: str | None,
) -> None:
    from clients.connection import connected
    from clients.trainer import AsyncTrainer
    from contracts.bindings import NATIVE

    async with connected(config) as connection:
        trainer = AsyncTrainer(
            market=connection.market,
            task_id=task_id,
            aggregator=connection.aggregator,
            account=connection.account,
            prover=connection.prover,
            directory=connection.directory_of(task_id),
            poll_seconds=connection.poll_seconds,
            allowed=allowed,
            max_stake_wei=max_stake_wei,
            stake_token=stake_token or NATIVE,
        )
        await trainer.run(training)


def owner(config: ConfigOption = None, as_json: LinesOption = False) -> None:
    """Creates a task with the demo's model, checks each new model, gathers a bundle, takes back what is left.

    Reads the sections [chain] and [owner].
    """

    def work() -> None:
        from clients.config import OwnerConfig
        from clients.run import run_owner
        from process.configuration import settings

        found = settings(OwnerConfig, "owner", config_file(config))
        asyncio.run(run_owner(found, human=lines_for_people(as_json)))

    reporting(work)


def trainer(config: ConfigOption = None, as_json: LinesOption = False) -> None:
    """Takes part in a task of the demo's model, honestly or not, until it is closed, then withdraws.

    Reads the sections [chain] and [trainer].
    """

    def work() -> None:
        from clients.config import TrainerConfig
        from clients.run import run_trainer
        from process.configuration import settings

        found = settings(TrainerConfig, "trainer", config_file(config))
        asyncio.run(run_trainer(found, human=lines_for_people(as_json)))

    reporting(work)
