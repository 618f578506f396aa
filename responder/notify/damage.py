"""Say what a leaked key was used for, in the words that notices and summaries share.

Pure. A figure is never given without the time of its query and the word
preliminary, nor a missing one as nothing.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from responder.core.damage import Cost, Counts, Damage, Usage, Window
from responder.notify.words import duration, instant, provider_name

_COUNTS: tuple[tuple[str, Callable[[Counts], int]], ...] = (
    ("Requests", lambda counts: counts.requests),
    ("Input tokens", lambda counts: counts.input_tokens),
    ("of these cached", lambda counts: counts.cached_tokens),
    ("Output tokens", lambda counts: counts.output_tokens),
)


def asked(damage: Damage, provider: str) -> str:
    """When the figures were had, and what they are worth."""
    worth = "Preliminary: what" if damage.preliminary else "What"
    later = f" We ask again at {instant(damage.asked_again_at)}." if damage.asked_again_at else ""
    return f"{worth} {provider_name(provider)} had counted when we asked at {instant(damage.asked_at)}.{later}"


def figures(damage: Damage) -> Sequence[tuple[str, str, str]]:
    """Rows of what, since the exposure, and a day of the time before; empty if nothing could be read."""
    rows: list[tuple[str, str, str]] = []
    if damage.usage is not None:
        rows.append(("Counted", _span(damage.usage.window), _span_before(damage.usage_before)))
        for label, count in _COUNTS:
            rows.append((label, f"{count(damage.usage.total):,}", _count_a_day(damage.usage_before, count)))
    if damage.cost is not None:
        rows.append(("Billed, days as a whole", _span(damage.cost.window), _span_before(damage.cost_before)))
        rows.append(("Cost", money(damage.cost), _cost_a_day(damage.cost_before)))
    return rows


def spent(counts: Counts) -> str:
    """``12 requests, 12,000 input and 2,400 output tokens``."""
    requests = "1 request" if counts.requests == 1 else f"{counts.requests:,} requests"
    return f"{requests}, {counts.input_tokens:,} input and {counts.output_tokens:,} output tokens"


def money(cost: Cost, days: float = 1.0) -> str:
    """``12.34 USD``; what is less than one keeps four decimals."""
    amount = cost.amount / Decimal(days)
    figure = f"{amount:,.2f}" if amount == 0 or abs(amount) >= 1 else f"{amount:.4f}"
    return f"{figure} {cost.currency.upper()}".rstrip()


def paragraph(damage: Damage, provider: str) -> str:
    """Everything in a few sentences, for a message."""
    told = [asked(damage, provider)]
    if damage.usage is not None:
        before = damage.usage_before
        compared = f"; before that, {_count_a_day(before, _COUNTS[0][1])} requests a day" if before else ""
        told.append(f"Since {instant(damage.usage.window.start)}: {spent(damage.usage.total)}{compared}.")
    if damage.cost is not None:
        compared = f"; before that, {_cost_a_day(damage.cost_before)} a day" if damage.cost_before else ""
        told.append(
            f"Billed by whole days from {instant(damage.cost.window.start)} on: {money(damage.cost)}{compared}."
        )
    told += [f"{line[:1].upper()}{line[1:]}." for line in damage.unread]
    if damage.usage is not None or damage.cost is not None:
        told.append("Rightful use is counted as well.")
    return " ".join(told)


def _span(window: Window) -> str:
    return f"{instant(window.start)} to {instant(window.end)}"


def _span_before(part: Usage | Cost | None) -> str:
    if part is None:
        return "nothing to compare with"
    length = duration(round(part.window.days * 86_400_000))
    return f"{length} until {instant(part.window.end)}"


def _count_a_day(usage: Usage | None, count: Callable[[Counts], int]) -> str:
    return "" if usage is None else f"{count(usage.total) / usage.window.days:,.1f}"


def _cost_a_day(cost: Cost | None) -> str:
    return "" if cost is None else money(cost, cost.window.days)
