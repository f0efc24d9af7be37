"""`merit serve`, `merit status`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.options import (
    ConfigOption,
    JsonOption,
    LinesOption,
    MarketOption,
    RpcOption,
    TargetOption,
    config_file,
)
from clients.cli.reporting import emit, lines_for_people, reporting
from process.exits import Exit

if TYPE_CHECKING:
    from clients.connection import UserConfig


def register(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(status)


def serve(
    config: ConfigOption = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Make proofs on this Ray cluster (extra `ray`).")
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Serves the tasks that name this aggregator, until SIGTERM or Ctrl-C.

    Reads the sections [chain] and [aggregator].
    """

    def work() -> None:
        from aggregator.config import AggregatorConfig
        from aggregator.service import serve as run
        from process.configuration import settings

        found = settings(AggregatorConfig, "aggregator", config_file(config), {"ray_address": ray})
        asyncio.run(run(found, human=lines_for_people(as_json)))

    reporting(work)


def status(
    config: ConfigOption = None,
    rpc: RpcOption = None,
    market: MarketOption = None,
    aggregator: TargetOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every_seconds: Annotated[float, typer.Option(min=0.2, help="Between two looks of --watch.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """How an aggregator is: its services, its tasks, the step under way in each, deadlines, proofs.

    Needs no key. With --watch and --json, prints one document a line.
    """

    def work() -> None:
        from clients.cli.status_view import drawn
        from clients.connection import configured
        from clients.status import look

        given = {"rpc_url": rpc, "market": market, "aggregator_target": aggregator}
        found = configured(config_file(config), given)
        if watch:
            asyncio.run(_watch(found, every_seconds, as_json))
            return
        seen = asyncio.run(look(found))
        emit(seen.model_dump(mode="json"), as_json=as_json, draw=lambda out: out.print(drawn(seen)))
        if not seen.reachable:
            raise typer.Exit(Exit.AGGREGATOR)
        if seen.chain.error:
            raise typer.Exit(Exit.CHAIN)

    reporting(work, as_json=as_json)


async def _watch(config: "UserConfig", every_seconds: float, as_json: bool) -> None:
    from rich.live import Live

    from clients.cli.status_view import drawn
    from clients.status import look

    if as_json:
        while True:
            print((await look(config)).model_dump_json(), flush=True)
            await asyncio.sleep(every_seconds)
    with Live(refresh_per_second=4, screen=False) as live:
        while True:
            live.update(drawn(await look(config)), refresh=True)
            await asyncio.sleep(every_seconds)
