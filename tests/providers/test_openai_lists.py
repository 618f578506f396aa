"""OpenAI's lists: hidden owners, admin keys, pages that lie, and names of anybody's choosing."""

import pytest

from responder.core.errors import Refused, Unavailable
from responder.core.key import UNREADABLE, KeyKind, KnownKey
from responder.providers.openai import OpenAI
from responder.simulator.openai import OpenAI as Vendor

_KEYS = r"GET .*/projects/[^/]+/api_keys$"
_PROJECTS = r"GET .*/organization/projects$"
_ADMINS = r"GET .*/admin_api_keys$"


def _listed(provider: OpenAI) -> dict[str, KnownKey]:
    return {key.id: key for page in provider.list_keys() for key in page}


def test_more_than_a_page_of_keys_and_of_projects_is_listed_whole(vendor: Vendor, provider: OpenAI) -> None:
    """Key number 101 is the one that leaks."""
    for number in range(105):
        vendor.add_project(f"project {number}")
    last = list(vendor.projects.values())[-1]
    wanted = {vendor.add_key(f"key {number}").id for number in range(230)}
    far = vendor.add_key("far away", project=last).id
    listed = _listed(provider)
    assert set(listed) == wanted | {far, vendor.admin_key.id}
    assert listed[far].project_name == last.name


def test_keys_of_people_who_left_are_listed_too(vendor: Vendor, provider: OpenAI) -> None:
    """An ex-employee's key is exactly the one that leaks; by default the list hides it."""
    hidden = vendor.add_key("theirs", access="inactive")
    assert hidden.id in _listed(provider)
    assert provider.is_listed(_listed(provider)[hidden.id])
    queries = [seen.query for seen in vendor.journal if seen.path.endswith("/api_keys")]
    assert all("owner_project_access=any" in query for query in queries)


def test_every_kind_of_key_is_told_apart(vendor: Vendor, provider: OpenAI) -> None:
    """The kind decides how it is revoked, and who is told."""
    project = vendor.add_project("Payments")
    bot = vendor.add_service_account("deployer", project)
    ordinary, machine = vendor.add_key("a"), vendor.add_key("b", owner=bot)
    listed = _listed(provider)
    one, two, three = listed[ordinary.id], listed[machine.id], listed[vendor.admin_key.id]
    assert (one.kind, one.owner.kind, one.owner.email) == (KeyKind.PROJECT, "user", "olivia@acme.example")
    assert (two.kind, two.owner.kind, two.owner.name, two.owner.email) == (
        KeyKind.SERVICE_ACCOUNT,
        "service_account",
        "deployer",
        None,
    )
    assert (two.project, two.project_name) == (project.id, "Payments")
    assert (three.kind, three.project, three.owner.email) == (KeyKind.ADMIN, None, "olivia@acme.example")


def test_an_admin_keys_owner_who_left_has_no_address(vendor: Vendor, provider: OpenAI) -> None:
    """The key is listed all the same."""
    gone = vendor.add_user("Gina Gone", "gina@acme.example")
    key = vendor.add_admin_key("old", gone)
    gone.member = False
    listed = _listed(provider)[key.id]
    assert (listed.owner.name, listed.owner.email) == ("Gina Gone", None)


@pytest.mark.parametrize("status", [403, 404])
def test_not_every_admin_key_may_see_the_admin_keys(vendor: Vendor, provider: OpenAI, status: int) -> None:
    """Without them the rest can still be revoked."""
    key = vendor.add_key()
    vendor.faults.add(_ADMINS, "status", status=status)
    assert set(_listed(provider)) == {key.id}


@pytest.mark.parametrize("status", [400, 401])
def test_any_other_refusal_of_the_admin_keys_is_no_complete_list(
    vendor: Vendor, provider: OpenAI, status: int
) -> None:
    """It is not about what this key may see."""
    vendor.faults.add(_ADMINS, "status", status=status)
    with pytest.raises(Refused):
        _listed(provider)


@pytest.mark.parametrize("route", [_PROJECTS, _KEYS, _ADMINS])
def test_a_list_that_goes_in_circles_ends(vendor: Vendor, provider: OpenAI, route: str) -> None:
    """Always the first page and always more to come: for ever, or unavailable."""
    vendor.add_key()
    vendor.faults.add(route, "repeated_cursor", times=None)
    with pytest.raises(Unavailable, match="circles"):
        _listed(provider)
    assert vendor.count(route) <= 3


@pytest.mark.parametrize("route", [_PROJECTS, _KEYS, _ADMINS])
def test_a_list_that_promises_more_after_its_end_is_asked_once_more(
    vendor: Vendor, provider: OpenAI, route: str
) -> None:
    """One lie is forgiven; a second one is no list."""
    key = vendor.add_key()
    vendor.faults.add(route, "has_more_lie")
    assert key.id in _listed(provider)
    vendor.faults.add(route, "has_more_lie", times=None)
    with pytest.raises(Unavailable):
        _listed(provider)


@pytest.mark.parametrize("more", [{}, {"has_more": None}, {"has_more": "false"}, {"has_more": 0}])
@pytest.mark.parametrize("route", [_PROJECTS, _KEYS, _ADMINS])
def test_a_list_that_does_not_say_whether_it_ends_is_no_complete_list(
    vendor: Vendor, provider: OpenAI, route: str, more: dict[str, object]
) -> None:
    """Taken for the end, it would bury every key of the pages behind it, and their leaks with them."""
    vendor.faults.add(route, "wrong_schema", body={"object": "list", "data": [], **more})
    with pytest.raises(Unavailable, match="unexpected body"):
        _listed(provider)


@pytest.mark.parametrize("route", [_PROJECTS, _KEYS, _ADMINS])
@pytest.mark.parametrize("item", [{}, {"id": 7}, {"id": ""}, {"id": None, "redacted_value": "sk-abc...defg"}])
def test_an_object_without_a_name_is_no_complete_list(
    vendor: Vendor, provider: OpenAI, route: str, item: dict[str, object]
) -> None:
    """What cannot be named cannot be revoked, and must not pass unseen."""
    vendor.faults.add(route, "wrong_schema", body={"object": "list", "data": [item], "has_more": False})
    with pytest.raises(Unavailable, match="unexpected body"):
        _listed(provider)


@pytest.mark.parametrize("mask", ["", "sk-" + "a" * 40, "********", None, 7])
def test_a_key_whose_mask_shows_nothing_is_listed_and_could_be_any_token(
    vendor: Vendor, provider: OpenAI, mask: object
) -> None:
    """One odd record must not blind us to the others, and must not be passed over when a twin is looked for."""
    item = {"id": "key_1", "redacted_value": mask, "owner": {"type": "user", "user": {"id": "u"}}}
    vendor.faults.add(_KEYS, "wrong_schema", body={"data": [item], "has_more": False})
    assert _listed(provider)["key_1"].mask == UNREADABLE
    assert UNREADABLE.fits("sk-proj-", "abcd", 164)


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "\ud800", "x" * 10_000, "\u202egpj", "👩‍👩‍👧", "", "  "])
def test_a_strange_name_neither_stops_the_list_nor_reaches_the_database_as_it_is(
    vendor: Vendor, provider: OpenAI, name: str
) -> None:
    """Anybody in the organisation names keys; one NUL must not blind us to all the others."""
    id_ = vendor.add_key(name).id
    shown = _listed(provider)[id_].name
    assert len(shown) <= 500
    assert "\x00" not in shown
    shown.encode()


def test_a_key_named_after_its_own_secret_is_listed_without_it(vendor: Vendor, provider: OpenAI) -> None:
    """People do."""
    key = vendor.add_key()
    key.name = f"backup {key.value}"
    assert _listed(provider)[key.id].name == "backup sk-[redacted]"


@pytest.mark.parametrize("created", [True, -1, 0, 10**15, "soon", None, 1.5, [], 2**70])
def test_an_impossible_instant_is_unknown_and_stops_nothing(
    vendor: Vendor, provider: OpenAI, created: object
) -> None:
    """It is for people; the key counts."""
    item = {"id": "key_1", "redacted_value": "sk-proj-****abcd", "created_at": created, "owner": []}
    vendor.faults.add(_KEYS, "wrong_schema", body={"data": [item], "has_more": False})
    listed = _listed(provider)["key_1"]
    assert listed.created_at is None or listed.created_at.tzinfo is not None
    assert (listed.owner.kind, listed.owner.id, listed.owner.email) == ("user", "", None)


def test_a_deleted_key_that_is_still_shown_is_still_listed(vendor: Vendor, provider: OpenAI) -> None:
    """We write "dead" only after it was seen to be true."""
    key = vendor.add_key()
    known = _listed(provider)[key.id]
    provider.revoke(known)
    vendor.faults.add(_KEYS, "stale_list")
    assert provider.is_listed(known)
    assert not provider.is_listed(known)
