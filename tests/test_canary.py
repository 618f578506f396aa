"""No token, whole or recoverable, comes out anywhere: the story with planted tokens, then a search of everything.

The second half shows that the search would find one: it is planted on purpose in
every kind of place, in every spelling.
"""

import base64
import gzip
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from responder.simulator import growth
from responder.simulator.github_alerts import Alert
from responder.simulator.openai_objects import Key
from responder.simulator.partner import Partner
from tests.canary import Canary, Find, spellings
from tests.hook import Sender, alert, dump, push, sign
from tests.running import Group, eventually
from tests.town import Scene, Town, town


@dataclass(slots=True)
class Planted:
    """What was planted, and what came back over HTTP."""

    tokens: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def plant(self, token: str) -> str:
        """Remember *token*."""
        self.tokens.append(token)
        return token


planted = Planted()
chance = random.Random(31)


def grown(family: str = "openai-project") -> str:
    """A token nobody issued."""
    return planted.plant(growth.grow(family, chance))


def known(place: Town, name: str, **details: Any) -> Key:
    """A live key of ours."""
    key = place.key(name, **details)
    planted.plant(key.value)
    return key


def pushed_in_every_part(place: Town) -> Scene[Key]:
    """In a file, a file's name, a message, a binary file, a branch, the author; and in the key's own name."""
    key, repository = known(place, "pushed"), place.repository("pushed")
    key.name = f"prod {key.value}"
    project = place.world.openai.projects[key.project_id or ""]
    project.name = f"team {grown()}"
    large = "x\n" * 300_000 + f"KEY={key.value}\n"
    yield
    commit = repository.objects.commit(
        {
            "a.py": f"KEY = '{key.value}'\n",
            f"dir/{key.value}.txt": key.value,
            "b.bin": b"\0\1" + key.value.encode() + b"\0",
            "c.b64": base64.b64encode(f"key: {key.value}".encode()),
            "d.u16": key.value.encode("utf-16"),
            "e.log": large,
        },
        f"Add {key.value}\n\nand {grown()}",
    )
    place.world.github.push(repository, commit, branch=f"fix/{key.value}")
    return key


def in_a_repository_named_after_it(place: Town) -> Scene[Key]:
    key = known(place, "named")
    repository = place.repository(key.value[:100])
    yield
    place.push(repository, {"a.py": f"KEY = '{key.value}'\n"})
    return key


def alerted(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = known(place, "alerted"), place.repository("alerted")
    yield
    found = place.world.github.alert(repository, key.value, metadata={"owner_email": f"{key.value}@acme.example"})
    return key, found


def alerted_in_base64(place: Town) -> Scene[Key]:
    key, repository = known(place, "encoded"), place.repository("encoded")
    yield
    place.world.github.alert(repository, key.value, base64_encoded=True)
    return key


def reported_with_everything(place: Town) -> Scene[Key]:
    key = known(place, "reported", owner=place.world.openai.add_service_account("robot"))
    yield
    place.report(
        text=f"{key.value} and {grown()}",
        url=f"https://paste.example/{key.value}?k={key.value}#{key.value}",
        comment=f"see {key.value}",
        reporter=f"{key.value}@paste.example",
    )
    return key


def told_by_a_partner(place: Town) -> Scene[Key]:
    """In every member of a record, good and bad, and in every header; answered with feedback."""
    key, forged = known(place, "partnered"), grown()
    signer = Partner(place.world.github.partner_keys)
    everywhere = {
        "token": key.value,
        "type": key.value,
        "url": f"https://x.example/{key.value}",
        key.value: [key.value],
    }
    yield
    url = f"{place.group.origin}/hooks/github/partner"
    for record in (everywhere, {**everywhere, "token": {forged: forged}}, forged):
        answer = signer.report(url, [record])
        planted.answers += [answer.content, repr(answer.headers).encode()]
    raw = dump([everywhere])
    for name in signer.sign(raw):
        for body, value in ((raw, key.value), (raw[:-1], signer.sign(raw)[name])):
            headers = {**signer.sign(raw), name: value}
            planted.answers.append(place.group.client.post(url, content=body, headers=headers).content)
    return key


def refused_and_held(place: Town) -> Scene[Key]:
    key = known(place, "stubborn", owner=place.world.openai.add_service_account(f"bot {grown()}"))
    echo = {"error": {"message": f"Cannot delete {key.value}", "code": key.value, "type": key.value}}
    place.world.openai.faults.add(f"DELETE .*{key.id}", "status", times=None, status=400, body=echo)
    yield
    place.report(token=key.value)
    return key


def with_errors_that_echo(place: Town) -> Scene[Key]:
    """Every service repeats what it was sent, as services do."""
    key, repository = known(place, "echoed"), place.repository("echoed")
    world = place.world
    echo = {"error": {"message": f"Incorrect API key provided: {key.value}.", "code": key.value}}
    world.openai.faults.add(f"DELETE .*{key.id}", "status", status=500, body=echo)
    home = f"/repositories/{repository.id}/"
    world.github.faults.add(f"GET {home}commits", "status", status=500, body=f"no {key.value}")
    world.github.faults.add(f"GET {home}commits", "redirect", location=f"{world.decoy.origin}/{key.value}")
    world.mail.faults.add("RCPT echoed@", "status", status=451, body=f"not for {key.value}")
    yield
    place.push(repository, {"a.py": f"KEY = '{key.value}'\n"})
    return key


def undeliverable(place: Town) -> Scene[Key]:
    key = known(place, "nobody")
    place.world.mail.faults.add("RCPT nobody@", "status", times=None, status=550, body=f"no {key.value} here")
    yield
    place.report(tokens=[key.value, planted.plant(place.world.openai.forge(key))])
    return key


def forged(place: Town) -> Scene[str]:
    key, repository = known(place, "untouched"), place.repository("forged")
    token = planted.plant(place.world.openai.forge(key))
    stranger = planted.plant(place.world.openai.stranger(key).value)
    yield
    place.push(repository, {"a.py": f"a = '{token}'\nb = '{stranger}'\n"})
    place.world.github.alert(repository, token)
    place.report(token=token)
    return token


def our_own(place: Town) -> Scene[str]:
    value = planted.plant(place.world.openai.admin_key.value)
    yield
    place.report(text=f"admin: {value}")
    return value


def malformed(place: Town) -> Scene[None]:
    """Tokens in every part of requests that are refused."""
    sender = Sender(place.group)
    secret, token, old = place.world.github.hooks.secret, grown(), grown("openai-user-legacy")
    yield
    bodies = [
        (push(ref=token, after=token), "push"),
        (push(repository={"id": token}), "push"),
        (push(commits=[{"id": token}]), "push"),
        ({token: token}, "push"),
        (alert(action=token), "secret_scanning_alert"),
        (alert(alert={"number": old}), "secret_scanning_alert"),
        ({"zen": token}, "ping"),
        ({"action": token}, "star"),
    ]
    for body, event in bodies:
        raw = dump(body)
        planted.answers.append(sender.post(raw, event, signature=sign(raw, secret)).content)
        planted.answers.append(sender.post(raw, event, signature=token).content)
    raw = dump(push())
    for name in ("X-GitHub-Event", "X-GitHub-Delivery", "Content-Encoding", "X-Other", "User-Agent", "Cookie"):
        for value in (token, old):
            answer = sender.post(raw, signature=sign(raw, secret), headers={name: value})
            planted.answers += [answer.content, repr(answer.headers).encode()]
    client = place.group.client
    for value in (token, old):
        for path in (
            f"/{value}",
            f"/hooks/{value}",
            f"/hooks/github/{value}?k={value}",
            f"/v1/reports/{value}",
            f"/report?k={value}",
        ):
            planted.answers += [client.get(path).content, client.post(path, content=value.encode()).content]
        for report in ({"token": value, "more": value}, {"tokens": {value: 1}}, [value], {"token": value * 9}):
            planted.answers.append(client.post("/v1/reports", json=report).content)
        headers = {"Idempotency-Key": value}
        planted.answers.append(client.post("/v1/reports", json={"token": value}, headers=headers).content)
        for request in (
            f"{value.upper()} / HTTP/1.1\r\n\r\n",
            f"GET {value} HTTP/1.1\r\n\r\n",
            f"GET / {value}\r\n\r\n",
            f"GET / HTTP/1.1\r\n{value}\r\n\r\n",
            f"GET / HTTP/1.1\r\nA b: {value}\r\n\r\n",
            f"GET / HTTP/1.1\r\n{value} : 1\r\n\r\n",
            f"GET / HTTP/1.1\r\nTransfer-Encoding: {value}\r\n\r\n",
            f"POST / HTTP/1.1\r\nContent-Length: {value}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: {value}\r\nHost: {value}\r\n\r\n",
            f"GET / HTTP/1.1\r\nA: {value}\0\r\n\r\n",
        ):
            planted.answers.append(sender.raw(request.encode()))


SCENES = (
    pushed_in_every_part,
    in_a_repository_named_after_it,
    alerted,
    alerted_in_base64,
    reported_with_everything,
    told_by_a_partner,
    refused_and_held,
    with_errors_that_echo,
    undeliverable,
    forged,
    our_own,
    malformed,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    planted.tokens.clear()
    planted.answers.clear()
    feedback = {"RESPONDER_GITHUB__PARTNER_FEEDBACK": "true"}
    with town(tmp_path_factory.mktemp("canary"), 31, *SCENES, **feedback) as played:
        for scene in (pushed_in_every_part, in_a_repository_named_after_it, alerted_in_base64, undeliverable):
            played.group.closed(played.after(scene).id)
        played.group.closed(played.after(alerted)[0].id)
        played.group.closed(played.after(told_by_a_partner).id)
        played.group.closed(played.after(with_errors_that_echo).id)
        played.group.in_state(played.after(refused_and_held).id, "held")
        played.group.wait_until_idle()
        yield played


@pytest.fixture(scope="module")
def canary(place: Town) -> Canary:
    assert len(planted.tokens) >= 18
    return Canary(planted.tokens)


def test_no_token_is_in_any_file(place: Town, canary: Canary) -> None:
    """Neither in a table, nor in what a table leaves behind in its files, nor in a file's name."""
    assert canary.in_folder(place.group.data) == []


def test_no_token_is_in_any_log_line(place: Town, canary: Canary) -> None:
    """Logs go to places that nobody thinks of as secret."""
    assert len(place.group.log.splitlines()) > 50
    assert canary.in_text(place.group.log, "the log") == []
    found = [find for line in place.group.log.splitlines() for find in canary.in_bytes(line.encode(), line[:200])]
    assert found == []


def test_every_log_line_is_one_json_object(place: Town) -> None:
    """A token must not be able to break a line in two and hide in the second half."""
    for line in place.group.log.splitlines():
        assert isinstance(json.loads(line), dict), line[:300]


def test_no_token_is_in_any_mail_or_notice(place: Town, canary: Canary) -> None:
    """Mails are forwarded, and channels have members."""
    letters = list(place.world.mail.letters)
    assert letters
    for letter in letters:
        assert canary.in_bytes(letter.raw, "a mail as sent") == []
        for part in letter.message.walk():
            if not part.is_multipart():
                assert canary.in_text(str(part.get_content()), "a mail as read") == []
    assert place.world.channel.posts
    for post in list(place.world.channel.posts):
        assert canary.in_text(post.title + "\n" + post.message, "a notice") == []


def test_no_token_is_in_any_answer(place: Town, canary: Canary) -> None:
    """Answers are kept by proxies, and by GitHub on the webhook's page."""
    given = planted.answers + [delivery.answer.encode() for delivery in place.world.github.deliveries]
    assert len(given) > 80
    assert [find for answer in given for find in canary.in_bytes(answer, repr(answer[:300]))] == []


def test_no_token_is_in_what_github_is_told(place: Town, canary: Canary) -> None:
    """The comment that closes an alert is read by everybody who may see the repository."""
    _, found = place.after(alerted)
    assert canary.in_text(str(found.resolution_comment), "a comment") == []


def test_no_token_is_in_a_url_that_we_open(place: Town, canary: Canary) -> None:
    """Servers log the addresses they are asked for."""
    for server in (place.world.github, place.world.openai, place.world.channel, place.world.decoy):
        for seen in list(server.journal):
            where = f"a request to {type(server).__name__}"
            assert canary.in_text(f"{seen.path} {seen.query} {dict(seen.headers)}", where) == []


def test_no_token_is_in_a_command_line_or_environment(place: Town, canary: Canary) -> None:
    """Everybody on the machine can list processes. The worker's own admin key is in its environment: by setting."""
    ours = planted.tokens.index(place.world.openai.admin_key.value)
    found = canary.in_processes(place.group.pids())
    assert len(place.group.pids()) >= 4
    assert [find for find in found if find.token != ours or "cmdline" in find.where] == []


def test_no_token_is_in_what_commands_print(place: Town, canary: Canary) -> None:
    """A terminal is shared, recorded and pasted from."""
    said = [place.group.run("incidents", "list"), place.group.run("incidents", "list", "--json")]
    for incident in place.group.incidents()[:2]:
        said += [place.group.run("incidents", command, incident["id"]) for command in ("show", "summary")]
    for done in said:
        assert done.returncode == 0
        assert canary.in_text(done.stdout + done.stderr, " ".join(done.args[3:])) == []


def test_sealed_bodies_are_shredded_once_nobody_needs_them(place: Town) -> None:
    """What is not there cannot leak; only what waits for a person or a second look is kept."""
    with closing(sqlite3.connect(place.group.data / "responder.sqlite")) as file:
        kept = {row[0] for row in file.execute("SELECT id FROM deliveries WHERE sealed IS NOT NULL")}
        reports = {row[0] for row in file.execute("SELECT id FROM deliveries WHERE source = 'report'")}
        needed = {
            row[0]
            for row in file.execute(
                "SELECT delivery_id FROM sightings JOIN incidents ON incidents.id = incident_id "
                "WHERE state IN ('open', 'held')"
            )
        }
    assert kept <= needed
    assert kept < reports, "some were shredded"


# --- the search itself ---------------------------------------------------------------------------

PIECE = growth.grow("openai-project", random.Random(32))
SPELLINGS = [name for name, _, _ in spellings(PIECE)]


def spelled(name: str, token: str = PIECE) -> bytes:
    """The whole token in one spelling."""
    return next(written for known, _, written in spellings(token) if known == name)


@pytest.fixture
def search() -> Canary:
    """Knows one token only."""
    return Canary([PIECE])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory with a table in it."""
    with closing(sqlite3.connect(tmp_path / "responder.sqlite")) as file:
        file.execute("CREATE TABLE incidents (id TEXT, reason TEXT, sealed BLOB)")
        file.execute("INSERT INTO incidents VALUES ('inc_1', 'nothing', x'00')")
        file.commit()
    return tmp_path


def test_the_search_knows_enough_spellings(search: Canary, folder: Path) -> None:
    """And finds nothing where there is nothing."""
    assert len(SPELLINGS) >= 17
    assert search.in_folder(folder) == []


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("kind", ["a cell", "a JSON cell", "a file", "a log line"])
def test_the_search_reports_a_token_stored_on_purpose(search: Canary, folder: Path, name: str, kind: str) -> None:
    """Without this, the tests above could be green because the search is blind."""
    token = spelled(name)
    plants: dict[str, Callable[[], list[Find]]] = {
        "a cell": lambda: in_a_cell(search, folder, token),
        "a JSON cell": lambda: in_a_cell(search, folder, json.dumps({"a": [token.decode("latin-1")]})),
        "a file": lambda: in_a_file(search, folder, b"\0" * 7 + token),
        "a log line": lambda: search.in_bytes(b'{"event": "x", "key": "' + token + b'"}', "a log line"),
    }
    assert plants[kind]()


@pytest.mark.parametrize(
    "content",
    [
        PIECE[8:40].encode(),
        PIECE[60:100].encode(),
        PIECE[-40:-4].encode(),
        gzip.compress(PIECE.encode()),
        base64.b64encode(gzip.compress(PIECE.encode())),
        base64.b64encode(base64.b64encode(f"key={PIECE}".encode())),
        json.dumps({"a": json.dumps({"b": base64.b64encode(PIECE.encode()).decode()})}).encode(),
        dump({"a": PIECE.encode().hex()}),
    ],
    ids=["beginning", "middle", "end", "zipped", "zipped in base64", "twice in base64", "nested", "hex in JSON"],
)
def test_the_search_reports_pieces_and_what_is_wrapped(search: Canary, folder: Path, content: bytes) -> None:
    """Half a token and the patience to guess the rest is a token."""
    assert in_a_cell(search, folder, content)
    assert in_a_file(search, folder, content)


def test_the_search_reports_a_deleted_row_and_a_write_ahead_log(search: Canary, folder: Path) -> None:
    """SQLite keeps copies of what was deleted: that is why nothing may ever be written."""
    with closing(sqlite3.connect(folder / "responder.sqlite")) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("INSERT INTO incidents VALUES ('inc_2', ?, NULL)", (PIECE,))
        file.commit()
        file.execute("DELETE FROM incidents WHERE id = 'inc_2'")
        file.commit()
        found = search.in_folder(folder)
    assert {find.where for find in found} == {"responder.sqlite-wal"}


def test_the_search_reports_a_name_a_mail_and_a_process(search: Canary, folder: Path, tmp_path: Path) -> None:
    """The remaining kinds of places."""
    (folder / PIECE).touch()
    assert search.in_folder(folder)
    folded = "\n".join(PIECE[start : start + 20] for start in range(0, len(PIECE), 20))
    assert search.in_text(folded, "a mail as read")
    with Group(tmp_path / "group", {"OTHER": PIECE}) as group:
        group.prepare().start("web").wait_until_listening()
        assert eventually(lambda: search.in_processes(group.pids()), "the environment to be found")


def in_a_cell(search: Canary, folder: Path, content: bytes | str) -> list[Find]:
    """Store *content* as somebody would who forgot; what the search finds in the tables."""
    with closing(sqlite3.connect(folder / "responder.sqlite")) as file:
        file.execute("INSERT INTO incidents VALUES ('inc_3', ?, NULL)", (content,))
        file.commit()
    return search.in_database(folder / "responder.sqlite")


def in_a_file(search: Canary, folder: Path, content: bytes) -> list[Find]:
    """The same in a file beside the tables."""
    (folder / "leftover").write_bytes(content)
    return [find for find in search.in_folder(folder) if find.where.startswith("leftover")]
