"""Notices owed to people: written with what they are about, sent until somebody has them.

A notice that cannot be delivered does not vanish: the security team hears that
the owner was not told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from responder.core.errors import Refused, Unavailable
from responder.core.incident import Event, Incident, LeakedKey, State
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.core.recipient import within
from responder.store import Store, Transaction, deliveries, incidents, notices

log = structlog.get_logger(__name__)

_SLOT = timedelta(minutes=10)
_LATE = timedelta(minutes=1)
_GATHERED = _SLOT - timedelta(seconds=30)
"""So long a digest of the past is added to; it is sent a little later."""
_MOST_OF_A_KIND = 3
_DIGESTED = frozenset({Topic.HELD, Topic.WAITING, Topic.WARNED, Topic.ALREADY_DEAD, Topic.STUCK, Topic.UNDELIVERED})
_DIGESTED_OF_THE_PAST = _DIGESTED | {Topic.REVOKED}
_PAST = "digest_past_"
_MOST_ATTEMPTS = 60
"""With pauses growing to an hour, a little over two days."""


class Carrier(Protocol):
    """What takes a notice to a person (see `notify`)."""

    def send(self, notice: Notice, incident: Incident, *, public_url: str | None) -> None:
        """Return once accepted.

        Raises:
            Refused: it will never be accepted like this.
            Unavailable: not now.
        """


def _pause(attempts: int) -> timedelta:
    """How long to wait before the next attempt; sixty take a little over two days."""
    return timedelta(seconds=min(5.0 * 2.0 ** min(attempts, 20), 3600.0))


def _slot(now: datetime) -> int:
    return int(now.timestamp() // _SLOT.total_seconds())


@dataclass(frozen=True, slots=True)
class Outbox:
    """Who is told what, and through what.

    Attributes:
        store: where notices wait.
        mail: to owners, None if not configured.
        channels: to the security team, None if not configured.
        public_url: base of links in notices.
        clock: now, UTC.
        recipient_domains: where owners may be written to whom only GitHub names.
    """

    store: Store
    mail: Carrier | None
    channels: Carrier | None
    public_url: str | None
    clock: Callable[[], datetime]
    recipient_domains: Sequence[str] = ()

    def owe_owner(self, tx: Transaction, about: str, topic: Topic, email: str | None) -> bool:
        """The key's owner is to be told, where there is an address and a mail server; whether that is news.

        Where the provider names no address, the one that GitHub names will do, if it is in a domain of ours.
        """
        email = email or self.hinted(tx, about)
        if email is None or self.mail is None:
            return False
        since = self.clock() - _SLOT
        if topic is Topic.WARNED and notices.written_since(tx, topic, since, email) >= _MOST_OF_A_KIND:
            return False  # enough to be warned by; what is proved is always told
        return notices.owe(tx, about, Audience.OWNER, topic, Channel.MAIL, email, self.clock())

    def hinted(self, tx: Transaction, about: str) -> str | None:
        """The owner's address as GitHub names it, if we may write to it."""
        address = incidents.get(tx, about).hints.get("owner_email")
        return None if address is None else within(address, self.recipient_domains)

    def owe_security(
        self, tx: Transaction, about: str, topic: Topic, *, always: bool = False, again: bool = False
    ) -> bool:
        """The security team is to be told; whether that is news.

        Beyond a few messages in ten minutes one digest stands for the rest: a flood of
        made-up tokens must not hide a real one, so what is proved is counted by itself, and
        what is to be told *always* is never put off.
        What was found by catching up with the past is told in one digest, revoked keys too.
        With no channel configured nobody can be told: that is an error in the log, for each case.
        """
        if self.channels is None:
            log.error("nobody_to_tell", about=about, topic=topic.value)
            return False
        now = self.clock()
        past = topic in _DIGESTED_OF_THE_PAST and not always and incidents.is_backfill(tx, about)
        if past or (topic in _DIGESTED and not always and self._is_flooded(tx, about, topic, now)):
            digest = self._digest_of_the_past(tx, now) if past else f"digest_{_slot(now)}"
            incidents.note(tx, digest, "digested", now, {"incident": about, "topic": topic.value})
            word = Topic.BACKFILL if past else Topic.DIGEST
            notices.owe(tx, digest, Audience.SECURITY, word, Channel.APPRISE, "security", now)
            return False
        return notices.owe(tx, about, Audience.SECURITY, topic, Channel.APPRISE, "security", now, again=again)

    def _digest_of_the_past(self, tx: Transaction, now: datetime) -> str:
        """The digest that is being gathered, or a new one: what is found at once is told at once."""
        return notices.gathering(tx, _PAST, now - _GATHERED) or f"{_PAST}{int(now.timestamp())}"

    def _is_flooded(self, tx: Transaction, about: str, topic: Topic, now: datetime) -> bool:
        proved = notices.is_about_a_proved_key(tx, about)
        told = notices.written_since(tx, topic, now - _SLOT, "security", proved=proved)
        return told >= _MOST_OF_A_KIND

    def overdue(self) -> Sequence[str]:
        """What has notices pending for longer than their own tasks should have taken."""
        now = self.clock()
        with self.store.read() as tx:
            late = notices.pending_since(tx, now - _LATE, lambda attempts: _pause(attempts) + _LATE, now)
            digests = set(notices.pending_since(tx, now - _SLOT, _pause, now))
        return [about for about in late if not about.startswith("digest_") or about in digests]

    def send(self, about: str, claimer: str) -> float | None:
        """Send what is pending about an incident or a delivery.

        Returns:
            Seconds after which to try again, or None if nothing is left.
        """
        with self.store.begin("claim") as tx:
            claimed = notices.claim(tx, about, claimer, self.clock(), _pause)
        for notice in claimed:
            self._send_one(about, notice)
        with self.store.read() as tx:
            left = [n for n in notices.of(tx, about) if n.status is Delivery.PENDING]
        if not left:
            return None
        return _pause(min(n.attempts for n in left)).total_seconds()

    def _send_one(self, about: str, notice: Notice) -> None:
        carrier = self.mail if notice.channel is Channel.MAIL else self.channels
        status, why = Delivery.SENT, ""
        try:
            if carrier is not None:
                carrier.send(notice, self._subject(about), public_url=self.public_url)
            else:
                status, why = Delivery.FAILED, "not configured any more"
        except Unavailable as error:
            gave_up = notice.attempts + 1 >= _MOST_ATTEMPTS
            status, why = (Delivery.FAILED if gave_up else Delivery.PENDING), error.why
        except Refused as error:
            status, why = Delivery.FAILED, f"status {error.status}"
        with self.store.begin("told") as tx:
            notices.settle(tx, notice, status, self.clock())
            detail = {"audience": notice.audience.value, "topic": notice.topic.value, "channel": notice.channel.value}
            if status is Delivery.SENT:
                incidents.note(tx, about, "notified", self.clock(), detail)
            elif status is Delivery.FAILED:
                incidents.note(tx, about, "not_notified", self.clock(), {**detail, "why": why})
                if notice.audience is Audience.OWNER:
                    self.owe_security(tx, about, Topic.UNDELIVERED)
        if status is Delivery.FAILED:
            log.error("person_not_told", about=about, audience=notice.audience.value, why=why)
        elif status is Delivery.PENDING:
            log.warning("notice_delayed", about=about, audience=notice.audience.value, why=why)

    def _subject(self, about: str) -> Incident:
        """The incident a notice is about; a delivery that got stuck is shown as one without a key."""
        with self.store.read() as tx:
            if about.startswith("inc_"):
                return incidents.load(tx, about)
            delivery = deliveries.get(tx, about)
            lines = incidents.timeline(tx, about)
        at = delivery.received_at if delivery else self.clock()
        stuck = next((line for line in lines if line.event == "stuck"), Event(at, "stuck", {}))
        return Incident(
            id=about,
            state=State.HELD,
            disposition=None,
            provider="",
            account="",
            family="",
            key=LeakedKey("unknown"),
            evidence="none",
            decision="hold",
            reason=str(stuck.detail.get("why", "A delivery could not be finished.")),
            confirmed_dead=False,
            opened_at=at,
            timeline=lines,
        )
