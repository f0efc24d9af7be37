"""`merit tls`: a private certificate authority."""

from pathlib import Path
from typing import Annotated

import typer

from clients.cli.options import JsonOption
from clients.cli.reporting import emit, reporting

tls = typer.Typer(help="Certificates of a private authority.", no_args_is_help=True)

_AUTHORITY = Path("tls")

AuthorityOption = Annotated[
    Path, typer.Option("--authority", metavar="DIR", help="Directory of the authority.", file_okay=False)
]


def register(app: typer.Typer) -> None:
    app.add_typer(tls, name="tls")


@tls.command("new-ca")
def new_ca(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where ca.pem and ca.key go.")] = _AUTHORITY,
    days: Annotated[int, typer.Option(min=1, help="How long it holds.")] = 3650,
    as_json: JsonOption = False,
) -> None:
    """Makes an authority of your own. Whoever has ca.key can pass for your aggregator: keep it elsewhere."""

    def work() -> None:
        from process.certificates import make_authority

        made = make_authority(directory, days=days)
        _say(made.certificate, made.key, as_json)

    reporting(work, as_json=as_json)


@tls.command()
def issue(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the two files, and of a client.")],
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A DNS name or IP address that clients reach the server by; repeatable."),
    ] = None,
    client: Annotated[bool, typer.Option("--client", help="For a client instead of a server.")] = False,
    authority: AuthorityOption = _AUTHORITY,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where; default: the authority's.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How long it holds.")] = 365,
    as_json: JsonOption = False,
) -> None:
    """Issues a certificate: of a server (with --host), or of a client (with --client), for mutual TLS."""
    if client == bool(host):
        raise typer.BadParameter("either --host, for a server, or --client", param_hint="--host")

    def work() -> None:
        from process.certificates import issue_client, issue_server

        directory = out or authority
        if client:
            made = issue_client(directory, authority=authority, name=name, days=days)
        else:
            made = issue_server(directory, authority=authority, hosts=host or [], name=name, days=days)
        _say(made.certificate, made.key, as_json)

    reporting(work, as_json=as_json)


def _say(certificate: Path, key: Path, as_json: bool) -> None:
    emit(
        {"certificate": str(certificate), "key": str(key)},
        as_json=as_json,
        draw=lambda out: out.print(f"[green]✓[/green] {certificate}, for everyone; {key}, yours alone", soft_wrap=True),
    )
