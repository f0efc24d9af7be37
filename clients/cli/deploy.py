"""`merit deploy`: a market of one's own."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from clients.cli.amounts import ether
from clients.cli.options import JsonOption, KeyOption, PasswordOption, YesOption
from clients.cli.reporting import confirm, emit, notes, reporting

if TYPE_CHECKING:
    from contracts.bindings import Deployment

_NAMES = {
    "verifier": "verifier of the rules' proofs",
    "update_argument": "verifier of update arguments",
    "market": "market",
    "key_board": "key board",
}


def register(app: typer.Typer) -> None:
    app.command()(deploy)


def deploy(
    rpc: Annotated[str, typer.Option("--rpc", metavar="URL", help="An Ethereum node of the chain.")],
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    chain_id: Annotated[int | None, typer.Option(metavar="N", help="Refuse any other chain than this one.")] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Puts a market and its verifiers on a chain, and prints what goes into the configuration.

    The contracts have no owner: the account pays, and keeps no power over them.
    """

    def work() -> None:
        from contracts.bindings import Chain
        from contracts.bindings.deploy import deploy as put
        from contracts.bindings.deploy import deployment_gas, require_funds
        from process.configuration import masked
        from process.keyfile import load_account

        chain = Chain(rpc)
        chain.require_suitable(chain_id)
        account = load_account(key_file, password_file=password_file)
        most_wei = require_funds(chain, account, deployment_gas())
        out = notes(as_json)
        out.print(f"chain {chain.chain_id} at {chain.rpc_url}, paid by {account.address}", soft_wrap=True)
        confirm(f"{len(_NAMES)} contracts, for {ether(most_wei)} at most with the fees of now?", yes=yes or as_json)
        gas_used = cost_wei = 0

        def made(name: str, address: str, receipt: Any) -> None:
            nonlocal gas_used, cost_wei
            gas_used += receipt["gasUsed"]
            cost_wei += receipt["gasUsed"] * receipt["effectiveGasPrice"]
            out.print(f"[green]✓[/green] {address} {_NAMES[name]}, {receipt['gasUsed']:,} gas", soft_wrap=True)

        with out.status("deploying"):
            deployment = put(chain, account, made)
        document = {
            **_addresses(deployment),
            "deployer": account.address,
            "gas_used": gas_used,
            "cost_wei": str(cost_wei),
            "configuration": configuration(str(masked(rpc)), deployment),
        }
        emit(document, as_json=as_json, draw=lambda console: _draw(console, document))

    reporting(work, as_json=as_json)


def configuration(rpc_url: str, deployment: "Deployment") -> str:
    """What every party's merit.toml says of it."""
    return (
        f'[chain]\nrpc_url = "{rpc_url}"\nmarket = "{deployment.market}"\n\n'
        f'[client]\nverifier = "{deployment.verifier}"\n\n'
        f'[aggregator]\nkey_board = "{deployment.key_board}"\n'
    )


def _addresses(deployment: "Deployment") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(deployment)


def _draw(out: Console, document: dict[str, Any]) -> None:
    paid = ether(int(document["cost_wei"]))
    out.print(f"{document['gas_used']:,} gas, {paid}. The market's logs begin with block {document['block']}.")
    out.print("In merit.toml ([client] only where tasks are created, [aggregator] only where they are served):\n")
    out.print(document["configuration"], markup=False, soft_wrap=True, end="")
