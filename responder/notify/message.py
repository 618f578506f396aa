"""Put a notice into words: subject, plain text and HTML from one prose template.

Pure, apart from reading the templates. Nothing is claimed that the incident does
not show: "revoked" needs the event, "no longer works" needs `confirmed_dead`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import count
from textwrap import TextWrapper
from typing import TYPE_CHECKING

from responder.core.errors import Refused
from responder.core.incident import Incident, State, clocks
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.core.sighting import Sighting, Source
from responder.notify import damage, words
from responder.notify.plain import chat, defang, link, plain, shorten, visible

if TYPE_CHECKING:
    from jinja2 import Environment

_NAMES_OWNER = ("owner_name", "owner_email")
_WIDTH = 76
_MOST_PLACES = 10
_MOST_EVENTS = 20
_LONGEST_SENTENCE = 300

_TEXTS = {
    (Audience.OWNER, Topic.REVOKED): "owner_revoked",
    (Audience.OWNER, Topic.ALREADY_DEAD): "owner_already_dead",
    (Audience.OWNER, Topic.HELD): "owner_held",
    (Audience.OWNER, Topic.WARNED): "owner_warned",
    (Audience.OWNER, Topic.STILL_ALIVE): "owner_still_alive",
    (Audience.SECURITY, Topic.REVOKED): "security_revoked",
    (Audience.SECURITY, Topic.ALREADY_DEAD): "security_already_dead",
    (Audience.SECURITY, Topic.HELD): "security_held",
    (Audience.SECURITY, Topic.WAITING): "security_waiting",
    (Audience.SECURITY, Topic.RAISED): "security_raised",
    (Audience.SECURITY, Topic.CLOSED_ALIVE): "security_closed_alive",
    (Audience.SECURITY, Topic.DIGEST): "security_digest",
    (Audience.SECURITY, Topic.BACKFILL): "security_backfill",
    (Audience.SECURITY, Topic.WARNED): "security_warned",
    (Audience.SECURITY, Topic.STILL_ALIVE): "security_still_alive",
    (Audience.SECURITY, Topic.STUCK): "security_stuck",
    (Audience.SECURITY, Topic.UNDELIVERED): "security_undelivered",
}

_WAITS = (Topic.HELD, Topic.WAITING, Topic.RAISED)


@dataclass(frozen=True, slots=True)
class Message:
    """What a person gets.

    Attributes:
        subject: one line.
        text: plain text, complete in itself.
        html: the same words as a page without remote content.
    """

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where it was seen: a link, or an address that must not be one, or neither."""

    source: str
    at: str
    link: str | None
    address: str | None


def render(notice: Notice, incident: Incident, *, public_url: str | None) -> Message:
    """Return the words of *notice*, encoded for the channel it travels by.

    Args:
        notice: which text, for whom.
        incident: what it is about.
        public_url: base of links to the dashboard; None leaves them out.

    Raises:
        Refused: there is no such text for this audience.
    """
    notice = replace(notice, topic=topic_now(notice.topic, incident))
    name = _TEXTS.get((notice.audience, notice.topic))
    if name is None:
        raise Refused("notify", "notify.render", 501, "no_such_text")
    by_chat = notice.channel is Channel.APPRISE
    facts = _facts(notice, incident, public_url, chat if by_chat else plain)
    facts["width"] = 0 if by_chat else _WIDTH
    facts["next_number"] = count(1).__next__
    text, html = _environments()
    prose = text.get_template(f"{name}.j2").make_module({**facts, "form": "form_text.j2"})
    subject = " ".join(str(getattr(prose, "subject")).split())  # noqa: B009 -- a template's export has no type
    if facts["severity"] == "high" and notice.audience is Audience.SECURITY:
        subject = f"High severity: {subject}"
    body = text.get_template("layout_text.j2").render(facts, prose=str(prose))
    page = html.get_template(f"{name}.j2").make_module({**facts, "form": "form_html.j2"})
    document = html.get_template("layout_html.j2").render(facts, subject=subject, prose=page)
    return Message(_ascii(shorten(subject, 150)), _tidy(body), document.strip() + "\n")


def topic_now(topic: Topic, incident: Incident) -> Topic:
    """What is to be said of a notice's topic now: a message that had to wait is not sent with what was true then."""
    asked = incident.first("revoke_requested") or incident.first("revoked")
    if topic in _WAITS and words.outcome(incident) is words.Outcome.OBSERVED:
        return Topic.REVOKED  # which says what would have been done; observe mode lets nobody approve anything
    if topic in _WAITS and incident.state is State.HELD:
        return topic  # whatever was asked for was refused, or a person has to look
    if topic in (*_WAITS, Topic.WARNED) and asked:
        return Topic.REVOKED
    dead = incident.confirmed_dead or incident.disposition == "already_dead"
    if topic in (*_WAITS, Topic.WARNED, Topic.CLOSED_ALIVE) and dead:
        return Topic.REVOKED if asked else Topic.ALREADY_DEAD
    if topic is Topic.STILL_ALIVE and incident.confirmed_dead:
        return Topic.REVOKED
    return topic


def _facts(notice: Notice, incident: Incident, public_url: str | None, safe: Callable[..., str]) -> dict[str, object]:
    """Everything a template may say, already safe for the sink."""
    key = incident.key
    owner = key.owner
    took = clocks(incident)
    first_seen = min((seen.at for seen in incident.sightings), default=None)
    page = link(f"{public_url.rstrip('/')}/incidents/{incident.id}") if public_url else None
    return {
        "id": safe(incident.id),
        "command_id": incident.id if incident.id.replace("_", "").replace("-", "").isalnum() else "ID",
        "topic": notice.topic.value,
        "audience": notice.audience.value,
        "provider": safe(words.provider_name(incident.provider)),
        "account": safe(incident.account),
        "redacted": safe(key.redacted),
        "key_id": safe(key.id or "") or None,
        "key_name": safe(key.name or "") or None,
        "project": safe(key.project_name or key.project or "") or None,
        "created": _instant(key.created_at),
        "last_used": _instant(key.last_used_at),
        "used_since": bool(first_seen and key.last_used_at and key.last_used_at > first_seen),
        "owner_name": (safe(owner.name or "") or None) if owner else None,
        "owner_email": (safe(owner.email or "") or None) if owner else None,
        "owner_kind": owner.kind if owner else None,
        "hinted": ", ".join(safe(incident.hints[one]) for one in _NAMES_OWNER if one in incident.hints) or None,
        "only_hinted": notice.to != (owner.email if owner else None) and "owner_email" in incident.hints,
        "severity": incident.severity,
        "disposition": incident.disposition,
        "alert_closed": safe(words.closing(incident), _LONGEST_SENTENCE),
        "outcome": words.outcome(incident).value,
        "observed": incident.first("would_revoke") is not None and incident.first("revoke_requested") is None,
        "state": incident.state.value,
        "proved": incident.evidence in words.PROOFS,
        "evidence": safe(words.evidence_sentence(incident), _LONGEST_SENTENCE),
        "reason": safe(incident.reason, _LONGEST_SENTENCE),
        "stuck": safe(_stuck(incident), _LONGEST_SENTENCE),
        "digested": sum(event.event == "digested" for event in incident.timeline),
        "backfilled": _backfilled(incident),
        "took_request": _duration(took["received_to_revoke_requested_ms"]),
        "took_dead": _duration(took["received_to_confirmed_dead_ms"]),
        "received": _instant(incident.first("received") or incident.opened_at),
        "revoked_at": _instant(incident.first("revoked")),
        "dead_at": _instant(incident.first("confirmed_dead")),
        "places": [_place(seen, safe) for seen in incident.sightings[:_MOST_PLACES]],
        "more_places": max(0, len(incident.sightings) - _MOST_PLACES),
        "reported": any(seen.source is Source.REPORT for seen in incident.sightings),
        "events": [
            (words.moment(event.at), safe(words.event_words(event, incident.provider)))
            for event in incident.timeline[:_MOST_EVENTS]
        ],
        "more_events": max(0, len(incident.timeline) - _MOST_EVENTS),
        "owner_told": _owner_told(incident),
        "damage": safe(damage.paragraph(incident.damage, incident.provider), 1000) if incident.damage else None,
        "page": page,
    }


def _place(seen: Sighting, safe: Callable[..., str]) -> Place:
    """A reporter's address is shown, not linked: anybody can report, with any address."""
    source, at = words.place_name(seen), words.instant(seen.at)
    address = link(seen.where)
    if address is not None and seen.source is not Source.REPORT:
        return Place(source, at, address, None)
    if seen.where is None:
        return Place(source, at, None, None)
    shown = defang(visible(seen.where))
    return Place(source, at, None, safe(shown, 200))


def _owner_told(incident: Incident) -> str:
    """Whether the owner has a message, in one word."""
    states = {notice.status for notice in incident.notices if notice.audience is Audience.OWNER}
    for status in (Delivery.SENT, Delivery.PENDING, Delivery.FAILED):
        if status in states:
            return status.value
    return "nobody"


def _stuck(incident: Incident) -> str:
    """Why it cannot go on without a person."""
    return next((str(e.detail.get("why", "")) for e in reversed(incident.timeline) if e.event == "stuck"), "")


def _backfilled(incident: Incident) -> Mapping[str, int]:
    """How many leaks a digest stands for, by what was last to be said of each; ``all`` of them."""
    last = {
        str(e.detail.get("incident")): str(e.detail.get("topic")) for e in incident.timeline if e.event == "digested"
    }
    return {"all": len(last), "revoked": 0, "already_dead": 0, **Counter(last.values())}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else words.instant(at)


def _duration(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else words.duration(milliseconds)


def _flow(text: object, width: int, first: str = "", rest: str = "") -> str:
    """Lay *text* out as one paragraph; addresses are never broken; width 0 leaves it on one line."""
    line = " ".join(str(text).split())
    if width == 0:
        return first + line
    wrapper = TextWrapper(
        width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(line)


def _ascii(subject: str) -> str:
    """A subject in ASCII: encoded words (RFC 2047) are folded in ways that change spaces."""
    return subject.replace("…", "...").encode("ascii", "replace").decode("ascii")


def _tidy(text: str) -> str:
    """At most one empty line in a row, none at the ends."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines).strip() + "\n"


@cache
def _environments() -> "tuple[Environment, Environment]":
    """Two views of the same templates: text as it is, and HTML with everything escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 -- 80 ms that most commands save

    html = Environment(
        loader=PackageLoader("responder.notify"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html.filters["flow"] = _flow
    return html.overlay(autoescape=False), html
