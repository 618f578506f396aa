"""Many scenes in one town: a leak takes seconds to be seen dead, so they all happen at once.

A scene is a generator. Before its ``yield`` it prepares the world, while no
responder runs yet; after it, it leaks. What it returns is what its test looks at.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from responder.simulator import World
from responder.simulator.github_shapes import Repository
from responder.simulator.openai_objects import Key, User
from tests.running import Group

Result = TypeVar("Result")
Scene = Generator[None, None, Result]


class Town:
    """One world, one responder, and what became of every scene.

    Attributes:
        world: simulated services.
        group: the responder's processes.
    """

    def __init__(self, world: World, group: Group) -> None:
        self.world = world
        self.group = group
        self._results: dict[str, Any] = {}

    def play(self, *scenes: Callable[["Town"], Scene[Any]]) -> None:
        """Prepare every scene, start the responder, then let all of them leak at once."""
        prepared = {scene.__name__: scene(self) for scene in scenes}
        for scene in prepared.values():
            next(scene)
        self.world.github.hook_url = f"{self.group.origin}/hooks/github"
        self.group.prepare().start("serve").wait_until_ready()
        with ThreadPoolExecutor(8) as pool:
            self._results = dict(zip(prepared, pool.map(_finish, prepared.values()), strict=True))

    def after(self, scene: Callable[["Town"], Scene[Result]]) -> Result:
        """What *scene* returned."""
        result: Result = self._results[scene.__name__]
        return result

    def key(self, name: str, **details: Any) -> Key:
        """A new live key; its owner has an address of their own, so that mails can be counted."""
        return self.world.openai.add_key(name, **{"owner": self.person(name), **details})

    def person(self, name: str) -> User:
        """A member of the organisation called after what happens to them."""
        return self.world.openai.add_user(name.title(), f"{name}@acme.example")

    def repository(self, name: str) -> Repository:
        """A new repository."""
        return self.world.github.add_repository(name)

    def push(self, repository: Repository, files: Mapping[str, Any], message: str = "Change") -> str:
        """Commit, push and have the webhook delivered; its GUID."""
        delivery = self.world.github.commit_and_push(repository, files, message)
        assert delivery is not None
        assert delivery.status_code == 202, delivery.answer
        return delivery.guid

    def report(self, **body: Any) -> None:
        """Report by hand."""
        answer = self.group.client.post("/v1/reports", json=body)
        assert answer.status_code == 202, answer.text

    def deletions(self, key: Key) -> int:
        """How many requests to delete *key* arrived."""
        return sum(mutation.key_id == key.id for mutation in self.world.openai.deletions)

    def letters(self, key: Key) -> int:
        """How many mails the owner of *key* has."""
        assert isinstance(key.owner, User)
        return sum(key.owner.email in letter.recipients for letter in list(self.world.mail.letters))

    def posts(self, incident: Mapping[str, Any]) -> int:
        """How many notices about *incident* the security team has."""
        return sum(incident["id"] in post.message for post in list(self.world.channel.posts))

    def contained(self, key: Key) -> dict[str, Any]:
        """The closed incident of a leaked key, with everything that must be true of each one."""
        incident = self.group.closed(key.id)
        assert incident["disposition"] == "revoked"
        assert incident["confirmed_dead"] is True
        assert self.deletions(key) == 1, "exactly one DELETE"
        assert not self.world.openai.is_live(key.id)
        return incident


@contextmanager
def town(folder: Path, seed: int, *scenes: Callable[[Town], Scene[Any]], **settings: str) -> Iterator[Town]:
    """A town in which *scenes* have been played."""
    fast = {"RESPONDER_OPENAI__CALLS_PER_SECOND": "500"}
    with World(seed) as world:
        place = Town(world, Group(folder, fast))
        place.group.environment |= world.environment() | settings
        with place.group:
            place.play(*scenes)
            yield place


def _finish(scene: Scene[Any]) -> Any:
    try:
        next(scene)
    except StopIteration as end:
        return end.value
    raise AssertionError("a scene has one yield")
