"""Addresses in what is sent to us lead to servers that nobody has any business with: none of them is ever called.

Payloads are doorbells. What is fetched is fetched by number from configured hosts;
an address is shown to a person at most, and only if it looks like one.
"""

import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from responder.simulator import World
from responder.simulator.gitlab import GitLab
from responder.simulator.partner import Partner
from tests.hook import dump, somebody
from tests.running import Group

PRESHARED = "made-up-revocation-token"
HOSTS = (
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433",
    "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::127.0.0.1]", "127.0.0.1%2f", "①②⑦.⓪.⓪.①", "127。0。0。1",
    "api.github.com@127.0.0.1", "user:password@127.0.0.1", "api.github.com%40127.0.0.1",
    "github.com:443@localhost", "x\\@127.0.0.1",
)  # fmt: skip
SHAPES = (
    "http://{host}:{port}/{n}", "https://{host}:{port}/{n}",
    "http://{host}:{port}/repositories/7/commits/../../{n}",
    "https://{host}:{port}/redirect?to=http://{host}:{port}/{n}",
)  # fmt: skip
ODD = (
    "//127.0.0.1:{port}/{n}", "\\\\127.0.0.1:{port}\\{n}", "http:127.0.0.1:{port}",
    "http:///127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}/", " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\r\nX: y", "git://127.0.0.1:{port}/x.git", "ssh://git@127.0.0.1:{port}/x.git",
    "git@127.0.0.1:{port}/x.git", "ftp://127.0.0.1:{port}/{n}", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x", "dict://127.0.0.1:{port}/x", "ldap://127.0.0.1:{port}/x",
    "ws://127.0.0.1:{port}/", "unix:///x", "data:text/html,x",
    "javascript:fetch('http://127.0.0.1:{port}')", "http://127.0.0.1:{port}#@github.com/",
    "http://github.com#@127.0.0.1:{port}/", "http://127.0.0.1:{port}?@github.com/",
    "{{x}}http://127.0.0.1:{port}/{{/x}}", "http://127.0.0.1:{port}/{{/sha}}", "smtp://127.0.0.1:{port}",
    "https://127.0.0.1:{port}\u202e/", "http://[::1",
)  # fmt: skip
FIELDS = (
    "url", "html_url", "clone_url", "git_url", "ssh_url", "svn_url", "mirror_url", "homepage", "compare",
    "compare_url", "contents_url", "archive_url", "commits_url", "git_commits_url", "trees_url", "blobs_url",
    "hooks_url", "avatar_url", "locations_url", "commit_url", "blob_url", "issue_url", "issue_comment_url",
    "web_url", "git_http_url", "git_ssh_url", "events_url", "location", "href", "default_branch", "full_name",
    "path", "user_avatar", "email", "_links",
)  # fmt: skip
PLACES = ("", "repository", "head_commit", "sender", "pusher", "organization", "installation", "alert", "location",
          "project", "object_attributes", "enterprise", "push_options")  # fmt: skip
"""Members whose fields are set; the first is the payload itself."""


class Street:
    """Servers that nobody should call, addresses that lead there, and a responder that is told all of them.

    Attributes:
        group: the responder's processes.
        urls: the addresses.
    """

    def __init__(self, world: World, gitlab: GitLab, group: Group, decoys: list[socket.socket]) -> None:
        self.group = group
        self._world, self._gitlab, self._decoys = world, gitlab, decoys
        ports = itertools.cycle([decoy.getsockname()[1] for decoy in decoys])
        made = [(shape, host) for shape in SHAPES for host in HOSTS] + [(shape, "") for shape in ODD]
        self.urls = [
            shape.replace("{host}", host).replace("{port}", str(next(ports))).replace("{n}", str(n))
            for n, (shape, host) in enumerate(made)
        ]
        self._next = itertools.cycle(self.urls)

    def dress(self, payload: dict[str, Any]) -> dict[str, Any]:
        """*payload* with an address in every field that has ever held one."""
        dressed = dict(payload)
        for place in PLACES:
            inner = payload.get(place, {}) if place else payload
            worn = {name: next(self._next) for name in FIELDS}
            worn = dict(inner) | worn
            dressed |= {place: worn} if place else worn
        dressed["commits"] = [one | {name: next(self._next) for name in FIELDS} for one in payload.get("commits", [])]
        dressed["location"] = {"type": "commit", "details": {name: next(self._next) for name in FIELDS}}
        return dressed

    def called(self) -> list[int]:
        """The ports of those who were called."""
        found = []
        for decoy in self._decoys:
            with suppress(BlockingIOError):
                decoy.accept()[0].close()
                found.append(decoy.getsockname()[1])
        return found

    def tell(self, times: int) -> None:
        """Tell the responder through every door; what is told of is really there, so that it goes and looks."""
        github, key = (
            self._world.github,
            {name: self._world.openai.add_key(name).value for name in ("a", "b", "c", "d", "e")},
        )
        repository = github.add_repository("street")
        made = repository.objects.commit({".env": f"KEY={key['a']}\n"})
        alert = github.alert(repository, key["b"], announce=False)
        project = self._gitlab.add_project()
        base = project.objects.commit({"README": "nothing\n"})
        pushed = [project.objects.commit({".env": f"KEY={key['c']}\n"})]
        here = {"repository": {"id": repository.id}}
        push = {**here, "ref": "refs/heads/main", "after": made.sha, "commits": [{"id": made.sha}]}
        told = {**here, "action": "created", "alert": {"number": alert.number}}
        events: list[tuple[str, dict[str, Any]]] = [
            ("push", push),
            ("secret_scanning_alert", told),
            ("secret_scanning_alert_location", told),
            ("public", here),
            ("repository", {**here, "action": "publicized"}),
        ]
        leaked = self._gitlab.payload(project, pushed, "main", base.sha)
        for _ in range(times):
            for event, payload in events:
                assert github.deliver(event, self.dress(payload)).status_code == 202
            assert self._gitlab.deliver("Push Hook", dump(self.dress(leaked))).status_code == 202
        client = self.group.client
        records = [{"token": key["d"], "type": "x", "url": url, "location": url, "source": url} for url in self.urls]
        signed = Partner(github.partner_keys).report(f"{self.group.origin}/hooks/github/partner", records)
        assert signed.status_code == 200
        given = client.post("/v1/revoke_tokens", json=records, headers={"Authorization": PRESHARED})
        assert given.status_code == 204
        for url in self.urls:
            report = {"token": key["e"], "url": url, "comment": url, "reporter": url[:320]}
            assert client.post("/v1/reports", json=report, headers=somebody()).status_code == 202


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with ExitStack() as open_:
        world, gitlab = open_.enter_context(World()), open_.enter_context(GitLab())
        decoys = [open_.enter_context(socket.socket()) for _ in range(4)]
        with suppress(OSError):  # there is no IPv6 everywhere
            decoys.append(open_.enter_context(socket.socket(socket.AF_INET6)))
            decoys[-1].bind(("::1", 0))
        for decoy in decoys:
            if decoy.family == socket.AF_INET:
                decoy.bind(("127.0.0.1", 0))
            decoy.listen()
            decoy.setblocking(False)
        settings = {
            **world.environment(),
            **gitlab.environment(),
            "RESPONDER_GITLAB__REVOCATION_TOKEN": PRESHARED,
            "RESPONDER_OPENAI__CALLS_PER_SECOND": "500",
            "RESPONDER_TRUSTED_PROXIES": "1",
        }
        group = open_.enter_context(Group(tmp_path_factory.mktemp("street"), settings))
        group.start("serve").wait_until_ready()
        world.github.hook_url, gitlab.hook_url = f"{group.origin}/hooks/github", f"{group.origin}/hooks/gitlab"
        made = Street(world, gitlab, group, decoys)
        made.tell(3)
        group.wait_until_idle()
        yield made


def test_there_are_many_of_them(street: Street) -> None:
    """A table that shrinks by accident protects nobody; and the decoys do hear."""
    assert len(set(street.urls)) >= 120
    for port in (urlsplit(street.urls[0]).port, urlsplit(street.urls[1]).port):
        socket.create_connection(("127.0.0.1", port or 0), timeout=5).close()
    assert len(street.called()) == 2


def test_no_address_of_a_payload_is_ever_opened(street: Street) -> None:
    """Whoever can push, comment or report could otherwise have us call any host, with our credentials."""
    disposed = {incident["key"]["name"]: incident["disposition"] for incident in street.group.incidents()}
    assert disposed == dict.fromkeys("abcde", "revoked"), "all of it was looked at"
    assert street.called() == []


def test_only_what_looks_like_an_address_is_shown(street: Street) -> None:
    """People click on it: no scheme but https, except to this machine, and nobody's name before the host."""
    seen = [sighting["where"] for incident in street.group.incidents() for sighting in incident["sightings"]]
    shown = {where for where in seen if where is not None}
    assert len(shown) > 20
    for where in shown:
        parts = urlsplit(where)
        assert parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        )
        assert "@" not in parts.netloc
        assert where.isprintable()
        assert not set(where) & set(" <>\"'`\\")
