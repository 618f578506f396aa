"""Who signed a body: sixty ways to be nobody."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.sources.signature import is_signed

_BODY = b'{"zen":"Keep it logically awesome."}'
_SECRET = b"correct horse battery staple"
_CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"


def _sign(body: bytes = _BODY, secret: bytes = _SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


_GOOD = _sign()
_DIGEST = _GOOD.removeprefix("sha256=")
_SHA1 = "sha1=" + hmac.new(_SECRET, _BODY, hashlib.sha1).hexdigest()

_FORGED: list[str | None] = [
    None, "", " ", "sha256", "sha256=", _DIGEST, f"={_DIGEST}", f"sha256:{_DIGEST}", f"sha256 {_DIGEST}",
    f" {_GOOD}", f"{_GOOD} ", f"{_GOOD}\n", f"\t{_GOOD}", f"sha256= {_DIGEST}", f"sha256=={_DIGEST}",
    _GOOD.upper(), f"sha256={_DIGEST.upper()}", f"SHA256={_DIGEST}", f"Sha256={_DIGEST}", f"sha-256={_DIGEST}",
    _SHA1, f"sha1={_DIGEST}", f"sha512={_DIGEST}", f"md5={_DIGEST}", f"hmac={_DIGEST}",
    _SHA1.replace("sha1", "sha256"),
    _GOOD[:-1], _GOOD[:-2], _GOOD[:40], f"{_GOOD}0", f"{_GOOD}00", f"{_GOOD}{_DIGEST}", f"sha256={'0' * 64}",
    f"sha256={'f' * 64}", f"sha256={'g' * 64}", f"sha256={_DIGEST[::-1]}", f"sha256={_DIGEST[:-1]}x",
    f"{_GOOD},{_GOOD}", f"{_GOOD}, {_GOOD}", f"sha256={'0' * 64},{_GOOD}", f"{_GOOD};", f"{_GOOD},", f",{_GOOD}",
    f"{_SHA1},{_GOOD}", f'"{_GOOD}"', f"'{_GOOD}'", f"sha256=0x{_DIGEST}", f"sha256={_DIGEST}\x00", f"\x00{_GOOD}",
    f"sha256=%{_DIGEST[1:]}", _GOOD.replace("=", "\uff1d"), _GOOD.replace("s", "\u017f", 1), f"{_GOOD}\u200b",
    _GOOD.replace("a", "\u0430", 1), f"{_GOOD}\ud800", "\ud800" * 71, "é" * 71, "x" * 71, "x" * 100_000,
    _sign(_BODY + b" "), _sign(_BODY[:-1]), _sign(b""), _sign(secret=b""), _sign(secret=b"other"),
    _sign(secret=_SECRET + b"\n"), _sign(secret=_SECRET.upper()),
    "sha256=" + hashlib.sha256(_BODY).hexdigest(), "sha256=" + hashlib.sha256(_SECRET + _BODY).hexdigest(),
]  # fmt: skip


def test_the_variants_are_many() -> None:
    """Each has passed somewhere."""
    assert len(_FORGED) >= 60
    assert len(set(_FORGED)) == len(_FORGED)


@pytest.mark.parametrize("header", _FORGED, ids=range(len(_FORGED)))
def test_a_header_that_is_not_exactly_the_signature_does_not_pass(header: str | None) -> None:
    """Whoever passes here makes us fetch, probe and revoke."""
    assert not is_signed(header, _BODY, [_SECRET])
    assert not is_signed(header, _BODY, [_SECRET, b"second"])


def test_the_signature_of_the_raw_body_passes() -> None:
    """To the byte as it was sent."""
    assert is_signed(_GOOD, _BODY, [_SECRET])
    assert is_signed(_sign(b""), b"", [_SECRET])
    assert is_signed(_sign(b"\x00\xff" * 1000), b"\x00\xff" * 1000, [_SECRET])


@pytest.mark.parametrize("secrets", [[_SECRET, b"new"], [b"new", _SECRET], [b"", _SECRET], [b"1", b"2", _SECRET]])
def test_either_secret_passes_while_they_rotate(secrets: list[bytes]) -> None:
    """No delivery is lost while one is replaced by the other."""
    assert is_signed(_GOOD, _BODY, secrets)


@pytest.mark.parametrize("secrets", [[], [b""], [b"", b""]])
def test_without_a_secret_nobody_passes(secrets: list[bytes]) -> None:
    """An empty setting must not open the door to everybody who knows the empty string."""
    assert not is_signed(_sign(secret=b""), _BODY, secrets)
    assert not is_signed(None, _BODY, secrets)


def test_every_secret_is_tried_whatever_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it takes must not tell which one fits, or how far it fits."""
    compared = []
    whole = hmac.compare_digest

    def spy(one: bytes, two: bytes) -> bool:
        compared.append((one, two))
        return whole(one, two)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    for header in (_GOOD, None, "x"):
        compared.clear()
        is_signed(header, _BODY, [_SECRET, b"two", b"three"])
        assert len(compared) == 3
        assert all(isinstance(part, bytes) for pair in compared for part in pair)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=50), st.binary(min_size=1, max_size=50), st.binary(max_size=50))
def test_only_the_same_body_passes(body: bytes, secret: bytes, other: bytes) -> None:
    """A signature is for one body."""
    assert is_signed(_sign(body, secret), body, [secret])
    assert is_signed(_sign(body, secret), other, [secret]) is (body == other)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=90))
def test_no_header_raises(header: str) -> None:
    """Half characters and all."""
    assert not is_signed(header, _BODY, [_SECRET])


@pytest.mark.skipif(not _CONTRACTS.is_dir(), reason="the vendors' own samples are not part of this repository")
def test_the_vendors_own_vectors_are_judged_as_the_vendor_does() -> None:
    """The documentation's example, and the ways it says it is got wrong."""
    found = json.loads((_CONTRACTS / "hub-signature-vector.json").read_text())
    for case in found["cases"]:
        file = case.get("body_file")
        body = (_CONTRACTS / file).read_bytes() if file else case["body"].encode()
        assert is_signed(case["header"], body, [case["secret"].encode()]) is (case["expected"] == "valid"), case[
            "name"
        ]
