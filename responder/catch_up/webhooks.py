"""Deliveries that failed: GitHub is asked for them again, under the GUID they had.

The numbers of a webhook came in headers that nobody signed: they lead to questions
to GitHub, and to GitHub delivering what it signs, and to nothing else.
"""

from datetime import datetime, timedelta

from responder.catch_up.sweep import Sweep
from responder.core.errors import Refused
from responder.sources import GITHUB_EVENTS
from responder.sources import github_lists as lists
from responder.sources.github_call import Caller
from responder.sources.github_lists import Attempt
from responder.store import origins
from responder.store.origins import Hook

_WINDOW = timedelta(days=3)  # GitHub keeps deliveries no longer
_OVERLAP = timedelta(hours=1)
_BACKLOG = timedelta(hours=48)
_TRIES = 3
_UNDER_WAY = timedelta(seconds=60)
_MOST_PAGES = 200
_MOST_AT_ONCE = 500
_NO_PERMISSION = (403, 404)


def catch_up(sweep: Sweep) -> None:
    """Look at every webhook that ever brought us something.

    Raises:
        Unavailable, Refused: the sweep has to end.
    """
    with sweep.house.store.read() as tx:
        known = origins.webhooks(tx, sweep.started)
    for hook, until in known:
        caller = _caller(sweep, hook)
        if caller is None:
            continue
        with sweep.apart("webhook", hook.hook):
            try:
                _catch_up(sweep, caller, hook, until)
            except Refused as error:
                if error.status not in _NO_PERMISSION:
                    raise
                sweep.found["not_read"] += 1
                sweep.tell(
                    "webhooks",
                    f"What webhook {hook.hook} failed to deliver cannot be listed or delivered again: {error}. "
                    "Our credential needs to read and write webhooks.",
                )


def _caller(sweep: Sweep, hook: Hook) -> Caller | None:
    """To whom the webhook belongs; an App's own answers to nobody but the App."""
    if hook.kind != "integration":
        return sweep.caller
    return sweep.house.reach.app.caller if sweep.house.reach.app is not None else None


def _catch_up(sweep: Sweep, caller: Caller, hook: Hook, until: datetime | None) -> None:
    since = max(until or datetime.min.replace(tzinfo=sweep.started.tzinfo), sweep.started - _WINDOW) - _OVERLAP
    lost: dict[str, Attempt] = {}
    complete = False
    for number, page in enumerate(lists.attempts(caller, hook.kind, hook.target, hook.hook)):
        for attempt in page:
            if attempt.failed and _is_handled(attempt) and not _is_older(attempt, since):
                lost.setdefault(attempt.guid, attempt)
        complete = True
        if any(_is_older(attempt, since) for attempt in page):
            break
        if number >= _MOST_PAGES:
            complete = False
            break
    oldest_first = list(lost.values())[::-1]
    settled = [_deliver_again(sweep, caller, hook, attempt) for attempt in oldest_first[:_MOST_AT_ONCE]]
    if complete and all(settled) and len(oldest_first) <= _MOST_AT_ONCE:
        with sweep.house.store.begin("hook_caught_up") as tx:
            origins.hook_caught_up(tx, hook, sweep.started)


def _deliver_again(sweep: Sweep, caller: Caller, hook: Hook, attempt: Attempt) -> bool:
    """Have one event delivered again unless it is here; whether it need not be thought of again.

    A further attempt that fails is in the list of failed ones by itself.
    """
    with sweep.house.store.read() as tx:
        if origins.is_here(tx, attempt.guid):
            return True
        tries, last = origins.tries(tx, attempt.guid)
    if tries >= _TRIES:
        sweep.tell("lost", f"GitHub could not deliver an event to us, though it was asked {_TRIES} times to.")
        return True
    if last is not None and sweep.started - last < _UNDER_WAY:
        return False
    if not sweep.house.policy.enforce or sweep.house.stopped():
        return False  # it is asked of GitHub to do something
    if _is_older(attempt, sweep.started - _BACKLOG):
        sweep.tell("backlog", "Events of more than two days ago were not delivered; GitHub forgets them after three.")
    with sweep.house.store.begin("deliver_again") as tx:
        origins.try_again(tx, attempt.guid, sweep.started)
    lists.deliver_again(caller, hook.kind, hook.target, hook.hook, attempt)
    sweep.found["delivered_again"] += 1
    return True


def _is_handled(attempt: Attempt) -> bool:
    """Whether we would do anything about such an event."""
    return attempt.event in GITHUB_EVENTS or f"{attempt.event}.{attempt.action}" in GITHUB_EVENTS


def _is_older(attempt: Attempt, instant: datetime) -> bool:
    return attempt.at is not None and attempt.at < instant
