"""Find out which known key a leaked token is, and how well that is known.

In order of cost: fingerprints need no call; a mask only names candidates; with
candidates, and only then, the token itself is asked what it opens, and the list
is read again. No token without a candidate is ever sent anywhere, and nobody can
make us ask for one key's sake as often as he likes.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.core.liveness import Liveness, Verdict
from responder.core.match import Evidence, Match, find, lives_there, prove
from responder.core.token import Fingerprint, Token
from responder.inventory import Inventory
from responder.pace import Budget
from responder.providers import Ledger, Provider

ASKED_TOO_OFTEN = "asked_too_often"
"""The code of a verdict for which nobody was asked."""
_MOST_PROBES = 8
_ASKS_PER_MINUTE = 10
_JUST_LISTED = timedelta(minutes=1)
"""A list this much older than a sighting still shows that no other key looks like it: a flood costs one a minute."""


class Allowance:
    """So many asks a minute, for each name by itself.

    Args:
        per_minute: how many.
        clock: monotonic seconds.
    """

    _MOST_NAMES = 100_000

    def __init__(self, per_minute: int = _ASKS_PER_MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, name: str) -> bool:
        """Whether *name* may ask once more now."""
        now = self._clock()
        with self._lock:
            since, count = self._spent.pop(name, (now, 0))
            if now - since >= 60.0:
                since, count = now, 0
            allowed = count < self._per_minute
            self._spent[name] = (since, count + 1 if allowed else count)
            while len(self._spent) > self._MOST_NAMES:
                self._spent.popitem(last=False)
            return allowed


class Control:
    """Whether the provider still answers as we expect, found out with a key of our own that nobody leaked.

    Without it, an outage that answers 401 to everything looks like "dead", and one that
    answers 200 to everything like "live". While the control fails, no probe is believed.

    Args:
        provider: who is asked.
        canary: a live project key that is used for nothing else.
        stranger: makes well-formed tokens that nobody was ever given.
        clock: monotonic seconds.
    """

    _FRESH_SECONDS = 60.0

    def __init__(
        self,
        provider: Provider,
        canary: Token,
        stranger: Callable[[], Token],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._canary = canary
        self._stranger = stranger
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._problem: str | None = None

    def problem(self) -> str | None:
        """What is wrong with the provider's answers, asked at most once a minute; None: nothing."""
        with self._lock:
            now = self._clock()
            if self._asked_at is None or now - self._asked_at >= self._FRESH_SECONDS:
                self._problem = self._ask()
                self._asked_at = now
            return self._problem

    def _ask(self) -> str | None:
        ours = self._provider.probe(self._canary, None)
        if ours.liveness is not Liveness.LIVE or ours.project is None:
            return f"our own control key is answered with {ours.liveness.value} {ours.code}".rstrip()
        nobodys = self._provider.probe(self._stranger(), None)
        if nobodys.liveness is not Liveness.DEAD:
            return f"a token that nobody has is answered with {nobodys.liveness.value} {nobodys.code}".rstrip()
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account.

    Attributes:
        provider: who revokes.
        inventory: what is known of its keys.
        allowance: how often may be asked for one of them.
        ledger: what they were used for; None where the vendor does not tell.
        control: whether its answers can be believed; None if no control key is configured.
        budget: how often it may be called, if there is a limit.
    """

    provider: Provider
    inventory: Inventory
    allowance: Allowance = field(default_factory=Allowance)
    ledger: Ledger | None = None
    control: Control | None = None
    budget: Budget | None = None

    def probe(self, token: Token, key: KnownKey | None) -> Verdict:
        """Ask what *token* opens; an answer that the control does not bear out is none."""
        verdict = self.provider.probe(token, key)
        if verdict.liveness is not Liveness.UNKNOWN and self.control is not None and self.control.problem():
            return Verdict(Liveness.UNKNOWN, "control_failed")
        return verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a token.

    Attributes:
        account: where; None if no account of its provider is configured.
        match: the candidates and the evidence.
        verdict: of the last probe, None if there was none.
        own_key: it is the credential that the account itself is reached with.
        refreshed: a complete list begun after the sighting was looked at.
    """

    account: Account | None
    match: Match
    verdict: Verdict | None = None
    own_key: bool = False
    refreshed: bool = False


def identify(
    token: Token, seen: Fingerprint, accounts: Sequence[Account], since: datetime, lane: str = ""
) -> Finding:
    """Find out who *token* is, over every account it could belong to.

    Args:
        token: the leaked token.
        seen: its fingerprint.
        accounts: every account of its provider.
        since: when we were told; a list older than this does not prove an absence.
        lane: who told us; each has an allowance of its own for each candidate.
    """
    own = next((account for account in accounts if account.provider.runs_on(token)), None)
    if own is not None:
        return Finding(own, find(seen, ()), own_key=True)
    findings = []
    for account in sorted(accounts, key=lambda one: not find(seen, one.inventory.candidates(seen)).evidence.proof):
        found = _in_account(token, seen, account, since, lane)
        if found.match.evidence.proof:
            return found
        findings.append(found)
    if not findings:
        return Finding(None, find(seen, ()), refreshed=True)
    return max(findings, key=_what_counts)


def _what_counts(found: Finding) -> tuple[Evidence, bool, bool]:
    """The order of findings that prove nothing: it is nobody's only if no account leaves it open."""
    is_open = not found.match.disproved
    return found.match.evidence, is_open and bool(found.match.keys), is_open and not found.refreshed


def _in_account(token: Token, seen: Fingerprint, account: Account, since: datetime, lane: str) -> Finding:
    first = _with_what_is_known(token, seen, account, lane, refreshed=False)
    elsewhere = first.verdict is not None and first.verdict.elsewhere
    settled = bool(first.match.keys) and not elsewhere and not _unlisted(first)
    if first.match.evidence.proof or settled:
        return first
    if not account.inventory.refresh(since - _JUST_LISTED if first.match.disproved else since):
        return replace(first, match=Match(Evidence.NONE)) if first.match.disproved else first
    return _with_what_is_known(token, seen, account, lane, refreshed=True)


def _with_what_is_known(token: Token, seen: Fingerprint, account: Account, lane: str, *, refreshed: bool) -> Finding:
    hint = find(seen, account.inventory.candidates(seen))
    if hint.evidence.proof:
        return Finding(account, *_still_there(hint, account), refreshed=refreshed)
    if hint.disproved or not hint.keys:
        return Finding(account, hint, refreshed=refreshed)
    verdict = _probe(token, hint.keys, account, lane)
    candidate = next((key for key in hint.keys if lives_there(key, verdict)), None)
    if candidate is None:
        return Finding(account, hint, verdict, refreshed=refreshed)
    try:
        listed = account.inventory.listed_now(candidate, seen)
    except (Refused, Unavailable) as error:
        return Finding(account, hint, Verdict(Liveness.UNKNOWN, type(error).__name__), refreshed=refreshed)
    match = prove(hint, verdict, listed, seen)
    if match.key is not None and match.evidence.proof:
        account.inventory.learn(match.key, seen)
    return Finding(account, match, verdict, refreshed=refreshed)


def _still_there(proved: Match, account: Account) -> tuple[Match, Verdict | None]:
    """A proved key that was missing from a list is looked for once more before it is taken for gone."""
    key = proved.key
    if key is None or key.gone_at is None:
        return proved, None
    try:
        listed = account.inventory.listed_now(key)
    except (Refused, Unavailable) as error:
        return Match(Evidence.HINT, proved.keys), Verdict(Liveness.UNKNOWN, type(error).__name__)
    back = any(one.id == key.id for one in listed)
    return (replace(proved, keys=(replace(key, gone_at=None),)) if back else proved), None


def _probe(token: Token, candidates: Sequence[KnownKey], account: Account, lane: str) -> Verdict:
    """Ask in the name of each candidate's project until one answer is not "elsewhere"."""
    one_per_project = list({key.project: key for key in candidates}.values())
    verdict = Verdict(Liveness.UNKNOWN, "not_asked")
    for key in one_per_project[:_MOST_PROBES]:
        if not account.allowance.take(f"{lane} {key.id}"):
            return Verdict(Liveness.UNKNOWN, ASKED_TOO_OFTEN)
        verdict = account.probe(token, key)
        if not verdict.elsewhere:
            return verdict
    if len(one_per_project) > _MOST_PROBES:
        return Verdict(Liveness.LIVE, "too_many_projects")  # not in those asked, which is not "not ours"
    return verdict


def _unlisted(found: Finding) -> bool:
    """The token lives in a project for which no candidate is known: the list may be behind."""
    verdict = found.verdict
    return (
        verdict is not None
        and verdict.liveness is Liveness.LIVE
        and verdict.project is not None
        and all(key.project != verdict.project for key in found.match.keys)
    )
