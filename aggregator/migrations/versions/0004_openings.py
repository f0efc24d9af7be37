"""The block in which the chain began a round."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("rounds", sa.Column("opened_block", _WHOLE, nullable=True))
    op.add_column("rounds", sa.Column("opened_hash", sa.LargeBinary(), nullable=True))
