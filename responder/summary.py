"""Write an incident up for whoever comes to the desk in the morning: Markdown, and JSON.

Pure. It repeats what the incident shows, names what is still open, and claims
nothing else. Names and addresses come from strangers: they stand in code spans,
in which Markdown does nothing, or are stripped of all that Markdown acts on.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from responder.core.damage import AuditRecord
from responder.core.incident import Event, Incident, State, clocks, milliseconds, to_json
from responder.core.notice import Audience, Delivery, Notice, Topic
from responder.core.sighting import Sighting, Source
from responder.notify.damage import asked, figures, spent
from responder.notify.plain import chat, link, plain, without_keys
from responder.notify.words import (
    Outcome,
    duration,
    event_words,
    evidence_sentence,
    instant,
    moment,
    outcome,
    place_name,
    provider_name,
)

_MOST_MODELS = 10
_MOST_RECORDS = 20
_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def markdown(incident: Incident) -> str:
    """Return the summary of *incident*, from the outcome in one sentence to what is still open."""
    provider, redacted = _prose(provider_name(incident.provider)), _code(incident.key.redacted)
    parts = [
        f"# Incident {_code(incident.id)}: {provider} key {redacted}",
        f"**{headline(incident)}**",
        _table(("Fact", "Value"), _facts(incident)),
        "## How fast",
        _bullets(_clocks(incident)),
        *_hints(incident),
        "## Where it was seen",
        _bullets([_place(seen) for seen in incident.sightings]),
        "## What happened when (UTC)",
        _timeline(incident),
        "## What was decided, and why",
        _bullets(_decision(incident)),
        *_damage(incident),
        "## Who was told",
        _notices(incident.notices),
        "## What is still open",
        _bullets(_open(incident)),
    ]
    return "\n\n".join(parts) + "\n"


def json_text(incident: Incident) -> str:
    """Return *incident* as indented JSON in its fixed form; no key in it, and what does not show is escaped."""
    text = json.dumps(to_json(incident), indent=2, ensure_ascii=False, default=str)
    return "".join(_escaped(character) for character in without_keys(text)) + "\n"


def headline(incident: Incident) -> str:
    """Return the outcome in one sentence."""
    known = outcome(incident)
    took = clocks(incident)["received_to_confirmed_dead_ms"]
    if known is Outcome.DEAD and incident.disposition != "already_dead":
        how = "was deleted and" if incident.first("revoked") else "was seen dead and"
        return f"The key {how} no longer works{f', {duration(took)} after we were told' if took is not None else ''}."
    if _still_alive(incident):
        return "The leaked token still works, although the key was to be deleted: wrong key, or the provider failed."
    match incident.disposition:
        case "already_dead":
            return "The key was already out of use when we were told; nothing was deleted."
        case "not_ours":
            return "The token belongs to no key of ours; nothing was deleted."
        case "dismissed":
            return "A person decided to leave the key alone; nothing was deleted."
    match known:
        case Outcome.DELETED:
            return "The provider confirmed that the key is deleted; it has not been seen dead yet."
        case Outcome.REQUESTED:
            return "The deletion of the key was requested and is not confirmed; assume that it still works."
        case Outcome.OBSERVED:
            return "Nothing was deleted: in observe mode the responder watches only; assume that the key still works."
    if incident.state is State.HELD:
        return "A person has to decide; nothing was deleted, assume that the key still works."
    return "Nothing was deleted so far."


def _facts(incident: Incident) -> list[tuple[str, str]]:
    key = incident.key
    owner = key.owner
    person = None if owner is None else ", ".join(text for text in (owner.name, owner.email) if text) or owner.id
    return [
        ("Key", f"{_code(key.name)} {_code(key.redacted)}" if key.name else _code(key.redacted)),
        ("Key id", _code(key.id)),
        ("Project", f"{_code(key.project_name)} {_code(key.project)}" if key.project_name else _code(key.project)),
        ("Owner", _code(person) + (" (service account)" if owner and owner.kind == "service_account" else "")),
        ("Account", f"{_prose(provider_name(incident.provider))}, {_code(incident.account)}"),
        ("Kind of key", _code(incident.family)),
        ("Created", _when(key.created_at)),
        ("Last used", _when(key.last_used_at)),
        ("Severity", incident.severity),
        ("State", incident.state.value),
        ("Outcome", _prose((incident.disposition or "none yet").replace("_", " "))),
        ("Evidence", _prose(incident.evidence.replace("_", " "))),
        ("Seen dead", "yes" if incident.confirmed_dead else "no"),
    ]


def _clocks(incident: Incident) -> list[str]:
    took = clocks(incident)
    requested, dead = took["received_to_revoke_requested_ms"], took["received_to_confirmed_dead_ms"]
    confirmed = milliseconds(incident.first("received"), incident.first("revoked"))
    return [
        "Deletion "
        + ("not requested" if requested is None else f"requested {duration(requested)} after we were told"),
        "Deletion "
        + ("not confirmed" if confirmed is None else f"confirmed {duration(confirmed)} after we were told"),
        "Not seen dead" if dead is None else f"Seen dead {duration(dead)} after we were told",
        *(
            [f"Readable by others for {duration(took['exposure_ms'])}, as far as is known"]
            if took["exposure_ms"] is not None
            else []
        ),
    ]


def _hints(incident: Incident) -> list[str]:
    """What GitHub says of the key: nothing at all unless it says something."""
    said = [f"{_prose(name.replace('_', ' '))}: {_code(value)}" for name, value in incident.hints.items()]
    return ["## What GitHub says of it (not checked)", _bullets(said)] if said else []


def _place(seen: Sighting) -> str:
    """A reporter's address is shown, not linked: anybody can report, with any address."""
    address = link(seen.where)
    told = f"{_prose(place_name(seen))}, {instant(seen.at)}"
    if seen.where is None:
        return told
    if address is not None and seen.source is not Source.REPORT:
        return f"{told}: <{address}>"
    return f"{told}: {_code(seen.where, 300)} (not checked)"


def _timeline(incident: Incident) -> str:
    start = incident.first("received") or incident.opened_at
    rows = [
        (
            moment(line.at),
            duration(milliseconds(start, line.at) or 0),
            _prose(event_words(line, incident.provider)),
            _detail(line),
        )
        for line in incident.timeline
    ]
    return _table(("When", "After", "What", "Detail"), rows)


def _detail(line: Event) -> str:
    return " ".join(_code(f"{name}={value}", 160) for name, value in line.detail.items())


def _decision(incident: Incident) -> list[str]:
    decided = incident.first("decided")
    return [
        f"Decision: {_prose(incident.decision or 'none yet')}{f', at {instant(decided)}' if decided else ''}",
        f"Reason: {_prose(incident.reason, 400) or 'none'}",
        f"Evidence: {_prose(evidence_sentence(incident), 400)}",
    ]


def _damage(incident: Incident) -> list[str]:
    """What the key was used for: nothing at all until its provider was asked."""
    damage = incident.damage
    if damage is None:
        return []
    head = ("Preliminary" if damage.preliminary else "Figure", "From exposure to death", "Before, a day")
    rows = [tuple(_prose(cell) for cell in row) for row in figures(damage)]
    models = damage.usage.models[:_MOST_MODELS] if damage.usage else ()
    lines = [
        *(f"{_code(model)}: {_prose(spent(counts))}" for model, counts in models),
        *(
            f"{instant(record.at)}: {_code(record.what)} by {_code(record.actor)}"
            + (f" from {_code(record.address)}" if record.address else "")
            for record in _first_and_last(damage.records or ())
        ),
        *(_prose(line, 200) for line in damage.unread),
    ]
    return [
        "## What it was used for (preliminary)" if damage.preliminary else "## What it was used for",
        _prose(asked(damage, incident.provider), 200),
        *([_table(head, rows)] if rows else []),
        *([_bullets(lines)] if lines else []),
    ]


def _first_and_last(records: Sequence[AuditRecord]) -> Sequence[AuditRecord]:
    """The creation, and what came last: the deletion among it."""
    return (*records[:1], *records[1:][-_MOST_RECORDS:])


def _notices(notices: Sequence[Notice]) -> str:
    rows = [
        (
            notice.audience.value,
            _code(notice.to),
            notice.topic.value.replace("_", " "),
            notice.channel.value,
            notice.status.value,
            str(notice.attempts),
            _when(notice.sent_at),
        )
        for notice in notices
    ]
    return _table(("Who", "To", "About", "Channel", "Fate", "Attempts", "Sent"), rows) if rows else "- nobody"


def _open(incident: Incident) -> list[str]:
    """What somebody still has to do or to wait for."""
    known = outcome(incident)
    items: list[str] = []
    if _still_alive(incident):
        items.append("Find out which key leaked: the token still works.")
    if incident.state is State.HELD:
        items.append(
            f"Decide: `responder incidents approve {_bare(incident.id)}`, "
            f"or `responder incidents dismiss {_bare(incident.id)} --reason ...`"
        )
    waiting = {
        Outcome.DELETED: "Waiting to see the key dead.",
        Outcome.REQUESTED: "Waiting for the provider's answer.",
    }
    if known in waiting:
        items.append(waiting[known])
    if known is Outcome.OBSERVED:
        items.append("Delete the key by hand, or leave observe mode and approve it.")
    if known is Outcome.UNTOUCHED and incident.state is State.OPEN:
        items.append("Not decided for good; the responder keeps looking.")
    if any(seen.alert for seen in incident.sightings) and (
        incident.first("alert_resolved") is None or incident.first("alert_left_open") is not None
    ):
        items.append("The alert at GitHub is not closed.")
    items.extend(
        f"The message to {_code(notice.to)} ({notice.topic.value.replace('_', ' ')}) "
        + ("failed: tell them another way." if notice.status is Delivery.FAILED else "is not sent yet.")
        for notice in incident.notices
        if notice.status is not Delivery.SENT
    )
    owner_told = any(n.audience is Audience.OWNER for n in incident.notices)
    if not owner_told and incident.disposition not in ("not_ours", "dismissed"):
        items.append("The owner has not been told: find out who it is.")
    return items or ["Nothing."]


def _still_alive(incident: Incident) -> bool:
    said = incident.first("still_alive") is not None or any(n.topic is Topic.STILL_ALIVE for n in incident.notices)
    return said and not incident.confirmed_dead


def _when(at: datetime | None) -> str:
    return "not known" if at is None else instant(at)


def _code(text: object, longest: int = 120) -> str:
    """A stranger's text as a code span; nothing in there is acted on, not even in a table."""
    safe = plain(text or "", longest).replace("`", "'").replace("|", "¦")
    return f"`{safe}`" if safe else "none"


def _prose(text: object, longest: int = 120) -> str:
    """Text without anything Markdown acts on."""
    return re.sub(r"([_#$])", r"\\\1", chat(text, longest))


def _bare(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "", text)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "- nothing"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in _UNPRINTED:
        return character
    return json.dumps(character)[1:-1] if character > "\x7f" else f"\\u{ord(character):04x}"
