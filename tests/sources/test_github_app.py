"""The credential of a GitHub App: signed for, fetched, renewed, and never shown."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from responder.core.errors import Refused, Unavailable
from responder.outbound import Door
from responder.simulator.github import GitHub as Vendor
from responder.simulator.github_app import App as Registered
from responder.simulator.github_shapes import Repository
from responder.sources import github_lists
from responder.sources.github_api import GitHub
from responder.sources.github_app import App, Installation

_ASKED = "POST /app/installations/"


class Now:
    """Our clock: true, and as much ahead as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture(scope="module")
def registered() -> Registered:
    """Growing a key takes a while; what it was given is forgotten between tests."""
    return Registered()


@pytest.fixture
def app(vendor: Vendor, registered: Registered, now: Now) -> Registered:
    registered.tokens.clear()
    registered.clock = lambda: now().timestamp()
    registered.issued, registered.token_seconds = 0, 3600.0
    vendor.app = registered
    return registered


@pytest.fixture
def door(vendor: Vendor) -> Iterator[Door]:
    made = Door("github", vendor.origin, deadline_seconds=2.0)
    yield made
    made.close()


@pytest.fixture
def sign_in(door: Door, app: Registered, now: Now) -> Callable[..., GitHub]:
    """Our side, with what GitHub gave out unless a test says otherwise."""

    def make(app_id: str = app.id, installation: int = app.installation) -> GitHub:
        return GitHub(door, Installation(door, App(app_id, app.private_key, now), installation, now))

    return make


def test_one_token_of_any_length_serves_many_calls(
    sign_in: Callable[..., GitHub], app: Registered, repository: Repository
) -> None:
    """GitHub verifies the signature; its tokens are no longer forty characters."""
    github = sign_in()
    made = repository.objects.commit({"a.txt": "1\n"})
    for _ in range(5):
        assert github.commit(repository.id, made.sha).sha == made.sha
    assert app.issued == 1
    assert len(next(iter(app.tokens))) > 300


def test_many_threads_that_need_a_token_ask_for_one(
    sign_in: Callable[..., GitHub], app: Registered, vendor: Vendor
) -> None:
    """A burst of webhooks after a start must not be a burst of signatures."""
    github, together = sign_in(), threading.Barrier(12)
    vendor.latency_seconds = 0.05

    def call(_: int) -> None:
        together.wait()
        github.check()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(call, range(12)))
    assert app.issued == 1


def test_many_threads_share_one_refusal(sign_in: Callable[..., GitHub], vendor: Vendor) -> None:
    """Where GitHub is away, each would else wait for all those before it."""
    github, together = sign_in(), threading.Barrier(8)
    vendor.latency_seconds = 0.2
    vendor.faults.add(_ASKED, "status", times=None, status=503)

    def call(_: int) -> None:
        together.wait()
        with pytest.raises(Unavailable):
            github.check()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))
    assert vendor.count(_ASKED) == 1


def test_a_token_is_renewed_before_it_ends(sign_in: Callable[..., GitHub], app: Registered, now: Now) -> None:
    """A call that begins with a good token must not end with a bad one."""
    github = sign_in()
    github.check()
    now.ahead = timedelta(minutes=54)
    github.check()
    assert app.issued == 1
    now.ahead = timedelta(minutes=56)
    github.check()
    assert app.issued == 2


@pytest.mark.parametrize("status", [401, 404, 500])
def test_while_a_token_is_good_nothing_else_matters(
    sign_in: Callable[..., GitHub], vendor: Vendor, app: Registered, now: Now, status: int
) -> None:
    """A provider that gives out no token just now does not take away the one we have."""
    github = sign_in()
    github.check()
    now.ahead = timedelta(minutes=57)
    vendor.faults.add(_ASKED, "status", times=None, status=status)
    for _ in range(5):
        github.check()
    assert vendor.count(_ASKED) == 2, "and it is not asked for one with every call"
    now.ahead = timedelta(minutes=58)
    vendor.faults.clear()
    github.check()
    assert app.issued == 2


def test_a_token_that_was_taken_away_is_replaced_within_the_call(
    sign_in: Callable[..., GitHub], app: Registered
) -> None:
    """Somebody changed the App's permissions; GitHub then ends its tokens early."""
    github = sign_in()
    github.check()
    app.tokens.clear()
    github.check()
    assert app.issued == 2


def test_a_credential_that_is_refused_again_is_refused(
    sign_in: Callable[..., GitHub], vendor: Vendor, app: Registered
) -> None:
    """Once more is enough: a person has to mend it."""
    vendor.faults.add("GET /rate_limit", "status", times=None, status=401)
    with pytest.raises(Refused):
        sign_in().check()
    assert vendor.count("GET /rate_limit") == 2
    assert app.issued == 2


@pytest.mark.parametrize(
    "wrong", [{"app_id": "77"}, {"installation": 77}], ids=["another App", "another installation"]
)
def test_what_is_no_credential_is_our_own_fault_and_not_the_commits(
    sign_in: Callable[..., GitHub], repository: Repository, wrong: dict[str, object]
) -> None:
    """A commit that "cannot be had" would be called a gap, and nobody would mend the installation."""
    with pytest.raises(Refused) as caught:
        sign_in(**wrong).commit(repository.id, "a" * 40)
    assert caught.value.status == 401
    assert caught.value.what == "github.create_installation_token"


@pytest.mark.parametrize(("ahead", "good"), [(50, True), (-300, True), (3600, False), (-3600, False)])
def test_a_clock_that_is_a_little_off_still_signs(
    sign_in: Callable[..., GitHub], app: Registered, now: Now, ahead: int, good: bool
) -> None:
    """GitHub compares with its own clock, and takes ten minutes at most."""
    app.clock = time.time
    now.ahead = timedelta(seconds=ahead)
    if good:
        sign_in().check()
    else:
        with pytest.raises(Refused):
            sign_in().check()


def test_the_app_itself_may_ask_what_only_an_app_may(
    door: Door, app: Registered, vendor: Vendor, now: Now, sign_in: Callable[..., GitHub]
) -> None:
    """Its own webhook's deliveries; the token of an installation is not admitted there."""
    vendor.hooks.target = "integration"
    as_app = GitHub(door, App(app.id, app.private_key, now))
    assert list(github_lists.attempts(as_app.caller, "integration", 1, 1)) == [[]]
    assert app.issued == 0
    with pytest.raises(Refused):
        list(github_lists.attempts(sign_in().caller, "integration", 1, 1))


_END = "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"token": ""}, {"token": 7}, {"token": "x"}, {"token": "x", "expires_at": "soon"},
        {"token": "a b", "expires_at": _END}, {"token": "x\r\ny", "expires_at": _END},
    ],
)  # fmt: skip
def test_an_answer_without_a_token_is_not_one(sign_in: Callable[..., GitHub], vendor: Vendor, body: object) -> None:
    """Not even one that would break a header."""
    vendor.faults.add(_ASKED, "status", times=None, status=201, body=body)
    with pytest.raises(Unavailable):
        sign_in().check()


def test_no_error_and_no_value_shows_a_credential(
    sign_in: Callable[..., GitHub], vendor: Vendor, app: Registered, door: Door, now: Now
) -> None:
    """Errors are logged, and so may be anything that prints."""
    shown = []
    for route in (_ASKED, "GET /rate_limit"):
        for fault in ({"kind": "status", "status": 401}, {"kind": "reset"}, {"kind": "html"}, {"kind": "redirect"}):
            vendor.faults.clear()
            vendor.faults.add(route, times=None, **fault)
            with pytest.raises((Refused, Unavailable)) as caught:
                sign_in().check()
            shown.append("".join(traceback.format_exception(caught.value)) + repr(caught.value.args))
    credential = App(app.id, app.private_key, now)
    shown += [repr(credential), repr(Installation(door, credential, 1, now)), repr(vars(credential))]
    private = app.private_key.splitlines()[3]
    for secret in (private, "BEGIN RSA", "eyJ", "Bearer", *app.tokens):
        assert not any(secret in text for text in shown)


@pytest.mark.parametrize("kind", ["nonsense", "cut", "of another kind", "empty"])
def test_a_key_that_cannot_be_read_is_named_and_not_repeated(app: Registered, now: Now, kind: str) -> None:
    """Said at the start, in one line, by whoever set it."""
    other = (
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    )
    pem = {"nonsense": "made-up-words", "cut": app.private_key[:400], "of another kind": other, "empty": ""}[kind]
    with pytest.raises(ValueError, match="RSA private key") as caught:
        App("1", pem, now)
    assert caught.value.__context__ is None
    assert not pem or pem not in str(caught.value)
