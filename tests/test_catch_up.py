"""What webhooks missed or only hint at is found, finished, and done once: a real responder, a forgetful GitHub."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from responder.core.notice import Audience, Channel, Notice, Topic
from responder.notify.message import render
from responder.simulator import World
from responder.simulator.github_alerts import Alert
from responder.simulator.github_app import App
from responder.simulator.github_shapes import Repository
from responder.simulator.hookshot import Delivery
from responder.simulator.openai_objects import Key
from responder.store import incidents
from responder.store.tables import deliveries, notices, sightings
from responder.store.tables import incidents as incidents_table
from tests.running import Group, eventually, free_port
from tests.town import Scene, Town, town

_LARGE = 2500


def known(place: Town) -> Scene[Repository]:
    """A repository whose first push is heard."""
    repository = place.repository("known")
    place.world.github.remaining = 1_000_000  # this is a whole day of an organization's, in a minute
    yield
    place.push(repository, {"README": "Hello\n"})
    return repository


def pushed_at_length(place: Town) -> Scene[tuple[Key, int]]:
    """More commits than a webhook names, the key in one it does not; and a rate limit halfway."""
    key, repository = place.key("length"), place.repository("length")
    github, objects = place.world.github, repository.objects
    objects.commit({"n": "start\n"})
    made = [
        objects.commit({"n": f"{n}\n" if n != _LARGE - 50 else f"K={key.value}\n"}, f"{n}") for n in range(_LARGE)
    ]
    for number in (70, 1200):
        headers = {"Retry-After": "1"}
        github.faults.add(f"GET .*/commits/{made[number].sha}", "secondary_limit", headers=headers)
    yield
    delivery = github.push(repository, *made)
    assert delivery is not None
    assert len(delivery.payload["commits"]) == 2048  # type: ignore[arg-type]
    return key, repository.id


def pushed_at_width(place: Town) -> Scene[Key]:
    """A commit of more files than GitHub lists, the key in the last."""
    key, repository = place.key("width"), place.repository("width")
    files = {f"f{n:04}": f"{n}\n" for n in range(3500)} | {"f3499": f"K={key.value}\n"}
    made = repository.objects.commit(files)
    yield
    place.world.github.push(repository, made)
    return key


def pushed_at_depth(place: Town) -> Scene[tuple[Key, Key]]:
    """A commit, and a comparison, that GitHub says are too large to be shown."""
    shown, compared = place.key("shown"), place.key("compared")
    repository, other = place.repository("shown"), place.repository("compared")
    made = repository.objects.commit({"a.env": f"K={shown.value}\n"})
    place.world.github.faults.add(f"GET .*(?<!git)/commits/{made.sha}", "too_large", times=None)
    first = other.objects.commit({"a": "1\n"})
    for text in (f"{compared.value}\n", "3\n"):
        other.objects.commit({"a": text})
    place.world.github.faults.add(f"GET /repositories/{other.id}/compare/", "too_large", times=None)
    yield
    place.world.github.push(repository, made)
    place.world.github.push(other, before=first.sha)
    return shown, compared


def publicized(place: Town) -> Scene[tuple[Key, Key]]:
    """A private history nobody told us of turns public: one key deep down, one on a forgotten tag."""
    deep, tagged = place.key("deep"), place.key("tagged")
    repository = place.repository("publicized")
    objects = repository.objects
    objects.commit({"a": f"K={deep.value}\n"})
    for number in range(150):
        objects.commit({"a": f"{number}\n"})
    objects.branches["side"] = objects.branches["main"]
    objects.tags["v0"] = objects.commit({"b": f"K={tagged.value}\n"}, branch="side").sha
    del objects.branches["side"]
    yield
    place.world.github.publicize(repository)
    return deep, tagged


def alerted(place: Town) -> Scene[tuple[Key, Alert]]:
    """The usual case."""
    key, repository = place.key("alerted"), place.repository("alerted")
    yield
    return key, place.world.github.alert(repository, key.value)


SCENES = (known, alerted, pushed_at_length, pushed_at_width, pushed_at_depth, publicized)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("catch_up"), 37, *SCENES) as played:
        played.group.wait_until_idle(seconds=100)
        yield played


def sweep(place: Town, status: int = 0) -> dict[str, Any]:
    """What ``responder catch-up --once`` says it found."""
    done = place.group.run("catch-up", "--once", "--json")
    assert done.returncode == status, done.stderr
    return dict(json.loads(done.stdout))


def handed_on(place: Town, where: sa.ColumnElement[bool] | None = None) -> int:
    """How many deliveries there ever were."""
    count = sa.select(sa.func.count()).select_from(deliveries)
    with place.group.store.read() as tx:
        return int(tx.execute(count if where is None else count.where(where)).scalar_one())


def totals(place: Town) -> tuple[int, int, int]:
    """Requests to delete, mails, and posts to the security team."""
    world = place.world
    return len(world.openai.deletions), len(world.mail.letters), len(world.channel.posts)


def was_delivered(delivery: Delivery | None) -> bool:
    """Whether GitHub got its answer."""
    assert delivery is not None
    return delivery.ok


def once_each(place: Town, keys: Sequence[Key]) -> None:
    """Everything that must be true of each leaked key, and nothing of it twice."""
    for key in keys:
        incident = place.contained(key)
        assert place.letters(key) == 1
        about = [post.message[:300] for post in list(place.world.channel.posts) if incident["id"] in post.message]
        assert len(about) == 1, about


def nothing_more(place: Town) -> int:
    """Sweep again: nothing is found, and nothing is done; how many calls that took."""
    place.group.wait_until_idle()
    done, before = totals(place), handed_on(place)
    place.world.github.journal.clear()
    assert sweep(place).keys() <= {"complete", "without_alerts"}
    assert place.world.github.count("POST ") == 0
    assert handed_on(place) == before + 1, "the question itself"
    assert totals(place) == done
    return len(place.world.github.journal)


# --- what a webhook only hints at ----------------------------------------------------------------


def test_a_key_in_a_commit_that_the_webhook_does_not_name_is_found(place: Town) -> None:
    """GitHub names 2,048 commits of a push and does not say that there are more."""
    key, repository = place.after(pushed_at_length)
    place.contained(key)
    fetched = place.world.github.count(f"GET /repositories/{repository}/commits/")
    under_way = 8 * 100
    assert _LARGE < fetched <= _LARGE + 2 * under_way, "a rate limit costs the parts under way, not the whole"


def test_a_key_in_a_file_that_github_does_not_list_is_found(place: Town) -> None:
    """It lists three thousand files of a commit and does not say that there are more."""
    place.contained(place.after(pushed_at_width))


def test_a_key_in_what_is_too_large_to_be_shown_is_found(place: Town) -> None:
    """406 is an answer about a diff, not about the content."""
    for key in place.after(pushed_at_depth):
        place.contained(key)


def test_a_history_that_turns_public_is_looked_through_once_and_in_a_lane_of_its_own(place: Town) -> None:
    """What was private leaked at that moment, all of it; live pushes must not wait for it."""
    once_each(place, place.after(publicized))
    lane = deliveries.c.lane.like("github:%:history")
    assert handed_on(place, sa.and_(lane, deliveries.c.source == "github_push")) == 3, "152 commits, in hundreds"


# --- what no webhook tells -----------------------------------------------------------------------


def test_the_first_sweeps_take_what_is_there_for_known(place: Town) -> None:
    """The past of a repository is looked through when somebody asks for that."""
    assert sweep(place)["complete"] is True
    assert nothing_more(place) <= 3 * len(place.world.github.repositories) + 2


def unheard(place: Town) -> list[Key]:
    """Everything that moves a branch, and nobody says so."""
    repository, github = place.after(known), place.world.github
    moved, forced, branched, fresh, told = (
        place.key(name) for name in ("moved", "forced", "branched", "fresh", "told")
    )
    objects = repository.objects
    first = objects.commit({"a.env": f"K={moved.value}\n"})
    objects.commit({"a.env": None})
    objects.commit({"b.env": f"K={branched.value}\n"}, branch="new", parents=(first.sha,))
    other = github.repositories[place.after(pushed_at_length)[1]].objects
    other.commit({"c.env": f"K={forced.value}\n"}, parents=other.commits[other.branches["main"]].parents)
    made = place.repository("fresh").objects
    made.commit({"d.env": f"K={fresh.value}\n"})
    made.commit({"d.env": "K=\n"})
    github.alert(repository, told.value, announce=False)
    return [moved, forced, branched, fresh, told]


def test_branches_that_moved_unheard_and_alerts_without_a_webhook_are_found_in_one_sweep(place: Town) -> None:
    """Four tags at once, 25 megabytes, a hook that was off: of many things GitHub tells nobody."""
    keys = unheard(place)
    place.push(place.after(known), {"heard": "by webhook\n"})
    found = sweep(place)
    assert found["complete"] is True
    assert found["alerts"] == 1
    once_each(place, keys)
    nothing_more(place)


def test_a_branch_whose_every_step_was_heard_is_not_scanned_again(place: Town) -> None:
    """The usual case must cost next to nothing."""
    for number in range(3):
        place.push(place.after(known), {"n": f"{number}\n"})
    place.group.wait_until_idle()
    assert "branches" not in sweep(place)


def test_a_webhook_we_may_not_ask_about_is_told_once_and_stops_nothing(place: Town) -> None:
    """Without the permission the other ways still find what was missed."""
    key = place.key("meanwhile")
    place.world.github.faults.add("GET .*/hooks/", "status", times=2, status=403)
    place.world.github.alert(place.after(known), key.value, announce=False)
    assert sweep(place).items() >= {"not_read": 1, "alerts": 1}.items()
    assert sweep(place)["not_read"] == 1
    place.group.wait_until_idle()
    told = [post for post in place.world.channel.posts if "webhooks" in post.message]
    assert len(told) == 1


def test_at_the_rate_limit_a_sweep_ends_and_the_next_one_goes_on(place: Town) -> None:
    """Live leaks need the rest of it."""
    key = place.key("limited")
    place.world.github.alert(place.after(known), key.value, announce=False)
    limit = place.world.github.faults.add(
        "GET .*/secret-scanning/alerts$", "secondary_limit", headers={"Retry-After": "1"}
    )
    assert sweep(place, status=1)["complete"] is False
    assert limit.hits == 1

    def go_on() -> dict[str, Any] | None:
        done = place.group.run("catch-up", "--once", "--json")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else None

    found = eventually(go_on, "the limit to be over")
    assert found is not None
    assert found["alerts"] == 1


def test_an_alert_that_was_left_open_is_closed(place: Town) -> None:
    """Its task may have been lost with its process; GitHub's page must not show a dead key as open."""
    key, alert = place.after(alerted)
    incident = place.contained(key)
    with place.group.store.begin("test") as tx:
        mine = incidents_table.c.id == incident["id"]
        tx.execute(sa.update(incidents_table).where(mine).values(dead_at=_ago(incidents_table.c.dead_at)))
        mine = sightings.c.incident_id == incident["id"]
        tx.execute(sa.update(sightings).where(mine).values(alert_closed_at=None))
    alert.state = "open"
    assert sweep(place)["closings"] == 1
    place.group.wait_until_idle()
    eventually(lambda: alert.state == "resolved", "the alert to be closed")


def _ago(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.type_coerce(sa.type_coerce(column, sa.BigInteger) - 3_600_000_000, sa.BigInteger)


def test_forty_old_alerts_are_one_message_to_the_security_team(place: Town) -> None:
    """On the first day in an old organization nobody must drown; owners still hear of each key that they lose."""
    repository = place.repository("old")
    keys = [place.key(f"old{n}") for n in range(40)]
    assert sweep(place)["complete"] is True
    for key in keys:
        alert = place.world.github.alert(repository, key.value, announce=False)
        alert.created -= timedelta(days=400)
    posts = len(place.world.channel.posts)
    assert sweep(place)["alerts"] == 40
    for key in keys:
        place.contained(key)
        assert place.letters(key) == 1
    place.group.wait_until_idle()
    assert len(place.world.channel.posts) == posts
    text = _digest(place)
    assert "40 old leaks found" in text
    assert "Revoked: 40." in text
    nothing_more(place)


def _digest(place: Town) -> str:
    """The words of the one digest that is still being gathered."""
    with place.group.store.read() as tx:
        [about] = tx.execute(sa.select(notices.c.incident_id).where(notices.c.topic == Topic.BACKFILL)).scalars()
        lines = incidents.timeline(tx, about)
        some = incidents.load(tx, incidents.recent(tx, 1)[0])
    notice = Notice("ntc_1", Audience.SECURITY, Topic.BACKFILL, Channel.APPRISE, "security")
    message = render(notice, replace(some, timeline=lines), public_url=None)
    return f"{message.subject}\n{message.text}"


# --- as an App ------------------------------------------------------------------------------------


def test_an_apps_own_webhook_is_caught_up_with_in_the_apps_name(tmp_path: Path) -> None:
    """Its deliveries are shown to nobody but the App itself, and its repositories to its installation."""
    with World(41) as world:
        github, place = world.github, Town(world, Group(tmp_path, {}))
        github.app, github.hooks.target = App(), "integration"
        github.hooks.target_id = int(github.app.id)
        place.group.environment |= world.environment()
        pushed, unheard = place.key("pushed"), place.key("unheard")
        first, second = place.repository("first"), place.repository("second")
        with place.group:
            place.group.start("serve").wait_until_ready()
            github.hook_url = f"{place.group.origin}/hooks/github"
            place.push(first, {"README": "Hello\n"})
            place.group.wait_until_idle()
            assert sweep(place)["complete"] is True
            github.hook_url = f"http://127.0.0.1:{free_port()}"
            stop = place.group.data / "STOP"
            stop.touch()
            assert not was_delivered(github.commit_and_push(first, {"README": "Hello again\n"}))
            assert "delivered_again" not in sweep(place), "while it is there nothing is changed outside"
            stop.unlink()
            assert not was_delivered(github.commit_and_push(first, {"a.env": f"K={pushed.value}\n"}))
            second.objects.commit({"b.env": f"K={unheard.value}\n"})
            github.hook_url = f"{place.group.origin}/hooks/github"
            assert sweep(place).items() >= {"complete": True, "delivered_again": 2}.items()
            once_each(place, [pushed, unheard])
            nothing_more(place)


# --- last: the responder goes away ---------------------------------------------------------------


def test_what_failed_while_the_receiver_was_down_is_found_in_one_sweep_and_done_once(place: Town) -> None:
    """GitHub never delivers again by itself: ten pushes and three alerts of keys would be lost for good."""
    github, repository = place.world.github, place.after(known)
    other = place.repository("other")
    keys = [place.key(f"lost{n}") for n in range(13)]
    place.group.client.close()
    place.group.stop()
    for number, key in enumerate(keys[:10]):
        home = repository if number % 2 else other
        assert not was_delivered(github.commit_and_push(home, {f"{number}.env": f"K={key.value}\n"}))
    for key in keys[10:]:
        github.alert(other, key.value)
    place.group.client = httpx.Client(base_url=place.group.origin, timeout=30, trust_env=False)
    place.group.start("serve").wait_until_ready()
    found = sweep(place)
    assert (found["complete"], found["delivered_again"]) == (True, 16), "ten pushes, three alerts and their places"
    once_each(place, keys)
    nothing_more(place)
