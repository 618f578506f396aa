"""What a leaked key was used for between its exposure and its death, as far as its provider tells.

Pure. Providers count late and do not say how late, so every figure keeps the
time of its query and is preliminary; what could not be read is said, never
counted as nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

WEEK = timedelta(days=7)
FURTHEST_BACK = timedelta(days=365)
"""A commit may carry any date its author likes: nothing older than this is asked for."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, the end excluded; UTC."""

    start: datetime
    end: datetime

    @property
    def days(self) -> float:
        """Its length in days."""
        return (self.end - self.start) / timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests to models and their tokens; the cached ones are among the input."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What one key asked of models.

    Attributes:
        window: what was counted, which begins with the provider's whole minute, hour or day.
        models: counts by model, the most used first.
    """

    window: Window
    models: tuple[tuple[str, Counts], ...] = ()

    @property
    def total(self) -> Counts:
        """Over all models."""
        return sum((counts for _, counts in self.models), Counts())


@dataclass(frozen=True, slots=True)
class Cost:
    """What one key cost.

    Attributes:
        window: what was billed, which may begin before the window asked for.
        amount: in units of *currency*.
        currency: as the provider writes it, such as ``"usd"``; empty where nothing was billed.
    """

    window: Window
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What the provider wrote down about a key itself.

    Attributes:
        at: when, UTC.
        what: the provider's word, such as ``"api_key.deleted"``.
        actor: who, by mail address or id.
        address: from which network address, None if the provider does not say.
    """

    at: datetime
    what: str
    actor: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """The answer to one round of questions.

    Attributes:
        asked_at: when the provider was asked, UTC.
        window: from exposure to death, or to *asked_at* while the death is not confirmed.
        usage: in that window; None if it could not be read.
        usage_before: in the week before, for comparison; None also if the key is too young.
        cost: of the whole days of that window.
        cost_before: of the week before those.
        records: creation, changes and deletion, oldest first; None if they could not be read.
        unread: a line for everything that could not be read, and why.
        asked_again_at: when the next round is due, None after the last.
        preliminary: the provider does not vouch that its figures are complete.
    """

    asked_at: datetime
    window: Window
    usage: Usage | None = None
    usage_before: Usage | None = None
    cost: Cost | None = None
    cost_before: Cost | None = None
    records: tuple[AuditRecord, ...] | None = None
    unread: tuple[str, ...] = ()
    asked_again_at: datetime | None = None
    preliminary: bool = True


def exposure(
    sighted_at: Sequence[datetime], opened_at: datetime, created_at: datetime | None, until: datetime
) -> Window:
    """From the first moment others may have used a key until *until*.

    Args:
        sighted_at: when the token was put where it was seen; authors of commits choose these.
        opened_at: when we were told, which bounds dates that lie in the future.
        created_at: when the key came to be, if that is known: nobody used it before.
        until: when it was seen dead, or now.
    """
    start = max(min([*sighted_at, opened_at]), until - FURTHEST_BACK)
    if created_at is not None:
        start = max(start, created_at)
    return Window(min(start, until), until)


def week_before(start: datetime, created_at: datetime | None, step: timedelta) -> Window | None:
    """The seven days before *start*, or the key's own days if it is younger, in whole *step*s; None without one."""
    end = floor(start, step)
    begin = end - WEEK
    if created_at is not None:
        begin = max(begin, floor(created_at, step))
    return Window(begin, end) if end - begin >= step else None


def floor(at: datetime, step: timedelta) -> datetime:
    """The last whole *step*, counted from 1970 in UTC, not after *at*."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return at - (at - epoch) % step


def unread(what: str, why: str) -> str:
    """The line that stands for a missing figure."""
    return f"could not be read: {what}, {why}"


def newer(new: Damage, old: Damage | None) -> Damage:
    """The report to keep: a later one, unless it knows less than the one before."""
    if old is None:
        return new
    if new.asked_at >= old.asked_at and len(new.unread) <= len(old.unread):
        return new
    return replace(old, asked_again_at=max(new, old, key=lambda one: one.asked_at).asked_again_at)


def to_json(damage: Damage) -> dict[str, object]:
    """Render *damage* for programs, and for keeping; the amounts are decimal text."""
    return {
        "preliminary": damage.preliminary,
        "asked_at": _text(damage.asked_at),
        "asked_again_at": damage.asked_again_at and _text(damage.asked_again_at),
        **_span(damage.window),
        "usage": _usage(damage.usage),
        "usage_before": _usage(damage.usage_before),
        "cost": _cost(damage.cost),
        "cost_before": _cost(damage.cost_before),
        "records": None
        if damage.records is None
        else [{"at": _text(r.at), "what": r.what, "actor": r.actor, "address": r.address} for r in damage.records],
        "unread": list(damage.unread),
    }


def from_json(kept: Mapping[str, Any]) -> Damage:
    """Read what `to_json` wrote."""
    records = kept["records"]
    again = kept["asked_again_at"]
    return Damage(
        asked_at=_instant(kept["asked_at"]),
        window=_window(kept),
        usage=_read_usage(kept["usage"]),
        usage_before=_read_usage(kept["usage_before"]),
        cost=_read_cost(kept["cost"]),
        cost_before=_read_cost(kept["cost_before"]),
        records=None
        if records is None
        else tuple(AuditRecord(_instant(r["at"]), r["what"], r["actor"], r["address"]) for r in records),
        unread=tuple(kept["unread"]),
        asked_again_at=None if again is None else _instant(again),
        preliminary=kept["preliminary"],
    )


def _usage(usage: Usage | None) -> dict[str, object] | None:
    if usage is None:
        return None
    models = [{"model": model, **_counts(counts)} for model, counts in usage.models]
    return {**_span(usage.window), **_counts(usage.total), "models": models}


def _counts(counts: Counts) -> dict[str, object]:
    return {
        "requests": counts.requests,
        "input_tokens": counts.input_tokens,
        "cached_tokens": counts.cached_tokens,
        "output_tokens": counts.output_tokens,
    }


def _cost(cost: Cost | None) -> dict[str, object] | None:
    if cost is None:
        return None
    return {**_span(cost.window), "amount": f"{cost.amount:f}", "currency": cost.currency}


def _span(window: Window) -> dict[str, object]:
    return {"from": _text(window.start), "to": _text(window.end)}


def _read_usage(kept: Mapping[str, Any] | None) -> Usage | None:
    if kept is None:
        return None
    return Usage(
        _window(kept),
        tuple(
            (one["model"], Counts(one["requests"], one["input_tokens"], one["cached_tokens"], one["output_tokens"]))
            for one in kept["models"]
        ),
    )


def _read_cost(kept: Mapping[str, Any] | None) -> Cost | None:
    return None if kept is None else Cost(_window(kept), Decimal(kept["amount"]), kept["currency"])


def _window(kept: Mapping[str, Any]) -> Window:
    return Window(_instant(kept["from"]), _instant(kept["to"]))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
