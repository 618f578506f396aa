"""What every provider must be able to do, tried over real HTTP.

A newcomer adds a row to `_ROWS`: how to reach its small vendor, and what that
vendor's keys are called.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.core.liveness import Liveness
from responder.core.revocation import Outcome
from responder.core.token import Token
from responder.outbound import Door
from responder.providers import Provider
from responder.providers.openai import OpenAI
from responder.simulator.openai import OpenAI as OpenAIVendor


@dataclass(frozen=True)
class _Row:
    """A provider and its vendor.

    Attributes:
        provider: under trial.
        vendor: the small one it talks to; its journal tells what was asked.
        grow: makes a key at the vendor, and returns its id and its token.
        runs_on: the credential that the provider itself uses.
        lists, revokes, probes: routes, for faults.
        is_live: whether the vendor still honours a key.
    """

    provider: Provider
    vendor: OpenAIVendor
    grow: Callable[[str], tuple[str, Token]]
    runs_on: Token
    lists: str
    revokes: str
    probes: str
    is_live: Callable[[str], bool]


def _openai(vendor: OpenAIVendor, door: Door) -> _Row:
    def grow(name: str) -> tuple[str, Token]:
        key = vendor.add_key(name)
        return key.id, Token(key.value, key.family)

    admin = Token(vendor.admin_key.value, "openai-admin")
    provider = OpenAI("default", door, admin.reveal())
    return _Row(
        provider,
        vendor,
        grow,
        admin,
        r"GET .*/(projects|api_keys)$",
        "DELETE",
        r"GET /v1/(models|me)$",
        vendor.is_live,
    )


_ROWS = {"openai": _openai}


@pytest.fixture(params=list(_ROWS))
def row(request: pytest.FixtureRequest, vendor: OpenAIVendor) -> Iterator[_Row]:
    """One provider after another, impatient enough for tests."""
    door = Door(request.param, vendor.base_url, deadline_seconds=0.5)
    yield _ROWS[request.param](vendor, door)
    door.close()


def _listed(row: _Row) -> dict[str, KnownKey]:
    return {key.id: key for page in row.provider.list_keys() for key in page}


def _one(row: _Row) -> tuple[KnownKey, Token]:
    id_, token = row.grow("the one")
    return _listed(row)[id_], token


_BROKEN: Sequence[dict[str, object]] = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 503}, {"kind": "status", "status": 429},
    {"kind": "status", "status": 408}, {"kind": "timeout", "seconds": 5}, {"kind": "reset"}, {"kind": "html"},
    {"kind": "cut_json"}, {"kind": "cut_body"}, {"kind": "reset_mid_body"}, {"kind": "wrong_schema"},
    {"kind": "huge"}, {"kind": "redirect"}, {"kind": "wrong_schema", "body": []},
    {"kind": "wrong_schema", "body": {"data": {}}}, {"kind": "wrong_schema", "body": {"data": [7]}},
    {"kind": "wrong_schema", "body": {"data": [{}], "has_more": False}}, {"kind": "wrong_schema", "body": "null"},
]  # fmt: skip
broken = pytest.mark.parametrize("fault", _BROKEN, ids=lambda fault: "-".join(str(v) for v in fault.values())[:40])


def test_a_key_is_listed_with_what_is_needed_to_find_and_to_tell(row: _Row) -> None:
    """Its mask fits its own token, and somebody can be told."""
    key, token = _one(row)
    value = token.reveal()
    assert key.mask.fits(value[:8], value[-4:], len(value))
    assert (key.provider, key.account, key.name) == (row.provider.provider, row.provider.account, "the one")
    assert key.owner.email
    assert key.gone_at is None
    assert key.fingerprint is None
    assert key.created_at is not None
    assert key.created_at.tzinfo is not None


def test_the_list_of_one_project_holds_the_same_key(row: _Row) -> None:
    """Before and after a probe, the same things must be comparable."""
    key, _ = _one(row)
    assert key in row.provider.list_project(key)


@broken
def test_a_list_that_breaks_is_unavailable_and_never_short(row: _Row, fault: dict[str, object]) -> None:
    """Taken for complete, it would bury every key it does not show."""
    _one(row)
    row.vendor.faults.add(row.lists, times=None, **fault)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        _listed(row)


@broken
def test_the_list_of_a_project_that_breaks_is_unavailable(row: _Row, fault: dict[str, object]) -> None:
    """It is half of a proof."""
    key, _ = _one(row)
    row.vendor.faults.add(row.lists, times=None, **fault)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        row.provider.list_project(key)
    with pytest.raises(Unavailable):
        row.provider.is_listed(key)


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_may_not_list_is_refused(row: _Row, status: int) -> None:
    """A person has to mend it; trying again would not."""
    row.vendor.faults.add(row.lists, "status", times=None, status=status)
    with pytest.raises(Refused) as caught:
        _listed(row)
    assert caught.value.status == status


def test_a_live_token_is_live_and_a_deleted_one_dead(row: _Row) -> None:
    """The two answers everything else hangs on."""
    key, token = _one(row)
    assert row.provider.probe(token, key).liveness is Liveness.LIVE
    row.provider.revoke(key)
    assert row.provider.probe(token, key).liveness is Liveness.DEAD


@broken
def test_a_probe_that_breaks_is_unknown_and_raises_nothing(row: _Row, fault: dict[str, object]) -> None:
    """Neither dead nor live: we do not know."""
    key, token = _one(row)
    row.vendor.faults.add(row.probes, times=None, **fault)  # type: ignore[arg-type]
    verdict = row.provider.probe(token, key)
    assert (verdict.liveness, verdict.elsewhere, verdict.project) == (Liveness.UNKNOWN, False, None)
    assert verdict.code


def test_a_probe_only_reads(row: _Row) -> None:
    """It may be a stranger's key."""
    key, token = _one(row)
    row.vendor.journal.clear()
    row.provider.probe(token, key)
    row.provider.probe(token, None)
    assert {seen.method for seen in row.vendor.journal} == {"GET"}
    assert not row.vendor.mutations


def test_revoking_kills_the_key_and_no_other(row: _Row) -> None:
    """One id, one key."""
    key, _ = _one(row)
    other, _ = row.grow("another")
    assert row.provider.revoke(key).outcome is Outcome.REVOKED
    assert not row.is_live(key.id)
    assert row.is_live(other)
    assert not row.provider.is_listed(key)
    assert len(row.vendor.mutations) == 1


def test_revoking_twice_says_it_was_gone(row: _Row) -> None:
    """Somebody else was faster; that is good news and not an error."""
    key, _ = _one(row)
    row.provider.revoke(key)
    assert row.provider.revoke(key).outcome is Outcome.ALREADY_GONE


@broken
def test_a_revocation_that_breaks_is_unknown_and_raises_nothing(row: _Row, fault: dict[str, object]) -> None:
    """Neither revoked nor refused: the list has to be read before anything is repeated."""
    key, _ = _one(row)
    row.vendor.faults.add(row.revokes, **fault)  # type: ignore[arg-type]
    assert row.provider.revoke(key).outcome is Outcome.UNKNOWN
    assert row.provider.is_listed(key) is row.is_live(key.id)


@pytest.mark.parametrize("kind", ["timeout", "reset", "status", "html"])
def test_a_revocation_that_worked_unheard_is_unknown_and_seen_in_the_list(row: _Row, kind: str) -> None:
    """The answer was lost on the way back; the list tells."""
    key, _ = _one(row)
    row.vendor.faults.add(row.revokes, kind, applied=True, seconds=5)
    assert row.provider.revoke(key).outcome is Outcome.UNKNOWN
    assert not row.provider.is_listed(key)


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_a_refused_revocation_says_with_which_status(row: _Row, status: int) -> None:
    """401 and 403 concern our credential, the others the key."""
    key, _ = _one(row)
    row.vendor.faults.add(row.revokes, "status", status=status)
    answer = row.provider.revoke(key)
    assert (answer.outcome, answer.status) == (Outcome.REFUSED, status)
    assert row.is_live(key.id)


@pytest.mark.parametrize(("value", "seconds"), [(None, None), ("7", 7.0), ("99999999", 3600.0), ("soon", None)])
def test_a_rate_limit_carries_its_wish_to_wait_within_reason(
    row: _Row, value: str | None, seconds: float | None
) -> None:
    """A year is not a reason to leave a leak alone."""
    key, _ = _one(row)
    headers = {} if value is None else {"Retry-After": value}
    row.vendor.faults.add(row.revokes, "status", status=429, headers=headers)
    answer = row.provider.revoke(key)
    assert (answer.outcome, answer.retry_after_seconds) == (Outcome.UNKNOWN, seconds)
    row.vendor.faults.add(row.lists, "status", status=429, headers=headers)
    with pytest.raises(Unavailable) as caught:
        _listed(row)
    assert caught.value.retry_after_seconds == seconds


def test_it_knows_the_credential_it_runs_on(row: _Row) -> None:
    """It must never be deleted from here."""
    _, token = _one(row)
    assert row.provider.runs_on(row.runs_on)
    assert not row.provider.runs_on(token)


def test_ids_and_names_of_a_strangers_choosing_stay_in_their_place(row: _Row) -> None:
    """An id with slashes must not choose another endpoint, let alone another key."""
    key, _ = _one(row)
    row.vendor.journal.clear()
    for id_ in ("../../projects", "a/b", "..", "?x=1", "#", "%2e%2e"):
        hostile = KnownKey("openai", "default", id_, key.kind, "", key.mask, key.owner, project="proj/../../x")
        assert row.provider.revoke(hostile).outcome in (Outcome.ALREADY_GONE, Outcome.REFUSED)
    assert row.is_live(key.id)
    assert not [m for m in row.vendor.mutations if m.applied]
