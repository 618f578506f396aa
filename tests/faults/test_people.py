"""Mail and channels on every bad day, over real sockets: told once, or pending and said so; never silence."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.notify import Channels, Mailer
from responder.simulator.channel import Channel as Team
from responder.simulator.mail import Mail
from responder.store import notices
from tests.faults.cell import HOUR, Cell

Make = Callable[..., Cell]


@pytest.fixture(scope="module")
def post() -> Iterator[Mail]:
    with Mail() as server:
        yield server


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with Team() as server:
        yield server


def mailed(make_cell: Make, post: Mail) -> Cell:
    post.faults.clear()
    post.letters.clear()
    return make_cell(mail=Mailer(post.url, "leaks@acme.example", timeout_seconds=0.3))


def posted(make_cell: Make, team: Team) -> Cell:
    team.faults.clear()
    team.posts.clear()
    return make_cell(channels=Channels([team.url], timeout_seconds=0.5))


def owed(cell: Cell, audience: Audience) -> list[Notice]:
    found = cell.incident()
    assert found is not None
    with cell.store.read() as tx:
        return [notice for notice in notices.of(tx, found.id) if notice.audience is audience]


MAIL: dict[str, tuple[str, dict[str, Any]]] = {
    "greylisted": ("RCPT", {"kind": "status", "status": 451}),
    "busy": ("DATA", {"kind": "status", "status": 421}),
    "hang": ("RCPT", {"kind": "timeout", "seconds": 1.0}),
    "hang after the data": ("DATA", {"kind": "timeout", "seconds": 1.0}),
    "reset": ("RCPT", {"kind": "reset"}),
    "hung up on": ("CONNECT", {"kind": "reset"}),
}


def test_a_mail_server_that_is_away_for_a_night_loses_nothing(make_cell: Make, post: Mail) -> None:
    """Sweeps look after what is pending, every minute; that must not use up its attempts."""
    cell = mailed(make_cell, post)
    fault = post.faults.add("CONNECT", "reset", times=None)
    cell.warm()
    cell.report()
    for _ in range(10 * 60):
        cell.run(60)
    assert [notice.status for notice in owed(cell, Audience.OWNER)] == [Delivery.PENDING]
    assert fault.hits < 40
    fault.times = 0
    cell.run(2 * HOUR, until=lambda: cell.incident_state() == "closed")
    assert len(post.letters) == 1


@pytest.mark.parametrize("name", MAIL)
def test_an_owner_is_told_once_the_mail_server_can(make_cell: Make, post: Mail, name: str) -> None:
    """Meanwhile the notice is pending, and the incident not closed."""
    cell = mailed(make_cell, post)
    route, how = MAIL[name]
    fault = post.faults.add(route, times=None, **how)
    cell.warm()
    cell.report()
    cell.run(30)
    assert cell.incident_state() == "contained"
    assert [notice.status for notice in owed(cell, Audience.OWNER)] == [Delivery.PENDING]
    fault.times = 0
    cell.run(HOUR, until=lambda: cell.incident_state() == "closed")
    assert cell.incident_state() == "closed"
    assert post.letters if name == "hang after the data" else len(post.letters) == 1
    assert len({letter.message["Message-ID"] for letter in post.letters}) == 1
    assert any("notice_delayed" in line for line in cell.logs)


def test_a_mail_accepted_without_our_hearing_of_it_is_seen_as_one(make_cell: Make, post: Mail) -> None:
    """At least once: the second has the first one's name."""
    cell = mailed(make_cell, post)
    post.faults.add("DATA", "reset", applied=True)
    cell.warm()
    cell.report()
    cell.run(HOUR, until=lambda: cell.incident_state() == "closed")
    assert len(post.letters) == 2
    assert len({letter.message["Message-ID"] for letter in post.letters}) == 1


@pytest.mark.parametrize("how", [{"status": 550}, {"status": 553}, {"status": 552}])
def test_a_mail_refused_for_good_is_handed_to_the_security_team(make_cell: Make, post: Mail, how: Any) -> None:
    """Somebody else has to call the owner."""
    cell = mailed(make_cell, post)
    post.faults.add("RCPT", "status", times=None, **how)
    cell.warm()
    cell.report()
    cell.run(HOUR)
    assert Topic.UNDELIVERED in cell.pager.topics()
    assert [notice.status for notice in owed(cell, Audience.OWNER)] == [Delivery.FAILED]
    assert any("person_not_told" in line for line in cell.logs)


def test_a_mail_server_that_is_away_for_ever_ends_in_a_page(make_cell: Make, post: Mail) -> None:
    """After two days of trying, a person knows that the owner does not."""
    cell = mailed(make_cell, post)
    post.faults.add("CONNECT", times=None, kind="reset")
    cell.warm()
    cell.report()
    cell.run(HOUR)
    assert [notice.status for notice in owed(cell, Audience.OWNER)] == [Delivery.PENDING]
    assert cell.pager.topics() == [Topic.REVOKED]
    cell.run(3 * 24 * HOUR)
    assert Topic.UNDELIVERED in cell.pager.topics()
    assert any("person_not_told" in line for line in cell.logs)


CHANNEL: dict[str, dict[str, Any]] = {
    "401": {"kind": "status", "status": 401},
    "404": {"kind": "status", "status": 404},
    "429": {"kind": "status", "status": 429, "headers": {"Retry-After": "30"}},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "redirect": {"kind": "redirect"},
    "hang": {"kind": "timeout", "seconds": 1.0},
    "reset": {"kind": "reset"},
}


@pytest.mark.parametrize("name", CHANNEL)
def test_a_page_waits_for_its_channel_and_is_an_error_in_the_log_meanwhile(
    make_cell: Make, team: Team, name: str
) -> None:
    """The key is deleted all the same, and its owner knows."""
    cell = posted(make_cell, team)
    fault = team.faults.add("POST", times=None, **CHANNEL[name])
    cell.warm()
    cell.report()
    cell.run(120)
    assert cell.box.topics() == [Topic.REVOKED]
    assert not cell.vendor.is_live(cell.key.id)
    assert [notice.status for notice in owed(cell, Audience.SECURITY)] == [Delivery.PENDING]
    assert any("notice_delayed" in line for line in cell.logs)
    fault.times = 0
    cell.run(2 * HOUR, until=lambda: cell.incident_state() == "closed")
    assert len(team.posts) == 1
    assert cell.incident_state() == "closed"
    assert Channel.APPRISE in {notice.channel for notice in owed(cell, Audience.SECURITY)}


def test_a_flood_of_owners_who_cannot_be_told_is_a_few_messages_and_a_digest(make_cell: Make, post: Mail) -> None:
    """Ten thousand pages hide the one that matters."""
    cell = mailed(make_cell, post)
    with cell.store.begin("flood") as tx:
        for number in range(50):
            cell.house.outbox.owe_security(tx, f"inc_{number}", Topic.UNDELIVERED)
            cell.house.outbox.owe_security(tx, f"inc_{number}", Topic.STUCK)
        pending = notices.pending_since(tx, cell.clock().replace(year=2100), lambda _: timedelta(0), cell.clock())
    assert len([about for about in pending if about.startswith("inc_")]) <= 6
    assert len([about for about in pending if about.startswith("digest_")]) == 1
