"""One scanner for all tests: loading it is the only slow thing about it."""

import pytest

from responder.scan import Scanner


@pytest.fixture(scope="session")
def scanner() -> Scanner:
    return Scanner.load()
