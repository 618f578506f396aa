"""JSON that a stranger wrote: bounded before it is parsed, strict while it is, and never repeated."""

import json
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.errors import Malformed
from responder.sources.payload import decode, decode_list, number, sha, text

_MEGABYTE = 1024 * 1024
_LARGEST = 25 * _MEGABYTE
_SECRET = b"do-not-repeat-me"


def _deep(opening: bytes, middle: bytes, closing: bytes, depth: int) -> bytes:
    return opening * depth + middle + closing * depth


_REFUSED: list[bytes] = [
    # no object
    b"", b" ", b"\n", b"null", b"true", b"false", b"0", b"1.5", b'"text"', b"[]", b'[{"a":1}]', b"[1,2]",
    # no JSON
    b"{", b"}", b"{]", b"[}", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,}', b"{,}", b'{"a" 1}', b"{a:1}", b"{'a':1}",
    b'{"a":1}{"b":2}', b'{"a":1} x', b'{"a":1}]', b'{"a":[1,]}', b'{"a":01}', b'{"a":+1}', b'{"a":1.}', b'{"a":.5}',
    b'{"a":1e}', b'{"a":0x10}', b'{"a":1_000}', b'{"a":tru}', b'{"a":undefined}', b'{"a":"\n"}', b'{"a":"\x00"}',
    b'{"a":"\\x41"}', b'{"a":"\\u12"}', b'{"a":"\\u12g4"}', b'{"a":"\\"}', b"// c\n{}", b'{"a":1/*c*/}', b"\x00{}",
    b"{}\x00", b"<html></html>", b"a=b&c=d", b"\x1f\x8b\x08", b"PK\x03\x04", b'{"a":"', b'"' * 11, b'{"a":"\\',
    # no number
    b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":-1e999}', b'{"a":' + b"9" * 21 + b"}",
    b'{"a":-' + b"9" * 20 + b"}", b'{"a":' + b"9" * 100_000 + b"}", b'{"a":0.' + b"1" * 64 + b"}",
    b'{"a":1e' + b"0" * 70 + b"1}",
    # twice
    b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a":1,"\\u0061":2}', b'{"":1,"":2}', b'{"a":[{"b":1,"b":2}]}',
    # half a character, or another encoding
    b'{"a":"\\ud800"}', b'{"a":"\\uDFFF"}', b'{"a":"\\ud800\\u0041"}', b'{"\\udc00":1}', b'{"a":["\\ude00\\ud83d"]}',
    b'{"a":"\xed\xa0\x80"}', b'{"a":"\xff"}', b'{"a":"\xc3"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xf4\x90\x80\x80"}',
    b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"), '{"a":1}'.encode("utf-32"),
    '{"a":"é"}'.encode("latin-1"), b"\xfe\xff" + '{"a":1}'.encode("utf-16-be"),
    # too deep, too many
    _deep(b"[", b"", b"]", 65), _deep(b'{"a":', b"1", b"}", 65), _deep(b'{"a":[', b"", b"]}", 33),
    _deep(b"[", b"", b"]", 50_000), b'{"a":' * 99_000, b"{" * 100_001, b'{"a":"' + b"\\\n" * 50_000,
]  # fmt: skip

_LARGE: list[tuple[bytes, bytes, bytes]] = [  # beginning, what fills 25 MiB, end
    (b"", b"[", b""), (b'{"a":[', b"[],", b"[]]}"), (b'{"a":[', b"{},", b"{}]}"), (b"", b",", b""), (b"", b'"', b""),
    (b'{"a":"', b'\\"', b""), (b"", b"\\", b""), (b"", b" ", b""), (b'{"a":', b"1", b"}"), (b'{"a":[', b"1,", b"1]}"),
]  # fmt: skip

_ACCEPTED: list[tuple[bytes, object]] = [
    (b"{}", {}), (b" {} \r\n\t", {}), (b'{"a":null}', {"a": None}), (b'{"":""}', {"": ""}),
    (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}), ('{"a":"😀"}'.encode(), {"a": "😀"}), (b'{"a":"\\u0000"}', {"a": "\0"}),
    (b'{"a":"\\\\ud800"}', {"a": "\\ud800"}), (b'{"a":"]}[{"}', {"a": "]}[{"}), (b'{"a":"\\"[\\\\"}', {"a": '"[\\'}),
    (b'{"a":9223372036854775807}', {"a": 2**63 - 1}), (b'{"a":-0.0}', {"a": -0.0}), (b'{"a":1e300}', {"a": 1e300}),
    (_deep(b'{"a":', b"1", b"}", 64), None), (b'{"a":{"b":1},"c":{"b":1}}', {"a": {"b": 1}, "c": {"b": 1}}),
    (b'{"a":"' + b"[{" * 20_000 + b'"}', {"a": "[{" * 20_000}), (b'{"a":"x' + b"y" * _MEGABYTE + b'"}', None),
    (b'{"a":[' + b"[]," * 50_000 + b"[]]}", None),
]  # fmt: skip


def test_the_corpus_is_large() -> None:
    """Every line of it was somebody's parser's downfall."""
    assert len(_REFUSED) + len(_LARGE) >= 80


@pytest.mark.parametrize("body", _REFUSED, ids=lambda body: f"{bytes(body[:24])!r}-{len(body)}")
def test_hostile_json_is_refused_soon_and_without_being_repeated(body: bytes) -> None:
    """A refusal is a sentence; a traceback would hold the body."""
    began = time.process_time()
    with pytest.raises(Malformed) as caught:
        decode(body)
    assert time.process_time() - began < 3
    assert caught.value.args == (caught.value.reason,)
    assert caught.value.reason.endswith(".")
    assert len(caught.value.reason) < 80


@pytest.mark.parametrize(("beginning", "filling", "end"), _LARGE)
def test_the_largest_hostile_bodies_are_refused_soon(beginning: bytes, filling: bytes, end: bytes) -> None:
    """A body of the largest size that GitHub sends must not occupy a receiver for minutes."""
    body = beginning + filling * ((_LARGEST - len(beginning) - len(end)) // len(filling)) + end
    began = time.process_time()
    with pytest.raises(Malformed):
        decode(body)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(("body", "value"), _ACCEPTED, ids=lambda x: repr(x)[:30])
def test_honest_json_is_read_as_it_was_written(body: bytes, value: object) -> None:
    """Strict, not wrong: a push with braces in its message is a push."""
    read = decode(body)
    assert value is None or read == value


@pytest.mark.parametrize(
    "body",
    [
        b'{"' + _SECRET + b'":1,"' + _SECRET + b'":2}', b'{"a":"' + _SECRET + b'"', b'{"a":"' + _SECRET + b'\xff"}',
        b'{"a":"' + _SECRET + b'\\ud800"}', _SECRET, b'["' + _SECRET + b'"]', b'{"' + _SECRET + b'":NaN}',
    ],
)  # fmt: skip
def test_a_refusal_never_repeats_what_was_sent(body: bytes) -> None:
    """The sender of a broken report still sent a token."""
    with pytest.raises(Malformed) as caught:
        decode(body)
    assert _SECRET.decode() not in "".join(traceback.format_exception(caught.value))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much a process ever used")
def test_the_largest_hostile_bodies_do_not_exhaust_memory() -> None:
    """A receiver with little memory answers 400; one that dies answers nobody."""
    code = """
from responder.core.errors import Malformed
from responder.sources.payload import decode
size = 25 * 1024 * 1024
for body in (b'{"a":[' + b"[]," * (size // 3), b"[" * size, b'{"a":"' + b'\\\\"' * (size // 2 - 4),
             b"{" + b",".join(b'"%d":1' % n for n in range(999_000)) + b"}"):
    try:
        decode(body)
    except Malformed:
        pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert int(done.stdout) * 1024 < 450 * _MEGABYTE


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), _json, max_size=5))
def test_whatever_json_writes_is_read_back(value: dict[str, object]) -> None:
    """With and without escapes."""
    assert decode(json.dumps(value).encode()) == value
    assert decode(json.dumps(value, ensure_ascii=False).encode()) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0dD8 1eE.-ntf', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_malformed(body: bytes) -> None:
    """Nothing else comes out of it."""
    with suppress(Malformed):
        assert isinstance(decode(body), dict)


@pytest.mark.parametrize(
    ("spoilt", "value"),
    [(b'{"a":1,"a":2}', None), (b"NaN", None), (b"1e999", None), (b"9" * 21, None), (b'"\\ud800"', "\ud800"),
     (b'{"a":{"b":1,"b":1}}', {"a": None}), (b'{"a":-Infinity}', {"a": None})],
)  # fmt: skip
def test_one_element_of_an_array_never_spoils_the_others(spoilt: bytes, value: object) -> None:
    """Five hundred tokens are told of at once, by whoever found them anywhere."""
    assert decode_list(b'["x",' + spoilt + b',{"y":1}]') == ["x", value, {"y": 1}]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b"7", b'"x"', b"[", b"[1,]", b"[]]", b'["\xff"]', b"\xef\xbb\xbf[]", "[]".encode("utf-16"),
     _deep(b"[", b"", b"]", 65), _deep(b"[", b"", b"]", 50_000), b"[" + b"[]," * 100_000 + b"[]]", b"[{]}"],
    ids=lambda body: f"{bytes(body[:24])!r}-{len(body)}",
)  # fmt: skip
def test_what_is_no_array_is_refused_as_a_whole(body: bytes) -> None:
    """The bounds are those of an object."""
    with pytest.raises(Malformed):
        decode_list(body)


@pytest.mark.parametrize("value", [None, "7", 7.0, True, False, 0, -1, 2**63, [], {}])
def test_an_id_is_a_positive_integer_that_fits_a_column(value: object) -> None:
    """Everything else would end in a path or in the database as something it is not."""
    for payload in ({"repository": {"id": value}}, {"repository": value}, {}, {"repository": [value]}):
        with pytest.raises(Malformed, match=r"repository\.id must be a positive integer"):
            number(payload, "repository", "id")
    assert number({"repository": {"id": 2**63 - 1}}, "repository", "id") == 2**63 - 1


@pytest.mark.parametrize(
    "value",
    ["", "a" * 39, "a" * 41, "a" * 63, "a" * 65, "A" * 40, "g" * 40, "a" * 40 + "\n", "../" + "a" * 37, None, 7,
     ["a" * 40]],
)  # fmt: skip
def test_a_commit_id_is_hexadecimal_digits(value: object) -> None:
    """It becomes part of a path."""
    with pytest.raises(Malformed, match="after must be a commit id"):
        sha(value, "after")


@pytest.mark.parametrize("value", ["0" * 40, "0123456789abcdef" * 4])
def test_both_lengths_of_commit_id_are_known(value: str) -> None:
    """SHA-256 repositories exist."""
    assert sha(value, "after") == value


def test_a_text_is_optional_and_bounded() -> None:
    """Whatever a person may write, somebody writes a novel."""
    assert text({}, "comment", 5) is None
    assert text({"comment": None}, "comment", 5) is None
    assert text({"comment": "abcde"}, "comment", 5) == "abcde"
    wrong: tuple[object, ...] = ("abcdef", 7, ["a"], {}, True)
    for value in wrong:
        with pytest.raises(Malformed, match="comment must be a string of at most 5 characters"):
            text({"comment": value}, "comment", 5)
