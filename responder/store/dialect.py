"""The one statement that SQLite and PostgreSQL share but SQLAlchemy imports twice."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from responder.store import Transaction


def insert(tx: Transaction, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that understands ``on_conflict_…`` in the dialect of *tx*."""
    return sqlite.insert(table) if tx.dialect.name == "sqlite" else postgresql.insert(table)
