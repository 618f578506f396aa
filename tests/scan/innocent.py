# ruff: noqa: E501  (tables of cases read better with a case a line)
"""Texts that hold no live token but look as if: style sheets, ids, placeholders, redactions, other vendors' keys."""

import base64
import string
from collections.abc import Callable, Iterator
from random import Random
from uuid import UUID

_WORDS = [
    "button",
    "card",
    "grid",
    "header",
    "footer",
    "sidebar",
    "modal",
    "overlay",
    "toggle",
    "content",
    "label",
    "item",
    "list",
    "nav",
    "primary",
    "secondary",
    "container",
    "wrapper",
    "loading",
    "spinner",
    "circle",
    "chase",
    "dot",
    "wave",
    "pulse",
    "fold",
    "cube",
    "bounce",
    "estimator",
    "parallel",
    "fitted",
    "deploy",
    "gateway",
    "worker",
    "batch",
    "stream",
    "queue",
    "cache",
    "index",
    "search",
    "report",
    "summary",
    "invoice",
    "account",
    "profile",
    "session",
]
_BEFORE = (
    "task",
    "risk",
    "disk",
    "desk",
    "mask",
    "ask",
    "flask",
    "whisk",
    "brisk",
    "kiosk",
    "zendesk",
    "dusk",
    "tusk",
)
_PREFIXES = (
    "sk-", "sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-", "sk-ant-api03-", "sk-ant-admin01-", "sk-ant-oat01-",
    "sk-or-v1-", "sk-lf-", "sk-kimi-", "sk-api-", "sk-service-",
)  # fmt: skip
_BODIES = (
    "your-api-key", "YOUR_API_KEY", "your-openai-api-key-here", "yourApiKeyGoesHere1234", "xxxxxxxx", "x" * 48,
    "X" * 20 + "T3BlbkFJ" + "X" * 20, "0" * 32, "0" * 64, "a" * 48, "1234567890" * 5, "0123456789abcdef" * 2,
    "0123456789abcdef" * 4, "abcdef0123456789" * 3, "deadbeef" * 4, "deadbeef" * 8, "cafebabe" * 4, "abc123" * 15,
    "abcdefghijklmnopqrstuvwxyz123456789012345678901234", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "1234", "abcd1234", "test", "testkey123", "test-key-for-unit-tests-only", "fake-key-do-not-use-in-production",
    "replace-me-with-a-real-key", "REPLACE_WITH_YOUR_KEY", "placeholder-value-for-documentation", "example-key-1234567890",
    "...", "…", "****", "*" * 40, "<your key>", "${OPENAI_API_KEY}", "{{ secrets.KEY }}", "[REDACTED]", "%s", "xxx...xxx",
    "A" * 93 + "AA", "x" * 93 + "AA", "fedcba9876543210" * 2, "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6", "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6",
    "00000000-0000-0000-0000-000000000000", "12345678-1234-1234-1234-123456789012", "qwertyuiopasdfghjklzxcvbnm123456",
    "ThisIsNotARealKeyThisIsNotARealKeyThisIsNotA", "aaaabbbbccccddddeeeeffffgggghhhh", "1111222233334444555566667777888899990000aaaabbbb",
)  # fmt: skip
_ASSIGNED = (
    "KEY={}\n",
    "api_key: '{}'\n",
    "Use `{}` here.\n",
    '{{"apiKey": "{}"}}\n',
    "Incorrect API key provided: {}.\n",
    "# {}\n",
)


def _slug(random: Random, least: int = 2, most: int = 6) -> str:
    return "-".join(random.choice(_WORDS) for _ in range(random.randint(least, most)))


def _hex(random: Random, size: int) -> str:
    return "".join(random.choice("0123456789abcdef") for _ in range(size))


def _alnum(random: Random, size: int) -> str:
    return "".join(random.choice(string.ascii_letters + string.digits) for _ in range(size))


def _url(random: Random, size: int) -> str:
    return "".join(random.choice(string.ascii_letters + string.digits + "-_") for _ in range(size))


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


_KINDS: tuple[Callable[[Random], str], ...] = (
    lambda r: f".sk-{_slug(r)} .sk-{_slug(r)}-child{r.randint(1, 12)}:before{{animation-delay:-{r.randint(1, 9)}00ms}}\n",
    lambda r: f'<div class="sk-{_slug(r)}__{_slug(r, 1, 2)}--is-{_slug(r, 1, 3)}" id="sk-container-id-{r.randint(1, 99)}">\n',
    lambda r: f'"<style>#sk-container-id-{r.randint(1, 40)} div.sk-toggleable__content.{_slug(r, 1, 1)} pre{{}}</style>"\n',
    lambda r: f"{r.choice(_BEFORE)}-{_hex(r, r.choice((20, 32, 40, 48, 64)))}\n",
    lambda r: f"{r.choice(_BEFORE)}-{_uuid(r)}\n",
    lambda r: f"{r.choice(_BEFORE)}-{_alnum(r, r.choice((8, 22, 32, 48)))}.js\n",
    lambda r: f"assets/{r.choice(_BEFORE)}-{_url(r, 8)}.js /{r.choice(_BEFORE)}_sk-{_slug(r)}.css\n",
    lambda r: f"sk-{_slug(r)}-{_alnum(r, 10).lower()}-{_alnum(r, 5).lower()}   1/1   Running   0   3d\n",
    lambda r: f"https://example.com/blog/sk-{_slug(r, 4, 8)}-{r.randint(2010, 2026)}-0{r.randint(1, 9)}-1{r.randint(0, 9)}\n",
    lambda r: f'<html lang="sk-SK"> voice: sk-SK-{_slug(r, 1, 1).title()}Neural "sk-Latn-SK"\n',
    lambda r: f"sk-{_slug(r)}=={r.randint(0, 9)}.{r.randint(0, 99)}.2.post{r.randint(0, 9)}\n",
    lambda r: r.choice(_ASSIGNED).format(r.choice(_PREFIXES) + r.choice(_BODIES)),
    lambda r: r.choice(_ASSIGNED).format(f"sk-proj-{_url(r, 4)}…{_url(r, 4)}"),
    lambda r: r.choice(_ASSIGNED).format(f"sk-{_alnum(r, 2)}{'*' * r.randint(20, 60)}{_alnum(r, 4)}"),
    lambda r: r.choice(_ASSIGNED).format(f"{r.choice(_PREFIXES)}{_url(r, r.randint(3, 9))}..."),
    lambda r: f"sk-ssh-ed25519@openssh.com {_b64(b'sk-ssh-ed25519@openssh.com' + _raw(r, 64))} me@host\n",
    lambda r: f"sk-ecdsa-sha2-nistp256@openssh.com {_b64(b'sk-ecdsa-sha2-nistp256@openssh.com' + _raw(r, 99))} me@host\n",
    lambda r: f'<img src="data:image/png;base64,{_b64(_raw(r, r.randint(300, 3000)))}">\n',
    lambda r: f"{_url(r, 24)}.{_url(r, 80)}-sk-{_url(r, 40)}.{_url(r, 43)}\n",
    lambda r: f"{_url(r, 30)}-sk-{_url(r, 60)}\n",
    lambda r: f"sk_live_{_alnum(r, 24)} sk_test_{_alnum(r, 24)} sk_{_hex(r, 48)}\n",
    lambda r: f"gsk_{_alnum(r, 52)} csk-{_alnum(r, 48).lower()} pk-lf-{_uuid(r)} xai-{_alnum(r, 80)}\n",
    lambda r: "const RE = /^sk-(?:proj-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}$/;\n",
    lambda r: 'if key.startswith("sk-ant-") or key.startswith("sk-or-v1-"): ...\n',
    lambda r: 'KEY = "sk-" + secrets.token_urlsafe(16)\nOTHER = f"sk-{uuid4().hex}"\n',
    lambda r: f'"integrity": "sha512-{_b64(_raw(r, 64))}"\n',
    lambda r: f"oid sha256:{_hex(r, 64)}\nsize {r.randint(1, 9**9)}\n",
    lambda r: f'<script src="/locales/sk-{_hex(r, 32)}.js"></script> sk-{_alnum(r, 48)}.css.map\n',
    lambda r: f"name: {r.choice(_BEFORE)}-{_slug(r)}-{_hex(r, 8)}\n",
    lambda r: f'{{"sk-{_slug(r, 1, 2)}-500":"#{_hex(r, 6)}","sk-{_slug(r, 3, 6)}-overlay":"#0008"}}\n',
    lambda r: f'title = "{_slug(r)} task" + "-{_slug(r)}"; lang = "sk" + "-SK"; x = ["sk", "cs", "pl"]\n',
    lambda r: f"/ta%73k%2D{_slug(r)}?q=risk%2D{_hex(r, 32)}&u=desk\\u002d{_alnum(r, 22)}\n",
    lambda r: f"commit {_hex(r, 40)}\nskwiki-20240101-pages-articles.xml sk-20240101-pages-meta-history1.xml-p1p{r.randint(1, 99999)}.7z\n",
)  # fmt: skip


def _raw(random: Random, size: int) -> bytes:
    return bytes(random.getrandbits(8) for _ in range(size))


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def texts(seed: int, rounds: int) -> Iterator[str]:
    """Innocent texts, every kind *rounds* times."""
    random = Random(seed)
    for _ in range(rounds):
        for kind in _KINDS:
            yield kind(random)
