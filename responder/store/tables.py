"""The tables. No column holds a token, or anything it can be recovered from.

Instants are whole microseconds since 1970, UTC; structures are JSON text. Both
mean the same in SQLite and PostgreSQL.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
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


class Digest(TypeDecorator[str]):
    """A digest in hex, stored as its bytes."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """To the database."""
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ANN401
        """From the database."""
        return None if value is None else bytes(value).hex()


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only INTEGER keys up
_BOUND = text("fingerprint IS NOT NULL")
_SEALED = text("sealed IS NOT NULL")

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
    Index("ix_deliveries_lane_received_at", "lane", "received_at"),
    Index("ix_deliveries_sealed", "received_at", sqlite_where=_SEALED, postgresql_where=_SEALED),
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
    Column("severity", Text, nullable=False),  # normal, high
    Column("backfill", Boolean, nullable=False),  # found by catching up with the past: told in a digest
    Column("hints", Json),  # what GitHub says of the owner: never evidence
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
    Index("ix_incidents_state_opened_at", "state", "opened_at"),
)

sightings = Table(
    "sightings",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("incident_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("where", Text),
    Column("kind", Text),  # of place: commit, issue_comment …
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

accounts = Table(
    "accounts",  # and when the keys of each were last listed
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("tried_at", Instant),
    Column("complete_at", Instant),
    Column("problem", Text),
    Column("forced_at", Instant),  # the last list that a token asked for
    Column("claimed_at", Instant),  # when the listing under way began; NULL: none is
    Column("renewed_at", Instant),  # when it was last heard of
    Column("doubted", LargeBinary),  # the keys that the last complete list lacked, a bit each, while that is doubted
    UniqueConstraint("provider", "account"),
)

projects = Table(
    "projects",  # as keys name them; a project that is renamed is another row
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("project", Text, nullable=False),
    Column("name", Text),
    Index("ix_projects_project", "project"),
)

owners = Table(
    "owners",  # as keys name them; an owner whose address changes is another row
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Index("ix_owners_owner", "owner"),
)

known_keys = Table(
    "known_keys",  # narrow: there may be millions
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("account", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("mask_head", Text, nullable=False),
    Column("mask_tail", Text, nullable=False),
    Column("mask_length", SmallInteger),
    Column("project", Integer),
    Column("owner", Integer, nullable=False),
    Column("created_at", Instant),
    Column("last_used_at", Instant),
    Column("fingerprint", Digest),
    Column("pepper", SmallInteger),  # the mark of the one it was made with
    Column("tier", Text),  # set by hand; NULL: as the policy says
    Column("gone_at", Instant),
    Column("written_at", Instant, nullable=False),  # when a list last showed something new of it
    UniqueConstraint("account", "key_id"),
    Index("ix_known_keys_mask_tail", "mask_tail"),
    Index("ix_known_keys_fingerprint", "fingerprint", sqlite_where=_BOUND, postgresql_where=_BOUND),
    Index("ix_known_keys_account_project", "account", "project", sqlite_where=_BOUND, postgresql_where=_BOUND),
)

public_keys = Table(
    "public_keys",  # with which partners sign; fetched by a worker, read by every receiver
    metadata,
    Column("origin", Text, primary_key=True),
    Column("keys", Json, nullable=False),  # by identifier: PEM; current ones only
    Column("etag", Text),
    Column("tried_at", Instant, nullable=False),
    Column("fetched_at", Instant),  # when the origin last confirmed them
)

hooks = Table(
    "hooks",  # the webhooks that deliveries came from, to ask GitHub for those that failed
    metadata,
    Column("kind", Text, primary_key=True),  # repository, organization, integration
    Column("target", BigInteger, primary_key=True),
    Column("hook", BigInteger, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Column("caught_up_at", Instant),  # deliveries before it need not be looked at again
)

redeliveries = Table(
    "redeliveries",  # what GitHub was asked to deliver again
    metadata,
    Column("guid", Text, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_redeliveries_at", "at"),
)

repositories = Table(
    "repositories",  # those we were told of, and how far each is scanned
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Column("pushed_at", Text),  # as GitHub wrote it when its heads were last compared
    Column("caught_up_at", Instant),
    Column("heads", Json),  # branch to commit, as last seen
)

damages = Table(
    "damages",  # what a leaked key was used for, as far as the provider tells
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("asked_at", Instant, nullable=False),
    Column("report", Json, nullable=False),
)

audit = Table(
    "audit",  # append-only, by triggers; see store.audit
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # without a gap
    Column("at", Instant, nullable=False),
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("digest", Digest, nullable=False),
)

timings = Table(
    "timings",  # how long it took: histograms that outlive the incidents
    metadata,
    Column("clock", Text, primary_key=True),  # the event up to which was measured
    Column("bound_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("measured", BigInteger, nullable=False),
    Column("total_us", BigInteger, nullable=False),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Instant, nullable=False),
)
