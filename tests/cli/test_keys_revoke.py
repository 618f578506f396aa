"""`responder keys revoke`: the vendor's delete button, with the checks it lacks."""

import json
from dataclasses import replace

import pytest

from responder.assembly import now
from responder.cli.keys.desk import desk
from responder.cli.keys.revoking import revoke_one
from responder.core.revocation import Outcome
from responder.simulator.openai import OpenAI
from responder.store import keys, revocations
from responder.store.revocations import Intent
from tests.cli.person import Person, aged


def _intent(person: Person, key_id: str) -> Intent | None:
    found: Intent | None = person.ask(lambda tx: revocations.get(tx, "openai", "default", key_id))
    return found


def _is_gone(person: Person, key_id: str) -> bool:
    found = person.ask(lambda tx: keys.get(tx, "openai", "default", key_id))
    return found is not None and found.gone_at is not None


def _intend(person: Person, key_id: str) -> None:
    """As the worker does for an incident."""
    store = person.store()
    with store.begin("intend") as tx:
        revocations.intend(tx, "openai", "default", key_id, "inc_other", "worker-1", now())
    store.close()


def test_a_person_types_the_keys_name_and_it_is_gone(person: Person, openai: OpenAI) -> None:
    """Whose it is, when it was used and what breaks is on the screen before anybody is asked."""
    project = openai.add_project("checkout")
    ada = openai.add_user("Ada Example", "ada@acme.example")
    key = aged(openai.add_key("production", owner=ada, project=project), 40, 3)
    stays = openai.add_key("other", project=project, tail=key.value[-4:])
    person.run("sync")
    status, screen = person.at_terminal("revoke", key.id, answers={"to delete it": "production"})
    assert status == 0, screen
    asked = screen.index("to delete it")
    for fact in ("Ada Example <ada@acme.example>", "checkout", project.id, key.id, "3 days ago", "40 days ago"):
        assert 0 < screen.index(fact) < asked
    assert "What breaks: whatever used it 3 days ago is refused from then on." in screen
    assert "1 other key of this project look" in screen
    assert "no longer listed. Without the token itself it cannot be tried." in screen
    assert not openai.is_live(key.id)
    assert openai.is_live(stays.id)
    assert _is_gone(person, key.id)


def test_anything_but_yes_deletes_nothing(person: Person, openai: OpenAI) -> None:
    """Return alone is what a tired hand does."""
    key = openai.add_key("production")
    status, screen = person.at_terminal("revoke", key.id, answers={"to delete it": ""})
    assert status == 1
    assert "Not deleted." in screen
    assert openai.is_live(key.id)
    assert _intent(person, key.id) is None


def test_without_a_terminal_yes_must_be_said(person: Person, openai: OpenAI) -> None:
    """A script that pipes something in has not been asked."""
    key = openai.add_key("production")
    done = person.process("revoke", key.id, stdin="y\n")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert openai.is_live(key.id)


def test_the_intent_is_written_by_name_before_the_key_is_touched(person: Person, openai: OpenAI) -> None:
    """Afterwards somebody wants to know who it was."""
    key = openai.add_key("production")
    result = person.run("revoke", key.id, "--yes", "--no-wait", LOGNAME="alice")
    assert result.exit_code == 0, result.output
    assert "Nobody has looked whether it is gone." in result.stdout
    intent = _intent(person, key.id)
    assert intent is not None
    assert (intent.incident_id, intent.outcome, intent.attempts) == ("manual:alice", Outcome.REVOKED, 1)
    assert not _is_gone(person, key.id)
    (deletion,) = openai.deletions
    assert intent.requested_at <= deletion.at


def test_a_key_made_a_minute_ago_is_found(person: Person, openai: OpenAI) -> None:
    """The list may be minutes old."""
    person.run("sync")
    key = openai.add_key("new")
    result = person.run("revoke", key.id, "--yes", "--no-wait", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["key"]["id"], answer["outcome"], answer["seen_gone"]) == (key.id, "revoked", None)


def test_a_key_that_does_not_exist_is_a_mistake(person: Person, openai: OpenAI) -> None:
    """Nothing is sent for it."""
    result = person.run("revoke", "key_nobody", "--yes")
    assert result.exit_code == 2
    assert "there is no key 'key_nobody'" in result.stderr
    assert openai.deletions == []


def test_a_server_error_is_read_up_on_and_then_tried_again(person: Person, openai: OpenAI) -> None:
    """The first request may have worked."""
    key = openai.add_key("production")
    openai.faults.add("DELETE ", "status", status=500)
    result = person.run("revoke", key.id, "--yes", "--no-wait")
    assert result.exit_code == 0, result.output
    assert "No clear answer (status 500)" in result.stdout
    assert len(openai.deletions) == 2
    assert not openai.is_live(key.id)
    intent = _intent(person, key.id)
    assert intent is not None
    assert (intent.outcome, intent.attempts) == (Outcome.REVOKED, 2)


def test_a_deletion_nobody_heard_of_is_not_repeated(person: Person, openai: OpenAI) -> None:
    """Its answer was lost; the list shows that it worked."""
    key = openai.add_key("production")
    person.run("sync")
    openai.faults.add("DELETE ", "timeout", seconds=0.3, applied=True)
    result = person.run("revoke", key.id, "--yes")
    assert result.exit_code == 0, result.output
    assert len(openai.deletions) == 1
    assert "no longer listed" in result.stdout
    assert _is_gone(person, key.id)


def test_who_may_not_delete_is_told_whom_to_ask(person: Person, openai: OpenAI) -> None:
    """The responder's own key is the reason, and somebody made it."""
    key = openai.add_key("production", owner=openai.add_user("Ada Example", "ada@acme.example"))
    openai.faults.add("DELETE ", "status", status=403)
    result = person.run("revoke", key.id, "--yes")
    assert result.exit_code == 1
    assert "not allowed to do that (openai said 403" in result.stdout
    assert "api.management.write" in result.stdout
    assert "Ask who made it: Olivia Owner <olivia@acme.example>." in result.stdout
    assert "Ada Example <ada@acme.example> can delete the key on the provider's own page" in result.stdout
    assert openai.is_live(key.id)
    intent = _intent(person, key.id)
    assert intent is not None
    assert intent.outcome is None


def test_an_admin_key_that_is_no_longer_accepted_is_named_as_the_reason(person: Person, openai: OpenAI) -> None:
    """Not the key to be deleted is wrong, but ours."""
    key = openai.add_key("production")
    person.run("sync")
    openai.disable(openai.admin_key)
    result = person.run("revoke", key.id, "--yes")
    assert result.exit_code == 1
    assert "not accepted (openai said 401 invalid_api_key)" in result.stdout
    assert openai.deletions == []


def test_the_key_the_responder_runs_on_is_never_deleted(person: Person, openai: OpenAI) -> None:
    """Nor one that only looks like it: the list does not tell them apart."""
    alike = openai.add_admin_key("look-alike", tail=openai.admin_key.value[-4:])
    for key in (openai.admin_key, alike):
        result = person.run("revoke", key.id, "--yes")
        assert result.exit_code == 1
        assert "the very key that the responder runs on" in result.stdout
    assert openai.deletions == []


def test_another_admin_key_can_be_deleted(person: Person, openai: OpenAI) -> None:
    """It is above projects, and says so."""
    key = openai.add_admin_key("terraform")
    result = person.run("revoke", key.id, "--yes", "--no-wait")
    assert result.exit_code == 0, result.output
    assert "It is an admin key" in result.stdout
    assert not openai.is_live(key.id)


def test_the_siblings_of_a_service_account_key_are_shown(person: Person, openai: OpenAI) -> None:
    """They stay; where the vendor refuses, they would die with the account."""
    bot = openai.add_service_account("deploy")
    key, sibling = openai.add_key("one", owner=bot), openai.add_key("two", owner=bot)
    openai.refuse_service_account_keys = True
    result = person.run("revoke", key.id, "--yes")
    assert result.exit_code == 1
    assert "The service account itself stays, with 1 other key:" in result.stdout
    assert "refuses to delete the key of a service account (status 400)" in result.stdout
    assert "kill with it 1 other key:" in result.stdout
    assert result.stdout.count(sibling.id) == 2
    assert openai.is_live(key.id)
    openai.refuse_service_account_keys = False
    assert person.run("revoke", key.id, "--yes", "--no-wait").exit_code == 0
    assert openai.is_live(sibling.id)
    intent = _intent(person, key.id)
    assert intent is not None
    assert intent.outcome is Outcome.REVOKED


def test_in_mode_observe_and_behind_the_stop_file_nothing_is_deleted(person: Person, openai: OpenAI) -> None:
    """Somebody meant that."""
    key = openai.add_key("production")
    result = person.run("revoke", key.id, "--yes", RESPONDER_MODE="observe")
    assert result.exit_code == 2
    assert "mode is observe" in result.stderr
    assert person.run("stale", "--days", "1", "--revoke", "--yes", RESPONDER_MODE="observe").exit_code == 2
    (person.data / "STOP").touch()
    result = person.run("revoke", key.id, "--yes")
    assert result.exit_code == 2
    assert "stop file" in result.stderr
    assert openai.mutations == []


def test_a_key_that_is_gone_already_is_a_success(person: Person, openai: OpenAI) -> None:
    """Whoever runs it twice gets the same answer."""
    key = openai.add_key("production")
    person.run("sync")
    openai.delete(key)
    result = person.run("revoke", key.id, "--yes")
    assert result.exit_code == 0, result.output
    assert "gone already" in result.stdout
    assert openai.deletions == []
    assert _is_gone(person, key.id)


def test_a_list_that_still_shows_it_is_waited_for_and_not_believed_early(person: Person, openai: OpenAI) -> None:
    """Three looks in a row; one alone may be a slow copy's."""
    key = openai.add_key("production")
    person.run("sync")
    openai.faults.add("/api_keys", "stale_list", times=1, skip=2)
    result = person.run("revoke", key.id, "--yes")
    assert result.exit_code == 0, result.output
    assert _is_gone(person, key.id)


def test_still_listed_at_the_end_is_said_honestly(person: Person, openai: OpenAI) -> None:
    """What the provider says is not what was seen."""
    key = openai.add_key("production")
    openai.list_lag_seconds = 60
    result = person.run("revoke", key.id, "--yes", "--json", RESPONDER_POLICY__VERIFY_SECONDS="1")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["seen_gone"] is False
    assert "it was not seen gone (still listed)" in answer["said"]
    assert not _is_gone(person, key.id)


def test_a_provider_that_cannot_be_asked_is_explained(
    person: Person, openai: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent that could not be undone before the list was read."""
    key = openai.add_key("production")
    person.run("sync")
    openai.faults.add("GET ", "status", status=503, times=None)
    for name, value in person.settings.items():
        monkeypatch.setenv(name, value)
    with desk(None) as opened:
        found, account = opened.find(key.id)
        ended = revoke_one(replace(opened, pauses_seconds=(0.0, 0.0)), found, account, yes=True, wait=True)
    assert not ended.good
    assert "Nothing was deleted: openai cannot be asked about the key (status 503)" in ended.said
    assert openai.deletions == []


def test_an_incident_at_the_same_key_keeps_its_journal(person: Person, openai: OpenAI) -> None:
    """Its worker finds out by itself what became of the key, and tells the owner."""
    key = openai.add_key("production")
    person.run("sync")
    _intend(person, key.id)
    result = person.run("revoke", key.id, "--yes", "--no-wait")
    assert result.exit_code == 0, result.output
    assert "inc_other asked for its deletion already" in result.stdout
    intent = _intent(person, key.id)
    assert intent is not None
    assert (intent.incident_id, intent.holder, intent.outcome) == ("inc_other", "worker-1", None)
    assert not openai.is_live(key.id)


def test_a_protected_key_wants_its_name(person: Person, openai: OpenAI) -> None:
    """A quick y is not enough for what somebody put behind a second thought."""
    key = openai.add_key("production")
    person.run("protect", key.id)
    status, screen = person.at_terminal("revoke", key.id, answers={"It is protected": "y"})
    assert status == 1, screen
    assert "Not deleted." in screen
    assert openai.is_live(key.id)
    assert person.run("revoke", key.id, "--yes", "--no-wait").exit_code == 0


# --- stale ---------------------------------------------------------------------------------------


def test_stale_lists_what_nobody_used(person: Person, openai: OpenAI) -> None:
    """A key never used counts from the day it was made; the longest unused stands first."""
    idle, never = aged(openai.add_key("idle"), 300, 100), aged(openai.add_key("never"), 200)
    aged(openai.add_key("busy"), 300, 2)
    aged(openai.add_key("new"), 5)
    person.run("sync")
    answer = json.loads(person.run("stale", "--days", "90", "--json").stdout)
    assert [key["id"] for key in answer["keys"]] == [never.id, idle.id]
    shown = person.run("stale", "--days", "90")
    assert shown.exit_code == 0
    assert idle.id in shown.stdout


def test_stale_keys_are_deleted_one_by_one(person: Person, openai: OpenAI) -> None:
    """Each with the same question; what was used since the last list, or is protected, is left alone."""
    never = aged(openai.add_key("never"), 200)
    guarded, woken = aged(openai.add_key("guarded"), 190), aged(openai.add_key("woken"), 180)
    kept, last = aged(openai.add_key("kept"), 170), aged(openai.add_key("last"), 160)
    person.run("sync")
    person.run("protect", guarded.id)
    aged(woken, 180, 0)
    status, screen = person.at_terminal(
        "stale",
        "--days",
        "90",
        "--revoke",
        answers={
            f"{never.id}\r\n  project": "y",
            f"{kept.id}\r\n  project": "n",
            f"{last.id}\r\n  project": "q",
        },
    )
    assert status == 0, screen
    assert "Left alone: it is protected" in screen
    assert "it was used just now, since the last list" in screen
    assert "1 gone, 4 left, of 5 not used for 90 days." in screen
    assert [one.key_id for one in openai.deletions] == [never.id]


def test_stale_without_a_terminal_needs_yes(person: Person, openai: OpenAI) -> None:
    """And then says in JSON what became of each; one that could not be deleted is no success."""
    one, two = aged(openai.add_key("one"), 200), aged(openai.add_key("two"), 190)
    person.run("sync")
    assert person.run("stale", "--days", "90", "--revoke").exit_code == 2
    openai.faults.add(f"DELETE .*{two.id}", "status", status=403)
    result = person.run("stale", "--days", "90", "--revoke", "--yes", "--json")
    assert result.exit_code == 1
    outcomes = {each["key"]["id"]: each["outcome"] for each in json.loads(result.stdout)["keys"]}
    assert outcomes == {one.id: "revoked", two.id: "refused"}


# --- protect and release -------------------------------------------------------------------------


def test_protect_and_release_are_seen_in_the_list(person: Person, openai: OpenAI) -> None:
    """By hand, and undone by hand."""
    key = openai.add_key("production")

    def tier() -> str:
        answer = json.loads(person.run("list", "--json").stdout)
        return str({one["id"]: one["tier"] for one in answer["keys"]}[key.id])

    assert person.run("protect", key.id).exit_code == 0
    assert tier() == "protected"
    assert person.run("release", key.id).exit_code == 0
    assert tier() == "standard"


def test_what_the_policy_protects_cannot_be_released_by_hand(person: Person, openai: OpenAI) -> None:
    """Saying "released" would be a lie."""
    key = openai.add_key("production")
    result = person.run("release", key.id, RESPONDER_POLICY__PROTECTED="prod*")
    assert result.exit_code == 0
    assert "the policy (RESPONDER_POLICY__PROTECTED) still does" in result.stdout
    assert person.run("protect", "key_nobody").exit_code == 2
