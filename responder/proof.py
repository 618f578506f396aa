"""Find out which known key a leaked token is, and how well that is known.

In order of cost: fingerprints need no call; a mask only names candidates; with
candidates, and only then, the token itself is asked what it opens, and the list
is read again. No token without a candidate is ever sent anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.core.liveness import Liveness, Verdict
from responder.core.match import Match, find, prove
from responder.core.token import Fingerprint, Token
from responder.inventory import Inventory
from responder.providers import Provider

_MOST_PROBES = 8


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account: who revokes, and what is known of its keys."""

    provider: Provider
    inventory: Inventory


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


def identify(token: Token, seen: Fingerprint, accounts: Sequence[Account], since: datetime) -> Finding:
    """Find out who *token* is, over every account it could belong to.

    Args:
        token: the leaked token.
        seen: its fingerprint.
        accounts: every account of its provider.
        since: when we were told; a list older than this does not prove an absence.
    """
    findings = []
    for account in accounts:
        found = _in_account(token, seen, account, since)
        if found.own_key or found.match.evidence.proof:
            return found
        findings.append(found)
    if not findings:
        return Finding(None, find(seen, ()), refreshed=True)
    return max(findings, key=lambda found: (found.match.evidence, bool(found.match.keys), not found.refreshed))


def _in_account(token: Token, seen: Fingerprint, account: Account, since: datetime) -> Finding:
    if account.provider.runs_on(token):
        return Finding(account, find(seen, ()), own_key=True)
    first = _with_what_is_known(token, seen, account, refreshed=False)
    elsewhere = first.verdict is not None and first.verdict.elsewhere
    unlisted = first.verdict is not None and _unlisted(first)
    if first.match.evidence.proof or first.match.disproved or (first.match.keys and not elsewhere and not unlisted):
        return first
    if not account.inventory.refresh(since):
        return first
    return _with_what_is_known(token, seen, account, refreshed=True)


def _with_what_is_known(token: Token, seen: Fingerprint, account: Account, *, refreshed: bool) -> Finding:
    hint = find(seen, account.inventory.candidates(seen))
    if hint.evidence.proof or hint.disproved or not hint.keys:
        return Finding(account, hint, refreshed=refreshed)
    verdict = _probe(token, hint.keys, account.provider)
    if verdict.liveness is not Liveness.LIVE or verdict.project is None:
        return Finding(account, hint, verdict, refreshed=refreshed)
    candidate = next((key for key in hint.keys if key.project == verdict.project), None)
    if candidate is None:
        return Finding(account, hint, verdict, refreshed=refreshed)
    try:
        listed = account.inventory.listed_now(candidate)
    except (Refused, Unavailable) as error:
        return Finding(account, hint, Verdict(Liveness.UNKNOWN, type(error).__name__), refreshed=refreshed)
    match = prove(hint, verdict, listed, seen)
    if match.key is not None and match.evidence.proof:
        account.inventory.learn(match.key, seen)
    return Finding(account, match, verdict, refreshed=refreshed)


def _probe(token: Token, candidates: Sequence[KnownKey], provider: Provider) -> Verdict:
    """Ask in the name of each candidate's project until one answer is not "elsewhere"."""
    one_per_project = list({key.project: key for key in candidates}.values())[:_MOST_PROBES]
    verdict = Verdict(Liveness.UNKNOWN, "not_asked")
    for key in one_per_project:
        verdict = provider.probe(token, key)
        if not verdict.elsewhere:
            return verdict
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
