"""What must never be deleted: look-alikes, strangers' keys, protected keys, our own; in observe mode, nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from responder.simulator.github_alerts import Alert
from responder.simulator.openai_objects import Key
from tests.running import Group, eventually
from tests.town import Scene, Town, town

Forged = tuple[Key, str]


def forged_in_a_push(place: Town) -> Scene[Forged]:
    key, repository = place.key("forged-push"), place.repository("forged-push")
    token = place.world.openai.forge(key)
    yield
    place.push(repository, {"a.py": f"KEY = '{token}'\n"})
    return key, token


def forged_in_an_alert(place: Town) -> Scene[Forged]:
    key, repository = place.key("forged-alert"), place.repository("forged-alert")
    token = place.world.openai.forge(key)
    yield
    place.world.github.alert(repository, token)
    return key, token


def forged_in_a_report(place: Town) -> Scene[Forged]:
    key = place.key("forged-report")
    token = place.world.openai.forge(key)
    yield
    place.report(tokens=[token, token])
    return key, token


def forged_for_a_robot(place: Town) -> Scene[Forged]:
    key = place.key("forged-robot", owner=place.world.openai.add_service_account("forged-robot"))
    token = place.world.openai.forge(key)
    yield
    place.report(text=f"found {token} in a log")
    return key, token


def a_strangers(place: Town) -> Scene[tuple[Key, Key, Alert]]:
    key, repository = place.key("envied"), place.repository("envied")
    stranger = place.world.openai.stranger(key)
    yield
    return key, stranger, place.world.github.alert(repository, stranger.value)


def another_strangers(place: Town) -> Scene[tuple[Key, Key]]:
    key, repository = place.key("envied-too"), place.repository("envied-too")
    stranger = place.world.openai.stranger(key)
    yield
    place.push(repository, {"a.py": f"KEY = '{stranger.value}'\n"})
    return key, stranger


def one_of_twins_apart(place: Town) -> Scene[tuple[Key, Key]]:
    elsewhere = place.world.openai.add_project("elsewhere")
    leaked = place.key("leaked-twin", tail="wxyA")
    kept = place.key("kept-twin", tail="wxyA", project=elsewhere)
    yield
    place.report(token=leaked.value)
    return leaked, kept


def one_of_twins_together(place: Town) -> Scene[tuple[Key, Key]]:
    project = place.world.openai.add_project("crowded")
    leaked = place.key("leaked-neighbour", tail="uvwA", project=project)
    kept = place.key("kept-neighbour", tail="uvwA", project=project)
    yield
    place.report(token=leaked.value)
    return leaked, kept


def guarded(place: Town) -> Scene[Key]:
    key = place.key("guarded-payments")
    yield
    place.report(token=key.value)
    return key


def our_own_admin_key(place: Town) -> Scene[Key]:
    key, repository = place.world.openai.admin_key, place.repository("admin")
    yield
    place.push(repository, {"deploy.sh": f"export OPENAI_ADMIN_KEY={key.value}\n"})
    return key


def another_admin_key(place: Town) -> Scene[Key]:
    key = place.world.openai.add_admin_key("standby", owner=place.person("standby"))
    yield
    place.report(token=key.value)
    return key


def nobodys(place: Town) -> Scene[str]:
    other = place.key("unrelated")
    token = place.world.openai.forge(other)
    place.world.openai.delete(other)
    yield
    place.report(token=token)
    return token


FORGERIES = (forged_in_a_push, forged_in_an_alert, forged_in_a_report, forged_for_a_robot)
SCENES = (
    *FORGERIES,
    a_strangers,
    another_strangers,
    one_of_twins_apart,
    one_of_twins_together,
    guarded,
    our_own_admin_key,
    another_admin_key,
    nobodys,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("forgery")
    with town(folder, 12, *SCENES, RESPONDER_POLICY__PROTECTED="guarded-*, key_unknown") as played:
        yield played


@pytest.mark.parametrize("scene", FORGERIES, ids=lambda scene: scene.__name__)
def test_a_forged_token_deletes_nothing_over_any_door(place: Town, scene: Any) -> None:
    """Anybody can write the head and last four characters of a production key into an issue."""
    key, token = place.after(scene)
    incident = decided(place.group, token)
    assert incident["decision"] == "hold"
    assert incident["evidence"] == "hint"
    assert incident["key"]["id"] is None, "a mask names nobody"
    assert_untouched(place, key)


@pytest.mark.parametrize("scene", [a_strangers, another_strangers], ids=lambda scene: scene.__name__)
def test_a_live_key_of_a_stranger_with_the_same_mask_is_not_ours(place: Town, scene: Any) -> None:
    """An attacker may make live keys of his own until one ends like ours."""
    key, stranger, *_ = place.after(scene)

    def closed() -> dict[str, Any] | None:
        incident = decided(place.group, stranger.value)
        return incident if incident["state"] == "closed" else None

    incident = eventually(closed, "the stranger's incident to be closed")
    assert incident is not None
    assert incident["disposition"] == "not_ours"
    assert incident["confirmed_dead"] is False
    assert_untouched(place, key)


def test_the_alert_about_a_strangers_key_stays_open(place: Town) -> None:
    """It is somebody's live key: closing the alert as revoked would be a lie."""
    _, stranger, alert = place.after(a_strangers)
    eventually(lambda: decided(place.group, stranger.value)["state"] == "closed", "the incident to be closed")
    assert (alert.state, alert.validity) == ("open", "unknown")


def test_of_two_keys_sharing_a_mask_only_the_leaked_one_is_deleted(place: Town) -> None:
    """With four visible characters collisions are normal; the probe says which project it is."""
    leaked, kept = place.after(one_of_twins_apart)
    place.contained(leaked)
    assert_untouched(place, kept)


def test_two_keys_sharing_a_mask_and_a_project_are_left_to_a_person(place: Town) -> None:
    """Revoking a stranger's key is worse than waiting for a person."""
    leaked, kept = place.after(one_of_twins_together)
    incident = held(place.group, leaked.value)
    assert place.posts(incident) >= 1
    assert_untouched(place, leaked)
    assert_untouched(place, kept)


def test_a_protected_key_is_held_with_security_and_owner_told(place: Town) -> None:
    """Its deletion may cost more than the leak: a person has to agree."""
    key = place.after(guarded)
    incident = place.group.in_state(key.id, "held")
    assert incident["evidence"] == "probe"
    assert incident["decision"] == "hold"
    assert place.posts(incident) == 1
    assert place.letters(key) == 1
    assert place.deletions(key) == 0
    assert place.world.openai.is_live(key.id)


def test_the_admin_key_we_run_on_is_paged_at_once_and_never_deleted(place: Town) -> None:
    """Deleting it would leave us blind; and no flood of other holds may hide this one in a digest."""
    key = place.after(our_own_admin_key)
    incident = held(place.group, key.value)
    assert place.posts(incident) == 1
    assert place.deletions(key) == 0
    assert place.world.openai.is_live(key.id)


def test_another_admin_key_of_ours_is_revoked_through_the_one_we_run_on(place: Town) -> None:
    """It opens the whole organisation; its owner and the security team hear of it."""
    key = place.after(another_admin_key)
    incident = place.contained(key)
    assert place.letters(key) == 1
    assert place.posts(incident) >= 1


def test_a_token_nobody_knows_is_closed_as_not_ours_without_ever_being_sent(place: Town) -> None:
    """A token without a candidate is somebody's secret: it goes nowhere, not even to its provider."""
    token = place.after(nobodys)

    def closed() -> bool:
        incident = decided(place.group, token)
        return bool(incident["disposition"] == "not_ours")

    eventually(closed, "the unknown token to be closed as not ours")


def test_nothing_was_touched_but_what_was_proved(place: Town) -> None:
    """Comes last: over all scenes together, two requests changed anything."""
    leaked = [place.after(one_of_twins_apart)[0], place.after(another_admin_key)]
    for key in leaked:
        place.contained(key)
    assert {mutation.key_id for mutation in place.world.openai.mutations} == {key.id for key in leaked}
    assert not place.world.github.count("^PATCH")


def observed(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = place.key("observed"), place.repository("observed")
    yield
    alert = place.world.github.alert(repository, key.value)
    place.push(repository, {"a.py": f"KEY = '{key.value}'\n"})
    place.report(token=key.value)
    return key, alert


def test_observe_mode_decides_and_tells_but_changes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """People watch it for a week before they let it act: it must show what it would do, and do nothing."""
    folder = tmp_path_factory.mktemp("observe")
    with town(folder, 13, observed, RESPONDER_MODE="observe") as place:
        key, alert = place.after(observed)
        incident = place.group.in_state(key.id, "held")
        events = [line["event"] for line in incident["timeline"]]
        assert incident["decision"] == "revoke"
        assert events.count("would_revoke") == 1
        assert not {"revoke_requested", "revoked", "confirmed_dead"} & set(events)
        eventually(lambda: place.posts(incident) >= 1, "the security team to be told")
        place.group.wait_until_idle()
        assert place.world.openai.mutations == []
        assert place.world.github.count("^(?!GET)") == 0
        assert (alert.state, key.deleted_monotonic_seconds) == ("open", None)


def decided(group: Group, token: str) -> dict[str, Any]:
    """The one incident of *token* (found by its mask, which must be its own), once decided."""

    def there() -> list[dict[str, Any]]:
        shown = f"{token[:8]}…{token[-4:]}"
        return [one for one in group.incidents() if one["key"]["redacted"] == shown and one["decision"]]

    (found,) = eventually(there, "the token's incident to be decided")
    return found


def held(group: Group, token: str) -> dict[str, Any]:
    """The incident of *token*, once a person has been told."""

    def there() -> dict[str, Any] | None:
        found = decided(group, token)
        told = found["notices"] and all(notice["status"] == "sent" for notice in found["notices"])
        return found if found["state"] == "held" and told else None

    found = eventually(there, "the token's incident to be held with a person told")
    assert found is not None
    return found


def assert_untouched(place: Town, key: Key) -> None:
    """Nobody asked for *key* to be deleted, it lives, and its owner was not frightened."""
    assert place.deletions(key) == 0
    assert place.world.openai.is_live(key.id)
    if key.owner.id in place.world.openai.users:
        assert place.letters(key) == 0
