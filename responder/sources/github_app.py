"""A GitHub App: it signs for itself, and fetches the short-lived token of its installation.

Peculiar: a signature is good for ten minutes at most, by GitHub's clock; the token
is good for an hour and may have any length. Both are made and held here, and
neither is ever written anywhere.

Source: https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from responder.core.errors import Refused, Unavailable
from responder.outbound import Door
from responder.sources.github_call import Caller

_GIVE = "github.create_installation_token"
_BACKDATED = timedelta(seconds=60)  # for a clock of ours that is ahead of GitHub's
_SIGNED_FOR = timedelta(minutes=9)
_EARLY = timedelta(minutes=5)
_PAUSE = timedelta(seconds=30)


class App:
    """The App itself: a credential for the calls that only an App may make, such as ``/app/hook/deliveries``.

    Args:
        app_id: its id or client id.
        private_key: RSA, as the PEM text that GitHub gave out.
        clock: now, UTC.

    Raises:
        ValueError: the key cannot be read; it is not repeated.
    """

    def __init__(self, app_id: str, private_key: str, clock: Callable[[], datetime]) -> None:
        self._id = app_id
        self._clock = clock
        self._key = _load(private_key)

    def __call__(self) -> str:
        """Sign a JWT (RFC 7519, RS256) that is good from a minute ago for ten minutes."""
        now = self._clock()
        claims = {
            "iat": int((now - _BACKDATED).timestamp()),
            "exp": int((now + _SIGNED_FOR).timestamp()),
            "iss": self._id,
        }
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        return f"{signed}.{_base64url(self._key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def forget(self, token: str) -> bool:  # noqa: ARG002 -- a fresh signature would say the same
        """A signature that is refused is refused again."""
        return False


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str = field(repr=False)
    until: datetime


class Installation:
    """The token of one installation of an App: a credential that renews itself.

    It is renewed five minutes before its end, by one thread while the others go on with
    what there is; as long as a token is good, GitHub being away or refusing harms nothing.

    Args:
        door: to the API's base URL.
        app: signs the request for a token.
        installation: its number.
        clock: now, UTC.
    """

    def __init__(self, door: Door, app: App, installation: int, clock: Callable[[], datetime]) -> None:
        self._caller = Caller(door, app)
        self._path = f"/app/installations/{installation}/access_tokens"
        self._clock = clock
        self._kept: _Kept | None = None
        self._fetching = threading.Lock()
        self._fetches = 0
        self._trouble: Refused | Unavailable | None = None
        self._not_before: datetime | None = None

    def __call__(self) -> str:
        """The token, or another one.

        Raises:
            Refused: GitHub gives out none: the App's id, key or installation is not good.
            Unavailable: not now.
        """
        kept, now = self._kept, self._clock()
        if kept is None or now >= kept.until:
            return self._await_another()
        if now >= kept.until - _EARLY and (self._not_before is None or now >= self._not_before):
            return self._renew(kept)
        return kept.token

    def forget(self, token: str) -> bool:
        """Somebody took *token* away; whoever asks next gets another."""
        with self._fetching:
            if self._kept is not None and self._kept.token == token:
                self._kept = None
        return True

    def _await_another(self) -> str:
        """One thread asks; those that come meanwhile get what it got, be it an error."""
        before = self._fetches
        with self._fetching:
            if self._kept is not None and self._clock() < self._kept.until:
                return self._kept.token
            if self._fetches != before and self._trouble is not None:
                raise type(self._trouble)(*self._trouble.args)
            return self._fetch()

    def _renew(self, kept: _Kept) -> str:
        if not self._fetching.acquire(blocking=False):
            return kept.token
        try:
            return self._fetch()
        except (Refused, Unavailable):
            self._not_before = self._clock() + _PAUSE
            return kept.token
        finally:
            self._fetching.release()

    def _fetch(self) -> str:
        try:
            content, _ = self._caller.read(_GIVE, "POST", self._path, body={})
            kept = _read(content)
        except Refused as error:
            # Without an installation there is no credential: never to be taken for "no such commit".
            self._trouble = error if error.status in (401, 403) else Refused("github", _GIVE, 401, "no_installation")
            raise self._trouble from None
        except Unavailable as error:
            self._trouble = error
            raise
        else:
            self._kept, self._trouble, self._not_before = kept, None, None
            return kept.token
        finally:
            self._fetches += 1


def _read(content: object) -> _Kept:
    token = content.get("token") if isinstance(content, dict) else None
    until = content.get("expires_at") if isinstance(content, dict) else None
    if isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token and token:
        try:
            at = datetime.fromisoformat(until) if isinstance(until, str) else None
        except ValueError:
            at = None
        if at is not None and at.tzinfo is not None:
            return _Kept(token, at)
    raise Unavailable("github", _GIVE, "unexpected body")


def _load(private_key: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPrivateKey):
        return key
    raise ValueError("is not an RSA private key in PEM, without a passphrase")


def _part(content: object) -> str:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
