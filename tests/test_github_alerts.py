"""GitHub's alerts end to end, to a GitHub App on a GitHub Enterprise Server: all that may happen to one."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from responder.alerts import wants_another_look
from responder.core.incident import State
from responder.simulator import World
from responder.simulator.github_alerts import Alert
from responder.simulator.github_app import App
from responder.simulator.openai_objects import Key
from responder.sources import Change, News
from responder.store.incidents import Record
from tests.grown import NOON, seen, token
from tests.running import Group, eventually
from tests.town import Scene, Town

_PLACES = ("issue_comment", "pull_request_review_comment", "discussion_title")


def located(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = place.key("located"), place.repository("located")
    yield
    commit = repository.objects.commit({"deploy/a b.env": f"\nKEY={key.value}\n"})
    alert = place.world.github.alert(repository, key.value, commit=commit)
    for kind in _PLACES:
        place.world.github.locate(alert, kind, 7)
    place.group.closed(key.id)
    return key, alert


def of_a_robot(place: Town) -> Scene[Key]:
    key = place.key("robot", owner=place.world.openai.add_service_account("robot"))
    repository = place.repository("robot")
    yield
    hints = {"owner_email": "keeper@Eu.Acme.example", "owner_name": "Kim Keeper", "secret_name": "the robot's"}
    place.world.github.alert(repository, key.value, metadata=hints)
    return key


def of_a_strangers_robot(place: Town) -> Scene[Key]:
    key = place.key("foreign", owner=place.world.openai.add_service_account("foreign"))
    repository = place.repository("foreign")
    yield
    place.world.github.alert(repository, key.value, metadata={"owner_email": "eve@acme.example.evil.example"})
    return key


def named_later(place: Town) -> Scene[Key]:
    key = place.key("later", owner=place.world.openai.add_service_account("later"))
    repository = place.repository("later")
    yield
    alert = place.world.github.alert(repository, key.value)
    place.group.closed(key.id)
    alert.metadata = {"owner_email": "late@acme.example"}
    for _ in range(3):
        place.world.github.announce("metadata_created", alert, wait=True)
    return key


def of_nobody(place: Town) -> Scene[str]:
    repository = place.repository("nobodys")
    yield
    place.world.github.alert(repository, token(77).reveal(), metadata={"owner_email": "dev@acme.example"})
    return token(77).redacted


def made_worse(place: Town) -> Scene[Key]:
    key, repository = place.key("protected-worse"), place.repository("worse")
    yield
    alert = place.world.github.alert(repository, key.value)
    _held(place, key)
    for action in ("publicly_leaked", "publicly_leaked", "validated"):
        place.world.github.announce(action, alert, wait=True)
    return key


def closed_too_early(place: Town) -> Scene[Key]:
    key, repository = place.key("protected-early"), place.repository("early")
    yield
    alert = place.world.github.alert(repository, key.value)
    _held(place, key)
    place.world.github.decide(alert, "wont_fix", "ada-l")
    place.world.github.announce("resolved", alert, who="ada-l", wait=True)
    return key


def revoked_by_hand(place: Town) -> Scene[Key]:
    key, repository = place.key("protected-hand"), place.repository("hand")
    yield
    alert = place.world.github.alert(repository, key.value)
    _held(place, key)
    place.world.openai.delete(key)
    place.world.github.decide(alert, "revoked", "ada-l")
    return key


def opened_again(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = place.key("reopened"), place.repository("reopened")
    yield
    alert = place.world.github.alert(repository, key.value)
    place.group.closed(key.id)
    place.world.github.announce("reopened", alert, who="bob", wait=True)  # an old event: it is closed
    place.world.github.decide(alert, None, "bob")
    _once(place, key, lambda one: _count(one, "alert_resolved") == 2, "to have its alert closed once more")
    place.world.github.decide(alert, None, "bob")
    return key, alert


def closed_slowly(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = place.key("slowly"), place.repository("slowly")
    slow = place.world.github.faults.add(f"PATCH .*/{repository.id}/", "drip", times=None, seconds=3.0)
    yield
    alert = place.world.github.alert(repository, key.value)
    eventually(lambda: slow.hits, "its alert to be being closed")
    place.world.github.locate(alert, "issue_title")
    return key, alert


def dismissed(place: Town) -> Scene[Key]:
    key, repository = place.key("protected-dismissed"), place.repository("dismissed")
    yield
    alert = place.world.github.alert(repository, key.value)
    incident = _held(place, key)
    said = place.group.run("incidents", "dismiss", incident["id"], "--reason", "a test key")
    assert said.returncode == 0, said.stderr
    _once(place, key, lambda one: one["state"] == "closed", "to be dismissed")
    place.world.github.decide(alert, "used_in_tests", "bob")
    place.world.github.decide(alert, None, "bob")
    return key


SCENES = (
    located,
    of_a_robot,
    of_a_strangers_robot,
    named_later,
    of_nobody,
    made_worse,
    closed_too_early,
    revoked_by_hand,
    opened_again,
    closed_slowly,
    dismissed,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with World(23) as world:
        world.github.app, world.github.prefix = App(), "/api/v3"
        settings = world.environment() | {
            "RESPONDER_OPENAI__CALLS_PER_SECOND": "500",
            "RESPONDER_POLICY__PROTECTED": "protected-*",
            "RESPONDER_INVENTORY__SYNC_SECONDS": "3",
            "RESPONDER_NOTIFY__RECIPIENT_DOMAINS": "acme.example",
        }
        with Group(tmp_path_factory.mktemp("alerts"), settings) as group:
            played = Town(world, group)
            played.play(*SCENES)
            yield played


def _held(place: Town, key: Key) -> dict[str, Any]:
    return _once(place, key, lambda one: one["state"] == "held", "to be held")


def _once(place: Town, key: Key, is_so: Callable[[Mapping[str, Any]], bool], what: str) -> dict[str, Any]:
    found = eventually(
        lambda: [one for one in place.group.incidents() if one["key"]["id"] == key.id and is_so(one)],
        f"{key.name} {what}",
    )
    return found[0]


def _count(incident: Mapping[str, Any], event: str) -> int:
    return sum(line["event"] == event for line in incident["timeline"])


def _mails(place: Town, address: str) -> list[str]:
    letters = list(place.world.mail.letters)
    return [str(letter.message["Subject"]) for letter in letters if address in letter.recipients]


def _posts(place: Town, incident: Mapping[str, Any], said: str) -> int:
    posts = list(place.world.channel.posts)
    return sum(incident["id"] in post.message and said in f"{post.title} {post.message}" for post in posts)


def test_every_place_is_shown_and_none_of_them_delays_the_deletion(place: Town) -> None:
    """Somebody has to clean up in all of them; the key must be gone first."""
    key, alert = place.after(located)
    wanted = {None, "commit", *_PLACES}
    _once(place, key, lambda one: {seen["kind"] for seen in one["sightings"]} == wanted, "to be located")
    incident = place.contained(key)
    where = {seen["kind"]: seen["where"] for seen in incident["sightings"]}
    page = f"https://github.com/acme/{alert.repository.name}"
    sha = alert.locations[0]["details"]["commit_sha"]  # type: ignore[index]
    assert where == {
        None: f"{page}/security/secret-scanning/1",
        "commit": f"{page}/blob/{sha}/deploy/a%20b.env#L2",
        "issue_comment": f"{page}/issues/1#issuecomment-7",
        "pull_request_review_comment": f"{page}/pull/1#discussion_r7",
        "discussion_title": f"{page}/discussions/7",
    }
    calls = place.world.openai.journal
    [deleted] = [one.monotonic_seconds for one in calls if one.method == "DELETE" and one.path.endswith(key.id)]
    path = f"/api/v3/repositories/{alert.repository.id}/secret-scanning/alerts/1/locations"
    asked = [one.monotonic_seconds for one in place.world.github.journal if one.path == path]
    assert min(asked) > deleted
    assert len(asked) <= 4, "a burst of events asks once or twice, not once each"
    assert place.letters(key) == 1
    assert place.posts(incident) == 1, "our own closing of the alert is no news"
    assert "issue comment" in place.group.run("incidents", "show", incident["id"]).stdout


def test_the_owner_whom_only_github_names_is_told_inside_our_domains_and_nowhere_else(place: Town) -> None:
    """A robot has no mail address; whoever keeps it must hear of it, and a stranger must not."""
    key, foreign = place.after(of_a_robot), place.after(of_a_strangers_robot)
    incident = place.contained(key)
    assert incident["hints"]["owner_name"] == "Kim Keeper"
    assert len(_mails(place, "keeper@eu.acme.example")) == 1
    assert "Kim Keeper" in place.group.run("incidents", "show", incident["id"]).stdout
    place.contained(foreign)
    assert not [one for one in place.world.mail.letters if any("evil" in to for to in one.recipients)]


def test_an_owner_who_is_named_later_is_told_then_and_once(place: Town) -> None:
    """GitHub asks the provider when it has time, and sends events twice."""
    key = place.after(named_later)
    eventually(lambda: _mails(place, "late@acme.example"), "the mail")
    place.group.wait_until_idle()
    assert len(_mails(place, "late@acme.example")) == 1
    place.contained(key)


def test_the_owner_of_a_key_in_no_list_of_ours_is_told_that_only_they_can_delete_it(place: Town) -> None:
    """Nobody else can."""
    redacted = place.after(of_nobody)
    [subject] = eventually(lambda: _mails(place, "dev@acme.example"), "the mail")
    assert "only you can delete it" in subject
    [incident] = [one for one in place.group.incidents() if one["key"]["redacted"] == redacted]
    assert incident["disposition"] == "not_ours"


def test_a_held_incident_that_gets_worse_is_told_again_once(place: Town) -> None:
    """Whoever put it off must know that it cannot wait any more."""
    key = place.after(made_worse)
    incident = _once(place, key, lambda one: one["severity"] == "high", "to get worse")
    eventually(lambda: _posts(place, incident, "seen in public"), "the notice")
    place.group.wait_until_idle()
    assert _posts(place, incident, "High severity: Please decide now") == 1
    assert place.deletions(key) == 0
    assert "high" in place.group.run("incidents", "list").stdout


def test_an_alert_that_is_closed_while_its_key_lives_is_told_of_once(place: Town) -> None:
    """Closing an alert revokes nothing, and hides that nothing was revoked."""
    key = place.after(closed_too_early)
    incident = _held(place, key)
    eventually(lambda: _posts(place, incident, "was closed by ada-l as “wont fix”"), "the notice")
    place.group.wait_until_idle()
    assert _posts(place, incident, "was closed by") == 1
    assert place.world.openai.is_live(key.id)


def test_an_alert_that_is_closed_after_its_key_was_revoked_by_hand_ends_the_incident(place: Town) -> None:
    """They did it all themselves, and nobody is to be woken for it."""
    key = place.after(revoked_by_hand)
    incident = _once(place, key, lambda one: one["state"] == "closed", "to be closed")
    assert incident["disposition"] == "already_dead"
    assert place.deletions(key) == 0
    assert _posts(place, incident, "was closed by") == 0


def test_the_alert_of_a_dead_key_is_closed_once_more_and_then_left_to_people(place: Town) -> None:
    """A fight between a person and a machine has no end."""
    key, alert = place.after(opened_again)
    incident = place.contained(key)
    eventually(lambda: _posts(place, incident, "opened again"), "the notice")
    place.group.wait_until_idle()
    assert alert.state == "open"
    closing = f"PATCH /api/v3/repositories/{alert.repository.id}/secret-scanning/alerts/1"
    assert sum(one.line == closing and one.status == 200 for one in place.world.github.journal) == 2
    assert place.letters(key) == 1


def test_an_alert_that_is_being_closed_is_not_closed_beside_it_for_another_event(place: Town) -> None:
    """The second would take the word of a person who opened it in between for none."""
    key, alert = place.after(closed_slowly)
    _once(place, key, lambda one: "issue_title" in {seen["kind"] for seen in one["sightings"]}, "to be told of again")
    incident = place.contained(key)
    place.group.wait_until_idle()
    closing = f"PATCH /api/v3/repositories/{alert.repository.id}/secret-scanning/alerts/1"
    assert sum(one.line == closing for one in place.world.github.journal) == 1
    assert _count(incident, "alert_resolved") == 1


def test_a_dismissed_incident_whose_alert_is_opened_again_is_looked_at_afresh(place: Town) -> None:
    """Somebody thinks otherwise; the key is protected, so a person is asked again."""
    key = place.after(dismissed)
    events = [line["event"] for line in _held(place, key)["timeline"]]
    assert "held" in events[events.index("dismissed") :]
    assert place.deletions(key) == 0


def test_no_credential_of_the_app_is_in_what_was_written(place: Town) -> None:
    """One token in a log makes us the leak."""
    app = place.world.github.app
    assert app is not None
    assert app.issued == 1
    for secret in ("ghs" + "_", "eyJ", app.private_key.splitlines()[5]):
        assert secret not in place.group.log


def test_a_private_key_that_cannot_be_read_refuses_to_start_in_one_line(place: Town) -> None:
    """Said at once, and without the value: it may be most of a secret."""
    said = place.group.run("worker", RESPONDER_GITHUB__PRIVATE_KEY="made-up-words")
    assert said.returncode == 2
    assert said.stderr.strip().splitlines()[-1].count("RESPONDER_GITHUB__PRIVATE_KEY") == 1
    assert "made-up-words" not in said.stdout + said.stderr


# --- whose word overrules whose ------------------------------------------------------------------


def _record(**changes: Any) -> Record:
    whole = {
        "id": "inc_1", "fingerprint": seen(), "provider": "openai", "account": "default", "state": State.CLOSED,
        "decision": "ignore", "disposition": "dismissed", "evidence": "probe", "key_id": "key_1", "project": None,
        "owner_email": None, "opened_at": NOON, "undecided_since": None, "looked_dead_at": None, "revoked_at": None,
        "dead_in_a_row": 0, "dead_at": None, "looks": 1, "closed_at": NOON,
    }  # fmt: skip
    return Record(**{**whole, **changes})


def _news(change: Change, hours_later: int = 1, *, is_open: bool = True) -> News:
    at = NOON + timedelta(hours=hours_later)
    return News(change, severe=False, hints={}, is_open=is_open, updated_at=at)


def test_a_dismissal_is_overruled_only_by_what_was_done_after_it() -> None:
    """Whoever kept an old event may send it again under a new name; GitHub's own answer tells when it was."""
    assert wants_another_look(_record(), _news(Change.REOPENED))
    assert not wants_another_look(_record(), _news(Change.REOPENED, -1))
    assert not wants_another_look(_record(), _news(Change.REOPENED, is_open=False))
    for change in set(Change) - {Change.REOPENED}:
        assert not wants_another_look(_record(), _news(change))
    assert not wants_another_look(_record(), None)


def test_what_is_over_or_under_way_is_not_begun_again_by_any_event() -> None:
    """One deletion, one mail, however often GitHub tells."""
    settled = (
        _record(disposition="revoked", decision="revoke", dead_at=NOON),
        _record(disposition="already_dead", evidence="fingerprint"),
        _record(state=State.CONTAINED, disposition=None, decision="revoke"),
        _record(state=State.HELD, disposition=None, decision="hold"),
        _record(state=State.OPEN, disposition=None, decision="revoke"),
    )
    for record in settled:
        for change in Change:
            assert not wants_another_look(record, _news(change, is_open=change is not Change.CLOSED))


def test_what_was_only_called_dead_or_not_ours_is_looked_at_again() -> None:
    """Neither was proved, and somebody thinks otherwise."""
    dead = _record(disposition="already_dead", evidence="hint")
    assert wants_another_look(dead, _news(Change.REOPENED))
    assert wants_another_look(dead, _news(Change.CLOSED, is_open=False))
    assert not wants_another_look(dead, _news(Change.SEEN))
    assert wants_another_look(_record(disposition="not_ours", evidence="none"), _news(Change.SEEN))
