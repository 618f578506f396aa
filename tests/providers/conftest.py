"""Each provider beside the small vendor it is tried against, over real HTTP."""

from collections.abc import Iterator

import pytest

from responder.outbound import Door
from responder.providers.openai import OpenAI
from responder.simulator.openai import OpenAI as Vendor

DEADLINE_SECONDS = 0.5


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """The vendor, fresh."""
    with Vendor(seed=7) as server:
        yield server
    assert not server.bugs


@pytest.fixture
def provider(vendor: Vendor) -> Iterator[OpenAI]:
    """Our side of it, impatient enough for tests."""
    door = Door("openai", vendor.base_url, deadline_seconds=DEADLINE_SECONDS)
    yield OpenAI("default", door, vendor.admin_key.value)
    door.close()
