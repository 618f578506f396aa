"""What goes wrong with an HTTP service, as rows for tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from responder.simulator.fault import Fault, Faults


@dataclass(frozen=True, slots=True)
class Ill:
    """One way to answer badly.

    Attributes:
        name: in the table.
        kind: as the simulator's.
        details: further parameters of `Faults.add`.
    """

    name: str
    kind: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def plan(self, faults: Faults, route: str, times: int | None, **more: Any) -> Fault:
        return faults.add(route, self.kind, times, **{**self.details, **more})


def status(code: int, wait: str | None = None) -> Ill:
    """A plain status; *wait* is its ``Retry-After``."""
    headers = {} if wait is None else {"Retry-After": wait}
    name = f"{code}" if wait is None else f"{code} wait {wait[:12]}"
    return Ill(name, "status", {"status": code, "headers": headers})


def names(ill: Ill) -> str:
    """Of rows, in a report."""
    return ill.name


NO_CREDENTIAL = [status(401), status(403)]
NO = [status(404), status(409)]
SLOW_DOWN = [status(429), status(429, "7"), status(429, "120"), status(503, "40")]
ABSURD = [status(429, wait) for wait in ("999999999", "1e9", "-5", "soon", "Wed, 21 Oct 2037 07:28:00 GMT")]
"""Wishes to wait that nobody can mean."""
NOT_NOW = [
    *(status(code) for code in (408, 500, 502, 503, 504)),
    *(Ill(kind, kind) for kind in ("refused", "reset", "reset_mid_body", "timeout", "drip", "cut_json")),
]
NONSENSE = [
    Ill("wrong schema", "wrong_schema"),
    Ill("a list for an object", "wrong_schema", {"body": []}),
    Ill("html with 200", "html"),
    Ill("10 MB", "huge", {"size_bytes": 10_000_000}),
    Ill("redirect", "redirect"),
]
EVERY = [*NO_CREDENTIAL, *NO, *SLOW_DOWN, *NOT_NOW, *NONSENSE]
GRAVE = [status(429, "120"), status(500), *(ill for ill in (*NOT_NOW, *NONSENSE) if ill.kind in ("timeout", "html"))]
"""A few of every sort."""
