"""Known keys: kept in step with the providers' lists, and asked who a token might be.

A list that breaks off changes nothing but what it showed: no key is taken for
gone unless every page arrived, and not even then if suddenly a large part of
them is missing. What did not change is not written again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice

import structlog

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey, Tier
from responder.core.token import Fingerprint
from responder.providers import Provider
from responder.store import Store, accounts, audit, keys
from responder.store.rows import Rows

log = structlog.get_logger(__name__)

_FORCED_GAP = timedelta(seconds=15)
"""Unknown tokens may force a fresh list no more often than this: a flood of them must not empty our rate."""
_PATIENCE_SECONDS = 3.0
"""How long a token waits for a list that is under way: most take less, and a worker's places are few."""
_DOUBTED_KEYS, _DOUBTED_SHARE = 5, 0.2
"""A complete list that lacks more keys than both of what was listed before has to be confirmed by a second one."""
_BURIED_AT_ONCE = 5_000
_OUR_CREDENTIAL = (401, 403)


class Inventory:
    """The known keys of one configured account.

    Args:
        store: where they are kept.
        provider: who lists them.
        protected: key ids, or globs of names, projects and owners, that need a person's approval.
        clock: now, UTC.
        sleep: waits for seconds.

    Attributes:
        locked_out: the last list was refused to our own credential.
    """

    def __init__(
        self,
        store: Store,
        provider: Provider,
        protected: Sequence[str],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._provider = provider
        self._protected = tuple(protected)
        self._clock = clock
        self._sleep = sleep
        self._one_at_a_time = threading.Lock()
        self.locked_out = False
        self._who = (provider.provider, provider.account)

    def candidates(self, seen: Fingerprint) -> Sequence[KnownKey]:
        """Every key of this account that the token might be, gone ones included.

        What was bound to it under a former pepper is bound under the newest from now on.
        """
        with self._store.read() as tx:
            found = keys.candidates(tx, self._provider.provider, seen)
        mine = [self._tiered(key) for key in found if key.account == self._provider.account]
        former = [key for key in mine if key.fingerprint in seen.former]
        for key in former:
            self.learn(key, seen)
        return [replace(key, fingerprint=seen.digest) if key in former else key for key in mine]

    def key(self, key_id: str) -> KnownKey | None:
        """One key by its provider's id."""
        with self._store.read() as tx:
            found = keys.get(tx, self._provider.provider, self._provider.account, key_id)
        return None if found is None else self._tiered(found)

    def every(self) -> Iterator[KnownKey]:
        """Every key of this account, gone ones included, in order of id; read a page at a time."""
        after = ""
        while True:
            with self._store.read() as tx:
                page = keys.every(tx, self._provider.provider, self._provider.account, after)
            if not page:
                return
            yield from map(self._tiered, page)
            after = page[-1].id

    def listed_now(self, key: KnownKey, seen: Fingerprint | None = None) -> Sequence[KnownKey]:
        """Every key of the project of *key*, listed this moment, with the fingerprints proved before.

        Args:
            key: names the project.
            seen: a token's; fingerprints that it cannot be compared with, for want of their pepper, are left out.

        Raises:
            Refused, Unavailable: the provider did not list them.
        """
        with self._our_credential():
            fresh = self._provider.list_project(key)
        with self._store.read() as tx:
            proved = keys.fingerprints(tx, key.provider, key.account, key.project, seen.peppers if seen else ())
        return [replace(one, fingerprint=proved.get(one.id)) for one in fresh]

    def is_listed(self, key: KnownKey) -> bool:
        """Whether the provider lists the key at this moment.

        Raises:
            Refused, Unavailable: nobody knows.
        """
        with self._our_credential():
            return self._provider.is_listed(key)

    def revive(self, key: KnownKey) -> KnownKey:
        """Ask for a key that was taken for gone: listed again if the provider shows it now, else as it was.

        Raises:
            Refused, Unavailable: the provider did not list its project.
        """
        asked = self._clock()
        with self._our_credential():
            shown = [one for one in self._provider.list_project(key) if one.id == key.id]
        if shown:
            with self._store.begin("revive") as tx:
                keys.write(tx, shown, asked)
            log.warning("key_was_not_gone", provider=key.provider, account=key.account, key=key.id)
        return (self.key(key.id) or key) if shown else key

    def learn(self, key: KnownKey, seen: Fingerprint) -> None:
        """Remember that the token with this fingerprint was proved to be *key*."""
        with self._store.begin("learn") as tx:
            keys.bind(tx, key, seen.digest, seen.peppers[0] if seen.peppers else None)
            audit.record(tx, self._clock(), "fingerprint_bound", key.id, {})

    def refresh(self, since: datetime) -> bool:
        """Make sure that a complete list begun at or after *since* is at hand; whether it is.

        Forced lists are spaced, whichever process forces them, and nobody waits long for
        another's: meanwhile the answer is no, and the caller asks again later.
        """
        if not self._one_at_a_time.acquire(timeout=_PATIENCE_SECONDS):
            return self._is_fresh(since)
        try:
            return self._is_fresh(since) or bool(self._sync(_FORCED_GAP))
        finally:
            self._one_at_a_time.release()

    def sync(self, unless_since: datetime | None = None) -> bool:
        """List everything, unless that was done after *unless_since*; whether the list is complete.

        If another process is at it already, its list is waited for instead.
        """
        with self._one_at_a_time:
            if unless_since is not None and self._is_fresh(unless_since):
                return True
            while (done := self._sync()) is None:
                other = self._wait_for_other()
                if other is not None:
                    return self._is_fresh(other)
            return done

    def _is_fresh(self, since: datetime) -> bool:
        """A list of the future proves nothing: the clock was put back; a little is another machine's clock."""
        with self._store.read() as tx:
            last = keys.listing(tx, *self._who)
        latest = self._clock() + accounts.LEASE
        return last is not None and last.complete_at is not None and since <= last.complete_at <= latest

    def _wait_for_other(self) -> datetime | None:
        """When the list began that another process took; None if nobody is at it."""
        began: datetime | None = None
        while True:
            with self._store.read() as tx:
                under_way = accounts.claimed(tx, *self._who, self._clock())
            if under_way is None:
                return began
            began = under_way
            self._sleep(0.2)

    def _sync(self, forced_gap: timedelta | None = None) -> bool | None:
        """List everything; whether the list is complete, None if it is not our turn."""
        started = self._clock()
        with self._store.begin("claim") as tx:
            if not accounts.claim(tx, *self._who, started, forced_gap):
                return None
        shown, problem, gone = Rows(), None, 0
        try:
            with self._our_credential():
                ours = self._take_in(started, shown)
        except (Refused, Unavailable) as error:
            ours, problem = True, str(error)
        if ours and problem is None:
            problem, gone = self._bury(started, shown)
        with self._store.begin("listed") as tx:
            ours = ours and accounts.renew(tx, *self._who, started, self._clock())
            if ours:
                keys.listed(tx, *self._who, started, problem)
        if not ours:
            log.warning("keys_listed_by_another", provider=self._who[0], account=self._who[1])
        elif problem is None:
            log.info("keys_listed", provider=self._who[0], account=self._who[1], gone=gone)
        else:
            log.warning("keys_not_listed", provider=self._who[0], account=self._who[1], why=problem)
        return ours and problem is None

    def _take_in(self, started: datetime, shown: Rows) -> bool:
        """Write down what is new on each page; False if another process took over.

        What is kept in memory is a page, and one bit for every key that was shown.
        """
        asked = renewed = started
        for page in self._provider.list_keys():
            with self._store.read() as tx:
                rows, rest = keys.compare(tx, page)
            shown.add(rows)
            if rest:
                with self._store.begin("list_page") as tx:
                    shown.add(keys.write(tx, rest, asked))
            asked = self._clock()
            if abs(asked - renewed) > accounts.LEASE / 4:
                with self._store.begin("renew") as tx:
                    if not accounts.renew(tx, *self._who, started, asked):
                        return False
                renewed = asked
        return True

    def _bury(self, started: datetime, shown: Rows) -> tuple[str | None, int]:
        """Take for gone what a complete list lacks, if it can be believed; what is wrong with it, and how many.

        If it lacks a large part, only what the complete list before it lacked as well is gone.
        """
        with self._store.read() as tx:
            lost, listed = keys.missing(tx, *self._who, started, shown)
            doubted = accounts.doubted(tx, *self._who)
        news, problem = lost - doubted, None
        if len(news) > max(_DOUBTED_KEYS, listed * _DOUBTED_SHARE):
            problem = f"The list lacks {len(news)} of {listed} known keys, which a second list has to confirm."
            lost = lost & doubted
            with self._store.begin("doubt") as tx:
                accounts.doubt(tx, *self._who, news)
        gone, rows = 0, iter(lost)
        while chunk := list(islice(rows, _BURIED_AT_ONCE)):
            with self._store.begin("bury") as tx:
                gone += keys.bury(tx, *self._who, started, chunk)
        return problem, gone

    @contextmanager
    def _our_credential(self) -> Iterator[None]:
        """Notice whether what is asked in the block is refused to it."""
        try:
            yield
        except Refused as error:
            self.locked_out = error.status in _OUR_CREDENTIAL
            raise
        self.locked_out = False

    def _tiered(self, key: KnownKey) -> KnownKey:
        """Protected by hand, or by the policy: its id, or a glob of its name, project or owner."""
        names = (key.name, key.project or "", key.project_name or "", key.owner.email or "", key.owner.id)
        guarded = any(key.id == rule or any(fnmatchcase(name, rule) for name in names) for rule in self._protected)
        return replace(key, tier=Tier.PROTECTED) if guarded else key
