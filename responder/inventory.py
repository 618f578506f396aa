"""Known keys: kept in step with the providers' lists, and asked who a token might be.

A list that breaks off changes nothing but what it showed: no key is taken for
gone unless every page arrived.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import structlog

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey, Tier
from responder.core.token import Fingerprint
from responder.providers import Provider
from responder.store import Store, keys

log = structlog.get_logger(__name__)

_FORCED_GAP = timedelta(seconds=15)
"""Unknown tokens may force a fresh list no more often than this: a flood of them must not empty our rate."""


class Inventory:
    """The known keys of one configured account.

    Args:
        store: where they are kept.
        provider: who lists them.
        protected: key ids, or globs of names, projects and owners, that need a person's approval.
        clock: now, UTC.
    """

    def __init__(
        self, store: Store, provider: Provider, protected: Sequence[str], clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._provider = provider
        self._protected = tuple(protected)
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._forced_at: datetime | None = None

    def candidates(self, seen: Fingerprint) -> Sequence[KnownKey]:
        """Every key of this account that the token might be, gone ones included."""
        with self._store.read() as tx:
            found = keys.candidates(tx, self._provider.provider, seen)
        return [self._tiered(key) for key in found if key.account == self._provider.account]

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

    def listed_now(self, key: KnownKey) -> Sequence[KnownKey]:
        """Every key of the project of *key*, listed this moment, with the fingerprints proved before.

        Raises:
            Refused, Unavailable: the provider did not list them.
        """
        fresh = self._provider.list_project(key)
        with self._store.read() as tx:
            proved = keys.fingerprints(tx, key.provider, key.account, key.project)
        return [replace(one, fingerprint=proved.get(one.id)) for one in fresh]

    def learn(self, key: KnownKey, seen: Fingerprint) -> None:
        """Remember that the token with this fingerprint was proved to be *key*."""
        with self._store.begin("learn") as tx:
            keys.bind(tx, key, seen.digest)

    def refresh(self, since: datetime) -> bool:
        """Make sure that a complete list begun at or after *since* is at hand; whether it is.

        Forced lists are spaced: in between, the answer is no, and the caller asks again later.
        """
        with self._one_at_a_time:
            if self._is_fresh(since):
                return True
            now = self._clock()
            if self._forced_at is not None and now - self._forced_at < _FORCED_GAP:
                return False
            self._forced_at = now
            return self._sync()

    def sync(self, unless_since: datetime | None = None) -> bool:
        """List everything, unless that was done after *unless_since*; whether the list is complete."""
        with self._one_at_a_time:
            if unless_since is not None and self._is_fresh(unless_since):
                return True
            return self._sync()

    def _is_fresh(self, since: datetime) -> bool:
        with self._store.read() as tx:
            last = keys.listing(tx, self._provider.provider, self._provider.account)
        return last is not None and last.complete_at is not None and last.complete_at >= since

    def _sync(self) -> bool:
        started = self._clock()
        who = (self._provider.provider, self._provider.account)
        problem = None
        try:
            for page in self._provider.list_keys():
                with self._store.begin("list_page") as tx:
                    keys.write(tx, page, self._clock())
        except (Refused, Unavailable) as error:
            problem = str(error)
        with self._store.begin("listed") as tx:
            gone = keys.bury(tx, *who, started) if problem is None else 0
            keys.listed(tx, *who, started, problem)
        if problem is None:
            log.info("keys_listed", provider=who[0], account=who[1], gone=gone)
        else:
            log.warning("keys_not_listed", provider=who[0], account=who[1], why=problem)
        return problem is None

    def _tiered(self, key: KnownKey) -> KnownKey:
        """Protected by hand, or by the policy: its id, or a glob of its name, project or owner."""
        names = (key.name, key.project or "", key.project_name or "", key.owner.email or "", key.owner.id)
        guarded = any(key.id == rule or any(fnmatchcase(name, rule) for name in names) for rule in self._protected)
        return replace(key, tier=Tier.PROTECTED) if guarded else key
