"""Prove tokens that people hold to be known keys, and keep their fingerprints.

A fingerprint without our own proof counts for nothing, so none is imported:
every token is identified as a leaked one would be, by asking the provider what
it opens. Nothing is kept of a token that could not be proved.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.core.key import KnownKey
from responder.core.liveness import Liveness, Verdict
from responder.core.match import Evidence
from responder.core.token import Token, fingerprint
from responder.proof import Account, Finding, identify

_PAUSES_SECONDS = (1.0, 2.0, 4.0)


class Outcome(StrEnum):
    """What became of one token."""

    REGISTERED = "registered"
    KNOWN = "already_known"
    UNPROVED = "not_proved"
    NOT_OURS = "not_ours"

    @property
    def good(self) -> bool:
        """A leak of this token is recognised from now on without asking anybody."""
        return self in (Outcome.REGISTERED, Outcome.KNOWN)


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of one token, and why, in a sentence.

    Attributes:
        key: the key it was proved to be.
    """

    outcome: Outcome
    reason: str
    key: KnownKey | None = None


def register(
    token: Token,
    accounts: Mapping[str, Sequence[Account]],
    provider: str | None,
    peppers: Sequence[bytes],
    since: datetime,
    sleep: Callable[[float], None] = time.sleep,
) -> Registration:
    """Prove *token* to be exactly one listed key, and keep its fingerprint; ask again while nobody can say.

    Args:
        token: held by whoever calls.
        accounts: configured accounts by provider.
        provider: who could have issued it, by its shape.
        peppers: name tokens; the newest first.
        since: a list older than this does not prove an absence.
        sleep: waits for seconds.
    """
    candidates = accounts.get(provider or "", ())
    if not candidates:
        return Registration(Outcome.NOT_OURS, f"no account of {provider or 'whoever issued it'} is configured")
    seen = fingerprint(token, *peppers)
    lane = f"register {seen.digest}"  # who holds a token may ask about it, whoever else asked for its candidates
    for pause in (*_PAUSES_SECONDS, 0.0):
        found = identify(token, seen, candidates, since, lane)
        if not _nobody_knows(found) or not pause:
            break
        sleep(pause)
    return _in_words(found)


def _nobody_knows(found: Finding) -> bool:
    if found.own_key or found.match.evidence.proof:
        return False
    if found.match.keys:
        return found.verdict is None or found.verdict.liveness is Liveness.UNKNOWN
    return not found.refreshed and not found.match.disproved


def _in_words(found: Finding) -> Registration:
    match = found.match
    if found.own_key:
        return Registration(Outcome.UNPROVED, "it is the admin key that the responder itself runs on")
    if match.evidence is Evidence.FINGERPRINT and match.key is not None:
        gone = "; the key is gone" if match.key.gone_at is not None else ""
        return Registration(Outcome.KNOWN, f"its fingerprint was known{gone}", match.key)
    if match.evidence.proof and match.key is not None:
        return Registration(Outcome.REGISTERED, f"proved to be key {match.key.id}", match.key)
    if match.disproved:
        return Registration(Outcome.NOT_OURS, "every key that looks like it was proved to be another token")
    if not match.keys and not found.refreshed:
        return Registration(Outcome.UNPROVED, "no known key looks like it, but the keys could not be listed anew")
    if not match.keys:
        return Registration(Outcome.NOT_OURS, "no listed key looks like it")
    return _of_candidates(match.keys, found.verdict, refreshed=found.refreshed)


def _of_candidates(keys: Sequence[KnownKey], verdict: Verdict | None, *, refreshed: bool) -> Registration:
    """Why a mask alone was not enough."""
    listed = [key for key in keys if key.gone_at is None]
    looks = f"key {keys[0].id} looks" if len(keys) == 1 else f"{len(keys)} keys look"
    if verdict is None or verdict.liveness is Liveness.UNKNOWN:
        why = f" ({verdict.code})" if verdict is not None and verdict.code else ""
        return Registration(Outcome.UNPROVED, f"{looks} like it, but the provider gave no clear answer{why}")
    if verdict.liveness is Liveness.DEAD:
        return Registration(Outcome.UNPROVED, f"it is dead: the provider calls it {verdict.code}")
    if verdict.elsewhere and refreshed:
        return Registration(Outcome.NOT_OURS, "it is alive, but in another organization or project")
    if verdict.elsewhere:
        return Registration(Outcome.UNPROVED, "it is alive elsewhere, but the keys could not be listed anew")
    if verdict.project is None and not verdict.ours:
        return Registration(Outcome.UNPROVED, "it is alive, but the provider does not say in which project")
    there = [key for key in listed if key.project == verdict.project]
    if len(there) > 1:
        ids = ", ".join(key.id for key in there[:5])
        return Registration(
            Outcome.UNPROVED, f"it is alive, and {len(there)} keys of its project look like it: {ids}"
        )
    if len(listed) < len(keys):
        return Registration(Outcome.UNPROVED, "it is alive, but a deleted key of its project looked like it as well")
    return Registration(
        Outcome.UNPROVED, f"it is alive, but a fresh list does not show that it is the one: {looks} like it"
    )
