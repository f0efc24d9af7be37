"""The schema of databases that were made before there were revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "arguments",
        sa.Column("point_x", sa.LargeBinary(), nullable=False),
        sa.Column("point_y", sa.LargeBinary(), nullable=False),
        sa.Column("count", _WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("point_x", "point_y"),
    )
    op.create_table(
        "identity",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "models",
        sa.Column("task_id", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("version", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", _WHOLE, nullable=False),
        sa.Column("point_x", sa.LargeBinary(), nullable=False),
        sa.Column("point_y", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "version"),
    )
    op.create_table(
        "rounds",
        sa.Column("task_id", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("round", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("step", _WHOLE, nullable=False),
        sa.Column("commit_deadline_seconds", _WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "round"),
    )
    op.create_table(
        "tasks", sa.Column("task_id", _WHOLE, autoincrement=False, nullable=False), sa.PrimaryKeyConstraint("task_id")
    )
    op.create_table(
        "journal",
        sa.Column("cursor", _WHOLE, nullable=False),
        sa.Column("task_id", _WHOLE, nullable=False),
        sa.Column("round", _WHOLE, nullable=False),
        sa.Column("step", _WHOLE, nullable=False),
        sa.Column("finished_at_seconds", _WHOLE, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("gas_used", _WHOLE, nullable=False),
        sa.Column("transaction", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id", "round"],
            ["rounds.task_id", "rounds.round"],
        ),
        sa.PrimaryKeyConstraint("cursor"),
        sa.UniqueConstraint("task_id", "round", "step"),
    )
    op.create_table(
        "proofs",
        sa.Column("task_id", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("round", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("layer", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id", "round"],
            ["rounds.task_id", "rounds.round"],
        ),
        sa.PrimaryKeyConstraint("task_id", "round", "layer"),
    )
    op.create_table(
        "updates",
        sa.Column("update_id", _WHOLE, nullable=False),
        sa.Column("task_id", _WHOLE, nullable=False),
        sa.Column("round", _WHOLE, nullable=False),
        sa.Column("trainer", sa.String(), nullable=False),
        sa.Column("point_x", sa.LargeBinary(), nullable=False),
        sa.Column("point_y", sa.LargeBinary(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_seconds", _WHOLE, nullable=False),
        sa.Column("slot", _WHOLE, nullable=True),
        sa.Column("accepted", sa.Boolean(), nullable=True),
        sa.Column("score", _WHOLE, nullable=True),
        sa.Column("paid_wei", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["task_id", "round"],
            ["rounds.task_id", "rounds.round"],
        ),
        sa.PrimaryKeyConstraint("update_id"),
        sa.UniqueConstraint("point_x"),
        sa.UniqueConstraint("task_id", "round", "trainer"),
    )
