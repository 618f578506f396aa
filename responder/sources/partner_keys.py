"""The page on which one partner publishes its keys.

Peculiar: 304 stands for the keys we have, and counts only where we said which; GitHub allows few calls to whoever
does not say who they are.

Source: https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program
"""

from collections.abc import Mapping
from dataclasses import dataclass

from responder.core.errors import Malformed, Refused, Unavailable
from responder.outbound import Door
from responder.sources.partner_signature import read_keys

_WHAT = "partner.get_keys"
_LARGEST_PAGE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Published:
    """What the page holds.

    Attributes:
        keys: PEM by identifier, current ones only.
        etag: names this state of the page; None if the partner gave no name that we can send back.
    """

    keys: Mapping[str, str]
    etag: str | None


class KeyPage:
    """One partner's page.

    Args:
        door: to the page itself.
        token: sent as a bearer token; None: we do not say who we are.
    """

    def __init__(self, door: Door, token: str | None = None) -> None:
        self._door = door
        self._headers = {"accept": "application/json", "user-agent": "secret-leak-responder"}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"

    def read(self, etag: str | None) -> Published | None:
        """The keys; None if they are those under *etag*.

        Raises:
            Refused: we are not let in, or it is not there.
            Unavailable: not now, or what is there cannot be used.
        """
        headers = self._headers | ({"if-none-match": etag} if etag else {})
        answer = self._door.exchange(_WHAT, "GET", "", headers=headers, cap=_LARGEST_PAGE)
        if answer.status == 304 and etag:
            return None
        if answer.status >= 500 or answer.status in (304, 408, 425, 429):
            raise Unavailable(self._door.who, _WHAT, f"status {answer.status}", answer.retry_after_seconds)
        if answer.status != 200:
            raise Refused(self._door.who, _WHAT, answer.status)
        try:
            keys = read_keys(answer.json())
        except Malformed:
            raise Unavailable(self._door.who, _WHAT, "unexpected body") from None
        named = answer.headers.get("etag", "")
        return Published(keys, named if 0 < len(named) <= 200 and named.isascii() and named.isprintable() else None)
