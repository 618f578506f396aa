"""What can go wrong on the other side, as data.

A fault is planned for a route, used up a number of times and remembered with
its hits. Nothing here touches a socket: the servers carry the faults out.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

REPLACING = ("status", "wrong_schema", "html", "huge", "redirect")
"""Another answer than the true one; the request counts only with ``applied=True``."""

SILENT = ("timeout", "reset")
"""No answer at all: held for ``seconds`` then closed, or reset at once."""

BREAKING = ("drip", "cut_json", "cut_body", "reset_mid_body")
"""The true answer, broken on its way, so the request always counts."""


@dataclass(slots=True)
class Fault:
    """One planned misbehaviour.

    Attributes:
        route: searched for in ``"METHOD /path"`` (mail: ``"RCPT address"``).
        kind: one of the kinds the server knows.
        times: how many more times it strikes; None for ever.
        skip: how many matching requests pass unharmed first.
        applied: the request takes effect before its answer is spoiled.
        status: the HTTP or SMTP status to answer with.
        headers: further headers, such as ``Retry-After``.
        body: replaces the body; text as it is, anything else as JSON; None for the vendor's own.
        seconds: how long to hang, or the whole time a drip takes.
        size_bytes: of a huge body.
        location: where a redirect leads; empty for the decoy.
        hits: how often it struck so far.
    """

    route: re.Pattern[str]
    kind: str
    times: int | None = 1
    skip: int = 0
    applied: bool = False
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    seconds: float = 30.0
    size_bytes: int = 10_000_000
    location: str = ""
    hits: int = 0


class Faults:
    """The plan of one server; the first fault that fits a request strikes.

    Args:
        kinds: what this server can do.
    """

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self.kinds = kinds
        self._planned: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        route: str,
        kind: str,
        times: int | None = 1,
        *,
        skip: int = 0,
        applied: bool = False,
        status: int = 500,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        seconds: float = 30.0,
        size_bytes: int = 10_000_000,
        location: str = "",
    ) -> Fault:
        """Plan a fault; the parameters are the attributes of `Fault`.

        Raises:
            ValueError: this server has no such kind.
        """
        if kind not in self.kinds:
            raise ValueError(f"no fault {kind!r} here, only {', '.join(self.kinds)}")
        fault = Fault(
            re.compile(route),
            kind,
            times,
            skip,
            applied,
            status,
            dict(headers or {}),
            body,
            seconds,
            size_bytes,
            location,
        )
        with self._lock:
            self._planned.append(fault)
        return fault

    def clear(self) -> None:
        """Forget the plan."""
        with self._lock:
            self._planned.clear()

    def take(self, line: str) -> Fault | None:
        """The fault that strikes *line*, counted; None if all is well."""
        with self._lock:
            for fault in self._planned:
                if fault.times == 0 or not fault.route.search(line):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                fault.hits += 1
                return fault
        return None
