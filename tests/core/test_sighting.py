"""Which addresses a person may be shown."""

import traceback
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.errors import Malformed, Refused, Unavailable
from responder.core.sighting import readable_address
from tests.grown import token


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/service/commit/0123456789abcdef",
        "https://github.example:8443/acme/service/security/secret-scanning/7?x=1#top",
        "http://127.0.0.1:8000/acme",
        "http://localhost/acme",
        "http://[::1]:80/acme",
        "https://xn--bcher-kva.example/a%20b",
    ],
)
def test_an_ordinary_address_is_shown_as_it_is(url: str) -> None:
    """People click on it."""
    assert readable_address(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None, 7, b"https://github.com", [], "", "https://", "https:///path", "github.com/acme", "//github.com/acme",
        "http://github.com/acme", "ftp://github.com/a", "file:///etc/passwd", "javascript:alert(1)",
        "JAVASCRIPT:alert(1)", "data:text/html,x", "https://user@github.com/", "https://user:pw@github.com/",
        "https://github.com\\@evil.example/", "https://github.com\\.evil.example/", "https://evil.example\\github.com",
        "https://github.com/<script>", 'https://github.com/"onclick', "https://github.com/'x", "https://github.com/`x",
        "https://github.com/a b", "https://github.com/a\nb", "https://github.com/\x00", "https://github.com/\x1b[31m",
        "https://github.com/\u202egpj.exe", "https://github.com/\u200b", "https://github.com/\ud800",
        "https://[::1", "https://[not-an-address]/", "http://127.0.0.1.evil.example/", "http://localhost@evil.example/",
        "https://github.com/" + "a" * 2000, " https://github.com/", "https://github.com/\u2028x",
    ],
)  # fmt: skip
def test_a_hostile_address_is_not_shown(url: object) -> None:
    """It would stand in a mail that tells a frightened person to click."""
    assert readable_address(url) is None


@pytest.mark.parametrize("times", range(4))
def test_an_address_that_holds_a_token_is_not_shown_however_often_it_is_quoted(times: int) -> None:
    """Links to search results and files repeat the secret; quoting hides it from a scanner, not from a thief."""
    hidden = "".join(f"%{ord(c):02X}" for c in token().reveal()) if times else token().reveal()
    for _ in range(times - 1):
        hidden = quote(hidden, safe="")
    assert readable_address(f"https://github.com/search?q={hidden}") is None
    assert readable_address(f"https://github.com/{hidden}/x") is None
    assert readable_address(f"https://github.com/#{hidden}") is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.text("htps:/@.%[]?#\\", max_size=40).map(lambda rest: "https://" + rest))
def test_no_address_raises(url: str) -> None:
    """One strange link must not stop the revocation it came with."""
    shown = readable_address(url)
    assert shown is None or (shown == url and url.startswith(("https://", "http://")))


@pytest.mark.parametrize(
    "error",
    [
        Refused("openai", "openai.delete_key", 404, "not_found"),
        Unavailable("openai", "openai.probe", "timeout", 3.0),
        Malformed("The body is not JSON."),
    ],
)
def test_an_error_has_exactly_its_parameters(error: Exception) -> None:
    """What is not in the parameters cannot leak; what is, survives being rebuilt elsewhere."""
    again = type(error)(*error.args)
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    assert traceback.format_exception_only(error)[0].strip().endswith(str(error))
