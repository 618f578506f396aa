"""May a mail address that we found in somebody's words be written to?

Pure. An owner's message says which key leaked, and where: an address outside the
domains that were named for it would carry that to a stranger.
"""

import re
from collections.abc import Iterable

_LOCAL = re.compile(r"[A-Za-z0-9_+'][A-Za-z0-9._+'-]{0,63}\Z")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")


def within(address: str, domains: Iterable[str]) -> str | None:
    """Return *address* as it may be written to, or None.

    Its domain must be one of *domains* or below one. What is compared is the domain as
    mail servers see it (ASCII, RFC 5890), and that very form is returned, so that nobody
    later reads another domain out of it.
    """
    local, at, domain = address.partition("@")
    plain = _ascii(domain)
    if not at or not _LOCAL.match(local) or plain is None:
        return None
    ours = {one for name in domains if (one := _ascii(name)) is not None}
    if any(plain == one or plain.endswith(f".{one}") for one in ours):
        return f"{local}@{plain}"
    return None


def _ascii(domain: str) -> str | None:
    """A domain in its ASCII form and lower case; None if it is none."""
    try:
        plain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    return plain if len(plain) <= 253 and _DOMAIN.match(plain) else None
