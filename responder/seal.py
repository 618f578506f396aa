"""Sealing: what may contain a token is written so that only the worker can read it.

The receiver holds the public key and cannot open what it wrote. One ephemeral
X25519 key per message, HKDF-SHA256, AES-256-GCM; the delivery's id is bound in,
so that a sealed body cannot be moved to another row.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from responder.core.token import mark

_INFO = b"responder-seal-v1"
_NONCE = bytes(12)  # every message has a key of its own
_KEY_BYTES = 32


class Unsealable(Exception):
    """The sealed text was not written for this key and this place."""

    def __init__(self) -> None:
        super().__init__()


def seal(public: bytes, plaintext: bytes, place: str) -> bytes:
    """Seal *plaintext* to the holder of the private key.

    Args:
        public: 32 bytes, X25519.
        plaintext: any bytes.
        place: where it will be kept; opening needs the same.
    """
    ephemeral = X25519PrivateKey.generate()
    ours = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = _derive(ephemeral.exchange(X25519PublicKey.from_public_bytes(public)), ours + public)
    return ours + AESGCM(key).encrypt(_NONCE, plaintext, place.encode())


def unseal(private: bytes, sealed: bytes, place: str) -> bytes:
    """Open what `seal` made.

    Raises:
        Unsealable: wrong key, wrong place, or altered.
    """
    holder = X25519PrivateKey.from_private_bytes(private)
    public = holder.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    theirs, ciphertext = sealed[:_KEY_BYTES], sealed[_KEY_BYTES:]
    try:
        key = _derive(holder.exchange(X25519PublicKey.from_public_bytes(theirs)), theirs + public)
        return AESGCM(key).decrypt(_NONCE, ciphertext, place.encode())
    except (InvalidTag, ValueError):
        raise Unsealable from None


def _derive(shared: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt, _INFO).derive(shared)


class Keys:
    """The secrets an installation makes for itself, as files of mode 0600 in the data directory.

    ``pepper`` names tokens (`core.token.fingerprint`); the ones it had before stand behind it, newest
    first, until they are forgotten. ``inbox.key`` opens sealed bodies; ``inbox.pub`` is all that a
    receiver reads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> None:
        """Make whatever is missing; what exists is never replaced."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make("pepper", os.urandom(_KEY_BYTES))
        private = self._make("inbox.key", X25519PrivateKey.generate().private_bytes_raw())
        public = X25519PrivateKey.from_private_bytes(private).public_key()
        self._make("inbox.pub", public.public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def pepper(self) -> bytes:
        """32 bytes, the newest: only the worker reads them."""
        return self.peppers[0]

    @property
    def peppers(self) -> Sequence[bytes]:
        """All of them, newest first; read anew each time, so that a rotation needs no restart.

        Raises:
            ValueError: the file is damaged; under a wrong pepper, every token would look like no key of ours.
        """
        content = (self._folder / "pepper").read_bytes()
        if not content or len(content) % _KEY_BYTES:
            raise ValueError(f"the file pepper must hold {_KEY_BYTES} bytes for each pepper; it is damaged")
        return [content[at : at + _KEY_BYTES] for at in range(0, len(content), _KEY_BYTES)]

    def rotate(self) -> None:
        """Name tokens with a new pepper from now on; what the former ones named is still recognised."""
        former = self.peppers
        fresh = os.urandom(_KEY_BYTES)
        while mark(fresh) in map(mark, former):
            fresh = os.urandom(_KEY_BYTES)
        self._replace("pepper", b"".join([fresh, *former]))

    def forget_former(self) -> None:
        """Keep only the newest pepper: keys bound under the others have to be proved again."""
        self._replace("pepper", self.pepper)

    @property
    def private(self) -> bytes:
        """32 bytes, X25519: only the worker reads them."""
        return (self._folder / "inbox.key").read_bytes()

    @property
    def public(self) -> bytes:
        """32 bytes, X25519."""
        return (self._folder / "inbox.pub").read_bytes()

    def _make(self, name: str, content: bytes) -> bytes:
        """Create a file at once and whole, or return what another process created first."""
        path = self._folder / name
        fresh = self._folder / f".{name}.{os.urandom(8).hex()}"  # two containers may have one process id
        if not path.exists():
            _write(fresh, content)
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_bytes()

    def _replace(self, name: str, content: bytes) -> None:
        """Put a file in the place of another, so that whoever reads sees one or the other, whole."""
        fresh = self._folder / f".{name}.{os.urandom(8).hex()}"  # two containers may have one process id
        _write(fresh, content)
        fresh.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
