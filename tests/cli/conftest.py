"""`responder keys` as a person runs it, against a simulated OpenAI, on a database of its own."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from responder.seal import Keys
from responder.simulator.openai import OpenAI
from responder.store import Store
from tests.cli.person import Person


@pytest.fixture(autouse=True)
def logs_left_alone() -> Iterator[None]:
    """A command sets logging up for a whole process; here it is one of many."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def openai() -> Iterator[OpenAI]:
    with OpenAI() as server:
        yield server
    assert server.bugs == []


@pytest.fixture(scope="session")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the first start makes it."""
    folder = tmp_path_factory.mktemp("house") / "data"
    Keys(folder).create()
    store = Store(f"sqlite:///{folder / 'responder.sqlite'}")
    store.upgrade()
    store.close()
    return folder


@pytest.fixture
def person(tmp_path: Path, empty_house: Path, openai: OpenAI) -> Iterator[Person]:
    """Somebody with a responder that runs on the simulated OpenAI; no token may ever be seen or kept."""
    data = tmp_path / "data"
    shutil.copytree(empty_house, data)
    settings = {
        "RESPONDER_CONFIG": os.devnull,
        "RESPONDER_DATA_DIR": str(data),
        "RESPONDER_OPENAI__BASE_URL": openai.base_url,
        "RESPONDER_OPENAI__ADMIN_KEY": openai.admin_key.value,
        "RESPONDER_OPENAI__CALLS_PER_SECOND": "1000",
    }
    made = Person(data, settings)
    yield made
    left = made.everything()
    for key in (*openai.keys.values(), *openai.strangers):
        assert key.value.encode() not in left, f"the token of {key.name} was printed or kept"
