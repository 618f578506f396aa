"""Where deliveries are put: on disk before they are acknowledged. `waiter` takes them up from there."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from responder.bell import ring
from responder.store import Store, StoreUnavailable, Transaction, deliveries, origins
from responder.store.deliveries import ARRIVALS, Crowded, Delivery, Quota
from responder.store.origins import Came, Hook

_HOUR = timedelta(hours=1)
_MOST_NOTED = 10_000


@dataclass(slots=True)
class _Waiting:
    """A delivery on its way to disk, and what became of it."""

    delivery: Delivery
    came: Came | None
    over: bool = False
    new: bool = False
    error: StoreUnavailable | Crowded | None = field(default_factory=lambda: StoreUnavailable("not written"))


class Inbox:
    """The receiver's side.

    What arrives together goes to disk together: one commit for all of it.

    Args:
        store: where deliveries are kept.
        folder: the data directory, in which the bell hangs.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._bell = folder / "bell"
        self._noted: dict[Hook | int, datetime] = {}
        self._waiting: list[_Waiting] = []
        self._writing = threading.Lock()

    def accept(self, delivery: Delivery, quotas: Sequence[Quota] = (), came: Came | None = None) -> bool:
        """Put *delivery* on disk and ring; False if it was there already.

        Where it *came* from is noted with it, unless that was done within the hour.

        Raises:
            StoreUnavailable: it is not on disk, and must not be acknowledged.
            Crowded: its lane has used up one of *quotas*; it is not on disk.
        """
        mine = _Waiting(delivery, came)
        if quotas:  # it may have to be undone, by itself
            self._write(lambda: [mine], quotas)
        else:
            self._waiting.append(mine)
            time.sleep(0)  # lets whoever else is about to accept something join
            with self._writing:
                if not mine.over:
                    self._write(self._take)
        if mine.error is not None:
            raise mine.error
        return mine.new

    def _take(self) -> Sequence[_Waiting]:
        """Whoever waits; who is added to their list from now on is not among them, and is refused."""
        together, self._waiting = self._waiting, []
        return tuple(together)

    def _write(self, take: Callable[[], Sequence[_Waiting]], quotas: Sequence[Quota] = ()) -> None:
        """Put all that *take* gives on disk, or none; each hears of it.

        It is asked once the database lets us write: who came while we waited for that comes along.
        """
        together: Sequence[_Waiting] = ()
        try:
            self._check_disk()
            with self._store.begin("accept") as tx:
                together = take()
                new, noted = self._put(tx, together, quotas)
                self._check_disk()  # who came along has waited for us, and so has whoever takes files away
        except BaseException as error:
            together = [*together, *take()]  # who came meanwhile would wait as long again, and has ten seconds
            if not isinstance(error, (StoreUnavailable, Crowded)):
                raise
            for one in together:
                one.error = error
        else:
            self._noted |= noted
            for one in together:
                one.new, one.error = one.delivery.id in new, None
                new.discard(one.delivery.id)  # sent twice at once, it is new once
            if self._store.is_sqlite:
                ring(self._bell, len(together))
        finally:  # whatever it was, those that are not known to be on disk are not acknowledged
            for one in together:
                one.over = True

    def _check_disk(self) -> None:
        if not self._store.has_room():
            raise StoreUnavailable("disk nearly full")
        if not self._store.is_there():
            raise StoreUnavailable("database missing")

    def _put(
        self, tx: Transaction, together: Sequence[_Waiting], quotas: Sequence[Quota]
    ) -> tuple[set[str], Mapping[Hook | int, datetime]]:
        """Put *together* into the database; the ids of what is new, and which origins were noted when."""
        if quotas:
            new = {one.delivery.id for one in together if deliveries.accept(tx, one.delivery, quotas)}
        else:
            new = set(deliveries.accept_all(tx, [one.delivery for one in together]))
        noted: dict[Hook | int, datetime] = {}
        for one in sorted(together, key=lambda one: repr(one.came)):  # so, two processes never wait for each other
            at = one.delivery.received_at
            if (news := self._news(one.came, at)) is not None:
                origins.note(tx, news, at)
                noted |= {what: at for what in (news.hook, news.repository) if what is not None}
        self._store.notify(tx, ARRIVALS)
        return new, noted

    def _news(self, came: Came | None, now: datetime) -> Came | None:
        """What of it was not noted for an hour; None if nothing."""
        if came is None:
            return None
        if len(self._noted) > _MOST_NOTED:
            self._noted.clear()
        old = {one for one in (came.hook, came.repository) if one in self._noted and now - self._noted[one] < _HOUR}
        news = Came(None if came.hook in old else came.hook, None if came.repository in old else came.repository)
        return news if news.hook is not None or news.repository is not None else None
