"""`responder keys rotate-pepper`: a new secret under the fingerprints, and none of them lost by it."""

import json

from responder.core.token import Token, fingerprint
from responder.seal import Keys
from responder.simulator.openai import OpenAI
from tests.cli.person import Person


def _outcome(person: Person, value: str) -> str:
    report = json.loads(person.run("register", "--json", stdin=value).stdout)
    return str(report["tokens"][0]["outcome"])


def test_rotating_alone_loses_no_fingerprint(person: Person, openai: OpenAI) -> None:
    """A former pepper is kept until somebody says otherwise."""
    key = openai.add_key("production")
    person.run("register", stdin=key.value)
    before = Keys(person.data).pepper
    result = person.run("rotate-pepper")
    assert result.exit_code == 0
    assert "1 former one kept, so that none of the 1 fingerprinted keys is lost" in result.stdout
    assert Keys(person.data).pepper != before
    assert _outcome(person, key.value) == "already_known"


def test_forgetting_a_former_pepper_must_be_said_twice(person: Person, openai: OpenAI) -> None:
    """What was not renewed is lost by it."""
    renewed, lost = openai.add_key("renewed"), openai.add_key("lost")
    person.run("register", stdin=f"{renewed.value}\n{lost.value}")
    assert "There is no former pepper." in person.run("rotate-pepper", "--forget-former").stdout
    person.run("rotate-pepper")
    assert _outcome(person, renewed.value) == "already_known"
    result = person.run("rotate-pepper", "--forget-former")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert "1 of 2 fingerprinted keys were not renewed" in result.stdout
    assert len(Keys(person.data).peppers) == 2
    assert person.run("rotate-pepper", "--forget-former", "--yes").exit_code == 0
    assert len(Keys(person.data).peppers) == 1
    answer = json.loads(person.run("list", "--json").stdout)
    known = {key["id"] for key in answer["keys"] if key["fingerprinted"]}
    assert (known, answer["lists"][0]["fingerprinted"]) == ({renewed.id}, 1)
    assert _outcome(person, renewed.value) == "already_known"
    assert _outcome(person, lost.value) == "registered"


def test_on_a_terminal_it_is_asked(person: Person) -> None:
    """And anything but yes forgets nothing."""
    person.run("rotate-pepper")
    status, screen = person.at_terminal("rotate-pepper", "--forget-former", answers={"Type y to forget": "n"})
    assert status == 1
    assert "Nothing was forgotten." in screen
    assert len(Keys(person.data).peppers) == 2


def test_no_pepper_is_ever_printed(person: Person, openai: OpenAI) -> None:
    """Nor one made where none was: it would name every token anew."""
    key = openai.add_key("production")
    person.run("register", stdin=key.value)
    person.run("rotate-pepper")
    printed = "\n".join(person.seen)
    for pepper in Keys(person.data).peppers:
        assert pepper.hex() not in printed
        assert fingerprint(Token(key.value, key.family), pepper).digest not in printed
    (person.data / "pepper").unlink()
    assert person.run("rotate-pepper").exit_code == 2
    assert not (person.data / "pepper").exists()
