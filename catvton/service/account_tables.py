"""The tables of accounts and keys, as they are after the newest migration."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table

from catvton.records.models import Base, Utc

accounts = Table(
    "accounts", Base.metadata,
    Column("name", String(64), primary_key=True),
    Column("password", String(200)),
    Column("created", Utc, nullable=False),
)  # fmt: skip
api_keys = Table(
    "api_keys", Base.metadata,
    Column("id", String(16), primary_key=True),
    Column("account", String(64), ForeignKey(accounts.c.name, name="fk_api_keys_account_accounts"), nullable=False,
           index=True),
    Column("sha256", String(64), nullable=False, unique=True, index=True),
    Column("created", Utc, nullable=False),
)  # fmt: skip
