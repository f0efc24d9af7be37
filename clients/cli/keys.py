"""`merit keys`: Ethereum keystores. A key is never on the command line, nor on the screen."""

from pathlib import Path
from typing import Annotated

import typer

from clients.cli.options import JsonOption, PasswordOption
from clients.cli.reporting import emit, reporting

keys = typer.Typer(help="Keys of accounts, in encrypted keystores.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")


@keys.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where; it must not exist yet.")],
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes an account: a new key in an Ethereum keystore, under a password that is asked for twice."""

    def work() -> None:
        from process.errors import KeyFileError
        from process.keyfile import create_keystore
        from process.passwords import choose_password

        if file.exists():
            raise KeyFileError(f"{file}: it exists already, and is not overwritten")
        account = create_keystore(file, choose_password(password_file))
        emit(
            {"address": account.address, "file": str(file)},
            as_json=as_json,
            draw=lambda out: out.print(
                f"[green]✓[/green] [bold]{account.address}[/bold] in {file}\n"
                f'  Name it in merit.toml: key_file = "{file}". Without the password nobody can open it.',
                soft_wrap=True,
            ),
        )

    reporting(work, as_json=as_json)


@keys.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A keystore or key file.", exists=True, dir_okay=False)],
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """The address of a key file, which shows that the password opens it."""

    def work() -> None:
        from process.keyfile import load_account

        address = load_account(file, password_file=password_file).address
        emit({"address": address, "file": str(file)}, as_json=as_json, draw=lambda out: out.print(address))

    reporting(work, as_json=as_json)
