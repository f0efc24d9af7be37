"""`python -m clients` is `merit`."""

from clients.cli import app

app(prog_name="merit")
