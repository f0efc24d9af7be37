"""Anchors in slot 0, transactions in flight, and rounds that a reorganisation of the chain takes back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SENT = sa.text("trainer <> '0x0000000000000000000000000000000000000000'")
# SQLite's constraints have no names: they get those that PostgreSQL gave them.
_NAMES = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}


def upgrade() -> None:
    with op.batch_alter_table("updates", naming_convention=_NAMES) as updates:
        updates.drop_constraint("updates_point_x_key", type_="unique")
    op.create_index("updates_point_x", "updates", ["point_x"], unique=True, sqlite_where=_SENT, postgresql_where=_SENT)
    with op.batch_alter_table("journal", naming_convention=_NAMES) as journal:
        journal.drop_constraint("journal_task_id_round_step_key", type_="unique")
        journal.add_column(sa.Column("rolled_back", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("journal_of_task", "journal", ["task_id", "cursor"])
    op.create_table(
        "transactions",
        sa.Column("task_id", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("round", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("purpose", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("block", _WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("task_id", "round", "purpose"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("depth_blocks", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("number", _WHOLE, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("depth_blocks"),
    )
