"""A message to a person, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Audience(StrEnum):
    """Who a notice is for."""

    OWNER = "owner"
    SECURITY = "security"


class Topic(StrEnum):
    """What a notice says; one text each."""

    REVOKED = "revoked"
    ALREADY_DEAD = "already_dead"
    HELD = "held"
    WAITING = "waiting"
    RAISED = "raised"
    CLOSED_ALIVE = "closed_alive"
    DIGEST = "digest"
    BACKFILL = "backfill"
    WARNED = "warned"
    STILL_ALIVE = "still_alive"
    STUCK = "stuck"
    UNDELIVERED = "undelivered"


class Channel(StrEnum):
    """How a notice travels."""

    MAIL = "mail"
    APPRISE = "apprise"


class Delivery(StrEnum):
    """What became of a notice."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message owed to somebody; its text is made from the incident when it is sent.

    Attributes:
        id: ours; the mail's Message-ID is made of it, so a repeated mail is recognised as one.
        audience: owner or security team.
        topic: which text.
        channel: mail or the team's channels.
        to: a mail address, or the word ``security`` (channel addresses hold credentials).
        status: what became of it.
        attempts: how often it was tried.
        sent_at: when it was accepted, UTC.
    """

    id: str
    audience: Audience
    topic: Topic
    channel: Channel
    to: str
    status: Delivery = Delivery.PENDING
    attempts: int = 0
    sent_at: datetime | None = None
