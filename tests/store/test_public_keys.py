"""Partners' public keys: each origin has its own, and only what was confirmed counts as fresh."""

from datetime import timedelta

from responder.store import Store, deliveries, public_keys
from responder.store.deliveries import Delivery
from responder.store.public_keys import Kept
from tests.grown import NOON

LATER = NOON + timedelta(hours=1)


def _kept(store: Store, origin: str = "github") -> Kept | None:
    with store.read() as tx:
        return public_keys.get(tx, origin)


def test_keys_come_back_as_they_went_in_and_to_their_own_origin_only(store: Store) -> None:
    """A key of one origin must never be found under another."""
    assert _kept(store) is None
    with store.begin("keys") as tx:
        public_keys.replace(tx, "github", {"a": "PEM"}, '"tag"', NOON)
        public_keys.replace(tx, "depsdev", {"b": "other"}, None, LATER)
    assert _kept(store) == Kept({"a": "PEM"}, '"tag"', NOON)
    assert _kept(store, "depsdev") == Kept({"b": "other"}, None, LATER)


def test_new_keys_replace_the_former_ones_whole(store: Store) -> None:
    """What was rotated out does not linger, nor does the name of the page it stood on."""
    with store.begin("keys") as tx:
        public_keys.replace(tx, "github", {"a": "PEM"}, '"tag"', NOON)
        public_keys.replace(tx, "github", {"b": "PEM"}, None, LATER)
    assert _kept(store) == Kept({"b": "PEM"}, None, LATER)


def test_an_attempt_in_vain_keeps_the_keys_and_makes_them_no_fresher(store: Store) -> None:
    """An outage changes nothing; only the origin's word does."""
    with store.begin("keys") as tx:
        public_keys.tried(tx, "github", NOON)
    assert _kept(store) == Kept({}, None, None)
    with store.begin("keys") as tx:
        public_keys.replace(tx, "github", {"a": "PEM"}, '"tag"', NOON)
        public_keys.tried(tx, "github", LATER)
    assert _kept(store) == Kept({"a": "PEM"}, '"tag"', NOON)
    with store.begin("keys") as tx:
        public_keys.confirm(tx, "github", LATER)
    assert _kept(store) == Kept({"a": "PEM"}, '"tag"', LATER)


def test_a_question_says_how_it_ended(store: Store) -> None:
    """The receiver waits for exactly that."""
    with store.begin("ask") as tx:
        assert deliveries.state(tx, "keys") is None
        deliveries.accept(tx, Delivery("keys", "partner_keys", "partner_keys", {}, NOON))
        assert deliveries.state(tx, "keys") == "waiting"
        deliveries.end(tx, "keys", "not to be had", NOON, failed=True)
        assert deliveries.state(tx, "keys") in deliveries.ENDED
