"""Who calls, as far as a quota must know: a bearer or an address, of which only a keyed digest is kept.

No header tells an address: behind proxies, `create` has the one they are trusted
to set put in its place.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from responder.sources.report import ANYBODY, BEARER
from responder.store.deliveries import Quota

OF_AN_ADDRESS = (Quota(30, timedelta(minutes=1)), Quota(300, timedelta(hours=1)))
OF_A_BEARER = (Quota(600, timedelta(minutes=1)),)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who reports.

    Attributes:
        lane: whose turn it takes.
        quotas: how many reports are taken.
    """

    lane: str
    quotas: Sequence[Quota]


@dataclass(frozen=True, slots=True)
class Callers:
    """Tells callers apart.

    Attributes:
        key: of the digests; the same for every receiver of an installation.
        bearers: which are good.
    """

    key: bytes = field(repr=False)
    bearers: Sequence[bytes] = field(repr=False)

    def by_bearer(self, authorization: str) -> Caller | None:
        """Whoever sent this ``Authorization``; None if it is no bearer of ours."""
        scheme, _, given = authorization.partition(" ")
        sent = self._digest(b"bearer", given.strip().encode())
        found = [hmac.compare_digest(sent, self._digest(b"bearer", one)) for one in self.bearers if one]
        if scheme.lower() != "bearer" or not any(found):
            return None
        return Caller(f"{BEARER}{sent[:16]}", OF_A_BEARER)

    def by_address(self, address: str | None) -> Caller:
        """Whoever calls from *address*; of IPv6 its /64, since whoever has one address there has them all."""
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return Caller(f"{ANYBODY}unknown", OF_AN_ADDRESS)
        if isinstance(found, ipaddress.IPv6Address):
            found = found.ipv4_mapped or ipaddress.IPv6Address(int(found) >> 64 << 64)
        return Caller(f"{ANYBODY}{self._digest(b'address', found.packed)[:16]}", OF_AN_ADDRESS)

    def _digest(self, kind: bytes, value: bytes) -> str:
        return hmac.new(self.key, b"responder-caller-v1\0" + kind + b"\0" + value, hashlib.sha256).hexdigest()
