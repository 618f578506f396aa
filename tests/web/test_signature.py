"""Nobody but GitHub is listened to: the raw body is authenticated before anything reads it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest

from responder.sources.signature import is_signed
from tests.hook import SECRET, Sender, assert_problem, dump, push, sign
from tests.running import CONTRACTS

BODY = dump(push())
GOOD = sign(BODY)
VECTORS = CONTRACTS / "hub-signature-vector.json"


def _digest(name: str, key: bytes = SECRET.encode(), body: bytes = BODY) -> str:
    return hmac.new(key, body, name).hexdigest()


def _with_one_digit_changed() -> Iterator[tuple[str, str]]:
    for position in range(len("sha256="), len(GOOD), 2):
        other = "0" if GOOD[position] != "0" else "1"
        yield f"digit {position} changed", GOOD[:position] + other + GOOD[position + 1 :]


DIGEST = GOOD.removeprefix("sha256=")
FORGED: dict[str, str | bytes] = {
    "missing": b"",
    "prefix only": "sha256=",
    "no prefix": DIGEST,
    "another prefix": f"sha512={DIGEST}",
    "upper-case prefix": f"SHA256={DIGEST}",
    "colon": f"sha256:{DIGEST}",
    "space before =": f"sha256 ={DIGEST}",
    "space after =": f"sha256= {DIGEST}",
    "two =": f"sha256=={DIGEST}",
    "upper-case digits": f"sha256={DIGEST.upper()}",
    "one digit short": GOOD[:-1],
    "one digit long": f"{GOOD}0",
    "half": GOOD[:39],
    "zeros": f"sha256={'0' * 64}",
    "not hexadecimal": f"sha256={'g' * 64}",
    "reversed": f"sha256={DIGEST[::-1]}",
    "repeated": f"sha256={DIGEST}{DIGEST}",
    "quoted": f'"{GOOD}"',
    "inner prefix": f"sha256=sha256={DIGEST}",
    "joined with itself": f"{GOOD},{GOOD}",
    "joined with a space": f"{GOOD}, {GOOD}",
    "joined, the good one last": f"sha256={'0' * 64},{GOOD}",
    "joined, the good one first": f"{GOOD},sha256={'0' * 64}",
    "semicolon": f"{GOOD};",
    "tab inside": f"sha256=\t{DIGEST}",
    "0x": f"sha256=0x{DIGEST[2:]}",
    "base64": f"sha256={base64.b64encode(bytes.fromhex(DIGEST)).decode()}",
    "SHA-1": f"sha1={_digest('sha1')}",
    "SHA-1 under our prefix": f"sha256={_digest('sha1')}",
    "SHA-1, filled up": f"sha256={_digest('sha1')}{'0' * 24}",
    "SHA-512": f"sha256={_digest('sha512')}",
    "SHA-512, cut": f"sha256={_digest('sha512')[:64]}",
    "SHA-3": f"sha256={_digest('sha3_256')}",
    "MD5": f"sha256={_digest('md5')}",
    "BLAKE2": f"sha256={_digest('blake2s')}",
    "no key at all": f"sha256={hashlib.sha256(BODY).hexdigest()}",
    "key before body": f"sha256={hashlib.sha256(SECRET.encode() + BODY).hexdigest()}",
    "body before key": f"sha256={hashlib.sha256(BODY + SECRET.encode()).hexdigest()}",
    "empty secret": sign(BODY, ""),
    "wrong secret": sign(BODY, "another-secret"),
    "secret with a newline": sign(BODY, SECRET + "\n"),
    "secret in upper case": sign(BODY, SECRET.upper()),
    "secret cut": sign(BODY, SECRET[:-1]),
    "both secrets as one": sign(BODY, f"retiring-secret,{SECRET}"),
    "secret as hexadecimal": sign(BODY, SECRET.encode().hex()),
    "secret as UTF-16": sign(BODY, SECRET.encode("utf-16-le")),
    "key and body swapped": sign(SECRET.encode(), BODY),
    "over nothing": sign(b""),
    "over the body and a newline": sign(BODY + b"\n"),
    "over the body without blanks": sign(dump(json.loads(BODY)).replace(b" ", b"")),
    "over an indented body": sign(json.dumps(json.loads(BODY), indent=2).encode()),
    "over the body as a form": sign(b"payload=" + BODY),
    "over another push": sign(dump(push(after="f" * 40))),
    "over the first half": sign(BODY[: len(BODY) // 2]),
    "not ASCII": "sha256=é".encode(),
    "digits of another script": ("sha256=" + "\u0660" * 64).encode(),
    "full-width digits": ("sha256=" + "\uff10" * 64).encode(),
    "Latin-1": b"sha256=" + b"\xe9" * 64,
    "very long": f"sha256={'a' * 7000}",
    **dict(_with_one_digit_changed()),
}


def test_there_are_many_forgeries() -> None:
    """A table that shrinks by accident protects nobody."""
    assert len(FORGED) >= 90


@pytest.mark.parametrize("signature", FORGED.values(), ids=FORGED.keys())
def test_a_forged_signature_is_refused_and_nothing_is_kept(sender: Sender, signature: str | bytes) -> None:
    """Whoever gets past this can have us fetch and delete."""
    before = sender.stored()
    answer = sender.post(BODY, headers={"X-Hub-Signature-256": signature})
    assert_problem(answer, 401)
    assert sender.stored() == before


def test_two_signature_headers_are_refused(sender: Sender) -> None:
    """They arrive joined; picking one would let a proxy and us disagree about which."""
    headers = [(b"X-Hub-Signature-256", GOOD.encode())] * 2 + [
        (b"X-GitHub-Event", b"push"),
        (b"X-GitHub-Delivery", b"two-headers"),
    ]
    assert_problem(sender.group.client.post("/hooks/github", content=BODY, headers=headers), 401)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Signature-256": b"", "X-Hub-Signature": f"sha1={_digest('sha1')}"},
        {"X-Hub-Signature-256": b"", "X-Hub-Signature": GOOD},
        {"X-Hub-Signature-256": b"", "X_Hub_Signature_256": GOOD},
        {"X-Hub-Signature-256": b"", "Authorization": f"Bearer {SECRET}"},
        {"X-Hub-Signature-256": b"", "X-Gitlab-Token": SECRET},
    ],
    ids=["SHA-1 alone", "under the old name", "underscores", "bearer", "GitLab's"],
)
def test_no_other_header_stands_in_for_the_signature(sender: Sender, headers: dict[str, str | bytes]) -> None:
    """One scheme for a route, chosen by the route and by nothing that is sent."""
    assert_problem(sender.post(BODY, headers=headers), 401)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "cut", "not UTF-8", "deep"])
def test_an_unsigned_body_is_never_parsed(sender: Sender, body: bytes) -> None:
    """The parser is the largest thing a stranger could attack: 401, not 400."""
    assert_problem(sender.post(body, signature=f"sha256={'0' * 64}"), 401)


def test_both_secrets_are_good_while_they_rotate(sender: Sender) -> None:
    """GitHub's secret and ours cannot be changed in the same instant."""
    for secret in ("retiring-secret", SECRET):
        assert sender.post(BODY, signature=sign(BODY, secret)).status_code == 202


def test_the_shared_vectors_hold() -> None:
    """Vendor's documentation and edge cases, computed by somebody else."""
    if not VECTORS.exists():
        pytest.skip("the shared contracts are not here")
    for case in json.loads(VECTORS.read_text())["cases"]:
        given = (CONTRACTS / case["body_file"]).read_bytes() if "body_file" in case else case["body"].encode()
        valid = is_signed(case["header"], given, [b"", b"of another time", case["secret"].encode()])
        assert valid == (case["expected"] == "valid"), case["name"]


def test_an_empty_secret_is_no_secret() -> None:
    """A setting left empty by mistake must not open the door to everybody."""
    assert not is_signed(sign(BODY, ""), BODY, [b""])
    assert not is_signed(GOOD, BODY, [])
