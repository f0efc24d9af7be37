"""`merit store`: objects of a task, and who keeps them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.options import JsonOption, KeyOption, PasswordOption
from clients.cli.reporting import emit, notes, reporting
from process.exits import Exit

if TYPE_CHECKING:
    from rich.console import Console

    from clients.storage import Checked

store_app = typer.Typer(help="Objects of a task: where they are, and whether they are right.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(store_app, name="store")


@store_app.command()
def verify(
    task: Annotated[int, typer.Argument(min=1, metavar="TASK", help="The task's id.")],
    rpc: Annotated[str, typer.Option("--rpc", metavar="URL", help="An Ethereum node.")],
    market: Annotated[str, typer.Option("--market", metavar="ADDRESS", help="The market that you trust.")],
    store: Annotated[str, typer.Option("--store", metavar="PLACE", help="A store's directory, or an IPFS node's URL.")],
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="PLACE", help="Another store, that what is lost is taken from; repeatable."),
    ] = None,
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Checks every object of a task against the chain and its CID, and makes good from peers what is lost.

    What follows from whole models (each round's accepted sum, and its manifest) is checked after them.
    With the aggregator's key, updates are opened as well; with the owner's, a last model that is sealed.
    """

    def work() -> None:
        from circuits import paths
        from circuits.srs import Srs
        from clients.manifests import derived_objects
        from clients.storage import objects_of, verify_storage
        from contracts.bindings import Chain, Market
        from process.keyfile import load_account
        from protocol.holders import holder_of
        from store.places import store_at

        account = load_account(key_file, password_file=password_file) if key_file else None
        on_chain = Market(Chain(rpc), market)
        srs = Srs.find(paths.srs_directory(), on_chain.task(task).config.k)
        here, peers, found = store_at(store), [store_at(place) for place in peer or ()], []
        out = notes(as_json)
        for objects in (objects_of(on_chain, task, account), derived_objects(on_chain, task, here)):
            for checked in verify_storage(objects, srs, here, holder=holder_of(task), peers=peers):
                found.append(checked)
                out.print(_line(checked))
        document = {"ok": not any(each.reason for each in found), "objects": [_document(each) for each in found]}
        emit(document, as_json=as_json, draw=lambda console: _sum_up(console, found))
        if not document["ok"]:
            raise typer.Exit(Exit.FAILED)

    reporting(work, as_json=as_json)


def _line(checked: "Checked") -> str:
    if checked.reason:
        return f"[red]✗[/red] {checked.what}: {checked.condition.value}: {checked.reason}"
    made_good = f" (was {checked.condition.value}, made good)" if checked.repaired else ""
    return f"[green]✓[/green] {checked.what}{made_good}{'' if checked.opened else ', not opened'}"


def _document(checked: "Checked") -> dict[str, object]:
    return {
        "object": checked.what,
        "cid": checked.cid,
        "found": checked.condition.value,
        "repaired": checked.repaired,
        "opened": checked.opened,
        "reason": checked.reason,
    }


def _sum_up(console: "Console", found: Sequence["Checked"]) -> None:
    wrong = sum(1 for each in found if each.reason)
    repaired = sum(1 for each in found if each.repaired)
    state = f"[red]{wrong} are not[/red]" if wrong else "[green]all are whole[/green]"
    console.print(f"{len(found)} objects, {repaired} made good: {state}")
