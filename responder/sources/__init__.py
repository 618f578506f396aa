"""Who tells us of leaks: one module each, and the table that names them.

A door has two sides. ``told`` runs in the receiver and keeps ids of a payload,
nothing else. ``material`` runs in the worker and fetches, from configured hosts
only, what those ids stand for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from responder.core.sighting import Alert, Source
from responder.sources.github_api import GitHub


@dataclass(frozen=True, slots=True)
class Told:
    """What is kept of a payload.

    Attributes:
        lane: whose turn it takes: a flood in one lane does not delay another.
        refs: ids, SHAs and numbers; never a secret, a URL or a name.
    """

    lane: str
    refs: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Material:
    """Something to look through for tokens; in memory only.

    Attributes:
        kind: ``diff`` (only added lines count), ``text``, or ``secret`` (it is the token itself).
        content: what to look through.
        source, place, where, at, alert: of the sightings found in it (see `core.sighting`).
        path: the file, where it is one.
        gap: why it could not be had; then there is no content, and it is never called clean.
    """

    kind: Literal["diff", "text", "secret"]
    content: str | bytes = field(repr=False)
    source: Source
    place: str
    where: str | None
    at: datetime
    path: str | None = None
    alert: Alert | None = None
    gap: str | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What the worker can fetch with.

    Attributes:
        github: the API, or None if no credential is configured.
    """

    github: GitHub | None


@dataclass(frozen=True, slots=True)
class Door:
    """One way in.

    Attributes:
        told: payload to what is kept of it; raises `core.errors.Malformed`.
        material: what is kept, the opened sealed body if any, and when we were told, to what is to be scanned;
            raises `Refused` or `Unavailable`.
        narrow: what is kept, and the place of one sighting, to the part that leads there.
    """

    told: Callable[[Mapping[str, Any]], Told]
    material: Callable[[Reach, Mapping[str, Any], bytes | None, datetime], Iterator[Material]]
    narrow: Callable[[Mapping[str, Any], str], Mapping[str, Any]] = lambda refs, _place: refs


def doors() -> Mapping[str, Door]:
    """Every door by the name under which its deliveries are kept."""
    from responder.sources import github_alert, github_push, report  # noqa: PLC0415 -- they name this module's types

    return {
        "github_push": Door(github_push.told, github_push.material, github_push.narrow),
        "github_alert": Door(github_alert.told, github_alert.material),
        "report": Door(report.told, report.material),
    }


GITHUB_EVENTS: Mapping[str, str] = {
    "push": "github_push",
    "secret_scanning_alert": "github_alert",
    "secret_scanning_alert_location": "github_alert",
}
"""Which GitHub event goes through which door; every other event is ignored, and said so."""
