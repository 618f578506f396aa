"""The words that notices and summaries share: instants, durations, places, evidence, what happened.

Pure. One fact is said in one way wherever a person meets it.
"""

from datetime import UTC, datetime
from enum import StrEnum

from responder.core.incident import Event, Incident
from responder.core.sighting import Sighting, Source

_PROVIDERS = {"openai": "OpenAI", "anthropic": "Anthropic", "openrouter": "OpenRouter", "litellm": "LiteLLM"}

_SOURCES = {
    Source.GITHUB_PUSH: "a push to GitHub",
    Source.GITHUB_ALERT: "a GitHub secret scanning alert",
    Source.GITHUB_PARTNER: "GitHub's scan of public places",
    Source.GITLAB: "GitLab",
    Source.REPORT: "a report sent to us",
    Source.SCAN: "a scan of our own",
}

_EVENTS = {
    "received": "we were told of the leak",
    "matched": "compared with the keys we know",
    "decided": "decided what to do",
    "revoke_requested": "asked {provider} to delete the key",
    "would_revoke": "would have deleted the key; observe mode, so nothing was deleted",
    "revoked": "{provider} confirmed that the key is deleted",
    "confirmed_dead": "tested: the key no longer works",
    "still_alive": "tested: the leaked token still works",
    "listed_late": "a key that looks like it is listed only now",
    "notified": "a message was sent",
    "warned": "a warning was sent",
    "alert_resolved": "closed the alert at GitHub",
    "alert_closed_by_others": "somebody else closed the alert at GitHub",
    "alert_reopened": "the alert at GitHub was opened again",
    "alert_left_open": "the alert at GitHub was opened once more, and is left as it is",
    "located": "GitHub named further places",
    "severity_raised": "seen in public or alive: the severity is high now",
    "held": "stopped: a person has to decide",
    "approved": "a person approved the deletion",
    "dismissed": "a person dismissed it",
    "closed": "closed",
    "already_gone": "{provider} said that the key was gone already",
    "revoke_refused": "{provider} refused to delete the key",
    "revoke_unknown": "no clear answer from {provider}: its list is read before anything is repeated",
    "not_notified": "a message could not be delivered",
    "not_confirmed": "could not be tested in time",
    "stuck": "could not go on without a person",
}

_EVIDENCE = {
    "fingerprint": "The leaked text has the same one-way fingerprint as this key, so it is this key.",
    "provider_hash": "{provider}'s own identifier of this key is a digest of the leaked text, so it is this key.",
    "probe": (
        "{provider} accepted the leaked text in a read-only request and named this key's project, "
        "in which only this key looks like it."
    ),
    "hint": "The visible first and last characters fit this key. That is a likeness, not a proof.",
    "none": "No known key could be tied to the leaked text.",
}

PROOFS = frozenset({"fingerprint", "provider_hash", "probe"})


class Outcome(StrEnum):
    """What is known of the key's end, and no more."""

    DEAD = "dead"
    DELETED = "deleted"
    REQUESTED = "requested"
    OBSERVED = "observed"
    UNTOUCHED = "untouched"


def outcome(incident: Incident) -> Outcome:
    """What may be said of the key: only what was seen."""
    if incident.confirmed_dead:
        return Outcome.DEAD
    if incident.first("revoked") is not None:
        return Outcome.DELETED
    if incident.first("revoke_requested") is not None:
        return Outcome.REQUESTED
    if incident.first("would_revoke") is not None:
        return Outcome.OBSERVED
    return Outcome.UNTOUCHED


def provider_name(provider: str) -> str:
    """How the provider writes itself, or the word of the configuration."""
    return _PROVIDERS.get(provider, provider)


def source_name(source: Source) -> str:
    """Who told us, in words."""
    return _SOURCES[source]


def place_name(seen: Sighting) -> str:
    """Who told us of one place, and what kind of place it is, in words."""
    kind = (seen.kind or "").replace("_", " ")
    return source_name(seen.source) + (f" ({kind})" if kind else "")


def closing(incident: Incident) -> str:
    """Who else closed an alert of the incident, and as what: ``Alert 3 was closed by alice as wont fix``."""
    line = next((e for e in reversed(incident.timeline) if e.event == "alert_closed_by_others"), None)
    if line is None:
        return "An alert was closed"
    by, resolution = line.detail.get("by") or "somebody", line.detail.get("resolution")
    how = f" as “{str(resolution).replace('_', ' ')}”" if resolution else ""
    return f"Alert {line.detail.get('alert')} was closed by {by}{how}"


def evidence_sentence(incident: Incident) -> str:
    """How we know which key it is."""
    return _EVIDENCE.get(incident.evidence, _EVIDENCE["none"]).format(provider=provider_name(incident.provider))


def event_words(event: Event, provider: str) -> str:
    """What happened, in words; an event without words of its own keeps its name."""
    words = _EVENTS.get(event.event)
    return event.event.replace("_", " ") if words is None else words.format(provider=provider_name(provider))


def instant(at: datetime) -> str:
    """``2026-11-23 06:12:07 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(at: datetime) -> str:
    """``2026-11-23 06:12:07.430``, where a heading says that it is UTC."""
    return at.astimezone(UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")


def duration(milliseconds: int) -> str:
    """A length of time as a person says it: ``340 ms``, ``1.2 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 days 4 h``."""
    if milliseconds < 0:
        return f"minus {duration(-milliseconds)}"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f} s".replace(".0 s", " s")
    seconds = round(milliseconds / 1000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if hours == 0:
        return _two(minutes, "min", seconds % 60, "s")
    if days == 0:
        return _two(hours, "h", minutes % 60, "min")
    return _two(days, "day" if days == 1 else "days", hours % 24, "h")


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"
