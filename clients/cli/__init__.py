"""`merit`: the command line. Commands load what they need when they run, so that the others start at once."""

import typer

from clients.cli import bench, config, demo, deploy, keys, rules, service, srs, store, tasks, tls, training

app = typer.Typer(
    help="A market for training models together, paid by proven contribution.",
    epilog="Exit codes and every field of a configuration: docs/cli.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

for module in (service, deploy, tasks, training, keys, tls, config, rules, srs, store, demo, bench):
    module.register(app)

if __name__ == "__main__":
    app()
