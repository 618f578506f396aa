"""The story while the others have a bad day: it ends well, only later, and nothing happens twice."""

import threading
from collections.abc import Callable, Iterator

import pytest

from responder.simulator.github_alerts import Alert
from responder.simulator.openai_objects import Key
from tests.postgres import settings_for
from tests.running import eventually
from tests.town import Scene, Town, town


def deleted_at_the_third_attempt(place: Town) -> Scene[Key]:
    key = place.key("third")
    place.world.openai.faults.add(f"DELETE .*{key.id}", "status", times=2, status=500)
    yield
    place.report(token=key.value)
    return key


def deleted_without_an_answer(place: Town) -> Scene[Key]:
    key = place.key("silent")
    place.world.openai.faults.add(f"DELETE .*{key.id}", "timeout", applied=True, seconds=30)
    yield
    place.report(token=key.value)
    return key


def deleted_with_a_broken_answer(place: Town) -> Scene[Key]:
    key = place.key("broken")
    place.world.openai.faults.add(f"DELETE .*{key.id}", "reset_mid_body")
    yield
    place.report(token=key.value)
    return key


def slowed_down(place: Town) -> Scene[Key]:
    key = place.key("limited")
    place.world.openai.faults.add(f"DELETE .*{key.id}", "status", status=429, headers={"Retry-After": "2"})
    yield
    place.report(token=key.value)
    return key


def with_greylisted_mail(place: Town) -> Scene[Key]:
    key = place.key("grey")
    place.world.mail.faults.add("RCPT grey@", "status", status=451)
    yield
    place.report(token=key.value)
    return key


def with_refused_mail(place: Town) -> Scene[Key]:
    key = place.key("gone")
    place.world.mail.faults.add("RCPT gone@", "status", times=None, status=550)
    yield
    place.report(token=key.value)
    return key


def while_github_fails(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = place.key("unfetched"), place.repository("unfetched")
    faults = place.world.github.faults
    faults.add(f"GET /repositories/{repository.id}/commits", "status", times=2, status=502)
    faults.add(f"GET /repositories/{repository.id}/secret-scanning", "html", times=1)
    faults.add(f"PATCH /repositories/{repository.id}", "status", times=1, status=503)
    yield
    place.push(repository, {"a.py": f"KEY = '{key.value}'\n"})
    return key, place.world.github.alert(repository, key.value)


def while_the_lists_fail(place: Town) -> Scene[Key]:
    key = place.key("unlisted", project=place.world.openai.add_project("moody"))
    home = f"GET /v1/organization/projects/{key.project_id}/api_keys"
    place.world.openai.faults.add(home, "cut_json", times=3, skip=1)
    yield
    place.report(token=key.value)
    return key


SCENES = (
    deleted_at_the_third_attempt,
    deleted_without_an_answer,
    deleted_with_a_broken_answer,
    slowed_down,
    with_greylisted_mail,
    with_refused_mail,
    while_github_fails,
    while_the_lists_fail,
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with (
        settings_for(request.param) as settings,
        town(tmp_path_factory.mktemp("trouble"), 14, *SCENES, **settings) as played,
    ):
        yield played


def test_a_deletion_that_fails_is_repeated_until_it_works(place: Town) -> None:
    """A provider's 500 says nothing: the list is read, and the key is still there."""
    key = place.after(deleted_at_the_third_attempt)
    incident = place.group.closed(key.id)
    assert [m.applied for m in place.world.openai.deletions if m.key_id == key.id] == [False, False, True]
    assert incident["disposition"] == "revoked"
    assert place.letters(key) == 1


@pytest.mark.parametrize("scene", [deleted_without_an_answer, deleted_with_a_broken_answer])
def test_a_deletion_that_worked_unheard_is_not_repeated(place: Town, scene: Callable[[Town], Scene[Key]]) -> None:
    """The outcome is unknown, so the list is read before anything is asked for again."""
    key = place.after(scene)
    place.contained(key)
    assert place.letters(key) == 1


def test_a_rate_limit_is_waited_for(place: Town) -> None:
    """Asking again at once would only lengthen the limit."""
    key = place.after(slowed_down)
    place.group.closed(key.id)
    first, second = [m for m in place.world.openai.deletions if m.key_id == key.id]
    assert second.monotonic_seconds - first.monotonic_seconds >= 2
    assert second.applied


def test_a_mail_that_is_not_taken_at_first_arrives_once(place: Town) -> None:
    """Greylisting is how many mail servers greet a message they have not seen before."""
    key = place.after(with_greylisted_mail)
    incident = place.contained(key)
    assert place.letters(key) == 1
    assert next(n for n in incident["notices"] if n["channel"] == "mail")["attempts"] == 2


def test_an_owner_who_cannot_be_told_is_made_known_to_the_security_team(place: Town) -> None:
    """Nothing ends silently: somebody else has to call them."""
    key = place.after(with_refused_mail)
    incident = place.contained(key)
    assert place.letters(key) == 0
    assert {n["status"] for n in incident["notices"] if n["channel"] == "mail"} == {"failed"}
    eventually(lambda: place.posts(incident) == 2, "the security team to hear of it")


def test_what_github_does_not_hand_out_is_asked_for_again(place: Town) -> None:
    """The delivery was accepted; GitHub's bad minute must not lose it."""
    key, alert = place.after(while_github_fails)
    incident = place.contained(key)
    assert alert.resolution == "revoked"
    assert place.letters(key) == 1
    assert {s["source"] for s in incident["sightings"]} == {"github_push", "github_alert"}


def test_a_list_cut_short_is_no_list(place: Town) -> None:
    """Neither is a key taken for gone because half a page did not show it, nor for dead."""
    key = place.after(while_the_lists_fail)
    place.contained(key)
    assert 1 <= place.letters(key) <= 2, "warned while nobody knew, then told"


def test_a_deletion_that_spreads_slowly_ends_confirmed_and_not_before(place: Town) -> None:
    """For a while some of OpenAI's machines still take the key: only a row of refusals counts.

    Comes late, because spreading is a property of the whole organisation.
    """
    openai = place.world.openai
    key, since = place.key("spreading"), len(openai.deletions)
    openai.spread_seconds, openai.spread_acceptance = 5.0, 1.0
    try:
        place.report(token=key.value)
        incident = place.group.closed(key.id)
    finally:
        openai.spread_seconds = 0.0
    assert len(openai.deletions) == since + 1
    assert incident["clocks"]["received_to_confirmed_dead_ms"] >= 5000
    assert place.letters(key) == 1


def test_no_outage_of_everybody_loses_a_leak(place: Town) -> None:
    """GitHub, OpenAI, mail and channel all gone for a while: it ends well once they are back."""
    world = place.world
    key, repository = place.key("outage"), place.repository("outage")
    back = threading.Event()

    def outage() -> None:
        with world.github.down(), world.openai.down(), world.mail.down(), world.channel.down():
            down.set()
            back.wait(30)

    down = threading.Event()
    thread = threading.Thread(target=outage)
    thread.start()
    try:
        assert down.wait(10)
        place.push(repository, {"a.py": f"KEY = '{key.value}'\n"})
        eventually(lambda: "delivery_delayed" in place.group.log, "the outage to be noticed")
    finally:
        back.set()
        thread.join()
    place.contained(key)
    assert place.letters(key) == 1
