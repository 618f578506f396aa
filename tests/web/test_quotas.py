"""How many reports one caller may send: by address or by bearer, and never by what is in them."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import sqlalchemy as sa

from responder.simulator import growth
from responder.store.tables import deliveries
from responder.web.callers import Caller, Callers
from tests.hook import Sender, assert_problem
from tests.running import Group

A_MINUTE = 30
KEY, BEARER, OTHER_BEARER = bytes(32), "made-up-bearer-one", "made-up-bearer-two"
KNOWN = growth.grow("openai-project", random.Random(31))
FORGED = growth.lookalike(KNOWN, random.Random(32))


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A receiver of two processes behind one proxy, and bearers."""
    settings = {"RESPONDER_TRUSTED_PROXIES": "1", "RESPONDER_REPORTS__TOKENS": f"{BEARER},{OTHER_BEARER}"}
    with Group(tmp_path_factory.mktemp("proxied"), settings) as group:
        yield group.prepare().start("web").wait_until_listening()


def send(group: Group, address: str, token: str = KNOWN, **headers: str) -> httpx.Response:
    """A report from *address*, as the proxy in front says."""
    headers = {"X-Forwarded-For": address, **headers}
    return group.client.post("/v1/reports", json={"token": token}, headers=headers)


def lanes(group: Group) -> list[str]:
    """The lane of every delivery on disk, oldest first."""
    with group.store.read() as tx:
        return list(tx.execute(sa.select(deliveries.c.lane).order_by(deliveries.c.received_at)).scalars())


def test_one_caller_gets_exactly_the_quota_from_two_processes_at_once(proxied: Group) -> None:
    """A limit that each process counts for itself is twice the limit."""
    started = Counter(lanes(proxied))

    def ask(_: int) -> int:
        with httpx.Client(base_url=proxied.origin, timeout=30, trust_env=False) as client:  # a connection of its own
            headers = {"X-Forwarded-For": "192.0.2.1"}
            return client.post("/v1/reports", json={"token": KNOWN}, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(ask, range(60)))
    assert statuses == {202: A_MINUTE, 429: 60 - A_MINUTE}
    assert sorted((Counter(lanes(proxied)) - started).values()) == [A_MINUTE], "one lane, and no more in it"
    booted = [line for line in proxied.log.splitlines() if "Booting worker" in line]
    assert len(booted) == 2, "or it would prove nothing"


def test_beyond_the_quota_the_answer_says_when_and_is_the_same_for_every_token(proxied: Group) -> None:
    """Whether a token is known must not show in who is turned away, nor in the words."""
    answers = {
        token: [send(proxied, address, token) for _ in range(A_MINUTE + 1)]
        for token, address in ((KNOWN, "192.0.2.2"), (FORGED, "192.0.2.3"), ("no token", "192.0.2.4"))
    }
    for given in answers.values():
        assert [answer.status_code for answer in given] == [202] * A_MINUTE + [429]
        assert_problem(given[-1], 429)
        assert 50 <= int(given[-1].headers["Retry-After"]) <= 60
    assert len({given[-1].content for given in answers.values()}) == 1
    assert len({tuple(given[-1].headers) for given in answers.values()}) == 1


def test_a_report_sent_again_counts_once_and_is_answered_beyond_the_quota(proxied: Group) -> None:
    """Whoever lost our answer must not be told that their report was refused."""
    key = {"Idempotency-Key": "one-and-the-same"}
    first = [send(proxied, "192.0.2.5", **key) for _ in range(3)]
    others = [send(proxied, "192.0.2.5") for _ in range(A_MINUTE)]
    assert [answer.status_code for answer in others] == [202] * (A_MINUTE - 1) + [429]
    again = send(proxied, "192.0.2.5", **key)
    assert (again.status_code, again.json()) == (202, first[0].json())


def test_a_bearer_may_send_more_and_has_a_lane_of_its_own(proxied: Group) -> None:
    """A scanner of the house reports by the hundred, from wherever it runs."""
    for bearer in (BEARER, OTHER_BEARER):
        answers = [send(proxied, f"192.0.2.{n}", Authorization=f"Bearer {bearer}") for n in range(100, 150)]
        assert {answer.status_code for answer in answers} == {202}
    assert list(Counter(lanes(proxied)[-100:]).values()) == [50, 50]


@pytest.mark.parametrize("sent", ["Bearer wrong", "Bearer", "", BEARER, f"Basic {BEARER}", f"Bearer {BEARER}x"])
def test_a_wrong_bearer_is_refused(proxied: Group, sent: str) -> None:
    """Silently taken for nobody, a typo would cost reports once the small quota is used up."""
    before = len(lanes(proxied))
    answer = send(proxied, "192.0.2.6", Authorization=sent)
    assert_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert len(lanes(proxied)) == before


def test_a_bearer_is_refused_where_none_is_configured(sender: Sender) -> None:
    """It is good for nothing here, and whoever sends it should know."""
    headers = {"Authorization": f"Bearer {BEARER}"}
    assert_problem(sender.group.client.post("/v1/reports", json={"token": KNOWN}, headers=headers), 401)


def test_no_header_makes_another_caller_where_no_proxy_is_trusted(sender: Sender) -> None:
    """Or everybody could have as many quotas as they can make up addresses."""
    for n in range(5):
        spoofed = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Forwarded"), f"198.51.100.{n}")
        assert send(sender.group, f"198.51.100.{n}", **spoofed, **{"X-Forwarded-Host": f"h{n}"}).status_code == 202
    assert len(set(lanes(sender.group)[-5:])) == 1


def test_no_header_is_believed_about_anything_else(sender: Sender, proxied: Group) -> None:
    """A server believes some from this machine; a proxy on it may pass on what a stranger wrote."""
    written = {
        "SCRIPT_NAME": "/v1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-SSL": "off",
        "X-Forwarded-Prefix": "/x",
    }
    for group in (sender.group, proxied):
        assert send(group, "192.0.2.8", **written).status_code == 202


def test_of_a_chain_only_what_the_trusted_proxy_added_counts(proxied: Group) -> None:
    """What the caller wrote into the header themselves stands before it."""
    for made_up in ("203.0.113.1", "203.0.113.2", "not an address", ""):
        assert send(proxied, f"{made_up}, 192.0.2.7").status_code == 202
    assert len(set(lanes(proxied)[-4:])) == 1


def test_no_address_and_no_bearer_is_kept(proxied: Group) -> None:
    """Comes last: who reported is nobody's business, and a database is read by many."""
    kept = "".join(lanes(proxied)) + proxied.log
    assert "192.0.2" not in kept
    assert BEARER not in kept
    assert all(lane.startswith("report:") for lane in lanes(proxied))


def caller(address: str | None, key: bytes = KEY) -> Caller:
    """Who calls from there."""
    return Callers(key, []).by_address(address)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        (None, "nonsense", True),
        ("", "192.0.2.1", False),
    ],
)
def test_an_ipv6_caller_is_a_network_and_an_ipv4_caller_an_address(one: str | None, other: str, same: bool) -> None:
    """A household has 2 to the 64th IPv6 addresses, and one of IPv4."""
    assert (caller(one).lane == caller(other).lane) is same


def test_lanes_say_nothing_without_the_key() -> None:
    """There are few enough addresses to try them all."""
    assert caller("192.0.2.1").lane != caller("192.0.2.1", key=b"another").lane
