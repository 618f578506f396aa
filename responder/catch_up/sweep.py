"""One sweep: what it has found so far, and how it gets past what is broken."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from responder.core.errors import Refused, Unavailable
from responder.engine import Task
from responder.house import House
from responder.ruling import tell_soon
from responder.sources.github_call import Caller
from responder.store import origins
from responder.trouble import report_stuck

log = structlog.get_logger(__name__)

_BROKEN_IN_A_ROW = 3
_CLOSING_TAKES = timedelta(minutes=10)
_OUR_CREDENTIAL = 401


class Sweep:
    """A sweep under way.

    Args:
        house: to fetch with, and to hand on to.

    Attributes:
        started: when it began, UTC.
        found: how many of what.
        following: tasks that follow from it.
        vendors: whose keys we look for, as GitHub's words for kinds of secrets begin: those of our rule files.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.started = house.clock()
        self.found: Counter[str] = Counter()
        self.following: list[Task] = []
        self.vendors = frozenset(family.partition("-")[0] for family in house.scanner.families)
        self._broken = 0

    @property
    def caller(self) -> Caller:
        """To GitHub.

        Raises:
            Refused: there is no credential.
        """
        if self.house.reach.github is None:
            raise Refused("github", "catch_up", _OUR_CREDENTIAL, "no_credential")
        return self.house.reach.github.caller

    @contextmanager
    def apart(self, what: str, number: int) -> Iterator[None]:
        """Whatever is broken about one thing does not stop the others, unless it is the same with all of them.

        Raises:
            Unavailable: GitHub wants to be left alone, or does not answer.
            Refused: our own credential is not good.
        """
        try:
            yield
        except Unavailable as error:
            self._broken += 1
            if error.why == "rate limit" or self._broken >= _BROKEN_IN_A_ROW:
                raise
            self._not_read(what, number, error)
        except Refused as error:
            if error.status == _OUR_CREDENTIAL:
                raise
            self._broken = 0
            self._not_read(what, number, error)
        else:
            self._broken = 0

    def tell(self, kind: str, why: str) -> None:
        """The security team hears of it, once a day."""
        about = f"catch_up_{kind}_{self.started:%Y%m%d}"
        with self.house.store.begin("catch_up_told") as tx:
            report_stuck(self.house, tx, about, why)
        self.following.append(tell_soon(about, kind))
        log.warning("not_caught_up", kind=kind)

    def close_alerts(self) -> None:
        """Have the alerts closed whose key is dead: whatever should have done so has had its time."""
        if not self.house.policy.close_alerts or self.house.reach.github is None:
            return
        with self.house.store.read() as tx:
            ids = origins.unclosed(tx, self.started - _CLOSING_TAKES)
        cause = f"caught{self.started:%Y%m%d}"  # each such task goes on until it has done it: one a day is enough
        self.following += [Task("close", f"close:{id_}:{cause}", (id_, cause, 0)) for id_ in ids]
        self.found["closings"] += len(ids)

    def _not_read(self, what: str, number: int, error: Exception) -> None:
        self.found["not_read"] += 1
        log.warning("not_caught_up_with", what=what, number=number, why=str(error))
