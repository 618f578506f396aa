"""Which partner signed a body: many ways to be nobody, and which published keys count."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from responder.core.errors import Malformed
from responder.simulator.partner import Partner
from responder.sources.partner_signature import Claim, claim, is_signed_by, read_keys

_CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
_BODY = b'[{"token":"some_token","type":"some_type","url":"","source":"commit"}]'
_ID, _SIG = "Github-Public-Key-Identifier", "Github-Public-Key-Signature"


def _public(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def _claim(headers: Mapping[str, str]) -> Claim | None:
    lower = {name.lower(): value for name, value in headers.items()}
    return claim(lambda name: lower.get(name.lower()))


def _entry(identifier: object, pem: object, current: object = True) -> dict[str, object]:
    return {"key_identifier": identifier, "key": pem, "is_current": current}


@pytest.mark.skipif(not _CONTRACTS.is_dir(), reason="the vendors' own samples are not part of this repository")
def test_the_vendors_own_vectors_are_judged_as_the_vendor_does() -> None:
    """Bodies that GitHub signed with its own keys, one with a short number in it, and eight forgeries."""
    found = json.loads((_CONTRACTS / "partner-test-vector.json").read_text())
    pems = {e["key_identifier"]: e["key"] for e in found["simulator_public_keys_response"]["public_keys"]}
    for case in found["cases"]:
        body = case["body"].encode()
        assert len(body) == case["body_length"]
        made = _claim({_ID: case["key_identifier"], _SIG: case["signature_base64"]})
        good = (
            made is not None and made.identifier in pems and is_signed_by(pems[made.identifier], made.signature, body)
        )
        assert good is (case["expected"] == "valid"), case["name"]


@pytest.mark.skipif(not _CONTRACTS.is_dir(), reason="the vendors' own samples are not part of this repository")
def test_of_the_vendors_own_page_only_the_current_key_counts() -> None:
    """Both other receivers whose code is public refuse the rest, one of them only in its manual."""
    found = json.loads((_CONTRACTS / "partner-test-vector.json").read_text())
    page = found["public_keys_response"]
    assert list(read_keys(page)) == [e["key_identifier"] for e in page["public_keys"] if e["is_current"]]


@pytest.mark.parametrize(
    ("spelling", "origin"),
    [("Github-Public-Key", "github"), ("GITHUB-PUBLIC-KEY", "github"), ("GOSST-PUBLIC-KEY", "depsdev"),
     ("DepsDev-Public-Key", "depsdev"), ("depsdev-public-key", "depsdev")],
)  # fmt: skip
def test_the_headers_say_whose_key_it_is(spelling: str, origin: str) -> None:
    """Each origin by its own, in whatever case; the second has two spellings in use."""
    signer = Partner([], spelling)
    made = _claim(signer.sign(_BODY))
    assert made is not None
    assert (made.origin, made.identifier) == (origin, signer.identifier)
    assert is_signed_by(signer.pem, made.signature, _BODY)
    assert not is_signed_by(signer.pem, made.signature, _BODY + b"\n")
    assert not is_signed_by(Partner([]).pem, made.signature, _BODY)


@pytest.mark.parametrize("other", ["GOSST-PUBLIC-KEY", "DepsDev-Public-Key"])
def test_two_signers_are_none(other: str) -> None:
    """Whichever of them were believed, somebody could choose it: even half a pair, or an empty one, is too much."""
    ours, theirs = Partner([]).sign(_BODY), Partner([], other).sign(_BODY)
    assert _claim(ours | theirs) is None
    for name in theirs:
        assert _claim(ours | {name: theirs[name]}) is None
        assert _claim(ours | {name: ""}) is None
    assert _claim(Partner([], "GOSST-PUBLIC-KEY").sign(_BODY) | Partner([], "DepsDev-Public-Key").sign(_BODY)) is None


def test_no_other_hash_curve_or_algorithm_signs() -> None:
    """One scheme, chosen by us and not by the sender."""
    curve, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    edwards = ed25519.Ed25519PrivateKey.generate()
    for algorithm in (SHA1(), SHA384()):
        assert not is_signed_by(_public(curve), curve.sign(_BODY, ec.ECDSA(algorithm)), _BODY)
    assert not is_signed_by(_public(other), other.sign(_BODY, ec.ECDSA(SHA384())), _BODY)
    assert not is_signed_by(_public(edwards), edwards.sign(_BODY), _BODY)
    r, s = decode_dss_signature(curve.sign(_BODY, ec.ECDSA(SHA384())))
    for signature in (b"", b"\x30\x00", r.to_bytes(32) + s.to_bytes(32), b"\x30\x06\x02\x01\x00\x02\x01\x00"):
        assert not is_signed_by(_public(curve), signature, _BODY)


@pytest.mark.parametrize("pem", ["", "x", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "\ud800", "é"])
def test_what_is_no_key_signs_nothing(pem: str) -> None:
    """A damaged row in the database is a refusal and not an error."""
    assert not is_signed_by(pem, b"\x30\x00", _BODY)


def test_only_current_p256_keys_of_a_page_count() -> None:
    """One unusable key does not take the others away."""
    private = ec.generate_private_key(ec.SECP256R1())
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    good = _public(private)
    entries = [
        _entry("good", good),
        _entry("old", good, False),
        _entry("larger", _public(ec.generate_private_key(ec.SECP384R1()))),
        _entry("koblitz", _public(ec.generate_private_key(ec.SECP256K1()))),
        _entry("rsa", _public(rsa.generate_private_key(65537, 2048))),
        _entry("edwards", _public(ed25519.Ed25519PrivateKey.generate())),
        _entry("private", secret),
        _entry("cut", good[:-40]),
        _entry("", good),
        _entry("x" * 129, good),
        _entry("a b", good),
        _entry(None, good),
        "a word",
    ]
    assert read_keys({"public_keys": entries, "more": 1}) == {"good": good}


def test_a_page_holds_thirty_two_keys_at_most() -> None:
    """Each costs memory and a check; nobody honest has more."""
    pem = _public(ec.generate_private_key(ec.SECP256R1()))
    entries = [_entry(f"k{n}", pem) for n in range(33)]
    assert len(read_keys({"public_keys": entries[:32]})) == 32
    with pytest.raises(Malformed):
        read_keys({"public_keys": entries})


def test_another_spelling_of_a_signature_is_none() -> None:
    """Base64 has several for the same bytes; one is enough."""
    signer = Partner([])
    while not (headers := signer.sign(_BODY))[_SIG].endswith("=="):
        pass
    value = headers[_SIG]
    last = value[-3]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = f"{value[:-3]}{alphabet[alphabet.index(last) + 1]}=="
    assert base64.b64decode(twin) == base64.b64decode(value)
    assert _claim(headers) is not None
    assert _claim({**headers, _SIG: twin}) is None
