"""OpenAI's ledger over real HTTP: what is counted, for whom, over how many pages, and what is not known."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from responder.core.damage import Counts, Window
from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.outbound import Door
from responder.providers.openai_usage import OpenAILedger
from responder.simulator.openai import OpenAI
from responder.simulator.openai_objects import Key
from tests.grown import known

EXPOSED = datetime(2026, 11, 20, 9, 30, 20, tzinfo=UTC)
USAGE, COSTS, AUDIT = "GET /v1/organization/usage", "GET /v1/organization/costs", "GET /v1/organization/audit_logs"
NOT_NOW: list[dict[str, Any]] = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429},
    {"kind": "html"},
    {"kind": "wrong_schema"},
    {"kind": "cut_json"},
    {"kind": "reset"},
]


@pytest.fixture
def door(vendor: OpenAI) -> Iterator[Door]:
    made = Door("openai", vendor.base_url, deadline_seconds=2)
    yield made
    made.close()


@pytest.fixture
def ledger(vendor: OpenAI, door: Door) -> OpenAILedger:
    return OpenAILedger(door, vendor.admin_key.value)


def window(**length: float) -> Window:
    return Window(EXPOSED, EXPOSED + timedelta(**length))


def at(**later: float) -> int:
    return int((EXPOSED + timedelta(**later)).timestamp())


def listed(key: Key) -> KnownKey:
    return known(id=key.id, project=key.project_id)


def test_usage_is_summed_by_model_the_most_used_first(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """A thief takes the dearest model; whoever reads this asks for that first."""
    key = vendor.add_key("leaked")
    vendor.use(key, 2, model="small", input_tokens=100, output_tokens=10, at=at(seconds=5))
    vendor.use(key, 3, model="large", input_tokens=4000, output_tokens=900, at=at(minutes=3))
    vendor.use(key, 1, model="large", input_tokens=1000, output_tokens=100, at=at(minutes=9))
    found = ledger.usage(listed(key), window(minutes=10))
    assert found.models == (("large", Counts(4, 5000, 0, 1000)), ("small", Counts(2, 100, 0, 10)))
    assert found.total == Counts(6, 5100, 0, 1010)


def test_another_keys_usage_is_never_counted(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """Not in the usage, not in the costs, not in the records: a wrong figure accuses somebody."""
    key, other = vendor.add_key("leaked"), vendor.add_key("busy")
    vendor.use(other, 50, at=at(minutes=1))
    assert ledger.usage(listed(key), window(minutes=10)).total == Counts()
    assert ledger.costs(listed(key), window(minutes=10)).amount == 0
    assert [record.actor for record in ledger.records(listed(key))] == ["olivia@acme.example"]


def test_a_provider_that_ignores_the_filter_is_not_believed(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """What is not marked as this key's own is nobody's, as far as we know."""
    key = vendor.add_key("leaked")
    line = {"object": "organization.usage.completions.result", "input_tokens": 7, "output_tokens": 7}
    lines = [
        {**line, "num_model_requests": 7, "api_key_id": id_, "model": "m"} for id_ in ("key_other", None, key.id)
    ]
    bucket = {"object": "bucket", "start_time": at(seconds=-20), "end_time": at(seconds=40), "results": lines}
    page = {"object": "page", "data": [bucket], "has_more": False, "next_page": None}
    vendor.faults.add(USAGE, "wrong_schema", body=page)
    assert ledger.usage(listed(key), window(minutes=10)).total == Counts(7, 7, 0, 7)


@pytest.mark.parametrize(
    ("length", "width", "pages"),
    [
        ({"minutes": 2}, "1m", 1),
        ({"hours": 23}, "1m", 1),
        ({"days": 1}, "1m", 2),
        ({"days": 8}, "1h", 2),
        ({"days": 100}, "1d", 4),
    ],
)
def test_the_longer_the_window_the_wider_its_buckets(
    vendor: OpenAI, ledger: OpenAILedger, length: dict[str, float], width: str, pages: int
) -> None:
    """Every page is read: the first and the last use are both counted, and what came before is not."""
    key, span = vendor.add_key("leaked"), window(**length)
    vendor.use(key, 1, at=at(seconds=1))
    vendor.use(key, 1, at=int(span.end.timestamp()) - 1)
    vendor.use(key, 1, at=at(days=-2))
    found = ledger.usage(listed(key), span)
    assert found.total.requests == 2
    asked = [seen.query for seen in vendor.journal if USAGE in seen.line]
    assert len(asked) == pages
    assert all(f"bucket_width={width}" in query for query in asked)
    assert found.window.start <= EXPOSED < found.window.start + timedelta(days=1)
    assert found.window.end == span.end


def test_costs_are_those_of_whole_days(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """OpenAI bills by the day: the figure says from when on."""
    key = vendor.add_key("leaked")
    vendor.use(key, 1, input_tokens=500_000, output_tokens=0, at=at(hours=-9))
    vendor.use(key, 1, input_tokens=500_000, output_tokens=0, at=at(minutes=1))
    vendor.use(key, 1, input_tokens=500_000, output_tokens=0, at=at(hours=-10))
    found = ledger.costs(listed(key), window(minutes=10))
    assert (found.amount, found.currency) == (Decimal("2.0"), "usd")
    assert found.window.start == datetime(2026, 11, 20, tzinfo=UTC)


def test_costs_of_half_a_year_take_several_pages(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """The last day is billed as well."""
    key = vendor.add_key("leaked")
    vendor.use(key, 1, input_tokens=1_000_000, output_tokens=0, at=at(days=190))
    assert ledger.costs(listed(key), window(days=191)).amount == 2
    assert vendor.count(COSTS) == 2


def test_records_tell_who_made_the_key_and_who_deleted_it(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """A deletion that is not ours, from an address nobody knows, is a story of its own."""
    ada = vendor.add_user("Ada", "ada@acme.example")
    key = vendor.add_key("leaked", owner=ada)
    vendor.delete(key, actor=vendor.admin_key)
    made, deleted = ledger.records(listed(key))
    assert (made.what, made.actor, made.address) == ("api_key.created", "ada@acme.example", "192.0.2.10")
    assert (deleted.what, deleted.address) == ("api_key.deleted", None)
    assert deleted.actor == f"olivia@acme.example with key {vendor.admin_key.id}"


def test_records_are_read_over_every_page(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """The newest come first: the creation is on the last page."""
    key = vendor.add_key("leaked")
    for _ in range(150):
        vendor.record("api_key.updated", {"id": key.id, "changes_requested": {}}, key.project_id)
    found = ledger.records(listed(key))
    assert len(found) == 151
    assert found[0].what == "api_key.created"
    assert vendor.count(AUDIT) == 2


@pytest.mark.parametrize("route", [USAGE, COSTS, AUDIT])
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_missing_permission_is_known(vendor: OpenAI, ledger: OpenAILedger, route: str, status: int) -> None:
    """Asking again would not help; it is for a person to grant it."""
    vendor.faults.add(route, "status", times=None, status=status)
    with pytest.raises(Refused) as refused:
        ask(ledger, route, listed(vendor.add_key()))
    assert refused.value.status == status


@pytest.mark.parametrize("route", [USAGE, COSTS, AUDIT])
@pytest.mark.parametrize("trouble", NOT_NOW, ids=lambda trouble: str(trouble.get("status", trouble["kind"])))
def test_what_cannot_be_read_now_is_unknown_and_not_zero(
    vendor: OpenAI, ledger: OpenAILedger, route: str, trouble: dict[str, Any]
) -> None:
    """The next attempt finds it."""
    key = vendor.add_key()
    vendor.faults.add(route, **trouble)
    with pytest.raises(Unavailable):
        ask(ledger, route, listed(key))
    ask(ledger, route, listed(key))


def usage_page(more: bool = False, cursor: object = None, **changes: Any) -> dict[str, Any]:
    line = {"input_tokens": 1, "output_tokens": 1, "num_model_requests": 1, "api_key_id": "key_0", "model": "m"}
    bucket = {
        "start_time": at(minutes=1),
        "results": [{**line, "amount": {"value": 1, "currency": "usd"}, **changes}],
    }
    return {"object": "page", "data": [bucket], "has_more": more, "next_page": cursor}


@pytest.mark.parametrize(
    ("route", "page"),
    [
        (USAGE, usage_page(more=True, cursor="page_1")),
        (USAGE, usage_page(more=True)),
        (USAGE, usage_page(input_tokens=None)),
        (USAGE, usage_page(output_tokens="12")),
        (USAGE, usage_page(num_model_requests=-1)),
        (USAGE, {"data": [{"start_time": "soon", "results": []}]}),
        (COSTS, usage_page(amount=None)),
        (COSTS, usage_page(amount={"value": "much", "currency": "usd"})),
        (COSTS, usage_page(amount={"value": "NaN", "currency": "usd"})),
        (COSTS, usage_page(amount={"value": True, "currency": "usd"})),
        (AUDIT, {"data": [{"id": "a", "type": "api_key.created"}], "has_more": False}),
        (AUDIT, {"data": [{"id": "a", "type": "api_key.created", "effective_at": 1}], "has_more": True}),
    ],
)
def test_an_answer_that_contradicts_itself_is_no_answer(
    vendor: OpenAI, ledger: OpenAILedger, route: str, page: dict[str, Any]
) -> None:
    """Counting a page twice, or nonsense as nothing, would be a lie with a number in it."""
    vendor.faults.add(route, "wrong_schema", times=None, body=page)
    with pytest.raises(Unavailable):
        ask(ledger, route, known(0))
    assert len(vendor.journal) < 10


def test_amounts_in_decimal_text_are_exact(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """The schema says number; some answers say text."""
    vendor.faults.add(COSTS, "wrong_schema", body=usage_page(amount={"value": "0.10000000001", "currency": "EUR"}))
    cost = ledger.costs(known(0), window(days=1))
    assert (cost.amount, cost.currency) == (Decimal("0.10000000001"), "eur")


def test_a_key_in_a_record_is_taken_out(vendor: OpenAI, ledger: OpenAILedger) -> None:
    """Strangers choose names of accounts; no token is kept, wherever it stands."""
    key = vendor.add_key("leaked", owner=vendor.add_user("Eve", "eve@acme.example"))
    user = {"id": "user-1", "email": f"{key.value}@acme.example"}
    entry = {"id": "a", "type": "api_key.created", "effective_at": 1_700_000_000, "api_key.created": {"id": key.id}}
    actor = {"type": "session", "session": {"user": user, "ip_address": "192.0.2.1"}}
    vendor.faults.add(AUDIT, "wrong_schema", body={"data": [{**entry, "actor": actor}], "has_more": False})
    (record,) = ledger.records(listed(key))
    assert key.value not in record.actor


def ask(ledger: OpenAILedger, route: str, key: KnownKey) -> object:
    if route == USAGE:
        return ledger.usage(key, window(minutes=10))
    return ledger.costs(key, window(days=1)) if route == COSTS else ledger.records(key)
