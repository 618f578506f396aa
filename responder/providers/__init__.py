"""What a provider must be able to do, and nothing about any one of them."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from responder.core.damage import AuditRecord, Cost, Usage, Window
from responder.core.key import KnownKey
from responder.core.liveness import Verdict
from responder.core.revocation import Revocation
from responder.core.token import Token


class Provider(Protocol):
    """One configured account of one vendor.

    Attributes:
        provider: the vendor, as in the rules.
        account: the name it was configured under.
    """

    provider: str
    account: str

    def runs_on(self, token: Token) -> bool:
        """Whether *token* is a credential that this account itself is reached with."""

    def list_keys(self) -> Iterator[Sequence[KnownKey]]:
        """Every key of the account, page by page.

        Raises:
            Refused: the account's credential may not list.
            Unavailable: the list broke off; what came before it is no complete list.
        """

    def list_project(self, key: KnownKey) -> Sequence[KnownKey]:
        """Every key of the project of *key*, as listed now.

        Raises:
            Refused, Unavailable: as `list_keys`.
        """

    def probe(self, token: Token, key: KnownKey | None) -> Verdict:
        """Ask, with the leaked token, whether it still opens anything; by GET only.

        Args:
            token: the leaked token.
            key: the candidate whose project is asked for; None asks for none.
        """

    def revoke(self, key: KnownKey) -> Revocation:
        """Ask for the key to be revoked; never raises, and says so when it does not know."""

    def is_listed(self, key: KnownKey) -> bool:
        """Whether the provider still shows the key.

        Raises:
            Refused, Unavailable: nobody knows.
        """

    def close(self) -> None:
        """Close all connections."""


class Ledger(Protocol):
    """What a vendor wrote down about the keys of one account; not every vendor has one."""

    def usage(self, key: KnownKey, window: Window) -> Usage:
        """Requests and tokens of *key* alone, in *window* or in the whole minutes, hours or days from its start.

        Raises:
            Refused: the account's credential may not read this.
            Unavailable: nobody knows right now.
        """

    def costs(self, key: KnownKey, window: Window) -> Cost:
        """What *key* alone cost, in *window* or in the whole days from its start.

        Raises:
            Refused, Unavailable: as `usage`.
        """

    def records(self, key: KnownKey) -> Sequence[AuditRecord]:
        """Who created, changed and deleted *key*, oldest first.

        Raises:
            Refused, Unavailable: as `usage`.
        """
