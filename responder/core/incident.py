"""All sightings of one token, and everything done since.

The JSON made here is the product's outside; `summary` renders the same object
for people. Nothing in it is secret.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from responder.core import damage as used
from responder.core.key import Owner
from responder.core.notice import Notice
from responder.core.sighting import Sighting


class State(StrEnum):
    """Open until decided, held while a person is needed, contained once revoked, closed when nothing is left."""

    OPEN = "open"
    HELD = "held"
    CONTAINED = "contained"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline: what happened, in the past tense, and when."""

    at: datetime
    event: str
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeakedKey:
    """What people may know of the key: as matched, or only the token's redacted form.

    Attributes:
        redacted: ``sk-proj-…abcd``.
        id: the provider's id, None while unmatched; the rest likewise.
    """

    redacted: str
    id: str | None = None
    name: str | None = None
    project: str | None = None
    project_name: str | None = None
    owner: Owner | None = None
    last_used_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """One leaked token: the unit people see.

    Attributes:
        id: ``inc_…``.
        state: where it stands.
        disposition: how it ended, None before that.
        provider: who issued the token; account, the configured account it belongs to.
        family: the rule that recognised it.
        key: what people may know of it.
        evidence: a word of `match.Evidence`.
        decision: a word of `decision.Action`, None before one is made.
        reason: one sentence.
        confirmed_dead: only after it was seen dead.
        opened_at: when we first heard of it, UTC.
        sightings, timeline, notices: in order of time.
        damage: what the key was used for, once its provider was asked.
        severity: ``normal``, or ``high`` once the token was seen in public or alive; it never lowers.
        hints: what GitHub says of the key and its owner; never evidence.
    """

    id: str
    state: State
    disposition: str | None
    provider: str
    account: str
    family: str
    key: LeakedKey
    evidence: str
    decision: str | None
    reason: str
    confirmed_dead: bool
    opened_at: datetime
    sightings: Sequence[Sighting] = ()
    timeline: Sequence[Event] = ()
    notices: Sequence[Notice] = ()
    damage: used.Damage | None = None
    severity: str = "normal"
    hints: Mapping[str, str] = field(default_factory=dict)

    def first(self, event: str) -> datetime | None:
        """When *event* first happened, or None."""
        return next((line.at for line in self.timeline if line.event == event), None)


def timestamp(at: datetime | None) -> str | None:
    """RFC 3339 with milliseconds, UTC: ``2026-11-23T06:12:00.123Z``."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(start: datetime | None, end: datetime | None) -> int | None:
    """Whole milliseconds between two instants, None if either is missing."""
    return None if start is None or end is None else round((end - start).total_seconds() * 1000)


def clocks(incident: Incident) -> dict[str, int | None]:
    """How long it took: the figures the product is measured by.

    ``exposure_ms`` runs from the earliest moment the token is known to have been
    readable by others until it was seen dead.
    """
    received = incident.first("received")
    dead = incident.first("confirmed_dead")
    seen = min((sighting.at for sighting in incident.sightings), default=None)
    return {
        "received_to_revoke_requested_ms": milliseconds(received, incident.first("revoke_requested")),
        "received_to_confirmed_dead_ms": milliseconds(received, dead),
        "exposure_ms": milliseconds(seen, dead),
    }


def to_json(incident: Incident) -> dict[str, object]:
    """Render *incident* in the product's fixed JSON form."""
    key = incident.key
    owner = None if key.owner is None else {"kind": key.owner.kind, "name": key.owner.name, "email": key.owner.email}
    return {
        "id": incident.id,
        "state": incident.state.value,
        "disposition": incident.disposition,
        "provider": incident.provider,
        "account": incident.account,
        "family": incident.family,
        "key": {
            "id": key.id,
            "name": key.name,
            "redacted": key.redacted,
            "project": key.project,
            "owner": owner,
        },
        "evidence": incident.evidence,
        "decision": incident.decision,
        "reason": incident.reason,
        "confirmed_dead": incident.confirmed_dead,
        "severity": incident.severity,
        "hints": dict(incident.hints),
        "sightings": [
            {"source": s.source.value, "kind": s.kind, "where": s.where, "at": timestamp(s.at)}
            for s in incident.sightings
        ],
        "timeline": [{"at": timestamp(e.at), "event": e.event, "detail": dict(e.detail)} for e in incident.timeline],
        "clocks": clocks(incident),
        "notices": [
            {"to": n.to, "channel": n.channel.value, "status": n.status.value, "attempts": n.attempts}
            for n in incident.notices
        ],
        **({} if incident.damage is None else {"damage": used.to_json(incident.damage)}),
    }
