"""The page for people: safe to paste a secret into, and of no use to anybody else's page."""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
import sqlalchemy as sa

from responder.seal import Keys
from responder.simulator import growth
from responder.store.tables import deliveries
from responder.web.callers import OF_AN_ADDRESS
from tests.running import Group

TOKEN = growth.grow("openai-project", random.Random(41))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A receiver behind a proxy, so that every visitor has an address of their own."""
    settings = {"RESPONDER_TRUSTED_PROXIES": "1", "RESPONDER_PUBLIC_URL": "https://leaks.example"}
    with Group(tmp_path_factory.mktemp("form"), settings) as group:
        yield group.prepare().start("web").wait_until_listening()


@dataclass
class Visitor:
    """Somebody with a browser that keeps cookies.

    Attributes:
        client: the browser.
        fields: what the page put into the form, and what they pasted.
    """

    client: httpx.Client
    fields: dict[str, str]

    def send(self, changes: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Send the form, as a browser does; *headers* replace, "" leaves one out."""
        usual = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
        sent = {name: value for name, value in {**usual, **headers}.items() if value}
        return self.client.post("/report", data={**self.fields, **(changes or {})}, headers=sent)


@pytest.fixture
def visitor(group: Group) -> Iterator[Visitor]:
    address = f"192.0.{random.randrange(256)}.{random.randrange(256)}"
    headers = {"X-Forwarded-For": address}
    with httpx.Client(base_url=group.origin, headers=headers, trust_env=False, timeout=30) as client:
        page = client.get("/report")
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page.text))
        client.cookies.set("__Host-report", hidden["proof"])  # Secure: httpx keeps it, and sends it with https only
        yield Visitor(client, {**hidden, "text": f"found: {TOKEN}", "url": "https://paste.example/1", "comment": ""})


def stored(group: Group) -> int:
    """How many deliveries are on disk."""
    with group.store.read() as tx:
        return tx.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one()


def receipt(answer: httpx.Response) -> str:
    """The one on the page."""
    found = re.search(r'class="receipt">([0-9a-f]{24})<', answer.text)
    assert found is not None, answer.text
    return found[1]


def test_a_form_from_our_own_page_is_stored(group: Group, visitor: Visitor) -> None:
    """Whoever found a key is no engineer, perhaps, and in a hurry."""
    before = stored(group)
    answer = visitor.send()
    assert answer.status_code == 202
    assert receipt(answer)
    assert stored(group) == before + 1
    assert TOKEN[20:40] not in answer.text + group.log


def test_known_forged_and_no_token_get_the_same_page(visitor: Visitor) -> None:
    """All but the receipt and the style's nonce, which are random."""
    pages = set()
    for text in (TOKEN, growth.lookalike(TOKEN, random.Random(42)), "nothing"):
        answer = visitor.send({"text": text})
        nonces = re.compile(r'nonce="[^"]+"')
        pages.add((answer.status_code, nonces.sub("", answer.text.replace(receipt(answer), ""))))
    assert len(pages) == 1


REFUSED_AS_NOT_OURS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "another site": ({}, {"Sec-Fetch-Site": "cross-site"}),
    "a sister domain": ({}, {"Sec-Fetch-Site": "same-site"}),
    "no page at all": ({}, {"Sec-Fetch-Site": "none"}),
    "an old browser on another site": ({}, {"Sec-Fetch-Site": "", "Origin": "https://evil.example"}),
    "an old browser on a sister domain": ({}, {"Sec-Fetch-Site": "", "Origin": "https://x.leaks.example"}),
    "no cookie": ({}, {"Cookie": "other=1"}),
    "an empty cookie": ({}, {"Cookie": "__Host-report="}),
    "another cookie": ({}, {"Cookie": "__Host-report=" + "A" * 22}),
    "a cookie that is no proof": ({}, {"Cookie": "__Host-report=A"}),
    "a cookie without its prefix": ({}, {"Cookie": "report=" + "A" * 22}),
    "another proof": ({"proof": "A" * 22}, {}),
    "no proof": ({"proof": ""}, {}),
    "a proof that is not ASCII": ({"proof": "é" * 22}, {}),
}


@pytest.mark.parametrize(("changes", "headers"), REFUSED_AS_NOT_OURS.values(), ids=REFUSED_AS_NOT_OURS.keys())
def test_what_another_page_sends_is_refused(
    group: Group, visitor: Visitor, changes: dict[str, str], headers: dict[str, str]
) -> None:
    """It would be sent in the name, and from the address, of whoever looks at that page."""
    before = stored(group)
    answer = visitor.send(changes, **headers)
    assert answer.status_code == 403
    assert_page(answer)
    assert stored(group) == before


@pytest.mark.parametrize("origin", ["", "null", "https://leaks.example"])
def test_a_browser_that_does_not_say_where_it_comes_from_is_judged_by_the_cookie(
    visitor: Visitor, origin: str
) -> None:
    """Old ones, and all of them without TLS, say no more."""
    assert visitor.send({}, **{"Sec-Fetch-Site": "", "Origin": origin}).status_code == 202


REFUSED: dict[str, tuple[bytes | None, dict[str, str], int]] = {
    "no text": (None, {"text": ""}, 400),
    "blanks": (None, {"text": " \r\n"}, 400),
    "text too long": (None, {"text": TOKEN + "x" * 1024 * 1024}, 400),
    "comment too long": (None, {"comment": TOKEN * 100}, 400),
    "another attempt": (None, {"attempt": TOKEN}, 400),
    "one field more": (None, {"more": TOKEN}, 400),
    "a field of another name": (b"proof=a&attempt=b&text=c&url=d&token=e", {}, 400),
    "a field twice": (b"proof=a&attempt=b&text=c&text=d&url=e", {}, 400),
    "nothing": (b"", {}, 400),
    "not UTF-8": (b"proof=a&attempt=b&text=%ff&url=&comment=", {}, 400),
    "not ASCII": ("proof=é".encode(), {}, 400),
    "too large": (b"text=" + b"a" * 4 * 1024 * 1024, {}, 413),
}


@pytest.mark.parametrize(("body", "changes", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_taken_is_told_on_a_page_that_repeats_nothing(
    group: Group, visitor: Visitor, body: bytes | None, changes: dict[str, str], status: int
) -> None:
    """A person reads it; what they pasted stays out of it, and of the log."""
    before = stored(group)
    if body is None:
        answer = visitor.send(changes)
    else:
        headers = {"Sec-Fetch-Site": "same-origin", **FORM}
        answer = visitor.client.post("/report", content=body, headers=headers)
    assert answer.status_code == status
    assert_page(answer)
    assert TOKEN[20:40] not in answer.text + group.log
    assert stored(group) == before


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b", "text/plain"])
def test_only_our_own_kind_of_form_is_read(visitor: Visitor, kind: str) -> None:
    """The fewer parsers a stranger can reach, the better."""
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": kind}
    answer = visitor.client.post("/report", content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert_page(answer)


def test_the_page_counts_for_the_same_quota_as_the_api(group: Group, visitor: Visitor) -> None:
    """Or it would be the way around it; and a page sent again is one report."""
    most = OF_AN_ADDRESS[0].most
    for _ in range(3):
        assert visitor.send().status_code == 202
    for _ in range(most - 1):
        assert visitor.client.post("/v1/reports", json={"token": TOKEN}).status_code == 202
    answer = visitor.send({"attempt": "B" * 22})
    assert answer.status_code == 429
    assert 50 <= int(answer.headers["Retry-After"]) <= 60
    assert_page(answer)
    assert visitor.client.post("/v1/reports", json={"token": TOKEN}).status_code == 429
    assert visitor.send().status_code == 202, "what was taken before stays taken"


def test_the_cookie_is_kept_and_a_made_up_one_is_not_repeated(visitor: Visitor) -> None:
    """Two tabs work beside each other; and what a stranger put into a cookie never gets into a page."""
    again = visitor.client.get("/report")
    assert visitor.fields["proof"] in again.text
    made_up = visitor.client.get("/report", headers={"Cookie": '__Host-report="><b>'})
    assert "<b>" not in made_up.text
    cookie = made_up.headers["Set-Cookie"]
    assert re.fullmatch(r"__Host-report=[A-Za-z0-9_-]{22}; Secure; HttpOnly; Path=/; SameSite=Strict", cookie)


def test_what_cannot_be_stored_is_not_called_stored(make_group: Callable[..., Group]) -> None:
    """Whoever is told so leaves it at that; the page itself needs no database. Without TLS the cookie is plain."""
    group = make_group(RESPONDER_DATABASE_URL="sqlite:////proc/nowhere/responder.sqlite")
    Keys(group.data).create()
    group.start("web").wait_until_listening()
    page = group.client.get("/report")
    assert re.fullmatch(r"report=[A-Za-z0-9_-]{22}; HttpOnly; Path=/; SameSite=Strict", page.headers["Set-Cookie"])
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page.text))
    answer = group.client.post("/report", data={**hidden, "text": TOKEN, "url": "", "comment": ""})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"].isdigit()
    assert_page(answer)
    group.kill("web")


def assert_page(answer: httpx.Response) -> None:
    """A page for people, which can load nothing, send nothing elsewhere, and be kept or framed nowhere."""
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    nonce = re.search(r'<style nonce="([A-Za-z0-9_-]{22})">', answer.text)
    assert nonce is not None
    allowed = f"default-src 'none'; style-src 'nonce-{nonce[1]}'; form-action 'self'"
    assert answer.headers["Content-Security-Policy"] == f"{allowed}; frame-ancestors 'none'; base-uri 'none'"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "<script" not in answer.text
    assert "style=" not in answer.text


def test_every_page_is_strict(visitor: Visitor) -> None:
    """The page and its answer alike; each with a nonce of its own."""
    pages = [visitor.client.get("/report"), visitor.client.get("/report"), visitor.send()]
    for page in pages:
        assert_page(page)
    assert len({page.headers["Content-Security-Policy"] for page in pages}) == 3
