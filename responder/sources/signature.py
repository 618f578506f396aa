"""Who signed a body: HMAC-SHA-256 over the raw bytes, before anything is parsed."""

import hashlib
import hmac
from collections.abc import Sequence

_LENGTH = len("sha256=") + 64


def is_signed(header: str | None, body: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether ``X-Hub-Signature-256`` was made with one of *secrets* (two while they rotate).

    Every secret is tried, whatever the header looks like, and compared in constant
    time as bytes. SHA-1, upper case, joined headers and empty secrets never pass.

    Source: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    """
    given = (header or "").encode("utf-8", "replace")
    valid = False
    for secret in secrets:
        expected = b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
        valid |= hmac.compare_digest(expected, given) and bool(secret)
    return valid and len(given) == _LENGTH
