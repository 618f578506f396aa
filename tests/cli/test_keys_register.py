"""`responder keys register`: tokens that people hold, proved and forgotten; only fingerprints stay."""

import json
import os
from pathlib import Path
from typing import Any

from responder import assembly, settings
from responder.cli.keys import registering
from responder.core.token import Token, fingerprint
from responder.register import Outcome, register
from responder.seal import Keys
from responder.simulator.openai import OpenAI
from responder.simulator.openai_objects import Key
from responder.store import keys
from tests.cli.person import Person


def _digest(person: Person, key: Key) -> str | None:
    """The fingerprint that is stored for a key."""
    found = person.ask(lambda tx: keys.get(tx, "openai", "default", key.id))
    return None if found is None else found.fingerprint


def _named(person: Person, key: Key) -> str:
    """What the fingerprint of a key's token is, under the newest pepper."""
    return fingerprint(Token(key.value, key.family), *Keys(person.data).peppers).digest


def _report(person: Person, *arguments: str, stdin: str = "", status: int = 0) -> dict[str, Any]:
    result = person.run("register", *arguments, "--json", stdin=stdin)
    assert result.exit_code == status, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_a_token_on_standard_input_is_proved_and_only_its_fingerprint_kept(person: Person, openai: OpenAI) -> None:
    """That is the way of a token into the responder that leaves no trace of it."""
    key = openai.add_key("production")
    result = person.run("register", stdin=f"{key.value}\n")
    assert result.exit_code == 0, result.output
    assert "Registered 1, already known 0, could not be proved 0, not ours 0." in result.stdout
    assert _digest(person, key) == _named(person, key)


def test_what_is_known_already_is_not_asked_again(person: Person, openai: OpenAI) -> None:
    """A proof is good for ever."""
    key = openai.add_key("production")
    person.run("register", "-", stdin=key.value)
    uses = key.uses
    (token,) = _report(person, stdin=f"first {key.value} and again {key.value}")["tokens"]
    assert (token["outcome"], token["key"], token["places"]) == ("already_known", key.id, 1)
    assert key.uses == uses


def test_a_service_account_key_and_an_admin_key_are_proved_as_well(person: Person, openai: OpenAI) -> None:
    """They are the ones that matter most."""
    bot = openai.add_key("bot", owner=openai.add_service_account("deploy"))
    admin = openai.add_admin_key("terraform")
    report = _report(person, stdin=f"{bot.value}\n{admin.value}\n")
    assert [token["key"] for token in report["tokens"]] == [bot.id, admin.id]
    assert _digest(person, admin) == _named(person, admin)


def test_keys_of_one_project_that_share_a_mask_are_not_taken_for_each_other(person: Person, openai: OpenAI) -> None:
    """A wrong binding would delete a stranger's key one day."""
    one, two = openai.add_key("one", tail="same"), openai.add_key("two", tail="same")
    result = person.run("register", stdin=one.value)
    assert result.exit_code == 1
    assert "2 keys of its project look like it" in result.stdout
    assert one.id in result.stdout
    assert two.id in result.stdout
    assert _digest(person, one) is None
    assert _digest(person, two) is None


def test_keys_of_different_projects_that_share_a_mask_are_told_apart(person: Person, openai: OpenAI) -> None:
    """The provider names the project of the token."""
    one = openai.add_key("one", tail="same")
    two = openai.add_key("two", project=openai.add_project("other"), tail="same")
    report = _report(person, stdin=f"{one.value}\n{two.value}")
    assert {token["key"] for token in report["tokens"]} == {one.id, two.id}
    assert _digest(person, one) == _named(person, one)
    assert _digest(person, two) == _named(person, two)


def test_a_dead_token_with_a_living_keys_mask_is_not_registered(person: Person, openai: OpenAI) -> None:
    """Anybody can write one."""
    key = openai.add_key("production")
    forged = openai.forge(key)
    result = person.run("register", stdin=forged)
    assert result.exit_code == 1
    assert f"could not be proved: {key.value[:8]}…{key.value[-4:]} in standard input:1: it is dead" in result.stdout
    assert forged not in result.output
    assert _digest(person, key) is None


def test_a_strangers_token_is_not_ours(person: Person, openai: OpenAI) -> None:
    """It lives, and looks like one of ours, and opens somebody else's organization."""
    key = openai.add_key("production")
    stranger = openai.stranger(key)
    (token,) = _report(person, stdin=stranger.value, status=1)["tokens"]
    assert token["outcome"] == "not_ours"
    assert _digest(person, key) is None


def test_a_token_that_looks_like_no_key_is_never_sent_anywhere(person: Person, openai: OpenAI) -> None:
    """It may be a stranger's, and he did not ask for it to be used."""
    key = openai.add_key("ours", tail="ours")
    stranger = openai.stranger(key)
    openai.delete(key)
    openai.keys.pop(key.id)
    openai.list_lag_seconds = 0
    (token,) = _report(person, stdin=stranger.value, status=1)["tokens"]
    assert (token["outcome"], token["reason"]) == ("not_ours", "no listed key looks like it")
    assert stranger.uses == 0
    assert key.value.encode() not in person.everything()


def test_the_key_we_run_on_is_left_alone(person: Person, openai: OpenAI) -> None:
    """It is never looked for, and never bound."""
    (token,) = _report(person, stdin=openai.admin_key.value, status=1)["tokens"]
    assert token["outcome"] == "not_proved"
    assert "runs on" in token["reason"]


def test_an_outage_that_passes_is_waited_for(person: Person, openai: OpenAI) -> None:
    """Nobody wants to begin a thousand tokens again."""
    key = openai.add_key("production")
    person.run("sync")
    openai.faults.add("GET /v1/models", "status", status=500, times=1)
    assert person.run("register", stdin=key.value).exit_code == 0
    assert _digest(person, key) == _named(person, key)


def test_an_outage_that_lasts_is_named(person: Person, openai: OpenAI) -> None:
    """Nobody knows: that is not the same as dead, nor as not ours."""
    key = openai.add_key("production")
    openai.faults.add("GET /v1/models", "status", status=503, times=None)
    waited: list[float] = []
    store = person.store()
    configured = assembly.accounts(settings.load(None, person.settings), store)
    try:
        found = register(
            Token(key.value, key.family),
            configured,
            "openai",
            Keys(person.data).peppers,
            assembly.now(),
            waited.append,
        )
    finally:
        configured["openai"][0].provider.close()
        store.close()
    assert found.outcome is Outcome.UNPROVED
    assert "the provider gave no clear answer (status_503)" in found.reason
    assert waited == [1.0, 2.0, 4.0]
    assert _digest(person, key) is None


def test_a_folder_of_secret_files_is_read_whole_and_no_further(
    person: Person, openai: OpenAI, tmp_path: Path
) -> None:
    """As mounted into a container: links inside it, and perhaps one that leads out."""
    inner, linked, outside = openai.add_key("inner"), openai.add_key("linked"), openai.add_key("outside")
    secrets, elsewhere = tmp_path / "secrets", tmp_path / "elsewhere"
    (secrets / "..2026").mkdir(parents=True)
    elsewhere.mkdir()
    (secrets / "app.env").write_text(f"# the key\n\nOPENAI_API_KEY={inner.value}\n")
    (secrets / "..2026" / "key").write_text(linked.value)
    (secrets / "..data").symlink_to("..2026")
    (secrets / "key").symlink_to("..data/key")
    (elsewhere / "key").write_text(outside.value)
    (secrets / "out").symlink_to(elsewhere)
    (secrets / "loop").symlink_to("loop")
    os.mkfifo(secrets / "pipe")
    (secrets / "core").write_bytes(b"\0" * ((8 << 20) + 1))
    report = _report(person, str(secrets), status=1)
    assert {token["key"]: token["place"] for token in report["tokens"]} == {
        inner.id: "app.env:3",
        linked.id: "..2026/key:1",
    }
    reasons = {one["path"]: one["reason"] for one in report["skipped"]}
    assert "which was not followed" in reasons["out"]
    assert reasons["pipe"] == "not a regular file"
    assert reasons["core"] == "larger than 8 MiB"
    assert outside.uses == 0


def test_a_file_is_named_with_its_line(person: Person, openai: OpenAI, tmp_path: Path) -> None:
    """Somebody has to find the token that could not be proved."""
    key = openai.add_key("production")
    path = tmp_path / "keys.txt"
    path.write_text(f"{key.value}\n\n{openai.forge(key)}\n")
    result = person.run("register", str(path))
    assert result.exit_code == 1
    assert f"in {path}:3: " in result.stdout
    assert "Registered 1, already known 0" in result.stdout


def test_many_tokens_are_registered_at_once(person: Person, openai: OpenAI, tmp_path: Path) -> None:
    """A whole secret store, one file each."""
    made = [openai.add_key(f"key {number}", tail=f"{number:03}x") for number in range(12)]
    folder = tmp_path / "secrets"
    folder.mkdir()
    for key in made:
        (folder / key.name).write_text(key.value)
    openai.faults.add("GET /v1/models", "status", status=500, skip=3)
    done = person.process("register", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Registered 12, already known 0" in done.stdout
    assert person.ask(lambda tx: keys.coverage(tx, "openai", "default")) == (13, 12)


def test_a_token_on_the_command_line_is_refused_and_not_repeated(person: Person, openai: OpenAI) -> None:
    """It is in the shell's history already; no need to put it on the screen as well."""
    key = openai.add_key("production")
    for result in (person.run("register", key.value), person.run("revoke", key.value, "--yes")):
        assert result.exit_code == 2
        assert "history" in result.stderr
        assert key.value not in result.output
    assert openai.deletions == []


def test_on_a_terminal_a_token_is_typed_unseen(person: Person, openai: OpenAI) -> None:
    """Somebody may look over a shoulder, or record the session."""
    key = openai.add_key("production")
    status, screen = person.at_terminal("register", answers={"Token (not shown):": key.value})
    assert status == 0, screen
    assert "Registered 1" in screen
    assert key.value[20:40] not in screen


def test_nothing_to_register_is_no_success(person: Person, tmp_path: Path) -> None:
    """A script whose secret came out empty must notice."""
    assert person.run("register").exit_code == 2
    assert person.run("register", str(tmp_path / "missing")).exit_code == 2
    (tmp_path / "empty.env").write_text("PORT=80\n")
    result = person.run("register", str(tmp_path / "empty.env"))
    assert result.exit_code == 1
    assert "No token was found in 1 file." in result.stdout


def test_a_key_of_another_vendor_is_not_ours(person: Person) -> None:
    """No account of that vendor is configured, so nothing can be proved about it."""
    value = "-".join(["sk", "ant", "api03", "Ab1" * 31 + "A", "Ab1" * 2 + "AA"])
    result = person.run("register", stdin=value)
    assert result.exit_code == 1
    assert value not in result.output


def test_a_hostile_file_name_steers_nothing(person: Person, openai: OpenAI, tmp_path: Path) -> None:
    """Secret files come from anywhere."""
    key = openai.add_key("production")
    (tmp_path / "evil\x1b[2J\u202ename").write_text(openai.forge(key))
    result = person.run("register", str(tmp_path))
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert "evil" in result.output


def test_a_folder_with_too_many_files_says_where_it_stopped(person: Person, tmp_path: Path, monkeypatch: Any) -> None:
    """A whole disk handed over by mistake must not run for a day."""
    monkeypatch.setattr(registering, "MOST_FILES", 3)
    for number in range(5):
        (tmp_path / f"{number}").write_text("nothing")
    report = _report(person, str(tmp_path), status=1)
    assert report["files"] == 3
    assert "more than 3 files" in report["skipped"][0]["reason"]
