"""One receiver for all of a module's requests; no worker, so that what is stored stays as it was stored."""

from collections.abc import Iterator

import pytest

from tests.hook import SECRET, Sender
from tests.running import Group


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    settings = {"RESPONDER_GITHUB__WEBHOOK_SECRET": f"retiring-secret,{SECRET}"}
    with Group(tmp_path_factory.mktemp("receiver"), settings) as group:
        group.prepare().start("web").wait_until_listening()
        yield Sender(group)
