"""Keys of last models that are sealed for their task's owner, and manifests of rounds."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("wrapped_key", sa.LargeBinary(), nullable=True))
        models.add_column(sa.Column("manifest", sa.LargeBinary(), nullable=True))
