"""What a stranger may send instead of a request: frames, heads, bodies and addresses, each with what it must come to.

`MARK` is in every one of them, so that whatever repeats it can be found.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MARK = "Zq7-hostile-Wk3"
"""Nothing of ours is spelled like this."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Door:
    """One way in.

    Attributes:
        path: of the route.
        body: one that would be accepted.
        prove: the headers with which a body is accepted.
        largest: bytes of a body.
    """

    path: str
    body: bytes
    prove: Callable[[bytes], Mapping[str, str]]
    largest: int = 25 * MIB

    def head(self, *lines: str, start: str = "", without: str = "") -> str:
        """A request up to its blank line: proved, with *lines*, but *without* one header and with no length."""
        proof = {"Host": "x", "Content-Type": "application/json", "X-Mark": MARK, **self.prove(self.body)}
        kept = [f"{name}: {value}" for name, value in proof.items() if name != without]
        return "\r\n".join([start or f"POST {self.path} HTTP/1.1", *kept, *lines, "", ""])

    def request(self, *lines: str, start: str = "", without: str = "") -> bytes:
        """A request that would be accepted but for *lines*, its first line, or what it is without."""
        head = self.head(f"Content-Length: {len(self.body)}", *lines, start=start, without=without)
        return head.encode("latin-1") + self.body

    def framed(self, *lines: str, body: bytes | None = None) -> bytes:
        """The same with the length said in *lines* alone."""
        return self.head(*lines).encode("latin-1") + (self.body if body is None else body)


Frame = tuple[Callable[[Door], bytes], tuple[int, ...]]


def _two(door: Door) -> bytes:
    """One that is refused, and behind it, unasked, another."""
    return door.request(start=f"GET {door.path} HTTP/1.1") + door.request("Transfer-Encoding: chunked")


FRAMES: Mapping[str, Frame] = {
    "no length": (lambda d: d.framed(), (411,)),
    "chunked": (lambda d: d.framed("Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"), (411,)),
    "chunked and a length": (lambda d: d.request("Transfer-Encoding: chunked"), (400,)),
    "a length and chunked": (lambda d: d.framed("Transfer-Encoding: chunked", "Content-Length: 2"), (400,)),
    "chunked twice": (lambda d: d.framed("Transfer-Encoding: chunked, chunked"), (400, 411)),
    "two transfer encodings": (lambda d: d.framed(*["Transfer-Encoding: chunked"] * 2), (400, 411)),
    "unknown transfer encoding": (lambda d: d.framed("Transfer-Encoding: xchunked"), (400, 501)),
    "gzip as transfer encoding": (lambda d: d.framed("Transfer-Encoding: gzip, chunked"), (400, 411, 501)),
    "chunked behind a tab": (lambda d: d.framed("Transfer-Encoding:\tchunked\x0b"), (400, 501)),
    "a chunk of no number": (lambda d: d.framed("Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n"), (411,)),
    "negative length": (lambda d: d.framed("Content-Length: -1"), (400,)),
    "length with a plus": (lambda d: d.framed("Content-Length: +2"), (400,)),
    "hexadecimal length": (lambda d: d.framed("Content-Length: 0x2"), (400,)),
    "length with an exponent": (lambda d: d.framed("Content-Length: 1e3"), (400,)),
    "length with a fraction": (lambda d: d.framed("Content-Length: 2.0"), (400,)),
    "empty length": (lambda d: d.framed("Content-Length:"), (400, 411)),
    "two lengths in one": (lambda d: d.framed("Content-Length: 2, 3"), (400,)),
    "two lengths apart": (lambda d: d.framed("Content-Length: 2", "Content-Length: 3"), (400,)),
    "one length twice": (lambda d: d.request(f"Content-Length: {len(d.body)}"), (400,)),
    "length of another script": (lambda d: d.framed("Content-Length: \xb2"), (400,)),
    "length of 400 digits": (lambda d: d.framed("Content-Length: " + "9" * 400), (400, 413)),
    "length of a terabyte": (lambda d: d.framed(f"Content-Length: {10**12}"), (413,)),
    "one byte too many": (lambda d: d.framed(f"Content-Length: {d.largest + 1}"), (413,)),
    "too many, and asks first": (
        lambda d: d.framed(f"Content-Length: {d.largest + 1}", "Expect: 100-continue"),
        (413,),
    ),
    "expects something else": (lambda d: d.request(f"Expect: {MARK}"), (400, 417)),
    "gzip": (lambda d: d.request("Content-Encoding: gzip"), (415,)),
    "brotli": (lambda d: d.request("Content-Encoding: br"), (415,)),
    "twice encoded": (lambda d: d.request("Content-Encoding: gzip", "Content-Encoding: gzip"), (415,)),
    "unknown encoding": (lambda d: d.request(f"Content-Encoding: {MARK}"), (415,)),
    "HTTP/0.9": (lambda d: f"POST {d.path}\r\n\r\n".encode(), (400,)),
    "HTTP/0.9, GET": (lambda d: f"GET {d.path}\r\n".encode(), (400,)),
    "HTTP/2": (lambda d: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 405, 505)),
    "HTTP/2 in our path": (lambda d: d.request(start=f"POST {d.path} HTTP/2.0"), (400, 505)),
    "HTTP/9.9": (lambda d: d.request(start=f"POST {d.path} HTTP/9.9"), (400, 505)),
    "HTTP in lower case": (lambda d: d.request(start=f"POST {d.path} http/1.1"), (400,)),
    "version of nothing": (lambda d: d.request(start=f"POST {d.path} HTTP/"), (400,)),
    "a word too many": (lambda d: d.request(start=f"POST {d.path} {MARK} HTTP/1.1"), (400,)),
    "method in lower case": (lambda d: d.request(start=f"post {d.path} HTTP/1.1"), (400, 405)),
    "unknown method": (lambda d: d.request(start=f"{MARK} {d.path} HTTP/1.1"), (400, 405)),
    "method with a NUL": (lambda d: d.request(start=f"PO\0ST {d.path} HTTP/1.1"), (400,)),
    "endless method": (lambda d: d.request(start=f"{'POST' * 400} {d.path} HTTP/1.1"), (400, 405)),
    "TRACE": (lambda d: d.request(start=f"TRACE {d.path} HTTP/1.1"), (405,)),
    "CONNECT": (lambda d: d.request(start="CONNECT 127.0.0.1:22 HTTP/1.1"), (400, 404, 405)),
    "PUT": (lambda d: d.request(start=f"PUT {d.path} HTTP/1.1"), (405,)),
    "another method in a header": (
        lambda d: d.request("X-HTTP-Method-Override: POST", start=f"DELETE {d.path} HTTP/1.1"),
        (405,),
    ),
    "long address": (lambda d: d.request(start=f"POST {d.path}?{'a' * 9000} HTTP/1.1"), (414,)),
    "NUL in the address": (lambda d: d.request(start=f"POST {d.path}%00 HTTP/1.1"), (404,)),
    "dots in the address": (lambda d: d.request(start=f"POST /x/..{d.path} HTTP/1.1"), (404,)),
    "dots, escaped": (lambda d: d.request(start=f"POST /x/%2e%2e{d.path} HTTP/1.1"), (404,)),
    "slash behind the address": (lambda d: d.request(start=f"POST {d.path}/ HTTP/1.1"), (404,)),
    "semicolon in the address": (lambda d: d.request(start=f"POST {d.path};{MARK} HTTP/1.1"), (404,)),
    "an address of signs": (lambda d: d.request(start=f"POST /%ff%fe/{MARK}/%e2%80%a8 HTTP/1.1"), (404,)),
    "an address of nothing": (lambda d: d.request(start="POST  HTTP/1.1"), (400, 404)),
    "an address of a star": (lambda d: d.request(start="POST * HTTP/1.1"), (400, 404)),
    "too many headers": (lambda d: d.request(*[f"X-{n}: 1" for n in range(150)]), (431,)),
    "a header too long": (lambda d: d.request("X-Long: " + "a" * 9000), (431,)),
    "folded header": (lambda d: d.request(f"X-Fold: a\r\n {MARK}"), (400,)),
    "a header without a colon": (lambda d: d.request(MARK), (400,)),
    "a header without a name": (lambda d: d.request(f": {MARK}"), (400,)),
    "blank before the colon": (lambda d: d.request(f"X-Blank : {MARK}"), (400,)),
    "blank before the name": (lambda d: d.request(f" X-Blank: {MARK}"), (400,)),
    "NUL in a header": (lambda d: d.request(f"X-Nul: a\0{MARK}"), (400,)),
    "carriage return in a header": (lambda d: d.request(f"X-Cr: a\r{MARK}"), (400,)),
    "a header's name not ASCII": (lambda d: d.request(f"X-\xe9: {MARK}"), (400,)),
    "a header's name with a bracket": (lambda d: d.request(f"X-(a): {MARK}"), (400,)),
    "TLS": (lambda d: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + b"\r\n\r\n", (400,)),
    "noise": (lambda d: bytes(range(256)) + b"\r\n\r\n", (400,)),
    "two at once": (_two, (405,)),
}


def texts(good: bytes) -> dict[str, bytes]:
    """Bodies that are no JSON at all, or more of it than anybody reads; *good* has ``"@"`` somewhere."""
    word = json.dumps(json.loads(good), ensure_ascii=True)
    return {
        "empty": b"",
        "blank": b" \n",
        "cut": good[:-1],
        "cut in half": good[: len(good) // 2],
        "closed twice": good + good[-1:],
        "two bodies": good + good,
        "trailing NUL": good + b"\0",
        "trailing text": good + b" x",
        "byte-order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": word.encode("utf-16"),
        "UTF-16, little": word.encode("utf-16-le"),
        "UTF-16, big": word.encode("utf-16-be"),
        "UTF-32": word.encode("utf-32"),
        "Latin-1": good.replace(b"@", b"\xe9"),
        "overlong slash": good.replace(b"@", b"\xc0\xaf"),
        "cut character": good.replace(b"@", b"\xe2\x82"),
        "surrogate in UTF-8": good.replace(b"@", b"\xed\xa0\x80"),
        "beyond Unicode": good.replace(b"@", b"\xf5\x80\x80\x80"),
        "65 deep": inside(good, "[" * 65 + "]" * 65),
        "1 000 deep": inside(good, "[" * 1000 + "]" * 1000),
        "100 000 deep": inside(good, "[" * 50_000 + "]" * 50_000),
        "deep objects": inside(good, '{"a":' * 100 + "1" + "}" * 100),
        "deep and never closed": b"[" * 90_000,
        "a million lists": inside(good, "[" + "[]," * 120_000 + "[]]"),
        "a million numbers": inside(good, "[" + "1," * 1_100_000 + "1]"),
        "control character": good.replace(b"@", b"\x01"),
        "newline in a string": good.replace(b"@", b"\n"),
        "single quotes": good.replace(b'"', b"'"),
        "trailing comma": good[:-1] + b"," + good[-1:],
        "comment": b"// push\n" + good,
        "name without quotes": inside(good, "{ref: 1}"),
        "plus": inside(good, "+1"),
        "leading zero": inside(good, "01"),
        "no digit before the point": inside(good, ".5"),
        "no digit after the point": inside(good, "1."),
        "hexadecimal": inside(good, "0x10"),
        "unknown escape": inside(good, r'"\x41"'),
        "cut escape": inside(good, r'"\u12"'),
        "no value": inside(good, ""),
        "undefined": inside(good, "undefined"),
        "digits of another script": inside(good, "\u0667"),
        "a form, said to be JSON": b"payload=%7B%7D",
        "XML": b"<push/>",
        "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
        "random bytes": bytes(range(256)),
        "null": b"null",
        "true": b"true",
        "number": b"7",
        "string": b'"push"',
    }


def values(good: bytes) -> dict[str, bytes]:
    """Bodies that some readers of JSON take, each in their own way."""
    return {
        "high surrogate alone": inside(good, r'"\ud83d"'),
        "low surrogate alone": inside(good, r'"\ude00"'),
        "surrogates the wrong way round": inside(good, r'"\ude00\ud83d"'),
        "surrogate in a name": inside(good, r'{"\uD800": 1}'),
        "surrogate far inside": inside(good, r'[{"a": ["\udfff"]}]'),
        "NaN": inside(good, "NaN"),
        "Infinity": inside(good, "Infinity"),
        "-Infinity": inside(good, "-Infinity"),
        "NaN far inside": inside(good, '[{"a": NaN}]'),
        "infinite by exponent": inside(good, "1e999"),
        "21 digits": inside(good, "1" * 21),
        "4 301 digits": inside(good, "1" * 4301),
        "100 000 digits": inside(good, "9" * 100_000),
        "long and negative": inside(good, "-" + "1" * 30),
        "long fraction": inside(good, "0." + "1" * 5000),
        "duplicate name": inside(good, '"a", "a": 1, "a": 2'),
        "duplicate name inside": inside(good, '{"a": 1, "a": 1}'),
        "duplicate name, escaped": inside(good, r'{"a": 1, "\u0061": 2}'),
    }


def inside(good: bytes, fragment: str) -> bytes:
    """*good* with a fragment of JSON where ``"@"`` stands in it."""
    return good.replace(b'"@"', fragment.encode(), 1)
