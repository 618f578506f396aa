"""Who of the partners signed a body: ECDSA over the raw bytes, with keys they publish.

Peculiar: two origins speak one protocol with headers of their own, and the second spells them in two ways. A body
that carries the headers of more than one is nobody's.

Source: https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from responder.core.errors import Malformed

ORIGINS: Mapping[str, Sequence[str]] = {
    "github": ("Github-Public-Key",),
    "depsdev": ("GOSST-PUBLIC-KEY", "DepsDev-Public-Key"),
}
"""What the two headers of each origin begin with; ``-Identifier`` and ``-Signature`` follow."""

_MOST_KEYS = 32
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{8,100}={0,2}\Z")


@dataclass(frozen=True, slots=True)
class Claim:
    """Who says to have signed, before anything is known to be true of it.

    Attributes:
        origin: a row of `ORIGINS`.
        identifier: of the public key.
        signature: DER.
    """

    origin: str
    identifier: str
    signature: bytes


def claim(header: Callable[[str], str | None]) -> Claim | None:
    """Read the headers; None unless exactly one pair of them is there, whole and well-formed.

    Args:
        header: the value of a header by its name, in whatever case.
    """
    found = [
        (origin, header(f"{spelling}-Identifier"), header(f"{spelling}-Signature"))
        for origin, spellings in ORIGINS.items()
        for spelling in spellings
    ]
    given = [one for one in found if one[1] is not None or one[2] is not None]
    if len(given) != 1:
        return None
    origin, identifier, signature = given[0]
    if (
        identifier is None
        or signature is None
        or not _IDENTIFIER.match(identifier)
        or not _SIGNATURE.match(signature)
    ):
        return None
    try:
        der = base64.b64decode(signature, validate=True)
    except binascii.Error:
        return None
    if base64.b64encode(der).decode() != signature:  # another spelling of the same bytes
        return None
    return Claim(origin, identifier, der)


def is_signed_by(pem: str, signature: bytes, body: bytes) -> bool:
    """Whether *signature* was made over *body* with the private half of *pem*."""
    key = _public_key(pem)
    try:
        if key is not None:
            key.verify(signature, body, ECDSA(SHA256()))
            return True
    except InvalidSignature:
        pass
    return False


def read_keys(content: object) -> Mapping[str, str]:
    """The current P-256 keys of a published document, PEM by identifier; whatever else stands there is left out.

    Raises:
        Malformed: it has another shape, too many keys, one identifier twice, or no key that can be used.
    """
    listed = content.get("public_keys") if isinstance(content, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise Malformed("The document must list public keys, and not too many.")
    entries = [entry for entry in listed if isinstance(entry, dict) and isinstance(entry.get("key_identifier"), str)]
    by_name = {entry["key_identifier"]: entry for entry in entries}
    if len(by_name) < len(entries):
        raise Malformed("The document names two keys alike.")
    keys = {
        name: str(entry["key"])
        for name, entry in by_name.items()
        if _IDENTIFIER.match(name) and entry.get("is_current") is True and _public_key(entry.get("key")) is not None
    }
    if not keys:
        raise Malformed("The document has no key that can be used.")
    return keys


def _public_key(pem: object) -> EllipticCurvePublicKey | None:
    if not isinstance(pem, str) or not pem.isascii():
        return None
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None
