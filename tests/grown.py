"""Tokens grown at run time, and known keys made of them; no key is written down in this repository."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from responder.core.key import KeyKind, KnownKey, Mask, Owner
from responder.core.token import Fingerprint, Token, fingerprint
from responder.simulator import growth

PEPPER = bytes(range(32))
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def token(seed: int = 0, family: str = "openai-project", tail: str = "") -> Token:
    """A token; the same for the same seed."""
    return Token(growth.grow(family, random.Random(seed), tail), family)


def seen(seed: int = 0, family: str = "openai-project", tail: str = "") -> Fingerprint:
    """The fingerprint of `token`."""
    return fingerprint(token(seed, family, tail), PEPPER)


def known(seed: int = 0, **changes: Any) -> KnownKey:
    """A listed key whose token is ``token(seed)``; its id is ``key_`` and the seed."""
    name = seen(seed)
    key = KnownKey(
        provider="openai",
        account="default",
        id=f"key_{seed}",
        kind=KeyKind.PROJECT,
        name=f"key number {seed}",
        mask=Mask(name.head, name.tail, name.length),
        owner=Owner("user", "user-1", "Olivia Owner", "olivia@acme.example"),
        project="proj_one",
        project_name="One",
    )
    return replace(key, **changes)


def twin(seed: int = 0, id: str = "key_twin", **changes: Any) -> KnownKey:  # noqa: A002 -- an id is called id
    """Another key with the mask of ``token(seed)``."""
    return known(seed, id=id, **changes)
