"""The table of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account", sa.String(128)),
        sa.Column("engine", sa.String(200)),
        sa.Column("part", sa.String(20)),
        sa.Column("steps", sa.Integer),
        sa.Column("guidance", sa.Float),
        sa.Column("seed", sa.BigInteger),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("pictures", sa.Integer, nullable=False),
        sa.Column("seconds", sa.JSON, nullable=False),
        sa.Column("outcome", sa.String(100), nullable=False),
        sa.Column("flags", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_time", "jobs", ["time"])
    op.create_index("ix_jobs_account", "jobs", ["account"])


def downgrade() -> None:
    op.drop_table("jobs")
