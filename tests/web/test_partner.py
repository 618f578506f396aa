"""Partners' reports over real HTTP: who is believed, and what becomes of five hundred records at once."""

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from responder.simulator import World
from responder.simulator.partner import KeyPage, Partner
from responder.store import public_keys
from responder.store.tables import deliveries, sightings
from tests.grown import token
from tests.hook import SECRET, Sender, assert_problem, dump, sign, status
from tests.running import CONTRACTS, Group, eventually

ROUTE = "/hooks/github/partner"
PAGE = "GET /meta/public_keys"
ID, SIG = "Github-Public-Key-Identifier", "Github-Public-Key-Signature"
BODY = dump([{"token": "some_token", "type": "some_type", "url": "", "source": "commit"}])
Headers = Mapping[str, str]


class Scene:
    """A receiver and a worker, both origins, and a signer of each.

    GitHub rotates its key after the worker has read its page, and before the first report.

    Attributes:
        former: headers of the key that was rotated out, for `BODY`.
    """

    def __init__(self, world: World, group: Group, other: KeyPage) -> None:
        self.world, self.group, self.other = world, group, other
        self.github = Partner(world.github.partner_keys)
        self.depsdev = Partner(other.keys, "DepsDev-Public-Key")
        self.former = self.github.sign(BODY)
        group.prepare()
        with group.store.begin("keys") as tx:
            public_keys.replace(tx, "github", {self.github.identifier: self.github.pem}, None, datetime.now(UTC))
        group.start("serve").wait_until_ready()
        eventually(lambda: world.github.count(PAGE), "the keys that are there to be renewed")
        self.github.rotate()
        if CONTRACTS.is_dir():
            found = json.loads((CONTRACTS / "partner-test-vector.json").read_text())
            world.github.partner_keys += found["simulator_public_keys_response"]["public_keys"]

    def post(self, body: bytes, headers: Headers | Sequence[tuple[str, str]]) -> httpx.Response:
        """One report."""
        return self.group.client.post(ROUTE, content=body, headers=headers)

    def report(self, records: Sequence[object]) -> httpx.Response:
        """One report, signed by GitHub."""
        return self.github.report(f"{self.group.origin}{ROUTE}", records)

    def accepted(self) -> int:
        """How many reports are on disk."""
        with self.group.store.read() as tx:
            mine = sa.select(sa.func.count()).where(deliveries.c.source == "github_partner")
            return tx.execute(mine).scalar_one()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as open_:
        world, other = open_.enter_context(World()), open_.enter_context(KeyPage())
        settings = {
            **world.environment(),
            "RESPONDER_GITHUB__PARTNER_FEEDBACK": "true",
            "RESPONDER_GITHUB__DEPSDEV_KEYS_URL": f"{other.origin}/secret_scanning",
            "RESPONDER_OPENAI__CALLS_PER_SECOND": "500",
        }
        group = open_.enter_context(Group(tmp_path_factory.mktemp("partner"), settings))
        yield Scene(world, group, other)
        assert not other.bugs


def test_a_rotated_key_is_believed_at_once_and_the_former_one_is_not(scene: Scene) -> None:
    """The receiver has the page read again when it meets a key that it does not know; who comes meanwhile waits."""
    before, scene.world.github.latency_seconds = scene.world.github.count(PAGE), 0.5
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: scene.post(BODY, scene.github.sign(BODY)), range(12)))
    scene.world.github.latency_seconds = 0
    assert {(one.status_code, one.headers["content-type"]) for one in answers} == {(200, "application/json")}
    assert scene.world.github.count(PAGE) - before <= 2, "one, or two at the turn of a minute"
    assert scene.accepted() == 1
    assert_problem(scene.post(BODY, scene.former), 401)
    before = scene.accepted()
    assert scene.post(BODY, scene.github.sign(BODY)).status_code == 200, "with another signature of the same body"
    assert scene.accepted() == before


def test_the_other_origin_signs_with_its_own_headers_and_keys(scene: Scene) -> None:
    """Neither origin's keys open the other's door."""
    before = scene.accepted()
    assert scene.post(BODY, scene.depsdev.sign(BODY)).status_code == 200
    assert scene.accepted() == before + 1
    for one, name in ((scene.depsdev, "Github-Public-Key"), (scene.github, "DepsDev-Public-Key")):
        identifier, signature = one.sign(BODY).values()
        answer = scene.post(BODY, {f"{name}-Identifier": identifier, f"{name}-Signature": signature})
        assert_problem(answer, 401)
    assert {seen.status for seen in scene.other.journal} == {200}, "no credential of ours was shown to it"


@pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the vendors' own samples are not part of this repository")
def test_the_vendors_own_vectors_are_judged_over_http(scene: Scene) -> None:
    """To the byte as they were signed; the one whose key is not current any more is refused too."""
    found = json.loads((CONTRACTS / "partner-test-vector.json").read_text())
    keys = found["simulator_public_keys_response"]["public_keys"]
    current = {entry["key_identifier"] for entry in keys if entry["is_current"]}
    for case in found["cases"]:
        answer = scene.post(case["body"].encode(), {ID: case["key_identifier"], SIG: case["signature_base64"]})
        good = case["expected"] == "valid" and case["key_identifier"] in current
        assert answer.status_code == (200 if good else 401), case["name"]


def _forged(scene: Scene) -> Iterator[tuple[bytes, Headers | Sequence[tuple[str, str]]]]:
    good, pem = scene.github.sign(BODY), scene.github.pem.encode()
    identifier, signature = good[ID], good[SIG]
    der = b64decode(signature)
    r, s = decode_dss_signature(der)
    for missing in ({}, {ID: identifier}, {SIG: signature}, {ID: "", SIG: signature}, {ID: identifier, SIG: ""}):
        yield BODY, missing
    for name in (
        identifier.upper(), identifier[:-1], f"{identifier}0", f"{identifier},{identifier}", f'"{identifier}"',
        "x" * 129, "0" * 64, "../../keys", "None", "a b", f"{identifier};", "~",
    ):  # fmt: skip
        yield BODY, {**good, ID: name}
    for value in (
        signature[:-4], f"{signature}=", f"{signature}AAAA", f"{signature},{signature}", f"sha256={signature}",
        der.hex(), b64encode(r.to_bytes(32) + s.to_bytes(32)).decode(), b64encode(der + b"\0").decode(),
        b64encode(der[::-1]).decode(), b64encode(b"\x30\x06\x02\x01\x00\x02\x01\x00").decode(), "A" * 96, "%%%",
        "=" * 8, f"{signature[:40]} {signature[40:]}", "x" * 7000, signature.replace(signature[20], "-"),
        signature.lower(),
        b64encode(hmac.digest(pem, BODY, "sha256")).decode(), sign(BODY, pem), scene.former[SIG],
        scene.depsdev.sign(BODY)["DepsDev-Public-Key-Signature"], scene.github.sign(b"")[SIG],
        scene.github.sign(hashlib.sha256(BODY).digest())[SIG],
    ):  # fmt: skip
        yield BODY, {**good, SIG: value}
    for body in (
        BODY + b"\n",
        BODY[:-1],
        BODY.replace(b" ", b""),
        BODY.replace(b"some_token", b"some_tokeN"),
        b"",
        b"[]",
    ):
        yield body, good
    yield BODY, [*good.items(), *good.items()]
    yield BODY, [*good.items(), (ID, "0" * 64)]
    yield BODY, good | scene.depsdev.sign(BODY)
    yield BODY, good | {"GOSST-PUBLIC-KEY-IDENTIFIER": ""}
    yield BODY, {ID: identifier, "DepsDev-Public-Key-Signature": signature}
    yield BODY, {"X-Hub-Signature-256": sign(BODY, pem)}
    yield BODY, {"X-Hub-Signature-256": sign(BODY, scene.world.github.hooks.secret)}
    yield BODY, {ID: identifier, "X-Hub-Signature-256": sign(BODY, pem)}
    yield BODY, {ID: identifier, SIG: sign(BODY, SECRET)}


def test_no_forgery_passes_and_none_is_an_error(scene: Scene) -> None:
    """Whoever passes here has tokens tried and keys deleted."""
    before, forged = scene.accepted(), list(_forged(scene))
    assert len(forged) >= 50
    answers = [scene.post(body, headers) for body, headers in forged]
    for answer, (_, headers) in zip(answers, forged, strict=True):
        assert answer.status_code == 401, headers
        assert_problem(answer, 401)
    assert scene.accepted() == before


def test_a_flood_of_unknown_keys_costs_two_calls_at_most(scene: Scene) -> None:
    """As many strangers as like may ask; GitHub is asked once a minute, and nobody is left waiting."""
    before, headers = scene.world.github.count(PAGE), scene.github.sign(BODY)
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: scene.post(BODY, {**headers, ID: f"stranger-{n}"}).status_code, range(400))
        assert set(answers) == {401}
    assert scene.world.github.count(PAGE) - before <= 2
    scene.group.wait_until_idle()


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"{}", 400), (b"", 400), (b"null", 400), (b"[", 400), (b'["\xff"]', 400), (b"[" * 70 + b"]" * 70, 400),
     (b"[]", 200)],
)  # fmt: skip
def test_what_is_signed_but_no_array_is_malformed(scene: Scene, body: bytes, expected: int) -> None:
    """The sender hears of it, in the one form errors have."""
    answer = scene.post(body, scene.github.sign(body))
    assert answer.status_code == expected
    if expected == 400:
        assert_problem(answer, 400)


def test_framing_is_checked_as_everywhere(scene: Scene) -> None:
    """Before any signature is."""
    headers = scene.github.sign(BODY)
    assert_problem(scene.post(BODY, {**headers, "Content-Encoding": "gzip"}), 415)
    assert_problem(scene.group.client.post(ROUTE, content=iter([BODY]), headers=headers), 411)
    signed = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    large = f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\n{signed}Content-Length: {25 * 1024 * 1024 + 1}\r\n\r\n"
    assert status(Sender(scene.group).raw(large.encode())) == 413


def test_of_five_hundred_records_one_bad_one_harms_no_other(scene: Scene) -> None:
    """Every other is dealt with: keys of ours are deleted, and the same batch again does nothing twice."""
    keys = {at: scene.world.openai.add_key(f"leaked-{at}") for at in (0, 250, 499)}
    records: list[Any] = [_record(token(9000 + n).reveal()) for n in range(500)]
    for at, key in keys.items():
        records[at] = _record(key.value)
    records[100] = {"token": 7, "type": "broken"}
    records[101] = _record("no-token-at-all")
    scene.group.run("keys", "sync")

    answer = scene.report(records)
    assert answer.status_code == 200, answer.text
    for said, record in zip(answer.json(), records, strict=True):
        real = record not in (records[100], records[101])
        hashed = hashlib.sha256(record["token"].encode()).hexdigest() if record is not records[100] else ""
        label = "true_positive" if real else "false_positive"
        assert said == {"token_hash": hashed, "token_type": record["type"], "label": label}

    for key in keys.values():
        incident = scene.group.closed(key.id)
        assert incident["disposition"] == "revoked"
        assert [sighting["source"] for sighting in incident["sightings"]] == ["github_partner"]
        assert incident["sightings"][0]["where"] == "https://github.com/acme/service/blob/main/.env"
    scene.group.wait_until_idle()
    before, places = scene.accepted(), _places(scene)
    assert len(places) == 498
    with scene.group.store.read() as tx:
        outcomes = tx.execute(sa.select(deliveries.c.outcome).where(deliveries.c.lane == "partner:github")).scalars()
        assert "nothing to follow up; not read: 1 of 50 records cannot be read" in set(outcomes)

    assert scene.report(records).json() == answer.json()
    scene.group.wait_until_idle()
    assert (scene.accepted(), _places(scene)) == (before, places)
    deleted = Counter(mutation.key_id for mutation in scene.world.openai.deletions)
    assert {deleted[key.id] for key in keys.values()} == {1}
    assert not any(scene.world.openai.is_live(key.id) for key in keys.values())


def _record(value: str) -> dict[str, str]:
    url = "https://github.com/acme/service/blob/main/.env"
    return {"source": "commit", "token": value, "type": "openai_api_key", "url": url}


def _places(scene: Scene) -> set[str]:
    with scene.group.store.read() as tx:
        found = tx.execute(sa.select(sightings.c.place).where(sightings.c.source == "github_partner")).scalars().all()
    assert len(set(found)) == len(found)
    return set(found)


def test_a_receiver_alone_believes_kept_keys_for_two_days_and_says_503_without(
    make_group: Callable[..., Group],
) -> None:
    """It opens no connection: without a worker and without keys nothing is known, and the sender tries again."""
    group = make_group().prepare().start("web").wait_until_listening()
    signer, other = Partner([]), Partner([], "GOSST-PUBLIC-KEY")

    def post(partner: Partner, age: timedelta) -> httpx.Response:
        with group.store.begin("keys") as tx:
            public_keys.replace(tx, "github", {partner.identifier: partner.pem}, None, datetime.now(UTC) - age)
        return group.client.post(ROUTE, content=BODY, headers=partner.sign(BODY))

    old = post(signer, timedelta(hours=49))
    assert_problem(old, 503)
    assert old.headers["retry-after"].isdigit()
    assert post(signer, timedelta(hours=47)).json() == [], "and there is no feedback unless it is asked for"
    assert_problem(post(other, timedelta(0)), 401)
