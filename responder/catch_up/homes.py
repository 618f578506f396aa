"""Repositories: open alerts that have no incident, and branches that moved without our hearing of it.

What was there before we first knew a repository is taken for known: its branches
are not scanned, and its alerts are handed on as the past they are.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from responder.catch_up.sweep import Sweep
from responder.core.errors import Refused, Unavailable
from responder.sources import github_lists as lists
from responder.sources.github_lists import Home
from responder.store import deliveries, origins
from responder.store.deliveries import Delivery
from responder.store.origins import Repository

_CHANGED_AT_ONCE = 50
_OTHERS_AT_ONCE = 50
"""Two calls each, every five minutes: a few hundred an hour of the thousands that GitHub allows."""
_MOST_ALERTS = 2000
_OVERLAP = timedelta(hours=1)
_SETTLED = timedelta(minutes=1)  # GitHub's clock has seconds: what was pushed just now may be pushed to again in it
_BEFORE_US = timedelta(minutes=10)
_NOTHING = "0" * 40
_OUR_CREDENTIAL = 401

Came = Sequence[tuple[str, Mapping[str, object]]]


def catch_up(sweep: Sweep) -> None:
    """Look at the repositories that changed, and at those that were not looked at for longest.

    Raises:
        Unavailable, Refused: the sweep has to end.
    """
    listed = _listed(sweep)
    with sweep.house.store.read() as tx:
        known = origins.known(tx, listed.keys())
        others = origins.longest_ago(tx, _OTHERS_AT_ONCE)
        began = origins.first_seen(tx)
    changed = [known[id_] for id_, home in listed.items() if id_ in known and home.pushed_at != known[id_].pushed_at]
    due = {one.id: one for one in (*changed[:_CHANGED_AT_ONCE], *others)}
    for repository in due.values():
        with sweep.apart("repository", repository.id):
            try:
                _catch_up(sweep, repository, listed.get(repository.id), began or sweep.started)
            except (Refused, Unavailable):
                with sweep.house.store.begin("not_caught_up") as tx:
                    origins.caught_up(tx, repository.id, sweep.started)  # the others have their turn first
                raise


def _listed(sweep: Sweep) -> Mapping[int, Home]:
    """Repositories as GitHub lists them, where it does; those that were pushed to last come first."""
    found: dict[int, Home] = {}
    with sweep.house.store.read() as tx:
        hooks = [hook for hook, _ in origins.webhooks(tx, sweep.started)]
    organizations = sorted({hook.target for hook in hooks if hook.kind == "organization"})
    installed = [None] if sweep.house.reach.app is not None else []
    for organization in (*organizations, *installed):
        with sweep.apart("organization", organization or 0):
            for page in lists.repositories(sweep.caller, organization):
                found |= {home.id: home for home in page}
                if not _are_news(sweep, page) and organization is not None:
                    break
    return found


def _are_news(sweep: Sweep, page: Sequence[Home]) -> bool:
    """Whether any of a page changed since it was last looked at; those never heard of are known from now on."""
    with sweep.house.store.read() as tx:
        known = origins.known(tx, [home.id for home in page])
    unknown = [home.id for home in page if home.id not in known]
    if unknown:
        with sweep.house.store.begin("met") as tx:
            origins.meet(tx, unknown, sweep.started)
    return bool(unknown) or any(home.pushed_at != known[home.id].pushed_at for home in page)


def _catch_up(sweep: Sweep, repository: Repository, home: Home | None, began: datetime) -> None:
    home = home or lists.repository(sweep.caller, repository.id)
    since = (repository.caught_up_at or repository.seen_at) - _OVERLAP
    with sweep.house.store.read() as tx:
        came = origins.brought(tx, f"github:{repository.id}", since)
    found: list[Delivery] = []
    values: dict[str, object] = {}
    if repository.heads is None or repository.pushed_at is None or home.pushed_at != repository.pushed_at:
        heads = {_digest(name): sha for name, sha in lists.heads(sweep.caller, repository.id, "branches")}
        found += _moved(sweep, repository, home, heads, came, began)
        values = {"heads": heads, "pushed_at": _settled(home, sweep.started)}
    found += _alerts(sweep, repository, came)
    with sweep.house.store.begin("repository_caught_up") as tx:
        for delivery in found:
            kind = "alerts" if delivery.source == "github_alert" else "branches"
            sweep.found[kind] += deliveries.accept(tx, delivery)
        origins.caught_up(tx, repository.id, sweep.started, **values)


def _settled(home: Home, now: datetime) -> str | None:
    if home.pushed_at is None or now - datetime.fromisoformat(home.pushed_at) < _SETTLED:
        return None
    return home.pushed_at


def _digest(branch: str) -> str:
    """A branch may be named after a secret."""
    return hashlib.sha256(branch.encode("utf-8", "replace")).hexdigest()[:16]


def _moved(
    sweep: Sweep, repository: Repository, home: Home, heads: Mapping[str, str], came: Came, began: datetime
) -> Iterator[Delivery]:
    """A push for each branch that moved, unless webhooks brought every step of it."""
    if repository.heads is None and (home.created_at is None or home.created_at < began):
        return  # what was there before us is where we begin
    former = repository.heads or {}
    default = _digest(home.default_branch)
    past = {*former.values(), _NOTHING}
    steps = {str(refs["after"]): str(refs["before"]) for _, refs in came if "after" in refs and "before" in refs}
    for branch, head in heads.items():
        if _was_brought(steps, head, past):
            continue
        base = former.get(branch) or former.get(default) or heads.get(default)
        if base is None or base == head:
            refs: dict[str, object] = {"repository": repository.id, "walk": head, "page": 1}
            lane = f"github:{repository.id}:history"
            yield Delivery(f"cu_walk_{repository.id}_{head[:20]}", "github_history", lane, refs, sweep.started)
        else:
            refs = {"repository": repository.id, "commits": [], "before": base, "after": head}
            id_ = f"cu_push_{repository.id}_{base[:20]}_{head[:20]}"
            yield Delivery(id_, "github_push", f"github:{repository.id}", refs, sweep.started)


def _was_brought(steps: Mapping[str, str], head: str, past: set[str]) -> bool:
    """Whether *head* was reached from a head we knew, or from nothing, push by push."""
    for _ in range(len(steps) + 1):
        if head in past:
            return True
        if head not in steps:
            return False
        head = steps[head]
    return False


def _alerts(sweep: Sweep, repository: Repository, came: Came) -> Iterator[Delivery]:
    """An event for each open alert, of a vendor whose keys we look for, that no incident knows of."""
    under_way = {refs.get("alert") for state, refs in came if state in ("waiting", "started")}
    with sweep.house.store.read() as tx:
        under_way |= origins.sighted(tx, repository.id)
    try:
        listed = list(islice(lists.open_alerts(sweep.caller, repository.id), _MOST_ALERTS))
    except Refused as error:
        if error.status == _OUR_CREDENTIAL:
            raise
        sweep.found["without_alerts"] += 1  # secret scanning is off there, or not ours to see
        return
    for alert in listed:
        if alert.number in under_way or alert.kind.partition("_")[0] not in sweep.vendors:
            continue
        whole = f"cu_alert_{repository.id}_{alert.number}"
        with sweep.house.store.read() as tx:
            state = deliveries.state(tx, whole)
        if state not in (None, "failed"):
            continue  # it was looked at, and nothing came of it
        refs: dict[str, object] = {"repository": repository.id, "alert": alert.number, "action": "created"}
        if alert.created_at is not None and alert.created_at < repository.seen_at - _BEFORE_US:
            refs["backfill"] = True
        again = {"of": whole} if state == "failed" else {}
        id_ = f"{whole}_{sweep.started:%Y%m%d}" if again else whole
        yield Delivery(id_, "github_alert", f"github:{repository.id}", refs | again, sweep.started)
