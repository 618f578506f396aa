"""Every mail exactly as a person receives it, after a real SMTP conversation.

``UPDATE_SNAPSHOTS=1`` rewrites the files; read the difference as its reader would.
"""

import email
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from responder.core.damage import Cost, Counts, Damage, Usage, Window
from responder.core.incident import Event, Incident, LeakedKey, State
from responder.core.key import Owner
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.core.sighting import Sighting, Source
from responder.notify import Mailer

SNAPSHOTS = Path(__file__).parent / "snapshots"
ROBOT = Owner("service_account", "svc_1", "nightly-robot", None)
ASKED = datetime(2026, 11, 23, 6, 12, 50, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
SPAN = Window(ASKED - timedelta(seconds=50), ASKED)
WEEK = Window(MIDNIGHT - timedelta(days=7), MIDNIGHT)
USED = Damage(
    ASKED,
    SPAN,
    Usage(SPAN, (("gpt-5-mini", Counts(1240, 3_100_000, 0, 620_000)),)),
    Usage(WEEK, (("gpt-5-mini", Counts(84, 84_000, 0, 8400)),)),
    Cost(Window(MIDNIGHT, ASKED), Decimal("7.44"), "usd"),
    Cost(WEEK, Decimal("1.75"), "usd"),
    unread=("could not be read: the audit log, refused with status 404",),
    asked_again_at=ASKED + timedelta(hours=1),
)
HINTS = {"owner_name": "Ada Lovelace", "owner_email": "ada@example.com"}
UNLISTED = {
    "state": State.CLOSED,
    "disposition": "not_ours",
    "evidence": "none",
    "reason": "No key of ours looks like it, and the list of keys is fresh.",
    "id": None,
    "name": None,
    "project": None,
    "project_name": None,
}
CLOSED = (
    Event(ASKED - timedelta(seconds=43), "received"),
    Event(ASKED - timedelta(seconds=42), "held"),
    Event(ASKED, "alert_closed_by_others", {"alert": 3, "resolution": "wont_fix", "by": "ada-l"}),
)
PLACES = (
    Sighting(
        Source.GITHUB_ALERT, "7/alert/3", "https://github.com/example/billing/security/secret-scanning/3", ASKED, "d"
    ),
    Sighting(
        Source.GITHUB_ALERT,
        "7/alert/3/a",
        "https://github.com/example/billing/issues/5#issuecomment-81",
        ASKED,
        "d",
        kind="issue_comment",
    ),
)
OF_THE_INCIDENT = {
    "damage",
    "severity",
    "hints",
    "timeline",
    "sightings",
    "state",
    "disposition",
    "evidence",
    "reason",
}
SHOWN = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
)

CASES: list[tuple[str, Audience, Topic, str, dict[str, Any]]] = [
    ("owner-revoked-dead", Audience.OWNER, Topic.REVOKED, "dead", {}),
    ("owner-revoked-deleted", Audience.OWNER, Topic.REVOKED, "deleted", {}),
    ("owner-revoked-requested", Audience.OWNER, Topic.REVOKED, "requested", {}),
    ("owner-revoked-observed", Audience.OWNER, Topic.REVOKED, "observed", {}),
    ("owner-revoked-robot", Audience.OWNER, Topic.REVOKED, "dead", {"owner": ROBOT, "last_used_at": None}),
    ("owner-revoked-used", Audience.OWNER, Topic.REVOKED, "dead", {"damage": USED}),
    ("owner-already-dead", Audience.OWNER, Topic.ALREADY_DEAD, "gone", {}),
    ("owner-already-dead-tested", Audience.OWNER, Topic.ALREADY_DEAD, "refused", {}),
    ("owner-held", Audience.OWNER, Topic.HELD, "held", {}),
    ("owner-hinted", Audience.OWNER, Topic.HELD, "held", {"owner": None, "hints": HINTS}),
    ("owner-hinted-unlisted", Audience.OWNER, Topic.HELD, "held", {"owner": None, "hints": HINTS} | UNLISTED),
    ("owner-warned", Audience.OWNER, Topic.WARNED, "unknown", {}),
    ("owner-still-alive", Audience.OWNER, Topic.STILL_ALIVE, "deleted", {}),
    ("security-revoked-dead", Audience.SECURITY, Topic.REVOKED, "dead", {}),
    ("security-revoked-deleted", Audience.SECURITY, Topic.REVOKED, "deleted", {}),
    ("security-revoked-requested", Audience.SECURITY, Topic.REVOKED, "requested", {}),
    ("security-revoked-observed", Audience.SECURITY, Topic.REVOKED, "observed", {}),
    ("security-revoked-used", Audience.SECURITY, Topic.REVOKED, "dead", {"damage": USED}),
    ("security-already-dead", Audience.SECURITY, Topic.ALREADY_DEAD, "gone", {}),
    ("security-held", Audience.SECURITY, Topic.HELD, "held", {}),
    ("security-held-unknown-owner", Audience.SECURITY, Topic.HELD, "held", {"owner": None}),
    ("security-waiting", Audience.SECURITY, Topic.WAITING, "held", {}),
    ("security-digest", Audience.SECURITY, Topic.DIGEST, "held", {}),
    ("security-backfill", Audience.SECURITY, Topic.BACKFILL, "held", {}),
    ("security-raised", Audience.SECURITY, Topic.RAISED, "held", {"severity": "high"}),
    (
        "security-closed-alive",
        Audience.SECURITY,
        Topic.CLOSED_ALIVE,
        "held",
        {"timeline": CLOSED, "sightings": PLACES},
    ),
    ("security-high", Audience.SECURITY, Topic.HELD, "held", {"severity": "high", "owner": None, "hints": HINTS}),
    ("security-warned", Audience.SECURITY, Topic.WARNED, "unknown", {}),
    ("security-still-alive", Audience.SECURITY, Topic.STILL_ALIVE, "deleted", {}),
    ("security-stuck", Audience.SECURITY, Topic.STUCK, "requested", {}),
    ("security-undelivered", Audience.SECURITY, Topic.UNDELIVERED, "dead", {}),
    ("security-undelivered-robot", Audience.SECURITY, Topic.UNDELIVERED, "dead", {"owner": ROBOT}),
]


def as_received(raw: bytes) -> str:
    """Show a mail as its reader's program does: the headers that matter, the text, the page."""
    mail = email.message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    boundary = re.escape(str(mail.get_boundary()))
    headers = "\n".join(f"{name}: {re.sub(boundary, 'BOUNDARY', str(mail[name]))}" for name in SHOWN)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    parts = (text.get_content(), html.get_content())
    shown = "\n\n".join((headers, "=== text/plain", parts[0].strip(), "=== text/html", parts[1].strip()))
    return shown.replace("\r\n", "\n") + "\n"


@pytest.mark.parametrize(("name", "audience", "topic", "state", "changes"), CASES, ids=[case[0] for case in CASES])
def test_every_mail_arrives_as_it_was_last_read_and_approved(
    name: str,
    audience: Audience,
    topic: Topic,
    state: str,
    changes: dict[str, Any],
    serve: Callable[..., int],
    postbox: Any,
    incident: Callable[..., Incident],
    key: Callable[..., LeakedKey],
    notice: Callable[..., Notice],
) -> None:
    """A frightened person reads these words; nobody changes one without having read the whole."""
    fate = Delivery.FAILED if topic is Topic.UNDELIVERED else Delivery.SENT
    told = Notice("ntc_80", Audience.OWNER, Topic.REVOKED, Channel.MAIL, "ada@example.com", fate, attempts=1)
    known = changes.get("owner", "somebody") not in (None, ROBOT)
    whose = key(**{name: value for name, value in changes.items() if name not in OF_THE_INCIDENT})
    others = {name: value for name, value in changes.items() if name in OF_THE_INCIDENT}
    matter = incident(state, key=whose, notices=(told,) if known else (), **others)
    mailer = Mailer(
        f"smtp://127.0.0.1:{serve()}",
        "Leak responder <leaks@example.com>",
        clock=lambda: datetime(2026, 11, 23, 6, 13, 0, tzinfo=UTC),
    )
    mailer.send(notice(audience, topic), matter, public_url="https://leaks.example.com/")
    [(_, recipients, raw)] = postbox.received
    assert recipients == ["ada@example.com" if audience is Audience.OWNER else "security@example.com"]
    seen, path = as_received(raw), SNAPSHOTS / f"{name}.eml"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(seen, encoding="utf-8")
    assert seen == path.read_text(encoding="utf-8")


def test_no_snapshot_is_left_over() -> None:
    """A file that no test compares only looks like a promise."""
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {case[0] for case in CASES}


def test_every_topic_has_its_text_for_the_audiences_that_hear_it() -> None:
    """A missing text would be found out at three in the morning."""
    told = {(audience, topic) for _, audience, topic, _, _ in CASES}
    assert {topic for audience, topic in told if audience is Audience.SECURITY} == set(Topic)
    assert {topic for audience, topic in told if audience is Audience.OWNER} == set(Topic) - {
        Topic.STUCK,
        Topic.UNDELIVERED,
        Topic.WAITING,
        Topic.RAISED,
        Topic.CLOSED_ALIVE,
        Topic.DIGEST,
        Topic.BACKFILL,
    }
