"""How keys, people and times read on a terminal, and as JSON.

Names come from whoever made a key: shown without controls, invisible or
direction-changing characters, and without anything that looks like a token.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from responder.core.key import KnownKey, Owner

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def line(text: object, longest: int = 200) -> str:
    """*text* as one line that shows all there is of it, and steers nothing."""
    from responder.notify.plain import shorten, visible

    return shorten(visible(text), longest)


def wrapped(text: str) -> str:
    """*text* for the width of this terminal, words whole and every line as far in as its first."""
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    lines = []
    for one in text.split("\n"):
        margin = one[: len(one) - len(one.lstrip())]
        fill = textwrap.TextWrapper(width, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False)
        lines += fill.wrap(one) or [""]
    return "\n".join(lines)


def redacted(key: "KnownKey") -> str:
    """What may be shown of it: ``sk-proj-…abcd``."""
    return f"{key.mask.head}…{key.mask.tail}"


def person(owner: "Owner") -> str:
    """Who answers for a key, with the address to write to."""
    name, email = line(owner.name or ""), line(owner.email or "")
    named = f"{name} <{email}>" if name and email else name or email or line(owner.id) or "nobody known"
    return f"service account {named}" if owner.kind == "service_account" else named


def briefly(owner: "Owner") -> str:
    """Who answers for a key, in as few letters as will do."""
    return line(owner.email or owner.name or owner.id)


def ago(instant: datetime | None, now: datetime, never: str = "never") -> str:
    """``3 days ago``."""
    if instant is None:
        return never
    seconds = (now - instant).total_seconds()
    for unit, size in _UNITS:
        if (count := int(seconds // size)) >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def day(instant: datetime | None) -> str:
    """``2026-11-23``."""
    return "unknown" if instant is None else f"{instant:%Y-%m-%d}"


def minute(instant: datetime) -> str:
    """``2026-11-23 06:12 UTC``."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def number(count: int, noun: str) -> str:
    """``no keys``, ``1 key``, ``2 keys``."""
    if count == 0:
        return f"no {noun}s"
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def to_json(key: "KnownKey") -> Mapping[str, Any]:
    """The key as ``--json`` shows it."""
    from responder.core.incident import timestamp

    owner = key.owner
    return {
        "id": key.id,
        "provider": key.provider,
        "account": key.account,
        "kind": key.kind.value,
        "name": line(key.name),
        "redacted": redacted(key),
        "project": key.project,
        "project_name": None if key.project_name is None else line(key.project_name),
        "owner": {
            "kind": owner.kind,
            "id": owner.id,
            "name": None if owner.name is None else line(owner.name),
            "email": None if owner.email is None else line(owner.email),
        },
        "created_at": timestamp(key.created_at),
        "last_used_at": timestamp(key.last_used_at),
        "gone_at": timestamp(key.gone_at),
        "tier": key.tier.value,
        "fingerprinted": key.fingerprint is not None,
    }
