"""Mail goes out encrypted, to the server it is meant for; on loopback only may it be plain."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from responder.core.errors import Unavailable

Send = Callable[..., None]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_starttls_is_used_on_loopback_if_it_is_offered(
    send: Send,
    serve: Callable[..., int],
    postbox: Any,
    tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server takes no mail without it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    send(f"smtp://127.0.0.1:{serve(tls_context=tls, require_starttls=True)}")
    assert len(postbox.received) == 1


def test_a_certificate_nobody_vouches_for_is_not_talked_to(
    send: Send, serve: Callable[..., int], postbox: Any, tls: ssl.SSLContext
) -> None:
    """Whoever sits in between would read where the key lies."""
    port = serve(tls_context=tls)
    with pytest.raises(Unavailable, match="SSLCertVerificationError"):
        send(f"smtp://127.0.0.1:{port}")
    assert postbox.received == []
    send(f"smtp://127.0.0.1:{port}?starttls=never")
    assert len(postbox.received) == 1


def test_elsewhere_no_mail_goes_out_in_the_clear(send: Send, script: Callable[..., Any]) -> None:
    """A server that offers no STARTTLS may be somebody who took the offer out.

    0.0.0.0 reaches this machine, and is no loopback address.
    """
    server = script()
    with pytest.raises(Unavailable, match="starttls not offered"):
        send(f"smtp://someone:hunter2@0.0.0.0:{server.port}")
    assert server.verbs == ["EHLO"]


def test_smtps_speaks_tls_from_the_first_byte_and_logs_in(
    send: Send,
    serve: Callable[..., int],
    postbox: Any,
    tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 8314 prefers it; a wrong password is the operator's to mend, so it is tried again."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    logins: list[bytes] = []

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        logins.append(data.password)
        return AuthResult(success=data.password == b"p@ss/word", handled=False)

    port = serve(ssl_context=tls, authenticator=check, auth_require_tls=False)
    send(f"smtps://someone:p%40ss%2Fword@127.0.0.1:{port}")
    assert len(postbox.received) == 1
    assert logins == [b"p@ss/word"]
    with pytest.raises(Unavailable, match="login refused with status 535") as caught:
        send(f"smtps://someone:wrong@127.0.0.1:{port}")
    assert "wrong" not in repr(caught.value)
