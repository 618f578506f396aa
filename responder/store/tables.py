"""The tables. No column holds a token, or anything it can be recovered from.

Instants are whole microseconds since 1970, UTC; structures are JSON text. Both
mean the same in SQLite and PostgreSQL.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=int(value))


class Json(TypeDecorator[Any]):
    """A structure, stored as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ANN401
        """To the database."""
        return None if value is None else json.dumps(value, separators=(",", ":"), sort_keys=True)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ANN401
        """From the database."""
        return None if value is None else json.loads(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only INTEGER keys up

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("lane", Text, nullable=False),  # whose turn it is: repository or reporter
    Column("refs", Json, nullable=False),  # ids and SHAs only
    Column("sealed", LargeBinary),  # what may contain a token, readable by the worker only
    Column("received_at", Instant, nullable=False),
    Column("state", Text, nullable=False),  # waiting, started, done, failed
    Column("outcome", Text),
    Column("ended_at", Instant),
    Index("ix_deliveries_state_received_at", "state", "received_at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("head", Text, nullable=False),
    Column("tail", Text, nullable=False),
    Column("length", Integer, nullable=False),
    Column("family", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("disposition", Text),
    Column("evidence", Text, nullable=False),
    Column("decision", Text),
    Column("reason", Text, nullable=False),
    Column("key_id", Text),
    Column("key", Json),  # as it was when matched: name, project, owner
    Column("opened_at", Instant, nullable=False),
    Column("looks", Integer, nullable=False),  # numbers the looks still to come: an older one is stale
    Column("undecided_since", Instant),  # set while the provider cannot be asked
    Column("looked_dead_at", Instant),  # the first time the token itself looked dead, before any decision
    Column("revoked_at", Instant),
    Column("dead_in_a_row", Integer, nullable=False),
    Column("dead_at", Instant),  # confirmed dead
    Column("closed_at", Instant),
    Index("ix_incidents_opened_at", "opened_at"),
)

sightings = Table(
    "sightings",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("incident_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("where", Text),
    Column("at", Instant, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("repository", BigInteger),
    Column("alert", BigInteger),
    Column("alert_closed_at", Instant),
    UniqueConstraint("incident_id", "source", "place"),
    Index("ix_sightings_repository_alert", "repository", "alert"),
)

events = Table(
    "events",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("incident_id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("event", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Index("ix_events_incident_id", "incident_id"),
)

revocations = Table(
    "revocations",  # one per key, ever: ids are never used again by their providers
    metadata,
    Column("provider", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("holder", Text, nullable=False),  # the process that is at it
    Column("outcome", Text),  # NULL: intended, and nobody knows yet
    Column("requested_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("ended_at", Instant),
    Index("ix_revocations_requested_at", "requested_at"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("to", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("written_at", Instant, nullable=False),
    Column("claimed_by", Text),
    Column("claimed_at", Instant),
    Column("sent_at", Instant),
    UniqueConstraint("incident_id", "audience", "topic", "channel", "to"),
    Index("ix_notices_topic_written_at", "topic", "written_at"),
    Index("ix_notices_status_written_at", "status", "written_at"),
)

known_keys = Table(
    "known_keys",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("mask_head", Text, nullable=False),
    Column("mask_tail", Text, nullable=False),
    Column("mask_length", Integer),
    Column("project", Text),
    Column("project_name", Text),
    Column("owner_kind", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("owner_name", Text),
    Column("owner_email", Text),
    Column("created_at", Instant),
    Column("last_used_at", Instant),
    Column("fingerprint", Text),
    Column("tier", Text),  # set by hand; NULL: as the policy says
    Column("gone_at", Instant),
    Column("seen_at", Instant, nullable=False),  # when a list last showed it
    Index("ix_known_keys_mask_tail", "mask_tail"),
    Index("ix_known_keys_fingerprint", "fingerprint"),
)

listings = Table(
    "listings",  # when each account's keys were last listed
    metadata,
    Column("provider", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("tried_at", Instant, nullable=False),
    Column("complete_at", Instant),
    Column("problem", Text),
)

damages = Table(
    "damages",  # what a leaked key was used for, as far as the provider tells
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("asked_at", Instant, nullable=False),
    Column("report", Json, nullable=False),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Instant, nullable=False),
)
