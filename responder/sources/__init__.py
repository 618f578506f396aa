"""Who tells us of leaks: one module each, and the table that names them.

A door has two sides. ``told`` runs in the receiver and keeps ids of a payload,
nothing else. ``material`` runs in the worker and fetches, from configured hosts
only, what those ids stand for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from responder.core.sighting import Alert, Source
from responder.sources.github_api import GitHub
from responder.sources.gitlab_api import GitLab
from responder.sources.partner_keys import KeyPage


@dataclass(frozen=True, slots=True)
class Told:
    """What is kept of a payload.

    Attributes:
        lane: whose turn it takes: a flood in one lane does not delay another.
        refs: ids, SHAs and numbers; never a secret, a URL or a name.
    """

    lane: str
    refs: Mapping[str, object]


class Change(StrEnum):
    """What an event says has happened to an alert."""

    SEEN = "seen"
    LOCATED = "located"
    WORSE = "worse"
    FORGOTTEN = "forgotten"
    CLOSED = "closed"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class News:
    """What an alert says besides its secret; never evidence.

    Attributes:
        change: what happened to it.
        severe: its secret was seen in public, or alive.
        hints: what GitHub says of the secret's owner.
        is_open: whether the alert is.
        updated_at: when it last changed, UTC.
        resolution: how it was closed, in GitHub's word, if it is.
        closed_by: the login of whoever closed it, if it is safe to show.
    """

    change: Change
    severe: bool
    hints: Mapping[str, str] = field(repr=False)
    is_open: bool
    updated_at: datetime | None = None
    resolution: str | None = None
    closed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what a delivery tells of, to be a delivery of its own: what is large gets done bit by bit.

    Attributes:
        door: the one it goes through.
        refs: as of `Told`.
    """

    door: str
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
        part: is to be looked through by itself, later; then there is no content here.
        news: what else an alert says, where it is one.
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
    part: Part | None = None
    news: News | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What the worker can fetch with.

    Attributes:
        github: the API, or None if no credential is configured.
        gitlab: likewise.
        partners: where those publish their keys who may sign reports of tokens.
        app: GitHub in the name of the App itself, if we are one: for what only an App may ask.
    """

    github: GitHub | None
    gitlab: GitLab | None = None
    partners: Mapping[str, KeyPage] = field(default_factory=dict)
    app: GitHub | None = None


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
    from responder.sources import (  # noqa: PLC0415 -- they name this module's types
        github_alert,
        github_history,
        github_partner,
        github_push,
        gitlab,
        gitlab_revocation,
        report,
        scan,
    )

    return {
        "github_push": Door(github_push.told, github_push.material, github_push.narrow),
        "github_alert": Door(github_alert.told, github_alert.material),
        "github_history": Door(github_history.told, github_history.material),
        "github_partner": Door(github_partner.told, github_partner.material, github_partner.narrow),
        "gitlab": Door(gitlab.told, gitlab.material, gitlab.narrow),
        "gitlab_revocation": Door(gitlab_revocation.told, gitlab_revocation.material),
        "report": Door(report.told, report.material, report.narrow),
        "scan": Door(scan.told, scan.material, scan.narrow),
    }


GITHUB_EVENTS: Mapping[str, str] = {
    "push": "github_push",
    "secret_scanning_alert": "github_alert",
    "secret_scanning_alert_location": "github_alert",
    "public": "github_history",
    "repository.publicized": "github_history",
}
"""Which GitHub event, or action of one, goes through which door; every other is ignored, and said so."""
