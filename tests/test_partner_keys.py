"""Partners' public keys: asked for by the receiver, fetched by the worker, believed for two days and no longer.

The keyring, the renewal, the database and the pages are the real ones; the clock passes when a test says so, and the
worker works while the receiver sleeps.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from responder import renewal
from responder.core.errors import Unavailable
from responder.house import House, Locks
from responder.inbox import Inbox
from responder.keyring import Keyring
from responder.outbound import Door
from responder.simulator.github import GitHub
from responder.simulator.partner import KeyPage as OtherPage
from responder.simulator.partner import Partner
from responder.sources import Reach
from responder.sources.partner_keys import KeyPage
from responder.store import Store, deliveries
from tests.grown import NOON

PAGE = "GET /meta/public_keys"
HOUR = timedelta(hours=1)
Keys = list[dict[str, object]]


class Scene:
    """A receiver's keyring and a worker on one database, and the two pages of keys.

    Attributes:
        now: what the clock says.
        works: whether there is a worker.
        told: what a person was told about.
    """

    def __init__(self, folder: Path, github: GitHub, other: OtherPage) -> None:
        self.github, self.other = github, other
        self.now, self.slept, self.works = NOON, 0.0, True
        self.told: list[str] = []
        self.store = Store(f"sqlite:///{folder}/responder.sqlite")
        self.store.upgrade()
        self.doors = {
            "github": Door("github", f"{github.origin}/meta/public_keys/secret_scanning", deadline_seconds=2.0),
            "depsdev": Door("depsdev", f"{other.origin}/secret_scanning", deadline_seconds=2.0),
        }
        pages = {"github": KeyPage(self.doors["github"], github.token), "depsdev": KeyPage(self.doors["depsdev"])}
        outbox = SimpleNamespace(owe_security=lambda _tx, about, _topic, **_how: self.told.append(about))
        self.house = cast(
            House,
            SimpleNamespace(
                store=self.store,
                reach=Reach(None, partners=pages),
                locks=Locks(),
                clock=lambda: self.now,
                outbox=outbox,
                ended=lambda _id: None,
            ),
        )
        self.keyring = Keyring(self.store, Inbox(self.store, folder), pages, lambda: self.now, self._sleep)

    def find(self, signer: Partner, origin: str = "github") -> str | None:
        """Look up the key that *signer* signs with."""
        return self.keyring.find(origin, signer.identifier)

    def renew(self, origin: str = "github") -> None:
        """What the worker does once an hour."""
        renewal.renew_keys(self.house, origin)

    def fetches(self) -> int:
        """How often GitHub's page was asked for."""
        return self.github.count(PAGE)

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.works:
            with self.store.read() as tx:
                waiting = deliveries.next_waiting(tx, 10)
            for turn in waiting:
                renewal.fetch_keys(self.house, turn.id)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Nothing was ever asked for."""
    with GitHub() as github, OtherPage() as other:
        made = Scene(tmp_path, github, other)
        yield made
        made.store.close()
        for door in made.doors.values():
            door.close()
    assert not github.bugs
    assert not other.bugs


@pytest.fixture
def signer(scene: Scene) -> Partner:
    """GitHub's."""
    return Partner(scene.github.partner_keys)


def test_the_first_report_of_all_is_verified(scene: Scene, signer: Partner) -> None:
    """The receiver opens no connection: a worker fetches the page, says who we are, and the receiver sees it."""
    assert scene.find(signer) == signer.pem
    assert scene.find(signer) == signer.pem
    assert scene.fetches() == 1
    assert scene.github.remaining == 4999, "the credential was shown: without one there are sixty calls an hour"


def test_a_rotation_is_accepted_within_a_minute_and_the_former_key_is_not(scene: Scene, signer: Partner) -> None:
    """A key that was rotated out may have been stolen."""
    former = signer.identifier
    assert scene.find(signer)
    signer.rotate()
    scene.now += timedelta(minutes=1)
    assert scene.find(signer) == signer.pem
    assert scene.keyring.find("github", former) is None


def test_ten_thousand_unknown_identifiers_cost_two_calls_a_minute_at_most(scene: Scene, signer: Partner) -> None:
    """Who signs nothing must not use up what GitHub allows us."""
    assert scene.find(signer)
    scene.now += timedelta(seconds=58)
    for number in range(10_000):
        scene.now += timedelta(milliseconds=1 if number != 5000 else 3000)
        assert scene.keyring.find("github", f"made-up-{number}") is None
    assert scene.fetches() <= 3, "one for the first report, and two for a flood over the turn of a minute"
    with scene.store.read() as tx:
        assert deliveries.unfinished(tx) == 0


def test_an_outage_is_survived_for_two_days(scene: Scene, signer: Partner) -> None:
    """Reports of leaks do not stop because a page cannot be read; but a withdrawn key is not believed for ever."""
    assert scene.find(signer)
    scene.github.faults.add(PAGE, "status", None, status=503)
    for hours in (1, 24, 48):
        scene.now = NOON + hours * HOUR
        scene.renew()
        assert scene.find(signer) == signer.pem
    scene.now += timedelta(minutes=1)
    with pytest.raises(Unavailable):
        scene.find(signer)
    scene.github.faults.clear()
    scene.now += timedelta(minutes=1)
    assert scene.find(signer) == signer.pem


def test_an_unknown_identifier_during_an_outage_is_not_called_wrong(scene: Scene, signer: Partner) -> None:
    """It may be new: "we do not know" makes the sender try again, "no" would lose the report."""
    assert scene.find(signer)
    signer.rotate()
    scene.github.faults.add(PAGE, "reset", None)
    scene.now += timedelta(minutes=1)
    with pytest.raises(Unavailable):
        scene.find(signer)


def test_without_a_worker_nobody_waits_long_and_only_one_waits(scene: Scene, signer: Partner) -> None:
    """A crowd of strangers must not hold every place of a receiver for as long as its worker is away."""
    scene.works = False
    for _ in range(50):
        with pytest.raises(Unavailable):
            scene.find(signer)
    assert 0 < scene.slept < 10
    scene.works = True
    scene.now += timedelta(minutes=1)
    assert scene.find(signer) == signer.pem


def test_confirmed_keys_count_again_without_being_sent_again(scene: Scene, signer: Partner) -> None:
    """304 is all it takes; who asks with the page's own name gets it."""
    assert scene.find(signer)
    scene.now += 40 * HOUR
    scene.renew()
    assert [seen.status for seen in scene.github.journal] == [200, 304]
    scene.now += 40 * HOUR
    assert scene.find(signer) == signer.pem


def test_nothing_is_fetched_for_whom_nobody_asked(scene: Scene, signer: Partner) -> None:
    """Most installations are no partner: their worker calls nobody for it."""
    scene.renew()
    assert scene.fetches() == 0
    scene.find(signer)
    scene.renew()
    assert scene.fetches() == 2


def test_a_person_hears_of_keys_that_cannot_be_renewed_before_they_are_too_old(scene: Scene, signer: Partner) -> None:
    """After two days every report is refused: somebody has to know a day before; one short outage is no news."""
    assert scene.find(signer)
    scene.github.faults.add(PAGE, "status", None, status=404)
    scene.now += 23 * HOUR
    scene.renew()
    assert scene.told == []
    scene.now += HOUR
    scene.renew()
    assert scene.told == ["keys_github_20261124"]


def test_the_keys_of_one_origin_are_never_taken_for_those_of_another(scene: Scene, signer: Partner) -> None:
    """Who may sign as deps.dev must not be able to sign as GitHub, or the other way round."""
    other = Partner(scene.other.keys, "DepsDev-Public-Key")
    assert scene.find(other, "depsdev") == other.pem, "and it was shown no credential of ours: that page refuses any"
    assert scene.find(signer) == signer.pem
    assert scene.find(other) is None
    assert scene.find(signer, "depsdev") is None


def test_nothing_new_is_no_answer_to_who_has_nothing(scene: Scene, signer: Partner) -> None:
    """A cache in between that says 304 unasked must not make no keys at all look confirmed."""
    scene.github.faults.add(PAGE, "status", None, status=304)
    with pytest.raises(Unavailable):
        scene.find(signer)


def _many(keys: Keys) -> Keys:
    return [{**keys[0], "key_identifier": f"{number}"} for number in range(33)]


def _alike(keys: Keys) -> Keys:
    return [{**keys[0], "is_current": False}, *keys]


def _each(change: Callable[[dict[str, object]], Mapping[str, object]]) -> Callable[[Keys], Keys]:
    return lambda keys: [dict(change(entry)) for entry in keys]


POISONED: Mapping[str, Callable[[Keys], Any]] = {
    "no list": lambda _: {},
    "nothing": lambda _: [],
    "words": lambda _: ["key", 7, None],
    "too many": _many,
    "two alike": _alike,
    "none is current": _each(lambda entry: {**entry, "is_current": False}),
    "current is a word": _each(lambda entry: {**entry, "is_current": "true"}),
    "current is a number": _each(lambda entry: {**entry, "is_current": 1}),
    "current is not said": _each(lambda entry: {k: v for k, v in entry.items() if k != "is_current"}),
    "no key": _each(lambda entry: {**entry, "key": None}),
    "no PEM": _each(lambda entry: {**entry, "key": "x" * 200}),
    "a broken PEM": _each(lambda entry: {**entry, "key": str(entry["key"])[:90]}),
    "an identifier of another kind": _each(lambda entry: {**entry, "key_identifier": 7}),
    "an identifier with a comma": _each(lambda entry: {**entry, "key_identifier": "a,b"}),
    "too large": _each(lambda entry: {**entry, "more": "x" * 16_384}),
}


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_page_changes_nothing(scene: Scene, signer: Partner, name: str) -> None:
    """What was there goes on counting, and what stands on such a page is never believed."""
    former = signer.identifier
    assert scene.find(signer)
    signer.rotate()
    scene.github.partner_keys = POISONED[name](scene.github.partner_keys[1:])
    scene.now += timedelta(minutes=1)
    with pytest.raises(Unavailable):
        scene.find(signer)
    assert scene.keyring.find("github", former) is not None


@pytest.mark.parametrize("kind", ["html", "wrong_schema", "huge", "redirect", "cut_json", "timeout"])
def test_what_is_no_page_changes_nothing(scene: Scene, signer: Partner, kind: str) -> None:
    """Somebody's captive portal is not GitHub."""
    former = signer.identifier
    assert scene.find(signer)
    signer.rotate()
    scene.github.faults.add(PAGE, kind, None, seconds=3)
    scene.github.decoy_url = scene.other.origin
    scene.now += timedelta(minutes=1)
    with pytest.raises(Unavailable):
        scene.find(signer)
    assert scene.keyring.find("github", former) is not None
    assert scene.other.journal == []
