"""Decide what to do about a leaked token: one table, read from the top.

Pure. Weaker evidence never leads to a stronger action; only a proof revokes;
"we do not know" is never taken for "dead" or for "not ours".
"""

from dataclasses import dataclass
from enum import StrEnum

from responder.core.key import KeyKind, Tier
from responder.core.liveness import Liveness, Verdict
from responder.core.match import Evidence, Match

SECOND_LOOK_SECONDS = 900
"""A token that looks dead is looked at again no sooner than this: outages answer 401 too."""


STOPPED_LOOK_SECONDS = 30


class Action(StrEnum):
    """What is to be done about the key."""

    REVOKE = "revoke"
    HOLD = "hold"
    IGNORE = "ignore"


class Disposition(StrEnum):
    """How an incident ended."""

    REVOKED = "revoked"
    ALREADY_DEAD = "already_dead"
    NOT_OURS = "not_ours"
    DISMISSED = "dismissed"


class Urgency(StrEnum):
    """How the security team hears of it."""

    NONE = "none"
    TELL = "tell"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a decision may depend on.

    Attributes:
        match: the candidates and the evidence.
        verdict: of the last probe; None if there was none.
        own_key: the token is an admin key that we run on.
        reachable: an account of its provider is configured.
        refreshed: the inventory was listed again, completely, after the sighting.
        dead_before: it already looked dead at least `SECOND_LOOK_SECONDS` ago.
        legacy: a user key of the old kind, which no list shows and no admin API deletes.
        breaker_open: too many revocations this hour.
        stopped: a person put up the stop file.
    """

    match: Match
    verdict: Verdict | None = None
    own_key: bool = False
    reachable: bool = True
    refreshed: bool = False
    dead_before: bool = False
    legacy: bool = False
    breaker_open: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why.

    Attributes:
        action: revoke, hold for a person, or ignore.
        reason: one sentence for people.
        disposition: set where this ends the matter without a revocation.
        urgency: how the security team is told.
        tell_owner: the key's owner is told as well.
        look_again_seconds: when the same question is to be asked again; None: never.
    """

    action: Action
    reason: str
    disposition: Disposition | None = None
    urgency: Urgency = Urgency.NONE
    tell_owner: bool = False
    look_again_seconds: float | None = None


_PROOFS = {
    Evidence.FINGERPRINT: "Its fingerprint is that of",
    Evidence.PROVIDER_HASH: "The provider's own digest of it names",
    Evidence.PROBE: "It is alive, in a project where it can only be",
}


def decide(case: Case) -> Decision:
    """Return the first row of the table that fits *case*; every case has one."""
    if case.own_key:
        return _hold("The leaked token is an admin key that the responder itself runs on: it is never deleted here.")
    if not case.reachable:
        return _hold("It looks like a real key, but no account of its provider is configured to revoke it.")
    if case.match.evidence.proof:
        return _decide_proved(case)
    if case.match.disproved:
        return _not_ours("Every known key that looks like it has a proved fingerprint, and none is this token's.")
    if not case.match.keys:
        return _decide_unmatched(case)
    return _decide_hinted(case)


def _decide_proved(case: Case) -> Decision:
    key = case.match.key
    if key is None:
        return _hold("A proof that names several keys contradicts itself.")
    how = f"{_PROOFS[case.match.evidence]} key {key.id}"
    if key.gone_at is not None or (case.verdict is not None and case.verdict.liveness is Liveness.DEAD):
        return Decision(
            Action.IGNORE,
            f"{how}, which is already gone.",
            Disposition.ALREADY_DEAD,
            Urgency.TELL,
            tell_owner=True,
        )
    if key.tier is Tier.PROTECTED:
        return _hold(f"{how}, which is protected: a person has to approve.", tell_owner=True)
    if case.stopped:
        reason = f"{how}; the stop file keeps it from being revoked."
        return Decision(Action.HOLD, reason, urgency=Urgency.PAGE, look_again_seconds=STOPPED_LOOK_SECONDS)
    if case.breaker_open:
        return _hold(f"{how}, but more keys were revoked this hour than policy allows.", tell_owner=True)
    urgency = Urgency.PAGE if key.kind is KeyKind.ADMIN else Urgency.TELL
    return Decision(Action.REVOKE, f"{how}.", urgency=urgency, tell_owner=True)


def _decide_unmatched(case: Case) -> Decision:
    if case.legacy:
        return _hold(
            "It is a user key of the old kind: no list shows such keys, and only its user can delete it, "
            "at platform.openai.com under API keys, signed in as that user."
        )
    if not case.refreshed:
        reason = "No known key looks like it, but the list of keys could not be brought up to date yet."
        return Decision(Action.HOLD, reason, look_again_seconds=5)
    if case.verdict is not None and case.verdict.liveness is Liveness.LIVE and not case.verdict.elsewhere:
        return _hold("The token lives in an organisation of ours, but in no key list: only its owner can revoke it.")
    return _not_ours("No key of ours looks like it, and the list of keys is fresh.")


def _decide_hinted(case: Case) -> Decision:
    verdict = case.verdict
    count = len(case.match.keys)
    looks = f"{count} known keys look" if count > 1 else f"key {case.match.keys[0].id} looks"
    if verdict is None or verdict.liveness is Liveness.UNKNOWN:
        wish = verdict.retry_after_seconds if verdict is not None else None
        return _unknown(f"The provider could not be asked whether the token is alive; {looks} like it.", wish)
    if verdict.liveness is Liveness.DEAD:
        if case.dead_before:
            return Decision(
                Action.IGNORE,
                f"The token is dead, seen twice; {looks} like it, and stays.",
                Disposition.ALREADY_DEAD,
            )
        return Decision(
            Action.HOLD,
            "The provider calls the token invalid; a second look follows before that is believed.",
            look_again_seconds=SECOND_LOOK_SECONDS,
        )
    if verdict.elsewhere and case.refreshed:
        return _not_ours("The token is alive, and the provider says it belongs to another organisation or project.")
    if verdict.elsewhere:
        reason = "The token is alive elsewhere, but the list of keys could not be brought up to date yet."
        return Decision(Action.HOLD, reason, look_again_seconds=5)
    if count > 1:
        return _hold(f"The token is alive; {looks} like it, and the provider does not say which it is.")
    return _hold(f"The token is alive; {looks} like it, but the provider does not prove that it is.")


def _hold(reason: str, *, tell_owner: bool = False) -> Decision:
    return Decision(Action.HOLD, reason, urgency=Urgency.PAGE, tell_owner=tell_owner)


def _not_ours(reason: str) -> Decision:
    return Decision(Action.IGNORE, reason, Disposition.NOT_OURS)


def _unknown(reason: str, wish: float | None) -> Decision:
    """Keep trying; the owner is warned at once, the security team once it has lasted."""
    again = max(5.0, wish or 0.0)
    return Decision(Action.HOLD, reason, urgency=Urgency.TELL, tell_owner=True, look_again_seconds=again)
