"""Revisions of the state's schema: applied when the state is opened, all of them or none.

To add one, change `aggregator.tables`, let `python -m aggregator.migrations MESSAGE` write what follows from it, and
read that: data that has to move is not its business.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from aggregator.errors import StateTooNew

FIRST = "0001"
"""The schema of databases that were made before there were revisions."""


def configuration(connection: Connection) -> Config:
    """What alembic's commands take, for a database."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def upgrade(connection: Connection) -> None:
    """Brings a database to the latest revision, within the caller's transaction.

    Raises:
        StateTooNew: a later version of this program made it.
    """
    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = set(MigrationContext.configure(connection).get_current_heads())
    if found - known:
        raise StateTooNew(found=", ".join(sorted(found)), latest=max(known))
    if not found and inspect(connection).has_table("identity"):
        command.stamp(config, FIRST)
    command.upgrade(config, "head")
