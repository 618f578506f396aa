# ruff: noqa: E501  (tables of cases read better with a case a line)
"""Grow labelled cases: any family in any context in any layer, and what must never be found.

Nothing key-shaped is written here: tokens are grown from the samples of the rule files and a seed. The
contexts are our own; none is taken from elsewhere.
"""

import base64
import json
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from responder.scan.rules import builtin, read
from responder.scan.shape import parse

RULES = {rule.family: rule for rule in read([builtin()])}
NAMES = {
    "litellm": "LITELLM_MASTER_KEY", "generic": "GATEWAY_KEY", "langfuse": "LANGFUSE_SECRET_KEY",
    "deepseek": "DEEPSEEK_API_KEY", "dashscope": "DASHSCOPE_API_KEY", "moonshot": "MOONSHOT_API_KEY",
    "siliconflow": "SILICONFLOW_API_KEY", "stability": "STABILITY_API_KEY", "braintrust": "BRAINTRUST_API_KEY",
    "oneapi": "ONEAPI_KEY", "openrouter": "OPENROUTER_API_KEY", "minimax": "MINIMAX_API_KEY",
}  # fmt: skip
TWINS = (
    {"hex32", "deepseek", "dashscope"},
    {"alnum48", "moonshot", "siliconflow", "stability", "braintrust", "oneapi"},
)
"""Families that look alike: only the words around tell which it is."""


@dataclass(frozen=True)
class Case:
    """A text and the tokens in it, by family."""

    text: str
    expected: dict[str, str]
    layer: str
    note: str
    diff: bool = False


def token(family: str, random: Random) -> str:
    """A token of *family* as its vendor could have minted it."""
    while True:
        grown = parse(random.choice(RULES[family].samples)).grow(random)
        body = grown[3:]
        # A generic key without digits or capitals is a word to everybody.
        if family not in ("generic", "litellm") or (
            sum(map(str.isupper, body)) > 1 and sum(map(str.islower, body)) > 1 and any(map(str.isdigit, body))
        ):
            return grown


PLAIN: tuple[str, ...] = (
    '{k} = "{t}"\n',
    "{k}: {t}\n",
    "{k}={t}",
    "{k}={t}\r\nNEXT=1\r\n",
    "export {k}={t};\n",
    "set -gx {k} {t}\n",
    "setx {k} {t} /M\n",
    "[Environment]::SetEnvironmentVariable('{k}', '{t}')\n",
    "curl -H 'Authorization: Bearer {t}' https://gw.example/v1 # {k}\n",
    'curl -u ":{t}" https://gw.example # {k}\n',
    "http POST gw.example x-api-key:{t} # {k}\n",
    "--api-key={t} --provider {k}\n",
    'llm = Chat(provider="{k}", api_key="{t}", temperature=0)\n',
    "const {{ key = '{t}' }} = props; // {k}\n",
    'val {k} by lazy {{ "{t}" }}\n',
    "let {k}: &'static str = \"{t}\";\n",
    '#define {k} "{t}"\n',
    "$config['{k}'] = '{t}';\n",
    ":{k} => '{t}',\n",
    "  {k}: !!str '{t}'\n",
    '<property name="{k}">{t}</property>\n',
    "<!-- {k} {t} -->\n",
    '<a href="https://gw.example/?{k}={t}#top">x</a>\n',
    "* `{t}` is the {k}\n",
    "**{t}** {k}\n",
    "_{t}_ {k}\n",
    "| {k} | {t} |\n",
    "> {k}: {t}, do not share!\n",
    "Is {k} {t}? Or ({t})?\n",
    "{k}→{t}←\n",
    "密钥{t}在此 {k}\n",
    "「{t}」 {k}\n",
    "{k}\t{t}\t2026-01-01\n",
    "{k};{t};active\n",
    '"{k}","{t}","x"\n',
    '{{"{k}":"{t}"}}',
    "{{'{k}': '{t}'}}",
    "{{\"source\": [\"{k} = '{t}'\\n\", \"x\"]}}",
    '{{"log":"{k}:\\n{t}\\r\\nend"}}',
    '{{"log":"{{\\"{k}\\":\\"{t}\\"}}"}}',
    '{{"log":"{{\\\\\\"{k}\\\\\\":\\\\\\"{t}\\\\\\"}}"}}',
    "{k} \x1b[1;33m{t}\x1b[0m\n",
    "{k} \\u001b[33m{t}\\u001b[0m\n",
    "{k} \\033[1m{t}\\033[0m\n",
    "GET /x?{k}={t}&a=b HTTP/1.1\n",
    "GET /x?h=%7B%22{k}%22%3A%22{t}%22%7D HTTP/1.1\n",
    "redis://default:{t}@cache:6379/0 # {k}\n",
    "{k} is set to &quot;{t}&quot; here\n",
    "<code>{t}</code> {k}\n",
    "<input value={t} name={k}>\n",
    "//registry/:_authToken={t} ; {k}\n",
    'data: {{"{k}": "{t}"}}\n\n',
    "ENV {k} {t}\nRUN true\n",
    "ARG {k}={t}\n",
    "with: {{ key: {t} }} # {k}\n",
    "{k}@{t}\n",
    "{k}:{t}:x\n",
    "{k}/{t}/x\n",
    "echo {t} | {k}\n",
    "if (key === `{t}`) return; // {k}\n",
    "sk-{{}}, {k} {t}\n",
    "assert key == '{t}', 'task-id'  # {k}\n",
    "Traceback: invalid {k} '{t}'. See desk-123\n",
    'var a=1;var s="task-1";f("{t}",{{k:"{k}"}});var b=2;\n',
    "\ufeff{k}={t}\n",
    "{k} {t}\x0cnext\u2028page\n",
    "{k}\x00{t}\x00\n",
)  # fmt: skip
"""Contexts; every one names the vendor, as `{k}`, and holds the token, as `{t}`."""


def _cut(value: str, random: Random, pieces: int) -> list[str]:
    places = sorted(random.sample(range(4, len(value) - 3), pieces - 1))
    return [value[a:b] for a, b in zip([0, *places], [*places, len(value)], strict=True)]


JOINS: tuple[tuple[str, str, str, int], ...] = (
    ('{k} = ("', '"\n     "', '")\n', 2),
    ("{k} = '", "' \\\n    '", "'\n", 2),
    ("{k} = '", "' + '", "';\n", 3),
    ('{k} = "', '"+"', '";\n', 2),
    ('var {k} = "', '" +\n\t"', '"\n', 3),
    ("{k} <- paste0('", "', '", "')\n", 3),
    ("$" + "{k} = '", "' . '", "';\n", 2),
    ('local {k} = "', '" .. "', '"\n', 2),
    ("{k} = ''.join(['", "', '", "'])\n", 3),
    ("const {k} = ['", "','", "'].join('');\n", 3),
    ('{k} = "', '" & _\n  "', '"\n', 2),
    ("SELECT '", "' || '", "' AS {k};\n", 2),
    ("export {k}='", "''", "'\n", 2),
    ("export {k}='", "'\"", '"\n', 2),
    ('export {k}="', "\\\n", '"\n', 2),
    ('static const char *{k} = "', '"\n  "', '";\n', 3),
    ('String {k} = "', '".concat("', '");\n', 2),
    ('{k}.append("', '").append("', '");\n', 3),
    ('{k} = "', '" <> "', '"\n', 2),
    ('{k} = "', '"\n{k} += "', '"\n', 2),
    ("$" + '{k} = "', '";\n$' + '{k} .= "', '";\n', 2),
    ('k: {k}\nkey: "', "\\\n      ", '"\n', 2),
    ("{k}: ", "=\n", "\n", 2),
    ("{k} = f'", "' f'", "'\n", 2),
)  # fmt: skip
"""Literals taken apart: what stands before, between and after the pieces, and how many there are."""


def _percent(text: str) -> str:
    return "".join(f"%{ord(c):02X}" for c in text)


def _dashes(to: str) -> Callable[[str], str]:
    return lambda value: value.replace("-", to)


ESCAPES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("json dashes", _dashes("\\u002d")),
    ("json dashes, upper case", _dashes("\\u002D")),
    ("json in json", _dashes("\\\\u002d")),
    ("braced", _dashes("\\u{2d}")),
    ("hexadecimal dashes", _dashes("\\x2d")),
    ("octal dashes", _dashes("\\055")),
    ("percent dashes", _dashes("%2D")),
    ("percent dashes, lower case", _dashes("%2d")),
    ("percent twice", _dashes("%252D")),
    ("html decimal", _dashes("&#45;")),
    ("html decimal padded", _dashes("&#045;")),
    ("html hexadecimal", _dashes("&#x2D;")),
    ("markdown", _dashes("\\-")),
    ("quoted-printable", _dashes("=2D")),
    ("all unicode", lambda value: "".join(f"\\u{ord(c):04x}" for c in value)),
    ("all hexadecimal", lambda value: "".join(f"\\x{ord(c):02x}" for c in value)),
    ("all percent", _percent),
    ("all html", lambda value: "".join(f"&#{ord(c)};" for c in value)),
)
ESCAPED = ('{{"{k}":"{t}"}}\n', "{k}={t}&x=1\n", "<p>{k} <b>{t}</b></p>\n", "var {k}='{t}';\n")


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _wrapped(text: str, width: int, indent: str, ends: str = "\n") -> str:
    coded = _b64(text)
    return ends.join(indent + coded[i : i + width] for i in range(0, len(coded), width)) + ends


ENCODED: tuple[tuple[str, str, Callable[[str, str, Random], str]], ...] = (
    ("base64", "token", lambda k, t, r: f"  {k.lower()}: {_b64(t)}\n"),
    ("base64", "no padding", lambda k, t, r: f"{k}={_b64(t).rstrip('=')};\n"),
    ("base64", "url alphabet", lambda k, t, r: base64.urlsafe_b64encode(f"?>{k}={t}?>".encode()).decode()),
    ("base64", "basic auth", lambda k, t, r: f"Authorization: Basic {_b64(f'{k}:{t}')}\n"),
    ("base64", "env file", lambda k, t, r: f'env: "{_b64(_lines(r) + f"{k}={t}" + chr(10) + _lines(r))}"\n'),
    ("base64", "json in base64", lambda k, t, r: _b64(json.dumps({"a": _word(r), k: t, "z": 1}))),
    ("base64", "wrapped at 76", lambda k, t, r: "data: |\n" + _wrapped(f"{_lines(r)}{k}={t}\nX=1\n{_lines(r)}", 76, "  ")),
    ("base64", "wrapped at 64", lambda k, t, r: _wrapped(f"{_lines(r)}{k}: '{t}'\n{_lines(r)}", 64, "")),
    ("base64", "wrapped, CRLF", lambda k, t, r: _wrapped(f"{_lines(r)}{k}: '{t}'\n{_lines(r)}", 76, "", "\r\n")),
    ("base64", "twice", lambda k, t, r: f"x: {_b64(_b64(f'{_word(r)} {k} {t} '))}\n"),
    ("base64", "utf-16", lambda k, t, r: "powershell -enc " + base64.b64encode(f"$e='{k}';'{t}'".encode("utf-16-le")).decode()),
    ("base64", "data uri", lambda k, t, r: f"url(data:text/plain;base64,{_b64(f'{k} {t}')})\n"),
    ("base64", "token payload", lambda k, t, r: f"eyJhbGciOiJub25lIn0.{_b64(json.dumps({k: t})).rstrip('=')}.sig"),
    ("base64", "escaped in base64", lambda k, t, r: _b64(json.dumps({k: t}).replace("-", "\\u002d"))),
    ("hex", "lower case", lambda k, t, r: f"{k} {(f'{k}={t}').encode().hex()}\n"),
    ("hex", "upper case", lambda k, t, r: f"{k} 0x{t.encode().hex().upper()}\n"),
    ("hex", "spaced", lambda k, t, r: f"{k}: {t.encode().hex(' ')}\n"),
    ("hex", "dump", lambda k, t, r: _dumped(f"{_lines(r)}{k}={t}\n")),
    ("codes", "decimal", lambda k, t, r: f"/*{k}*/ String.fromCharCode({', '.join(str(ord(c)) for c in t)})\n"),
    ("codes", "bytes", lambda k, t, r: f"byte[] {k} = {{{', '.join(f'0x{ord(c):02x}' for c in t)}}};\n"),
    ("utf-16", "raw", lambda k, t, r: f"{k}={t}\r\n".encode("utf-16-le").decode("latin-1")),
)  # fmt: skip


def _dumped(text: str) -> str:
    """What `xxd -p` prints."""
    coded = text.encode().hex()
    return "".join(coded[at : at + 60] + "\n" for at in range(0, len(coded), 60))


def _word(random: Random) -> str:
    return "".join(random.choice(string.ascii_lowercase) for _ in range(random.randint(2, 9)))


def _lines(random: Random) -> str:
    return "".join(f"{_word(random).upper()}={_word(random)}\n" for _ in range(random.randint(1, 5)))


def added(text: str, random: Random, path: str = "src/new.txt") -> str:
    """*text* as the added lines of a unified diff."""
    lines = text.removesuffix("\n").split("\n")
    start = random.randint(1, 400)
    body = "\n".join(["+" + line for line in lines])
    last = "" if text.endswith("\n") else "\n\\ No newline at end of file"
    return (
        f"diff --git a/{path} b/{path}\nindex 3b18e51..9daeafb 100644\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -{start},2 +{start},{len(lines) + 2} @@ def main():\n import os\n{body}{last}\n x = 1\n"
    )


def _expected(family: str, value: str) -> dict[str, str]:
    return {value: family}


def positives(seed: int, rounds: int = 1) -> Iterator[Case]:
    """Every family in every context, join, escape and encoding, *rounds* times."""
    random = Random(seed)
    for _ in range(rounds):
        for family in RULES:
            if family.endswith("drift"):
                continue
            name = NAMES.get(family, family.replace("-", "_").upper() + "_KEY")
            for text, layer, note, value in _texts(family, name, random):
                if random.random() < 0.35 and layer != "utf-16" and "\x00" not in text:
                    yield Case(added(text, random), _expected(family, value), layer, note, diff=True)
                else:
                    yield Case(text, _expected(family, value), layer, note)


def _texts(family: str, name: str, random: Random) -> Iterator[tuple[str, str, str, str]]:
    for template in PLAIN:
        value = token(family, random)
        yield template.format(k=name, t=value), "plain", template, value
    for before, between, after, pieces in JOINS:
        value = token(family, random)
        text = taken_apart(name, value, (before, between, after, pieces), random)
        yield text, "join", before + between, value
    for note, escape in ESCAPES:
        value = token(family, random)
        yield random.choice(ESCAPED).format(k=name, t=escape(value)), "escape", note, value
    for layer, note, encode in ENCODED:
        value = token(family, random)
        yield encode(name, value, random), layer, note, value


def taken_apart(name: str, value: str, join: tuple[str, str, str, int], random: Random) -> str:
    """*value* as literals one of `JOINS` puts together."""
    before, between, after = (text.replace("{k}", name) for text in join[:3])
    return before + between.join(_cut(value, random, join[3])) + after


def same(wanted: str, family: str) -> bool:
    """Whether *family* is what the token itself can say about *wanted*."""
    return wanted == family or any({wanted, family} <= twins for twins in TWINS)


def shared() -> Path:
    """The team's labelled corpus, beside the checkout when there is one."""
    return Path.cwd().parent / "shared" / "corpus" / "shared.jsonl"
