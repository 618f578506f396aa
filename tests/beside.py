"""One organisation beside a small vendor, over real HTTP, with a clock that a test moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from responder.core.token import Fingerprint, Token, fingerprint
from responder.inventory import Inventory
from responder.outbound import Door
from responder.proof import Account, Finding, identify
from responder.providers.openai import OpenAI
from responder.simulator.openai import OpenAI as Vendor
from responder.simulator.openai_objects import Key
from responder.store import Store
from responder.store.tables import metadata
from tests.grown import NOON, PEPPER


@dataclass
class Beside:
    """What a test needs.

    Attributes:
        now: the time, moved by `wait`.
    """

    vendor: Vendor
    store: Store
    provider: OpenAI
    now: datetime = NOON

    def inventory(self, *protected: str) -> Inventory:
        """What one process knows of the keys."""
        return Inventory(self.store, self.provider, protected, lambda: self.now, self.wait)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def identify(self, value: str | Key, account: Account, lane: str = "lane") -> Finding:
        """Find out who a leaked token is, heard of just now."""
        token, seen = leaked(value)
        return identify(token, seen, [account], self.now, lane)


def leaked(value: str | Key) -> tuple[Token, Fingerprint]:
    """A token as a scanner hands it over, and its name."""
    token = Token(value if isinstance(value, str) else value.value, "openai-project")
    return token, fingerprint(token, PEPPER)


@contextmanager
def beside(folder: Path, seed: int = 3) -> Iterator[Beside]:
    """A vendor, an empty database and a provider between them."""
    with Vendor(seed) as vendor:
        store = Store(f"sqlite:///{folder / 'responder.sqlite'}")
        with store.begin("make") as tx:
            metadata.create_all(tx)
        door = Door("openai", vendor.base_url, deadline_seconds=1.0)
        yield Beside(vendor, store, OpenAI("default", door, vendor.admin_key.value))
        door.close()
        store.close()
    assert not vendor.bugs
