"""Decide which known key, if any, a sighted token is.

Pure: no clock, no network, no database. A wrong match revokes a stranger's
key, so anything short of proof goes to a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from responder.core.key import KnownKey
from responder.core.liveness import Liveness, Verdict
from responder.core.token import Fingerprint


class Evidence(IntEnum):
    """How well we know that a token is a key; the higher, the stronger."""

    NONE = 0
    HINT = 1
    PROBE = 2
    PROVIDER_HASH = 3
    FINGERPRINT = 4

    @property
    def proof(self) -> bool:
        """Strong enough to act on without a person."""
        return self >= Evidence.PROBE

    @property
    def word(self) -> str:
        """The name in tables, logs and answers."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Match:
    """The candidates, and the strength of what ties the token to them.

    Attributes:
        evidence: how it is known.
        keys: one key if proved; else every candidate the mask leaves.
        disproved: every candidate carries a proved fingerprint, and none is the token's.
    """

    evidence: Evidence
    keys: tuple[KnownKey, ...] = ()
    disproved: bool = False

    @property
    def key(self) -> KnownKey | None:
        """The key, if exactly one is left; proved only if `evidence` is a proof."""
        return self.keys[0] if len(self.keys) == 1 else None


def find(seen: Fingerprint, keys: Sequence[KnownKey]) -> Match:
    """Return the strongest evidence that *seen* is one of *keys*; two candidates prove nothing.

    Args:
        seen: fingerprint of the leaked token.
        keys: keys that may be it: at least all whose mask fits, gone ones included.
    """
    proved = tuple(key for key in keys if key.fingerprint in seen.digests)
    if len(proved) == 1:
        return Match(Evidence.FINGERPRINT, proved)
    if proved:  # one token bound to two keys contradicts itself
        return Match(Evidence.HINT, proved)
    fitting = tuple(key for key in keys if key.mask.fits(seen.head, seen.tail, seen.length))
    unproved = tuple(key for key in fitting if key.fingerprint is None)
    if fitting and not unproved:
        return Match(Evidence.NONE, (), disproved=True)
    return Match(Evidence.HINT, unproved) if unproved else Match(Evidence.NONE)


def prove(hint: Match, verdict: Verdict, listed_now: Sequence[KnownKey], seen: Fingerprint) -> Match:
    """Raise a hint to a proof by possession, if the probe and a fresh list agree on one key.

    The token lives in the project that the answer names (an admin key: in our organisation);
    there, exactly one key fits the mask, in the inventory before *and* in the list taken afterwards.

    Args:
        hint: candidates by mask, from the inventory before the probe.
        verdict: the probe's.
        listed_now: every key of the named project, listed after the probe, with the
            fingerprints proved before (a key proved to be another token is no twin).
        seen: fingerprint of the leaked token.
    """
    there = [key for key in hint.keys if lives_there(key, verdict)]
    before = {key.id for key in there if key.gone_at is None}
    learned = {key.id for key in listed_now if key.fingerprint in seen.digests}
    just_proved = tuple(key for key in there if {key.id} == learned & before and key.fingerprint is None)
    if len(learned) == 1 and just_proved:  # by somebody else, since the inventory was asked
        return Match(Evidence.FINGERPRINT, just_proved)
    gone = any(key.gone_at is not None for key in there)
    now = [k for k in listed_now if k.fingerprint is None and k.mask.fits(seen.head, seen.tail, seen.length)]
    if len(before) == 1 and len(now) == 1 and now[0].id in before and not gone:
        kept = next(key for key in hint.keys if key.id in before)
        return Match(Evidence.PROBE, (kept,))
    return hint


def lives_there(key: KnownKey, verdict: Verdict) -> bool:
    """Whether the answer places the token where *key* is: in its project, or, for an admin key, among us."""
    if verdict.liveness is not Liveness.LIVE or verdict.elsewhere:
        return False
    return verdict.ours if key.project is None else key.project == verdict.project
