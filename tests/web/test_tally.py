"""Counters that several processes share."""

import os

import pytest

from responder.web.tally import Tally


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_that_were_forked_count_together_and_the_dead_are_not_forgotten() -> None:
    """Whichever process is scraped answers for all: without it, every other scrape would look like a restart."""
    tally = Tally()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            tally.name_routes(["/b", "/a"])
            for _ in range(1000):
                tally.add("/a", 202)
            tally.add(None, 404)
            tally.add("/b", 599)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    tally.name_routes(["/a", "/b"])
    assert tally.read() == {("/a", 202): 3000, ("", 404): 3, ("/b", 0): 3}


def test_routes_beyond_what_there_is_room_for_are_counted_as_none() -> None:
    """A route too many must not be counted as another one's, nor cost an answer."""
    tally = Tally()
    tally.name_routes([f"/{number:03}" for number in range(200)])
    for number in range(200):
        tally.add(f"/{number:03}", 200)
    counted = tally.read()
    assert counted["", 200] == 200 - 63
    assert counted["/062", 200] == 1
