"""How many requests had which answer, counted by several processes in memory they share.

Made before the fork, so that whichever process is asked answers for all of them,
those that have died included. Each process adds in a lane of its own: nobody
waits for a lock that a killed process would hold for ever.
"""

import mmap
import os
from collections.abc import Iterable, Mapping

STATUSES = (200, 202, 204, 302, 400, 401, 403, 404, 405, 408, 411, 413, 415, 429, 500, 503, 0)
"""Statuses that are told apart; 0 stands for every other."""

_LANES = 64
_ROUTES = 64
_BYTES = 8


class Tally:
    """Counters of requests by route and status."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, _LANES * _ROUTES * len(STATUSES) * _BYTES)).cast("Q")
        self._routes: Mapping[str, int] = {}

    def name_routes(self, routes: Iterable[str]) -> None:
        """Say which routes there are, the same ones in every process; what is beyond the 63rd is counted as none."""
        self._routes = {name: place for place, name in enumerate(sorted(set(routes))[: _ROUTES - 1], 1)}

    def add(self, route: str | None, status: int) -> None:
        """Count one answer of this process; None: the request met no route."""
        lane = os.getpid() % _LANES
        self._memory[lane * _ROUTES * len(STATUSES) + self._slot(route, status)] += 1

    def read(self) -> Mapping[tuple[str, int], int]:
        """Every count that is not zero, of all processes together; the route of none is empty."""
        width, found = _ROUTES * len(STATUSES), {}
        for route, place in {"": 0, **self._routes}.items():
            for number, status in enumerate(STATUSES):
                slot = place * len(STATUSES) + number
                found[route, status] = sum(self._memory[slot + lane * width] for lane in range(_LANES))
        return {which: count for which, count in found.items() if count}

    def _slot(self, route: str | None, status: int) -> int:
        place = self._routes.get(route or "", 0)
        return place * len(STATUSES) + STATUSES.index(status if status in STATUSES else 0)
