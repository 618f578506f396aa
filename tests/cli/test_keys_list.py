"""`responder keys list` and `sync`: what is known, and how well."""

import json
from pathlib import Path

from responder.simulator.openai import OpenAI
from tests.cli.person import Person, aged


def _ids(person: Person, *arguments: str, **settings: str) -> list[str]:
    result = person.run("list", "--json", *arguments, **settings)
    assert result.exit_code == 0, result.output
    return [key["id"] for key in json.loads(result.stdout)["keys"]]


def test_the_list_says_whose_a_key_is_and_when_it_was_used(person: Person, openai: OpenAI) -> None:
    """That is what one has to know before deleting it."""
    project = openai.add_project("checkout")
    ada = openai.add_user("Ada Example", "ada@acme.example")
    key = aged(openai.add_key("production", owner=ada, project=project), 40, 3)
    assert person.run("sync").exit_code == 0
    shown = {one["id"]: one for one in json.loads(person.run("list", "--json").stdout)["keys"]}[key.id]
    assert shown["name"] == "production"
    assert shown["redacted"] == f"{key.value[:8]}…{key.value[-4:]}"
    assert (shown["project"], shown["project_name"]) == (project.id, "checkout")
    assert shown["owner"] == {"kind": "user", "id": ada.id, "name": "Ada Example", "email": "ada@acme.example"}
    assert (shown["tier"], shown["fingerprinted"], shown["same_mask"]) == ("standard", False, 0)
    assert shown["created_at"] < shown["last_used_at"]


def test_filters_narrow_the_list(person: Person, openai: OpenAI) -> None:
    """Nobody reads a thousand keys."""
    project = openai.add_project("checkout")
    ada = openai.add_user("Ada Example", "ada@acme.example")
    used = aged(openai.add_key("used", owner=ada, project=project), 90, 3)
    idle = aged(openai.add_key("idle", owner=ada), 90, 60)
    never = aged(openai.add_key("never"), 90)
    new = aged(openai.add_key("new"), 3)
    person.run("sync")
    assert _ids(person, "--project", "checkout") == [used.id]
    assert _ids(person, "--project", project.id) == [used.id]
    assert sorted(_ids(person, "--owner", "ADA@*")) == sorted([used.id, idle.id])
    assert sorted(_ids(person, "--unused-for", "30")) == sorted([idle.id, never.id])
    assert new.id in _ids(person, "--provider", "openai")
    assert _ids(person, "--provider", "anthropic") == []


def test_keys_that_are_gone_are_listed_apart(person: Person, openai: OpenAI) -> None:
    """Somebody may want to know what became of one."""
    key = openai.add_key("short-lived")
    person.run("sync")
    openai.delete(key)
    person.run("sync")
    assert key.id not in _ids(person)
    assert _ids(person, "--state", "gone") == [key.id]


def test_every_order_can_be_had(person: Person, openai: OpenAI) -> None:
    """The key nobody used stands before those that somebody did."""
    one = aged(openai.add_key("b"), 50, 1)
    two = aged(openai.add_key("A"), 10, 5)
    three = aged(openai.add_key("c"), 90)
    person.run("sync")
    mine = {one.id, two.id, three.id}

    def ordered(by: str) -> list[str]:
        return [id_ for id_ in _ids(person, "--sort", by) if id_ in mine]

    assert ordered("name") == [two.id, one.id, three.id]
    assert ordered("created") == [three.id, one.id, two.id]
    assert ordered("used") == [three.id, two.id, one.id]
    assert set(ordered("owner")) == set(ordered("project")) == mine


def test_keys_that_look_alike_are_counted(person: Person, openai: OpenAI) -> None:
    """For those a leak cannot be told apart by what the provider shows."""
    keys = [openai.add_key(f"twin {number}", tail="same") for number in range(3)]
    other = openai.add_key("other", tail="else")
    person.run("sync")
    answer = json.loads(person.run("list", "--json").stdout)
    alike = {one["id"]: one["same_mask"] for one in answer["keys"]}
    assert [alike[key.id] for key in (*keys, other)] == [2, 2, 2, 0]
    assert answer["lists"][0]["sharing_a_mask"] == 3


def test_in_a_pipe_every_key_is_one_line_with_its_whole_id(person: Person, openai: OpenAI) -> None:
    """It is made to be grepped."""
    project = openai.add_project("a project with quite a long name, longer than anybody would have thought")
    keys = [openai.add_key(f"a key with a long name {'x' * 80}{number}", project=project) for number in range(3)]
    person.run("sync")
    done = person.process("list", COLUMNS="40")
    assert done.returncode == 0
    for key in keys:
        (line,) = [line for line in done.stdout.splitlines() if key.id in line]
        assert key.name in line
        assert project.name in line
    assert "4 keys listed, 0 fingerprinted (0 %)" in done.stdout
    assert "Listed just now" in done.stdout


def test_on_a_terminal_of_eighty_columns_every_id_is_whole(person: Person, openai: OpenAI) -> None:
    """It is what `revoke` wants to be given."""
    project = openai.add_project("a project with quite a long name")
    key = openai.add_key("a key with a long name, longer than its column", project=project)
    person.run("sync")
    status, screen = person.at_terminal("list", answers={}, columns=80)
    assert status == 0
    assert key.id in screen
    assert all(len(line) <= 80 for line in screen.replace("\r", "").split("\n")[:4])


def test_a_hostile_name_steers_nothing(person: Person, openai: OpenAI) -> None:
    """Anybody who may make a key chooses its name."""
    leaked = openai.add_key("leaked")
    key = openai.add_key(f"\x1b[2Jevil\u202e [bold]x[/] :smile: \n{leaked.value}")
    person.run("sync")
    for shown in (person.run("list").stdout, person.run("list", "--json").stdout, person.run("sync").output):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "evil [bold]x[/] :smile:" in person.run("list").stdout
    assert key.id in person.run("list").stdout


def test_a_list_never_made_is_not_called_empty(person: Person) -> None:
    """Whoever sees no keys must know whether there are none."""
    result = person.run("list")
    assert result.exit_code == 0
    assert "No such keys." in result.stdout
    assert "Never listed completely" in result.stdout


def test_two_hundred_and_fifty_keys_are_all_listed(person: Person, openai: OpenAI) -> None:
    """The provider gives them out a hundred at a time."""
    person.run("sync")
    keys = [openai.add_key(f"key {number}") for number in range(250)]
    result = person.run("sync")
    assert "251 keys listed; 250 new" in result.stdout
    assert "… and 230 more" in result.stdout
    assert {key.id for key in keys} <= set(_ids(person))


def test_sync_says_what_changed(person: Person, openai: OpenAI) -> None:
    """A person runs it to see whether something did."""
    renamed, deleted = openai.add_key("before"), openai.add_key("deleted")
    person.run("sync")
    assert "nothing changed" in person.run("sync").stdout
    renamed.name = "after"
    openai.delete(deleted)
    new = openai.add_key("new")
    result = person.run("sync", "--json")
    assert result.exit_code == 0
    (told,) = json.loads(result.stdout)["lists"]
    assert (told["new"], told["gone"], told["back"], told["changed"]) == ([new.id], [deleted.id], [], [renamed.id])
    assert told["problem"] is None


def test_a_list_that_breaks_off_takes_no_key_for_gone(person: Person, openai: OpenAI) -> None:
    """What was known stays, and the exit code says that it was not confirmed."""
    key = openai.add_key("still there")
    person.run("sync")
    openai.faults.add("GET /v1/organization/projects/", "status", times=3, status=500)
    result = person.run("sync")
    assert result.exit_code == 1
    assert "the list is not complete" in result.stderr
    assert "status 500" in result.stderr
    assert key.id in _ids(person)
    assert "The last attempt failed" in person.run("list").stdout


def test_a_list_in_circles_is_no_list(person: Person, openai: OpenAI) -> None:
    """It would never end."""
    for number in range(101):
        openai.add_key(f"key {number}")
    openai.faults.add("/api_keys", "repeated_cursor", times=None)
    result = person.run("sync")
    assert result.exit_code == 1
    assert "goes in circles" in result.stderr


def test_who_may_not_list_is_told_whom_to_ask(person: Person, openai: OpenAI) -> None:
    """He cannot mend it himself."""
    person.run("sync")
    openai.faults.add("GET /v1/organization/projects", "status", status=403, times=None)
    result = person.run("sync")
    assert result.exit_code == 1
    assert "api.management.read" in result.stderr
    assert "Olivia Owner <olivia@acme.example>" in result.stderr


def test_mistakes_are_one_line_each(person: Person, tmp_path: Path) -> None:
    """At 3 a.m. nobody wants to read a traceback."""
    empty = tmp_path / "nothing"
    empty.mkdir()
    for result in (
        person.run("list", "--sort", "colour"),
        person.run("list", "--unused-for", "0"),
        person.run("list", "--config", str(tmp_path / "missing.toml")),
        person.run("list", RESPONDER_DATA_DIR=str(empty)),
        person.run("list", RESPONDER_OPENAI__ADMIN_KEY_FILE=str(tmp_path / "missing")),
        person.run("revoke", "key_unknown", "--yes"),
    ):
        assert result.exit_code == 2
        assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    without = dict(person.settings)
    del without["RESPONDER_OPENAI__ADMIN_KEY"]
    bare = Person(person.data, without)
    assert "RESPONDER_OPENAI__ADMIN_KEY" in bare.run("list").stderr


def test_nothing_is_made_where_there_is_nothing(person: Person, tmp_path: Path) -> None:
    """A pepper made in the wrong place would name every token anew."""
    empty = tmp_path / "nothing"
    empty.mkdir()
    assert person.run("register", stdin="x", RESPONDER_DATA_DIR=str(empty)).exit_code == 2
    assert not (empty / "pepper").exists()
