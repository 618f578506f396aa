"""Tokens that leak, or that somebody makes up so that another key dies.

An attack is a generator. Before its ``yield`` it makes what is there when the
keys are listed; after it, it does what comes later, and returns the text that
is told to the responder. Everything is made of the simulated organisation alone.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from responder.simulator import World
from responder.simulator.openai_objects import Key, Project

Attack = Callable[["Ground"], Generator[None, None, str]]


@dataclass(slots=True)
class Ground:
    """A project of its own for one attack, in which every key ends alike.

    Attributes:
        world: simulated services.
        name: of the case; also in the addresses of the keys' owners.
        tail: the four visible characters that the keys share.
        project: where the victim is.
        victim: the key that must live unless it is the one that leaked.
        listed: keys that were there when the list was made.
        newest_hidden: lists lag, and do not show the newest key of the project.
    """

    world: World
    name: str
    tail: str
    project: Project
    victim: Key = field(init=False)
    listed: list[Key] = field(default_factory=list)
    newest_hidden: bool = False

    def grow(self, whose: str, **details: Any) -> Key:
        """A live key with the tail of all; of the victim's project unless another is given."""
        openai = self.world.openai
        owner = details.pop("owner", None) or openai.add_user(whose, f"{whose}.{self.name}@acme.example")
        return openai.add_key(
            f"{whose} {self.name}", **{"project": self.project, "tail": self.tail, "owner": owner, **details}
        )

    def plant(self, whose: str, **details: Any) -> Key:
        """As `grow`, before the list is made."""
        key = self.grow(whose, **details)
        self.listed.append(key)
        return key


def true_token(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    return ground.victim.value


def service_account(ground: Ground) -> Generator[None, None, str]:
    robot = ground.world.openai.add_service_account(ground.name, ground.project)
    ground.victim = ground.plant("robot", owner=robot)
    yield
    return ground.victim.value


def glued(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    return f"x='{ground.victim.value}';y={ground.victim.value[8:16]}"


def truncated(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    return ground.victim.value[:-30] + ground.tail


def forged(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    return ground.world.openai.forge(ground.victim)


def strangers(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    return ground.world.openai.stranger(ground.victim).value


def in_another_project(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    elsewhere = ground.world.openai.add_project(f"beside {ground.name}")
    his = ground.plant("insider", project=elsewhere)
    yield
    return his.value


def in_the_same_project(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    his = ground.plant("insider")
    yield
    return his.value


def deleted_in_between(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    his = ground.plant("insider")
    yield
    ground.world.openai.delete(his)
    return his.value


def never_listed(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    his = ground.grow("insider")
    ground.world.openai.delete(his)
    return his.value


def just_created(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    return ground.grow("insider").value


def not_yet_listed(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    yield
    ground.newest_hidden = True
    return ground.grow("insider").value


def twin_of_the_victim(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    leaked = ground.plant("twin")
    yield
    return leaked.value


def rotated_by_its_owner(ground: Ground) -> Generator[None, None, str]:
    ground.victim = ground.plant("victim")
    old = ground.grow("victim-before", owner=ground.victim.owner)
    ground.world.openai.delete(old)
    yield
    return old.value


ATTACKS: tuple[Attack, ...] = (
    true_token,
    service_account,
    glued,
    truncated,
    forged,
    strangers,
    in_another_project,
    in_the_same_project,
    deleted_in_between,
    never_listed,
    just_created,
    not_yet_listed,
    twin_of_the_victim,
    rotated_by_its_owner,
)
