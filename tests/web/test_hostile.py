"""Every door against whoever is not honest, over real HTTP: refused as documented, nothing kept, nothing repeated."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from responder.simulator.gitlab import signature
from responder.web.openapi import document
from tests import hostile
from tests.hook import SECRET, SHA, dump, sign, status
from tests.hostile import FRAMES, MARK
from tests.running import Group
from tests.siege import GITLAB_PUSH, KEY, PRESHARED, REPORTER, SCRAPER, SETTINGS, SHARED, House, Watch


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Group(tmp_path_factory.mktemp("hostile"), SETTINGS) as group:
        group.prepare().start("web").wait_until_listening()
        yield House(group)


def test_what_is_honest_is_accepted(house: House) -> None:
    """Or all the refusals below would prove nothing."""
    for name, door in house.doors.items():
        before = house.stored()
        answer = house.raw(door.request("Connection: close"))
        assert status(answer) in (200, 202, 204), (name, answer)
        assert house.stored() == before + 1, name


def test_no_frame_but_one_is_accepted(house: House) -> None:
    """Whatever two readers of one stream could read as two different requests is refused."""
    assert len(FRAMES) >= 65
    with Watch(house) as watch:
        for name, (make, allowed) in FRAMES.items():
            for of, door in house.doors.items():
                watch.expect(house.raw(make(door)), allowed, f"{name}, {of}")


def test_what_a_frame_is_refused_with_is_documented(house: House) -> None:
    """Of those statuses that a route answers; the others come before there is a route."""
    for door in house.doors.values():
        assert {"400", "411", "413", "415", "503"} <= set(document()["paths"][door.path]["post"]["responses"])


def test_no_proof_is_taken_without_its_own_header(house: House) -> None:
    """Proxies and servers turn dashes into underscores and join what is there twice."""
    named = ("X-GitHub-Event", "X-GitHub-Delivery", "X-Gitlab-Event", "Idempotency-Key")
    with Watch(house) as watch:
        for of in ("github", "partner", "gitlab"):
            door = house.doors[of]
            for name, value in door.prove(door.body).items():
                answer = house.raw(door.request(f"{name.replace('-', '_')}: {value}", without=name))
                watch.expect(answer, (400,) if name in named else (401,), f"{name}, {of}")


def test_no_broken_json_is_accepted(house: House) -> None:
    """Proved or not: a body is read strictly, and in bounded time and space, whoever sent it."""
    with Watch(house) as watch:
        for of, door in house.doors.items():
            bodies = hostile.texts(door.body)
            if not door.body.startswith(b"["):
                bodies |= hostile.values(door.body)
            assert len(bodies) > 45
            for name, body in bodies.items():
                watch.expect(house.post(door, body, door.prove(body)), (400,), f"{name}, {of}")


def test_a_record_that_readers_disagree_about_is_never_an_error(house: House) -> None:
    """It stands beside others, which are taken; alone it may be refused."""
    for of in ("partner", "revocation"):
        door = house.doors[of]
        for name, body in hostile.values(door.body).items():
            answer = house.post(door, body, door.prove(body))
            assert status(answer) in (200, 204, 400), (name, of, answer)


ODD: tuple[Any, ...] = (
    None, True, 0, -1, 7.5, 2**63, "7", "", "é", "\0", f"../{MARK}", "%2e%2e%2f" * 10, MARK * 500, [MARK], {"id": 7},
)  # fmt: skip
WRONG: dict[str, tuple[Any, ...]] = {
    "object_kind": ODD,
    "project_id": ODD,
    "before": (*ODD, SHA[:39], SHA + "0", SHA.upper(), SHA + "\n"),
    "after": (*ODD, SHA[:39], SHA + "0", SHA.upper(), SHA + "\n"),
    "commits": (*ODD, *([{"id": one}] for one in (*ODD, SHA[:39], SHA.upper())), [{}], [None], [[SHA]]),
    "total_commits_count": (*(one for one in ODD if one is not ODD[2]), 2**31),
}


def test_no_member_of_another_type_is_accepted_from_gitlab(house: House) -> None:
    """Numbers and ids become paths of requests; GitHub's are tried elsewhere."""
    door = house.doors["gitlab"]
    with Watch(house) as watch:
        for name, odd in WRONG.items():
            for value in odd:
                body = dump({**GITLAB_PUSH, name: value})
                watch.expect(house.post(door, body, door.prove(body)), (400,), f"{name}: {value!r:.60}")
    assert watch.requests >= 80


def _misspelt(secret: str) -> Iterator[str]:
    """What is not *secret*, and looks like it."""
    coded, cut = base64.b64encode(secret.encode()).decode(), len(secret) // 2
    yield from (
        "",
        " ",
        secret[:-1],
        secret[1:],
        f"{secret}x",
        f"x{secret}",
        secret.upper(),
        secret[::-1],
        secret * 2,
    )
    yield from (
        f'"{secret}"',
        f"{secret},{secret}",
        f"{secret};",
        f"{secret}\t{secret}",
        f"{secret[:cut]} {secret[cut:]}",
    )
    yield from (
        coded,
        secret.encode().hex(),
        hashlib.sha256(secret.encode()).hexdigest(),
        f"whsec_{coded}",
        f"={secret}",
    )
    yield from (
        f"Basic {coded}",
        f"Token {secret}",
        f"Bearer\t{secret}",
        f"Bearer Bearer {secret}",
        f"{secret} Bearer",
    )
    yield from ("None", "null", "*", "true", "0", "undefined", "[]", "a" * 7000, f"{secret}%00", "Bearer", "Bearer ")


def _forged(body: bytes) -> Iterator[Mapping[str, str | bytes]]:
    """What GitLab did not send."""
    for wrong in (*_misspelt(SHARED), KEY, KEY.removeprefix("whsec_"), PRESHARED, SECRET):
        yield {"X-Gitlab-Token": wrong}
    yield {"X-Gitlab-Token": SHARED.encode() + b"\xe9"}
    now, id_ = int(time.time()), "an-id"
    good = signature(KEY, id_, now, body)
    said = good["webhook-signature"].removeprefix("v1,")
    for at in (now - 400, now + 400, 0, -now, now * 1000):
        yield signature(KEY, id_, at, body)
    for at_, of in (("+1", now), (f"{now} ", now - 1), ("now", now), ("1e9", now), ("", now), ("٣", now)):
        yield {**signature(KEY, id_, of, body), "webhook-timestamp": at_.encode()}
    for other in ("another-id", "", "an.id", "a" * 129, "../an-id", id_.upper()):
        yield {**good, "webhook-id": other}
    for wrong in (
        said, f"v2,{said}", f"V1,{said}", f"v1={said}", f"v1, {said}", f"v1,v1,{said}", f"v1,{said[:-1]}", "v1,",
        f"v1,{said}=", f"v1,{said},{said}", f"v1,{base64.b64decode(said).hex()}", f"v1,{said.swapcase()}", "",
        f"v1,{base64.urlsafe_b64encode(bytes(32)).decode()}", f"sha256={said}", sign(body, KEY),
    ):  # fmt: skip
        yield {**good, "webhook-signature": wrong}
    for key in (KEY.encode(), KEY.removeprefix("whsec_").encode(), b"", SHARED.encode()):
        digest = hmac.digest(key, f"{id_}.{now}.".encode() + body, hashlib.sha256)
        yield {**good, "webhook-signature": "v1," + base64.b64encode(digest).decode()}
    for other_body in (b"", body + b"\n", body[:-1], body.replace(b" ", b"")):
        yield signature(KEY, id_, now, other_body)
    for missing in good:
        yield {name: value for name, value in good.items() if name != missing}
    wrong = ("A" if said[0] != "A" else "B") + said[1:]  # not the last letter, of which two bits say nothing
    yield {**good, "webhook-signature": f"v1,{wrong}", "X-Gitlab-Token": SHARED}
    yield {"X-Hub-Signature-256": sign(body, SHARED)}
    yield {"Authorization": f"Bearer {SHARED}"}
    yield {}


def test_no_forgery_is_taken_for_gitlab(house: House) -> None:
    """GitHub's and the partners' are tried elsewhere, ninety and fifty of them."""
    door, named = house.doors["gitlab"], {"X-Gitlab-Event": "Push Hook", "Idempotency-Key": MARK}
    with Watch(house) as watch:
        for headers in _forged(door.body):
            watch.expect(house.post(door, door.body, {**named, **headers}), (401,), repr(headers)[:200])
    assert watch.requests >= 80


def test_no_misspelt_secret_opens_any_door(house: House) -> None:
    """Tokens that are merely presented: for revocation, for more reports, for metrics."""
    report, revocation = house.doors["report"], house.doors["revocation"]
    with Watch(house) as watch:
        for wrong in (*_misspelt(PRESHARED), SHARED, SECRET, REPORTER, f"Bearer {SCRAPER}"):
            sent = {"Authorization": wrong}
            watch.expect(house.post(revocation, revocation.body, sent), (401,), f"revoke: {wrong:.60}")
            watch.expect(house.ask("GET /v1/revocable_token_types", sent), (401,), f"types: {wrong:.60}")
        for wrong in _misspelt(REPORTER):
            for scheme in ("", "Bearer x", "Basic "):
                sent = {"Authorization": f"{scheme}{wrong}".strip()}
                watch.expect(house.post(report, report.body, sent), (401,), f"report: {sent}")
        for wrong in (*_misspelt(SCRAPER), f"Bearer {REPORTER}", SCRAPER, f"Bearer {SCRAPER}x", f"Basic {SCRAPER}"):
            watch.expect(house.ask("GET /metrics", {"Authorization": wrong}), (401,), f"metrics: {wrong:.60}")


def test_what_opens_one_door_opens_no_other(house: House) -> None:
    """One proof for each, chosen by the path and by nothing that is sent; all of them at once are none, too."""
    proved = [name for name in house.doors if name != "report"]
    with Watch(house) as watch:
        for one in proved:
            door = house.doors[one]
            theirs = [house.doors[other].prove(door.body) for other in proved if other != one]
            for headers in (*theirs, {name: value for proof in theirs for name, value in proof.items()}):
                watch.expect(house.post(door, door.body, headers), (401,), f"{one} by {list(headers)}")


NOISE = (
    f"\x1b[2J{MARK}", f"\x1b]0;{MARK}\x07", f"\u202e{MARK}", f"\u2066{MARK}\u2069", f"\u2028{MARK}", f"\u0085{MARK}",
    f"\u200b{MARK}", f"\ufeff{MARK}", f"%0d%0a{MARK}", f"\\r\\n{MARK}", f'"}}{{"event": "{MARK}', f"${{jndi:ldap://{MARK}}}",
    f"%s%n%p{MARK}", f"{{{{7*7}}}}{MARK}", f"<script>{MARK}</script>", f"`{MARK}`", f"=cmd|'{MARK}'", "\x7f" + MARK,
    f"é{MARK}", f"\U0001f511{MARK}", MARK + "\u0430" * 100, f"\x9b31m{MARK}",
)  # fmt: skip
NAMED = {
    "github": ("X-GitHub-Delivery", "X-GitHub-Event", "X-Hub-Signature-256"),
    "partner": ("Github-Public-Key-Identifier", "Github-Public-Key-Signature"),
    "gitlab": ("X-Gitlab-Event", "Idempotency-Key", "webhook-id", "webhook-timestamp", "X-Gitlab-Token"),
    "revocation": ("Authorization", "Content-Type"),
    "report": ("Idempotency-Key", "Authorization", "Content-Type"),
}
UNPROVED = (
    "User-Agent",
    "X-Forwarded-For",
    "X-Request-Id",
    "Referer",
    "Cookie",
    "Accept",
    "X-GitHub-Hook-ID",
    "X-Any",
)


def test_no_name_that_is_sent_gets_into_the_log(house: House) -> None:
    """Whoever reads a log at night must not be shown colours, turned text or events that never were."""
    with Watch(house) as watch:
        for noise in NOISE:
            for of, names in NAMED.items():
                door = house.doors[of]
                for name in names:
                    if (of, name) == ("report", "Idempotency-Key") and noise.isascii() and noise.isprintable():
                        continue  # it may be anything printable, and is kept nowhere
                    answer = house.post(door, door.body, {**door.prove(door.body), name: noise})
                    watch.expect(answer, (400, 401, 415), f"{of}, {name}: {noise!r}")
            for name in UNPROVED:
                answer = house.post(house.doors["github"], b"{}", {name: noise, "X-GitHub-Event": MARK})
                watch.expect(answer, (400, 401), f"{name}: {noise!r}")


def test_no_host_is_believed(house: House) -> None:
    """Whoever chooses it chooses nothing else: not the route, not an address in an answer."""
    door = house.doors["github"]
    wrong = {**door.prove(b""), "X-Forwarded-Host": MARK, "X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"}
    with Watch(house) as watch:
        for host in (
            MARK,
            f"{MARK}.example",
            f"{MARK}:99999",
            f"x@{MARK}",
            f"{MARK}/../..",
            "",
            "[::1",
            f"{MARK}, x",
            "é",
        ):
            watch.expect(house.post(door, door.body, {**wrong, "Host": host}), (400, 401), f"Host: {host}")
        for line in (
            f"POST http://{MARK}.example{door.path}",
            f"POST https://{MARK}@x{door.path}",
            f"POST //{MARK}{door.path}",
        ):
            watch.expect(house.ask(line, wrong, door.body), (400, 401, 404), line)
        twice = door.request(f"Host: {MARK}", "Connection: close").replace(
            sign(door.body).encode(), sign(b"").encode()
        )
        watch.expect(house.raw(twice), (400, 401), "two hosts")
    page = house.ask("GET /report", {"Host": MARK, "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": f"/{MARK}"})
    assert status(page) == 200
    assert MARK.encode() not in page
