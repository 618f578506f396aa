"""A GitHub App on the simulated GitHub: it must sign for itself, and gets tokens that end.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app .
Its tokens are long and of no fixed length, as GitHub's own have become.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug.wrappers import Request, Response

from responder.simulator.github_pages import problem
from responder.simulator.server import reply

_LONGEST_SECONDS = 600


class App:
    """An App with one installation.

    Attributes:
        id: what its signatures must say.
        installation: the number of its installation.
        private_key: PEM, as GitHub gives it out.
        token_seconds: how long a token is good.
        tokens: those given out and not taken back, with their end in Unix seconds.
        issued: how many were ever given out.
        clock: GitHub's own, Unix seconds.
    """

    def __init__(self) -> None:
        self.id = str(secrets.randbelow(10**6) + 10**6)
        self.installation = secrets.randbelow(10**6) + 10**6
        self.token_seconds = 3600.0
        self.tokens: dict[str, float] = {}
        self.issued = 0
        self.clock: Callable[[], float] = time.time
        self._key = generate_private_key(65537, 2048)
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self.private_key = pem.decode()

    def admits(self, token: str | None) -> bool:
        """Whether *token* is one of an installation, and good."""
        return token is not None and self.clock() < self.tokens.get(token, 0.0)

    def fault_of(self, jwt: str | None) -> str | None:
        """What is wrong with a signature of the App's, or None."""
        try:
            head, claims, signature = (jwt or "").split(".")
            self._key.public_key().verify(_bytes(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
            said, algorithm = json.loads(_bytes(claims)), json.loads(_bytes(head))["alg"]
            issuer, issued, end = str(said["iss"]), int(said["iat"]), int(said["exp"])
        except (ValueError, KeyError, TypeError, InvalidSignature):
            return "A JSON web token could not be decoded"
        now = self.clock()
        if algorithm != "RS256" or issuer != self.id:
            return "'Issuer' claim ('iss') must be an App"
        if issued > now:
            return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        if end <= now or end - issued > _LONGEST_SECONDS:
            return "'Expiration time' claim ('exp') is too far in the future"
        return None

    def give(self, request: Request, installation: int) -> Response:
        """Answer ``POST /app/installations/{id}/access_tokens``."""
        del request
        if installation != self.installation:
            return problem(404, "Not Found")
        self.issued += 1
        token = "ghs" + f"_{self.id}_" + ".".join(secrets.token_urlsafe(90 + self.issued) for _ in range(3))
        self.tokens[token] = self.clock() + self.token_seconds
        end = datetime.fromtimestamp(self.tokens[token], UTC)
        permissions = {"contents": "read", "metadata": "read", "secret_scanning_alerts": "write"}
        expires = end.isoformat(timespec="seconds").replace("+00:00", "Z")
        body = {"token": token, "expires_at": expires, "permissions": permissions, "repository_selection": "all"}
        return reply(body, 201)


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
