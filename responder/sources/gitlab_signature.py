"""Who sent a GitLab webhook: a signature as Standard Webhooks have it, or the older shared token.

Where any header of a signature is there, the signature alone counts, and a signing
key (``whsec_…``) is never taken for a shared token: no sender chooses the weaker proof.

Source: https://docs.gitlab.com/user/project/integrations/webhooks/ and
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime

TOLERANCE_SECONDS = 300
"""How far the sender's clock may be from ours; what is older may be a replay."""

_KEY = b"whsec_"
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")  # no dot, or parts of what is signed could change places
_TIMESTAMP = re.compile(r"[0-9]{1,12}\Z")


def is_authentic(header: Callable[[str], str | None], body: bytes, secrets: Sequence[bytes], now: datetime) -> bool:
    """Whether one of *secrets* (two while they rotate) vouches for *body*; all are tried, in constant time.

    Args:
        header: gives the request's header of a name, or None.
        body: raw.
        secrets: shared tokens and signing keys, as configured.
        now: by our clock, UTC.
    """
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    if any(header(name) is not None for name in names):
        id_, timestamp, signatures = (header(name) or "" for name in names)
        return _is_timely(timestamp, now) and _is_signed(id_, timestamp, signatures, body, secrets)
    return equals_one(header("X-Gitlab-Token"), [one for one in secrets if not one.startswith(_KEY)])


def equals_one(given: str | None, secrets: Sequence[bytes]) -> bool:
    """Whether a header's value is one of *secrets*; an empty one never is."""
    value = _bytes(given or "")
    equal = False
    for secret in secrets:
        equal |= hmac.compare_digest(secret, value) and bool(secret)
    return equal


def _is_timely(timestamp: str, now: datetime) -> bool:
    return bool(_TIMESTAMP.match(timestamp)) and abs(now.timestamp() - int(timestamp)) <= TOLERANCE_SECONDS


def _is_signed(id_: str, timestamp: str, signatures: str, body: bytes, secrets: Sequence[bytes]) -> bool:
    if not _ID.match(id_):
        return False
    content = f"{id_}.{timestamp}.".encode() + body
    valid = False
    for secret in secrets:
        key = _key(secret)
        expected = b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256))
        for given in signatures.split(" "):
            valid |= hmac.compare_digest(expected, _bytes(given)) and bool(key)
    return valid


def _key(secret: bytes) -> bytes:
    """The key in a ``whsec_…`` secret; empty if there is none."""
    try:
        return base64.b64decode(secret.removeprefix(_KEY), validate=True) if secret.startswith(_KEY) else b""
    except binascii.Error:
        return b""


def _bytes(value: str) -> bytes:
    """A header's value as it was sent: WSGI hands bytes on as Latin-1."""
    return value.encode("latin-1", "replace")
