"""What may happen in each case, worked out from who owns what; nothing here asks the product.

The insider cases are the ones in which a key that did not leak may die. All of
them need the right to create keys in the victim's own project, and none is left
once the victim's fingerprint is known.
"""

from responder.simulator import World

INSIDER_CASES = {
    "not_yet_listed": "a colliding key in the victim's project that the provider accepts and does not list yet",
    "never_listed": "a colliding key in the victim's project, deleted before it was ever listed, accepted meanwhile",
    "rotated_by_its_owner": "the same without an insider: by chance an old key, deleted just before the first list",
}
"""Attack to what it takes. The last two work only while a provider still accepts what was deleted."""

HIDDEN_CASES = {
    "not_yet_listed": "the insider's own live key: no list shows it, so it is taken for nobody's",
}
"""Attacks whose token may be closed as not ours although it is: the list that says so lags behind."""


def may_be_deleted(world: World, text: str) -> set[str]:
    """Ids of the keys that leaked: those whose whole value stands in *text*."""
    return {key.id for key in world.openai.keys.values() if key.value in text}


def is_live_and_ours(world: World, text: str) -> bool:
    """Whether *text* holds a key of ours that works."""
    return any(world.openai.is_live(id_) for id_ in may_be_deleted(world, text))


def is_insider_case(attack: str, mood: str, coverage: str) -> bool:
    """Whether this is one of the named cases in which the victim may die."""
    if coverage != "none" or attack not in INSIDER_CASES:
        return False
    return attack == "not_yet_listed" or mood == "slow spread"


def must_be_deleted(attack: str, mood: str, coverage: str) -> bool:
    """Whether anything but the deletion of the leaked key would be a failure of the product's purpose."""
    if attack not in ("true_token", "service_account", "glued") or mood == "may not delete":
        return False
    return coverage != "none" or mood not in ("names no project", "blind")
