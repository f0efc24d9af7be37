"""`python -m aggregator.migrations MESSAGE` writes the revision that leads to the tables as they are now."""

import sys

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from aggregator.migrations import configuration, upgrade

with create_engine("sqlite://").begin() as connection:
    upgrade(connection)
    config = configuration(connection)
    head = ScriptDirectory.from_config(config).get_current_head()
    command.revision(config, sys.argv[1], autogenerate=True, rev_id=f"{int(head or 0) + 1:04}")
