"""Nobody but GitLab is listened to: by signature if there is one, else by the shared token."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from responder.simulator.gitlab import signature
from responder.sources.gitlab_signature import is_authentic
from tests.running import CONTRACTS

VECTOR = CONTRACTS / "gitlab-signature-vector.json"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BODY = b'{"object_kind":"push"}'
KEY, RETIRING = ("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
SHARED = "made-up-shared-token"
ID = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"


def signed(
    key: str = KEY, id_: str = ID, at: datetime = NOW, body: bytes = BODY, **changes: str | None
) -> dict[str, str]:
    """The headers of a signed webhook, with changes by the second half of their names; None leaves one out."""
    headers = signature(key, id_, int(at.timestamp()), body)
    headers |= {f"webhook-{name}": value for name, value in changes.items() if value is not None}
    return {
        name: value for name, value in headers.items() if changes.get(name.removeprefix("webhook-"), "") is not None
    }


def accepts(headers: Mapping[str, str], body: bytes = BODY, at: datetime = NOW, *configured: str) -> bool:
    """Whether it is let in, by a receiver with both keys and the shared token unless others are *configured*."""
    own = [one.encode() for one in configured or (RETIRING, KEY, SHARED)]
    return is_authentic(headers.get, body, own, at)


def test_the_shared_vector_holds() -> None:
    """Computed by somebody else."""
    if not VECTOR.exists():
        pytest.skip("the shared contracts are not here")
    case = json.loads(VECTOR.read_text())
    at = datetime.fromtimestamp(int(case["headers"]["webhook-timestamp"]), UTC)
    assert accepts(case["headers"], case["body"].encode(), at, case["signing_token"])
    assert not accepts(case["headers"], case["body"].encode() + b" ", at, case["signing_token"])


def test_each_way_of_saying_who_sends_it_is_good() -> None:
    """Old GitLabs have a token only, new ones sign, and either secret may be on its way out."""
    assert accepts({"X-Gitlab-Token": SHARED})
    assert accepts(signed(KEY))
    assert accepts(signed(RETIRING))


def test_one_good_signature_among_several_is_enough() -> None:
    """The sender signs with the old and the new key while they rotate."""
    good, other = signed()["webhook-signature"], signed("whsec_" + "A" * 40)["webhook-signature"]
    for several in (f"{other} {good}", f"{good} {other}", f"v2,{'x' * 40} {good}"):
        assert accepts(signed(signature=several)), several
    assert not accepts(signed(signature=f"{other} {other}"))


@pytest.mark.parametrize("seconds", [-300, -299, 299, 300])
def test_a_clock_that_is_a_little_off_is_forgiven(seconds: int) -> None:
    """By the receiver's own clock, five minutes each way."""
    assert accepts(signed(at=NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [-86400, -301, 301, 86400])
def test_what_was_signed_at_another_time_may_be_a_replay(seconds: int) -> None:
    """Whoever recorded a webhook must not be able to have its work done again next week."""
    assert not accepts(signed(at=NOW + timedelta(seconds=seconds)))


GOOD = signed()
DIGEST = GOOD["webhook-signature"].removeprefix("v1,")
AT = GOOD["webhook-timestamp"]
RAW = base64.b64decode(KEY.removeprefix("whsec_"))


def over(content: bytes, key: bytes = RAW) -> str:
    """A signature over something else, or with another key."""
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


FORGED: dict[str, Mapping[str, str]] = {
    "nothing": {},
    "no id": signed(id=None),
    "no timestamp": signed(timestamp=None),
    "no signature": signed(signature=None),
    "another id": signed(id="f5e5f430-f57b-4e6e-9fac-000000000000"),
    "another timestamp": signed(timestamp=str(int(AT) + 1)),
    "empty id": signed(id=""),
    "empty timestamp": signed(timestamp=""),
    "empty signature": signed(signature=""),
    "an id with a dot": signed(id_=f"{ID}.7"),
    "an id with a newline": signed(id=f"{ID}\n"),
    "timestamp with a sign": signed(timestamp=f"+{AT}"),
    "timestamp with a fraction": signed(timestamp=f"{AT}.0"),
    "timestamp with a blank": signed(timestamp=f" {AT}"),
    "timestamp in another script": signed(timestamp="".join(chr(0x660 + int(digit)) for digit in AT)),
    "timestamp that is huge": signed(timestamp="9" * 400),
    "timestamp that is no number": signed(timestamp="nan"),
    "prefix stripped": signed(signature=DIGEST),
    "prefix of another version": signed(signature=f"v2,{DIGEST}"),
    "prefix of GitHub": signed(signature=f"sha256={DIGEST}"),
    "prefix in capitals": signed(signature=f"V1,{DIGEST}"),
    "prefix alone": signed(signature="v1,"),
    "prefix twice": signed(signature=f"v1,v1,{DIGEST}"),
    "equals instead of comma": signed(signature=f"v1={DIGEST}"),
    "joined by a comma": signed(signature=f"v1,{DIGEST},v1,{DIGEST}"),
    "padding stripped": signed(signature=f"v1,{DIGEST.rstrip('=')}"),
    "one character changed": signed(signature=f"v1,{'A' if DIGEST[0] != 'A' else 'B'}{DIGEST[1:]}"),
    "one character short": signed(signature=f"v1,{DIGEST[1:]}"),
    "hexadecimal": signed(signature=f"v1,{base64.b64decode(DIGEST).hex()}"),
    "not ASCII": signed(signature="v1,é"),
    "over the body alone": signed(signature=over(BODY)),
    "over timestamp and body": signed(signature=over(f"{AT}.".encode() + BODY)),
    "over id and body": signed(signature=over(f"{ID}.".encode() + BODY)),
    "in another order": signed(signature=over(f"{AT}.{ID}.".encode() + BODY)),
    "over another body": signed(body=BODY + b" "),
    "the key as it is written": signed(signature=over(f"{ID}.{AT}.".encode() + BODY, KEY.encode())),
    "the key without its prefix": signed(signature=over(f"{ID}.{AT}.".encode() + BODY, KEY[6:].encode())),
    "the key is the shared token": signed(signature=over(f"{ID}.{AT}.".encode() + BODY, SHARED.encode())),
    "no key": signed(signature=over(f"{ID}.{AT}.".encode() + BODY, b"")),
    "a stranger's key": signed("whsec_" + base64.b64encode(b"x" * 32).decode()),
    "a signing key as a shared token": {"X-Gitlab-Token": KEY},
    "a wrong token": {"X-Gitlab-Token": SHARED[:-1]},
    "a token in capitals": {"X-Gitlab-Token": SHARED.upper()},
    "an empty token": {"X-Gitlab-Token": ""},
    "both secrets at once": {"X-Gitlab-Token": f"{SHARED},{KEY}"},
    "the token under another name": {"Authorization": SHARED, "X-Gitlab-Secret": SHARED},
    "a good token beside a bad signature": {**signed(signature="v1,AAAA"), "X-Gitlab-Token": SHARED},
    "a good token beside an old signature": {**signed(at=NOW - timedelta(hours=1)), "X-Gitlab-Token": SHARED},
    "a good token beside a lone id": {"webhook-id": ID, "X-Gitlab-Token": SHARED},
    "a good token beside an empty signature": {"webhook-signature": "", "X-Gitlab-Token": SHARED},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
def test_a_forgery_is_refused(headers: Mapping[str, str]) -> None:
    """Whoever gets past this has us fetch, and a weaker proof beside a bad signature must not help."""
    assert not accepts(headers)


def test_a_secret_left_empty_opens_nothing() -> None:
    """A setting made empty by mistake must not let everybody in."""
    nobody = [b""]
    assert not is_authentic({"X-Gitlab-Token": ""}.get, BODY, nobody, NOW)
    forged = signed(signature=over(f"{ID}.{AT}.".encode() + BODY, b""))
    assert not is_authentic(forged.get, BODY, [*nobody, b"whsec_", b"whsec_!", SHARED.encode()], NOW)
