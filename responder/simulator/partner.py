"""Whoever signs reports of leaked tokens with a published key: GitHub's partner programme, and deps.dev.

https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program . GitHub publishes its keys
beside its API (`GitHub.partner_keys`); `KeyPage` is where the other one does.
"""

import base64
import hashlib
import json
from collections.abc import Sequence

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator.server import Json, Server, reply


class Partner:
    """Signs with a P-256 key of its own.

    Args:
        published: the list in which its public keys appear.
        spelling: what its two headers begin with.

    Attributes:
        identifier: of the key it signs with.
        pem: its public half.
    """

    def __init__(self, published: list[Json], spelling: str = "Github-Public-Key") -> None:
        self._published = published
        self._spelling = spelling
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on; those before are published as no longer current."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        self.pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.identifier = hashlib.sha256(self.pem.encode()).hexdigest()
        entry: Json = {"key_identifier": self.identifier, "key": self.pem, "is_current": True}
        self._published[:] = [{**known, "is_current": False} for known in self._published] + [entry]

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers that go with *body*."""
        signature = base64.b64encode(self._key.sign(body, ec.ECDSA(SHA256()))).decode()
        return {f"{self._spelling}-Identifier": self.identifier, f"{self._spelling}-Signature": signature}

    def report(self, url: str, records: Sequence[object]) -> httpx.Response:
        """Post *records* to *url*, signed; GitHub waits thirty seconds for feedback."""
        body = json.dumps(records).encode()
        headers = {"Content-Type": "application/json", **self.sign(body)}
        return httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False)


class KeyPage(Server):
    """A page of public keys, for everybody: whoever sends a credential is refused, since it is none of its own.

    Attributes:
        keys: what it shows.
    """

    def __init__(self, port: int = 0) -> None:
        self.keys: list[Json] = []
        super().__init__(port)

    def routes(self) -> Sequence[Rule]:
        return [Rule("/secret_scanning", methods=["GET"], endpoint=self._page)]

    def admit(self, request: Request) -> Response | None:
        return self.error(400) if request.authorization else None

    def finish(self, request: Request, response: Response) -> None:
        if response.status_code == 200:
            response.add_etag()
            response.make_conditional(request)

    def _page(self, request: Request) -> Response:
        del request
        return reply({"public_keys": self.keys})
