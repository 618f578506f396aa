"""A token refuses to become text or bytes behind anybody's back; what is kept of it names it and no more."""

import copy
import dataclasses
import hashlib
import hmac
import io
import json
import logging
import pickle
import pprint
import random
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.token import Token, fingerprint, scrub
from responder.simulator import growth
from tests.grown import PEPPER, seen, token

_ALPHABET = "ABCabc019_-"
_values = st.text(_ALPHABET, min_size=13, max_size=397).map(lambda rest: "sk-" + rest)


def _secret_part(value: str) -> str:
    """What is never shown: everything but the eight first and four last characters."""
    return value[8:-4]


@pytest.mark.parametrize(
    "show",
    [
        str, repr, ascii, "{}".format, "{!r:>300}".format, "{:s}".format, lambda t: f"{t}", lambda t: f"{t=}",
        lambda t: "%s" % t,  # noqa: UP031 -- people still write it
        lambda t: "%r" % (t,),  # noqa: UP031
        lambda t: str([t]), lambda t: str({"k": t}), lambda t: str(ValueError(t)), pprint.pformat,
        lambda t: "".join(map(str, (t,))), lambda t: json.dumps({"token": t}, default=str),
    ],
)  # fmt: skip
def test_showing_a_token_shows_its_ends_only(show: Callable[[Token], str]) -> None:
    """Somebody will log it by accident."""
    shown = show(token())
    assert _secret_part(token().reveal()) not in shown
    assert token().redacted in shown or "\\u2026" in shown


def test_printing_and_logging_a_token_shows_its_ends_only() -> None:
    """Both end in a file that is kept for years."""
    file = io.StringIO()
    handler = logging.StreamHandler(file)
    print(token(), file=file)
    handler.emit(logging.LogRecord("n", logging.INFO, "p", 1, "leak: %s %r", (token(), token()), None))
    assert _secret_part(token().reveal()) not in file.getvalue()


@pytest.mark.parametrize(
    "serialise",
    [
        pickle.dumps, copy.copy, copy.deepcopy, json.dumps, lambda t: json.dumps([t]),
        lambda t: pickle.dumps({"k": t}), *(lambda t, p=p: pickle.dumps(t, p) for p in range(6)),
        lambda t: t.__reduce_ex__(4), lambda t: t.__getstate__(), lambda t: t.__reduce__(),
        vars, bytes, iter, lambda t: t + "", lambda t: copy.replace(t) if hasattr(copy, "replace") else vars(t),
        lambda t: dataclasses.asdict(_Holder(t)),
    ],
)  # fmt: skip
def test_a_token_refuses_to_be_serialised_or_copied(serialise: Callable[[Any], object]) -> None:
    """Engines, caches and crash reporters pickle whatever they are handed."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        serialise(token())
    assert _secret_part(token().reveal()) not in "".join(traceback.format_exception(caught.value))


@dataclasses.dataclass
class _Holder:
    held: Token


def test_a_token_cannot_carry_further_attributes() -> None:
    """No dictionary, so nothing walks through one."""
    with pytest.raises(AttributeError):
        token().note = "x"  # type: ignore[attr-defined]


def test_two_tokens_are_compared_through_a_constant_time_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that stops early tells how far it got."""
    compared = []
    whole = hmac.compare_digest

    def spy(one: bytes, two: bytes) -> bool:
        compared.append((len(one), len(two)))
        return whole(one, two)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert token(1) == token(1)
    assert token(1) != token(2)
    assert compared == [(len(token(1)),) * 2, (len(token(1)), len(token(2)))]


def test_a_token_equals_only_tokens_of_the_same_value() -> None:
    """A string of the same characters is no token, and finding one token twice is finding it once."""
    assert token(1) != token(1).reveal()
    assert token(1) == Token(token(1).reveal(), "another-family")
    assert len({token(1), token(1), token(2)}) == 2


@pytest.mark.parametrize("family", list(growth.SHAPES))
def test_every_family_is_a_token_and_reveals_itself(family: str) -> None:
    """The adapters must send exactly what leaked."""
    value = growth.grow(family, random.Random(0))
    assert Token(value, family).reveal() == value
    assert len(Token(value, family)) == len(value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v + "\n", lambda v: v + "\r\nX-Header: 1", lambda v: v + " ", lambda v: " " + v, lambda v: v + "é",
        lambda v: v.replace("s", "S", 1), lambda v: v[3:], lambda v: v[:15], lambda v: v + "A" * 400,
        lambda v: v + "\x00", lambda v: v[:20] + "/" + v[20:], lambda _: "", lambda v: v + "\u2028",
        lambda v: v.replace("s", "\uff53", 1),
    ],
)  # fmt: skip
def test_what_could_not_stand_in_a_header_is_no_token(spoil: Callable[[str], str]) -> None:
    """A line break in a header is another header; and the refusal does not repeat the value."""
    value = spoil(token().reveal())
    with pytest.raises(ValueError, match="not a token") as caught:
        Token(value, "family")
    assert _secret_part(token().reveal()) not in "".join(traceback.format_exception(caught.value))


@settings(max_examples=200, deadline=None)
@given(_values)
def test_the_redacted_form_never_shows_more_than_a_third(value: str) -> None:
    """Twelve characters of a short key would be most of it."""
    for redacted in (Token(value, "f").redacted, fingerprint(Token(value, "f"), PEPPER).redacted):
        head, _, tail = redacted.partition("…")
        assert value.startswith(head)
        assert value.endswith(tail)
        assert (len(head) + len(tail)) * 3 <= max(len(value), 15)


# --- fingerprints --------------------------------------------------------------------------------


def test_a_fingerprint_is_the_documented_digest() -> None:
    """Rows written by an older release must still name the same tokens."""
    inner = hashlib.sha256(token().reveal().encode()).digest()
    expected = hmac.new(PEPPER, b"responder-fp-v1\0" + inner, hashlib.sha256).hexdigest()
    assert seen().digest == expected
    assert seen() == seen()


def test_a_fingerprint_depends_on_token_and_pepper() -> None:
    """Without the pepper, nobody who holds the database can test a guess."""
    assert len({seen(1).digest, seen(2).digest, fingerprint(token(1), bytes(32)).digest}) == 3


def test_a_fingerprint_keeps_the_ends_and_the_length_and_nothing_else() -> None:
    """It stands in the database in the open."""
    value, name = token().reveal(), seen()
    assert (name.head, name.tail, name.length, name.family) == (value[:8], value[-4:], len(value), "openai-project")
    assert _secret_part(value)[:6] not in repr(name)


def test_the_family_does_not_change_the_name_of_a_token() -> None:
    """A rule that is renamed must not open a second incident."""
    assert fingerprint(Token(token().reveal(), "other"), PEPPER).digest == seen().digest


# --- scrub ---------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(_values, st.text(max_size=20), st.text(max_size=20))
def test_nothing_that_could_be_a_token_survives_scrubbing(value: str, before: str, after: str) -> None:
    """People name keys, files and branches after their secrets."""
    assert value not in scrub(before + value + after)


def test_several_tokens_in_one_text_are_all_scrubbed_and_the_rest_stays() -> None:
    """The rest is what a person needs."""
    one, two = token(1).reveal(), token(2, "openai-user-legacy").reveal()
    assert scrub(f"old {one}, new {two}!") == "old sk-[redacted], new sk-[redacted]!"


@pytest.mark.parametrize("text", ["", "plain", "sk-short", "task-list", "a sk- b", "disk-0123456789ab"])
def test_what_is_too_short_to_be_a_token_stays(text: str) -> None:
    """Ordinary names must stay readable."""
    assert scrub(text) == text
