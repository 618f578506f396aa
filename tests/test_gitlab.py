"""A key leaked on GitLab, from the webhook to the grave: all of it happens at once, in one running responder."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from responder.simulator import World
from responder.simulator.gitlab import GitLab, Project
from responder.simulator.openai_objects import Key
from tests.running import Group

PRESHARED = "made-up-revocation-token"
LEAKS = ("listed", "unlisted", "removed", "message", "large", "revoked")


@dataclass(frozen=True, slots=True)
class Scene:
    """What is left once everything has leaked.

    Attributes:
        world: OpenAI, mail and channel.
        vendor: GitLab.
        group: the responder.
        decoy: the socket that every address in a payload names.
        keys: by what happened to them.
        answers: of the receiver, by the same names.
        commits: the commit in which each key leaked.
    """

    world: World
    vendor: GitLab
    group: Group
    decoy: socket.socket
    keys: dict[str, Key]
    answers: dict[str, int]
    commits: dict[str, str]

    def contained(self, name: str) -> dict[str, Any]:
        """The closed incident of a key, with what must be true of each."""
        key = self.keys[name]
        incident = self.group.closed(key.id)
        assert (incident["disposition"], incident["confirmed_dead"]) == ("revoked", True)
        assert sum(deletion.key_id == key.id for deletion in self.world.openai.deletions) == 1
        assert not self.world.openai.is_live(key.id)
        return incident

    def where(self, name: str) -> list[tuple[str, str]]:
        """Sources and addresses of an incident's sightings."""
        return [(one["source"], one["where"]) for one in self.contained(name)["sightings"]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with World(41) as world, GitLab() as vendor, socket.socket() as decoy:
        decoy.bind(("127.0.0.1", 0))
        decoy.listen()
        decoy.setblocking(False)
        vendor.url = f"http://127.0.0.1:{decoy.getsockname()[1]}"
        keys = {name: world.openai.add_key(name) for name in LEAKS}
        world.openai.add_key("bystander")
        settings = {**world.environment(), **vendor.environment(), "RESPONDER_GITLAB__REVOCATION_TOKEN": PRESHARED}
        settings["RESPONDER_OPENAI__CALLS_PER_SECOND"] = "500"
        with Group(tmp_path_factory.mktemp("gitlab"), settings) as group:
            group.start("serve").wait_until_ready()
            vendor.hook_url = f"{group.origin}/hooks/gitlab"
            made = Scene(world, vendor, group, decoy, keys, {}, {})
            _leak_all(made)
            yield made
        assert vendor.bugs == []


def _leak_all(made: Scene) -> None:
    keys, vendor = {name: key.value for name, key in made.keys.items()}, made.vendor

    def announce(
        name: str, project: Project, leaking: int, *changes: dict[str, str | None], message: str = "Work"
    ) -> None:
        base = project.objects.commit({"README": "nothing\n"})
        commits = [project.objects.commit(files, message) for files in changes]
        made.commits[name] = f"{vendor.url}/{project.path}/-/commit/{commits[leaking].sha}"
        made.answers[name] = vendor.push(project, commits, before=base.sha).status_code

    announce("listed", vendor.add_project("listed"), 0, {".env": f"KEY={keys['listed']}\n"})
    work: list[dict[str, str | None]] = [{f"f{n}": f"{n}\n"} for n in range(45)]
    work[12]["config.py"] = f'key = "{keys["unlisted"]}"\n'
    announce("unlisted", vendor.add_project("unlisted"), 12, *work)
    announce("removed", vendor.add_project("removed"), 0, {"a": keys["removed"], "b": "1\n"}, {"a": None})
    announce("message", vendor.add_project("message"), 0, {"a": "1\n"}, message=f"Use {keys['message']}")
    large = "".join(f"line {n} of a generated file\n" for n in range(20_000)) + keys["large"]
    announce("large", vendor.add_project("large"), 0, {"dist/bundle.js": large})
    records = [{"token": 7}, {"type": "x", "token": keys["revoked"], "location": f"{vendor.url}/a/-/blob/b/c.py#L2"}]
    made.answers["revoked"] = made.group.client.post(
        "/v1/revoke_tokens", json=records, headers={"Authorization": PRESHARED}
    ).status_code


def test_everything_is_acknowledged(scene: Scene) -> None:
    """What GitLab calls is answered before anything is fetched."""
    assert scene.answers == {**dict.fromkeys(LEAKS, 202), "revoked": 204}


@pytest.mark.parametrize("name", ["listed", "removed", "message"])
def test_a_key_in_a_push_is_revoked(scene: Scene, name: str) -> None:
    """Also one that the next commit took away, and one that stands in no file."""
    assert scene.where(name) == [("gitlab", scene.commits[name])]


def test_a_key_in_a_commit_that_the_webhook_does_not_list_is_revoked(scene: Scene) -> None:
    """The webhook lists the last twenty of forty-five; the key came with the thirty-third from the end."""
    assert scene.where("unlisted") == [("gitlab", scene.commits["unlisted"])]


def test_a_key_in_a_file_that_is_too_large_for_a_diff_is_revoked(scene: Scene) -> None:
    """Generated bundles are where keys end up, and no diff of them is shown."""
    assert scene.where("large") == [("gitlab", scene.commits["large"])]
    assert scene.vendor.count("GET .*/raw") >= 1


def test_a_key_from_a_token_revocation_is_revoked_beside_a_record_that_is_none(scene: Scene) -> None:
    """And of the other record somebody is told."""
    assert scene.where("revoked") == [("gitlab", f"{scene.vendor.url}/a/-/blob/b/c.py#L2")]
    scene.group.wait_until_idle()
    assert sum("record 1 cannot be read" in post.message for post in list(scene.world.channel.posts)) == 1


def test_no_address_of_a_payload_is_ever_opened(scene: Scene) -> None:
    """Whoever can push could otherwise have us call any host with our token."""
    for name in LEAKS:
        scene.contained(name)
    with pytest.raises(BlockingIOError):
        scene.decoy.accept()


def test_nothing_else_is_touched_and_no_token_is_written_down(scene: Scene) -> None:
    """Six keys leaked, six are gone; what is on disk and in the log shows none of them."""
    for name in LEAKS:
        scene.contained(name)
    assert {deletion.key_id for deletion in scene.world.openai.deletions} == {key.id for key in scene.keys.values()}
    written = [path.read_bytes() for path in scene.group.data.iterdir() if path.is_file()]
    written += [scene.group.log.encode(), *(letter.raw for letter in list(scene.world.mail.letters))]
    written += [post.message.encode() for post in list(scene.world.channel.posts)]
    tokens = [key.value for key in scene.keys.values()]
    for secret in (*tokens, scene.vendor.token, scene.vendor.secret, scene.vendor.signing_key, PRESHARED):
        assert secret.encode() not in b"\n".join(written)
