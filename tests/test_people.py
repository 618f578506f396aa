"""What people decide: protected keys wait for them, their word is done once, and nothing is deleted by waiting."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from responder import approval
from responder.inbox import Inbox
from responder.simulator import World, growth
from responder.simulator.openai_objects import Key
from responder.store import deliveries, incidents
from tests.adversary.battle import register
from tests.running import Group, eventually

FAST = {"RESPONDER_OPENAI__CALLS_PER_SECOND": "500"}
HOLD_PAGE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Desk:
    """A world with a responder in it, and what a person on call sees and does.

    Attributes:
        world: simulated services.
        group: the responder.
    """

    world: World
    group: Group

    def key(self, name: str) -> Key:
        """A key that was there when the responder started."""
        return next(key for key in self.world.openai.keys.values() if key.name == name)

    def leak(self, *tokens: str) -> None:
        """Report tokens, each by itself; whatever was told to anybody before was told ten minutes ago."""
        with self.group.store.begin("later") as tx:
            tx.execute(sa.text("UPDATE notices SET written_at = written_at - 660000000"))
        for token in tokens:
            answer = self.group.client.post("/v1/reports", json={"token": token})
            assert answer.status_code == 202, answer.text

    def of(self, token: str) -> dict[str, Any]:
        """The one incident of a token, once it is decided."""
        shown = f"{token[:8]}…{token[-4:]}"

        def there() -> list[dict[str, Any]]:
            return [one for one in self.group.incidents() if one["key"]["redacted"] == shown and one["decision"]]

        (found,) = eventually(there, f"an incident of {shown}")
        return found

    def held(self, token: str) -> dict[str, Any]:
        """The incident of a token, once it is held and somebody in the security channel was told of it."""

        def there() -> dict[str, Any] | None:
            found = self.of(token)
            return found if found["state"] == "held" and self.posts(found) else None

        found = eventually(there, "the incident to be held and told")
        assert found is not None
        return found

    def posts(self, incident: dict[str, Any]) -> list[str]:
        """Messages to the security team about an incident."""
        return [post.message for post in list(self.world.channel.posts) if incident["id"] in post.message]

    def deletions(self, key: Key) -> int:
        """How many requests to delete *key* arrived."""
        return sum(deletion.key_id == key.id for deletion in self.world.openai.deletions)

    def events(self, token: str) -> list[str]:
        """What the timeline says of a token."""
        return [line["event"] for line in self.of(token)["timeline"]]

    def approve(self, incident: dict[str, Any], *more: str) -> Any:
        """What a person types who read the page."""
        return self.group.run("incidents", "approve", incident["id"], *more)

    def settled(self, key: Key, state: str) -> dict[str, Any]:
        """The incident of *key* in its last state."""
        return self.group.in_state(key.id, state)


@pytest.fixture
def start(world: World, make_group: Callable[..., Group]) -> Callable[..., Desk]:
    """Starts a responder that knows keys of these names, with settings by environment name."""

    def started(*names: str, **settings: str) -> Desk:
        for name in names:
            _grow(world, name)
        group = make_group(world, **FAST, **settings).start("serve").wait_until_ready()
        return Desk(world, group)

    return started


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One responder for every test that only needs keys of its own; most of them are held for a person."""
    with World(seed=21) as world:
        by_id = _grow(world, "by-id")
        _furnish(world)
        settings = {
            **world.environment(),
            **FAST,
            "RESPONDER_POLICY__PROTECTED": f"{by_id.id},prod-*,vault,*@board.example",
            "RESPONDER_POLICY__HOLD_PAGE_SECONDS": str(HOLD_PAGE_SECONDS),
        }
        with Group(tmp_path_factory.mktemp("people"), settings) as group:
            group.start("serve").wait_until_ready()
            yield Desk(world, group)


def _grow(world: World, name: str, **details: Any) -> Key:
    """A live key whose owner has an address of their own."""
    owner = details.pop("owner", None) or world.openai.add_user(name.title(), f"{name}@acme.example")
    return world.openai.add_key(name, owner=owner, **details)


def _furnish(world: World) -> None:
    """Every key that a test below leaks: all are there before the first list, or each would wait for one."""
    openai = world.openai
    for name in ("web", "slept", "approved", "dismissed", "expired", "changed", "lever", "hidden"):
        _grow(world, f"prod-{name}")
    _grow(world, "locked", project=openai.add_project("vault"))
    _grow(world, "chair", owner=openai.add_user("Chair", "chair@board.example"))
    crowded = openai.add_project("crowded")
    for name, details in (("one-of-two", {"tail": "twnA"}), ("other-of-two", {"tail": "twnA"}), ("unlike", {})):
        _grow(world, name, project=crowded, **details)
    for name in ("bystander", "late"):
        _grow(world, name)
    for account, count in (("robot", 2), ("stubborn", 3), ("unwilling", 1)):
        robot = openai.add_service_account(account)
        for number in range(count):
            _grow(world, f"{account}-{number}", owner=robot)
    openai.add_admin_key("spare", owner=openai.add_user("Sue", "sue@acme.example"))


# --- protected keys ------------------------------------------------------------------------------


def test_nothing_is_deleted_by_waiting_and_the_person_is_asked_again(desk: Desk) -> None:
    """A pager that was slept through must ring again, and an outage by timeout is still an outage.

    Comes first: later reminders share one digest.
    """
    key = desk.key("prod-slept")
    desk.leak(key.value)
    incident = desk.held(key.value)
    eventually(lambda: len(desk.posts(incident)) == 2, "the reminder")
    titles = [post.title for post in list(desk.world.channel.posts) if incident["id"] in post.message]
    assert any("Still waiting" in title for title in titles)
    assert desk.of(key.value)["state"] == "held"
    assert desk.deletions(key) == 0
    assert desk.world.openai.is_live(key.id)


@pytest.mark.parametrize("how", ["id", "name", "project", "owner"])
def test_a_protected_key_is_held_and_the_page_has_both_commands(desk: Desk, how: str) -> None:
    """At night nobody looks for the manual: what to type stands in the message."""
    key = desk.key({"id": "by-id", "name": "prod-web", "project": "locked", "owner": "chair"}[how])
    desk.leak(key.value)
    incident = desk.held(key.value)
    assert incident["evidence"] == "probe"
    page = " ".join(desk.posts(incident))
    assert f"responder incidents approve {incident['id']}" in page
    assert f"responder incidents dismiss {incident['id']}" in page
    assert "protected" in incident["reason"]
    assert desk.deletions(key) == 0


def test_made_up_tokens_that_page_do_not_hide_the_page_of_a_proved_key(desk: Desk) -> None:
    """Anybody can report tokens of the old kind, which nobody can check: they share one message, and leave room."""
    chance = random.Random(5)
    made_up = [growth.grow("openai-user-legacy", chance) for _ in range(6)]
    desk.leak(*made_up)
    for token in made_up:
        eventually(partial(_is_held, desk, token), "each to be held")
    key = desk.key("prod-hidden")
    assert desk.group.client.post("/v1/reports", json={"token": key.value}).status_code == 202
    incident = desk.held(key.value)
    assert sum(bool(desk.posts(desk.of(token))) for token in made_up) <= 3
    assert f"responder incidents approve {incident['id']}" in desk.posts(incident)[0]


# --- approving and dismissing ----------------------------------------------------------------------


def test_an_approved_key_is_deleted_once_and_the_timeline_says_who_approved(desk: Desk) -> None:
    """Two people read the same page; whoever is second must change nothing."""
    key = desk.key("prod-approved")
    desk.leak(key.value)
    incident = desk.held(key.value)
    assert desk.approve(incident).returncode == 0
    second = desk.approve(incident)
    closed = desk.settled(key, "closed")
    assert second.returncode in (0, 1), second.stderr
    assert "Traceback" not in second.stderr
    assert closed["disposition"] == "revoked"
    assert desk.deletions(key) == 1
    approved = [line for line in closed["timeline"] if line["event"] == "approved"]
    assert len(approved) == 1
    assert approved[0]["detail"]["by"]
    assert approved[0]["detail"]["key"] == key.id
    assert desk.approve(incident).returncode == 1, "it does not wait for anybody any more"
    assert desk.deletions(key) == 1


def test_a_dismissed_key_lives_and_the_timeline_says_why(desk: Desk) -> None:
    """A made-up example in a manual must be put to rest by somebody with a name."""
    key = desk.key("prod-dismissed")
    desk.leak(key.value)
    incident = desk.held(key.value)
    assert desk.group.run("incidents", "dismiss", incident["id"], "--reason", "a drill").returncode == 0
    closed = desk.settled(key, "closed")
    assert closed["disposition"] == "dismissed"
    dismissed = next(line for line in closed["timeline"] if line["event"] == "dismissed")
    assert dismissed["detail"]["reason"] == "a drill"
    desk.leak(key.value)
    desk.group.wait_until_idle()
    assert desk.of(key.value)["disposition"] == "dismissed"
    assert desk.deletions(key) == 0


def test_of_several_candidates_the_person_has_to_name_one(desk: Desk) -> None:
    """A yes to a question that names two keys is a yes to neither."""
    leaked, other, unlike = desk.key("one-of-two"), desk.key("other-of-two"), desk.key("unlike")
    desk.leak(leaked.value)
    incident = desk.held(leaked.value)
    asked = desk.approve(incident)
    assert asked.returncode == 2
    assert leaked.id in asked.stderr
    assert other.id in asked.stderr
    assert desk.approve(incident, "--key", unlike.id).returncode == 2
    assert desk.deletions(leaked) + desk.deletions(other) + desk.deletions(unlike) == 0
    assert desk.approve(incident, "--key", leaked.id).returncode == 0
    desk.settled(leaked, "closed")
    assert (desk.deletions(leaked), desk.deletions(other), desk.deletions(unlike)) == (1, 0, 0)


def test_an_approval_that_expired_is_void_and_somebody_hears_of_it(desk: Desk) -> None:
    """Yesterday's yes was to yesterday's question."""
    key = desk.key("prod-expired")
    desk.leak(key.value)
    incident = desk.held(key.value)
    before = datetime.now(UTC) - approval.VALID_FOR - timedelta(minutes=1)
    said = approval.approve(desk.group.store, incident["id"], "somebody", before)
    Inbox(desk.group.store, desk.group.data).accept(said)
    eventually(lambda: any("expired" in post for post in desk.posts(incident)), "the person to be told")
    assert desk.deletions(key) == 0
    assert desk.of(key.value)["state"] == "held"


def test_an_approval_of_other_evidence_is_void(desk: Desk) -> None:
    """What was approved is what the page said, not whatever the incident has become since."""
    key = desk.key("prod-changed")
    desk.leak(key.value)
    incident = desk.held(key.value)
    said = approval.approve(desk.group.store, incident["id"], "somebody", datetime.now(UTC))
    with desk.group.store.begin("change") as tx:
        incidents.change(tx, incident["id"], evidence="hint")
    Inbox(desk.group.store, desk.group.data).accept(said)
    eventually(lambda: any("had changed" in post for post in desk.posts(incident)), "the person to be told")
    assert desk.deletions(key) == 0


def test_a_forged_approval_cannot_name_a_key_that_does_not_look_like_the_token(desk: Desk) -> None:
    """Who can write rows, as a receiver that was taken over can, must not choose what dies."""
    key, bystander = desk.key("prod-lever"), desk.key("bystander")
    desk.leak(key.value)
    incident = desk.held(key.value)
    said = approval.approve(desk.group.store, incident["id"], "somebody", datetime.now(UTC))
    forged = deliveries.Delivery(
        said.id, said.source, said.lane, {**said.refs, "key": bystander.id}, said.received_at
    )
    Inbox(desk.group.store, desk.group.data).accept(forged)
    eventually(lambda: _ended(desk.group, said.id), "the forged approval to be looked at")
    assert desk.deletions(bystander) == 0
    assert desk.deletions(key) == 0


def test_an_approval_survives_the_death_of_the_worker_and_is_done_once(start: Callable[..., Desk]) -> None:
    """The person has gone back to bed."""
    desk = start(
        "prod-survivor", RESPONDER_POLICY__PROTECTED="prod-*", RESPONDER_FAILPOINT="commit.approve.after:kill"
    )
    key = desk.key("prod-survivor")
    desk.leak(key.value)
    incident = desk.held(key.value)
    assert desk.approve(incident).returncode == 0
    closed = desk.settled(key, "closed")
    assert (desk.group.data / "failpoint.spent").exists(), "the worker did die"
    assert closed["disposition"] == "revoked"
    assert desk.deletions(key) == 1
    assert [line["event"] for line in closed["timeline"]].count("approved") == 1


# --- observing, stopping, and too much at once ---------------------------------------------------


def test_observe_mode_says_what_it_would_do_and_a_provider_that_refuses_everything_never_notices(
    start: Callable[..., Desk],
) -> None:
    """People watch it for a week before they let it act."""
    desk = start("watched", RESPONDER_MODE="observe")
    desk.world.openai.faults.add("^(POST|DELETE|PUT|PATCH) ", "status", times=None, status=403)
    key = desk.key("watched")
    desk.leak(key.value)
    incident = desk.held(key.value)
    assert desk.events(key.value).count("would_revoke") == 1
    assert "observe" in " ".join(desk.posts(incident)).lower()
    summary = desk.group.run("incidents", "summary", incident["id"]).stdout
    assert "observe mode" in summary
    desk.approve(incident)
    desk.group.wait_until_idle()
    assert desk.world.openai.mutations == []
    assert desk.world.github.count("^(?!GET)") == 0
    assert desk.world.openai.is_live(key.id)


def test_the_breaker_holds_whatever_exceeds_it_however_many_leak_at_once(start: Callable[..., Desk]) -> None:
    """A mistake of ours, or a thief with a list of keys, must not delete everything within a second."""
    names = [f"burst-{n}" for n in range(8)]
    desk = start(*names, RESPONDER_POLICY__MAX_REVOKES_PER_HOUR="2")
    leaked = [desk.key(name) for name in names]
    desk.leak(*(key.value for key in leaked))
    for key in leaked:
        eventually(partial(_is_at_rest, desk, key), "each to come to rest")
    assert sum(desk.deletions(key) for key in leaked) == 2
    held = [key for key in leaked if desk.of(key.value)["state"] == "held"]
    assert len(held) == 6
    pages = [post for post in list(desk.world.channel.posts) if "more keys were revoked" in post.message]
    assert 1 <= len(pages) <= 3, "one page for each of the first, and a digest for the rest"
    assert desk.approve(desk.of(held[0].value)).returncode == 0
    desk.settled(held[0], "closed")


def test_the_stop_file_stops_deletions_and_not_the_intake(start: Callable[..., Desk]) -> None:
    """The one thing somebody can do in a hurry who does not understand what is going on."""
    desk = start("stopped", "prod-stopped", RESPONDER_POLICY__PROTECTED="prod-*")
    repository = desk.world.github.add_repository("service")
    desk.world.github.hook_url = f"{desk.group.origin}/hooks/github"
    stop = desk.group.data / "STOP"
    stop.touch()
    key, guarded = desk.key("stopped"), desk.key("prod-stopped")
    alert = desk.world.github.alert(repository, key.value)
    desk.leak(guarded.value)
    eventually(lambda: desk.of(key.value)["decision"] == "hold", "the leak to be held up")
    incident = desk.held(guarded.value)
    assert desk.approve(incident).returncode == 0
    eventually(lambda: desk.posts(desk.of(key.value)), "the security team to be told")
    _wait_for_a_while()
    assert desk.world.openai.mutations == []
    assert desk.world.github.count("^(?!GET)") == 0
    stop.unlink()
    eventually(lambda: desk.of(key.value)["state"] == "closed", "the work to be finished", 100)
    assert (desk.deletions(key), alert.resolution) == (1, "revoked")
    eventually(lambda: desk.of(guarded.value)["state"] == "closed", "what was approved to be done", 100)
    assert desk.deletions(guarded) == 1


# --- special keys ----------------------------------------------------------------------------------


def test_our_own_admin_key_is_paged_and_survives_even_an_approval(desk: Desk) -> None:
    """Without it nothing can be deleted any more, this key included."""
    own = desk.world.openai.admin_key
    desk.leak(own.value)
    incident = desk.held(own.value)
    desk.approve(incident, "--key", own.id)
    desk.approve(incident)
    _wait_for_a_while()
    assert desk.deletions(own) == 0
    assert desk.world.openai.is_live(own.id)


def test_another_admin_key_of_ours_is_deleted_through_ours_and_told(desk: Desk) -> None:
    """It owns the organisation: waiting for a person is the thief's time."""
    key = desk.key("spare")
    desk.leak(key.value)
    incident = desk.settled(key, "closed")
    assert incident["disposition"] == "revoked"
    assert desk.deletions(key) == 1
    assert desk.posts(incident)


def test_a_legacy_user_key_is_held_with_the_steps(desk: Desk) -> None:
    """No list shows it and no admin key deletes it: only its user can, and must be told how."""
    key = desk.world.openai.add_legacy_key()
    desk.leak(key.value)
    incident = desk.held(key.value)
    assert "platform.openai.com" in incident["reason"]
    assert desk.world.openai.lives(key)


def test_a_service_accounts_key_is_deleted_and_its_siblings_live(desk: Desk) -> None:
    """Deleting the account would be quicker, and would stop everything else that runs as it."""
    key, sibling = desk.key("robot-0"), desk.key("robot-1")
    desk.leak(key.value)
    desk.settled(key, "closed")
    assert desk.deletions(key) == 1
    assert desk.world.openai.is_live(sibling.id)
    assert desk.deletions(sibling) == 0


def test_a_refused_service_accounts_key_is_held_and_the_siblings_are_named(desk: Desk) -> None:
    """Whoever deletes the account by hand must know what else dies with it."""
    leaked, one, two = (desk.key(f"stubborn-{n}") for n in range(3))
    desk.world.openai.faults.add(f"DELETE .*{leaked.id}", "service_account_refused", times=None)
    desk.leak(leaked.value)
    incident = desk.held(leaked.value)
    page = " ".join(desk.posts(incident))
    assert one.id in page
    assert two.id in page
    assert desk.key("bystander").id not in page
    assert desk.deletions(leaked) == 1
    assert desk.world.openai.is_live(one.id)


def test_a_refused_deletion_is_asked_about_again(desk: Desk) -> None:
    """It waits for a person like any other held leak."""
    key = desk.key("unwilling-0")
    desk.world.openai.faults.add(f"DELETE .*{key.id}", "service_account_refused", times=None)
    desk.leak(key.value)
    incident = desk.held(key.value)
    eventually(lambda: len(desk.posts(incident)) >= 2, "the reminder")


def test_a_key_that_was_dead_on_arrival_is_closed_as_such_and_its_owner_told(desk: Desk) -> None:
    """Vendors kill keys they find in public, often before we hear of it; programs fail all the same."""
    key = desk.key("late")
    register(desk.group, [key])
    desk.world.openai.delete(key)
    assert desk.group.run("keys", "sync").returncode == 0
    desk.leak(key.value)
    incident = desk.settled(key, "closed")
    assert incident["disposition"] == "already_dead"
    assert desk.deletions(key) == 0
    eventually(lambda: [x for x in list(desk.world.mail.letters) if "late@acme.example" in x.recipients], "the mail")


def _is_held(desk: Desk, token: str) -> bool:
    return bool(desk.of(token)["state"] == "held")


def _is_at_rest(desk: Desk, key: Key) -> bool:
    return desk.of(key.value)["state"] in ("held", "closed")


def _ended(group: Group, delivery_id: str) -> bool:
    with sqlite3.connect(f"file:{group.data}/responder.sqlite?mode=ro", uri=True) as rows:
        found = rows.execute("SELECT ended_at FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
    rows.close()
    return found is not None and found[0] is not None


def _wait_for_a_while() -> None:
    """Long enough for anything that was going to happen at once."""
    time.sleep(2.5)
