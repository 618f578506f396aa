"""Everything together, as the demo and the drill use it."""

import smtplib
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from responder.simulator import World


def test_the_environment_points_at_servers_that_answer() -> None:
    """A responder started with it needs nothing else to work."""
    with World() as world:
        settings = world.environment()
        assert all(name.startswith("RESPONDER_") for name in settings)
        github = {"Authorization": f"Bearer {settings['RESPONDER_GITHUB__TOKEN']}"}
        admin = {"Authorization": f"Bearer {settings['RESPONDER_OPENAI__ADMIN_KEY']}"}
        with httpx.Client(trust_env=False) as client:
            limits = client.get(f"{settings['RESPONDER_GITHUB__API_URL']}/rate_limit", headers=github)
            projects = client.get(f"{settings['RESPONDER_OPENAI__BASE_URL']}/organization/projects", headers=admin)
            post = client.post(settings["RESPONDER_NOTIFY__URLS"].replace("json:", "http:"), json={"title": "t"})
        assert [limits.status_code, projects.status_code, post.status_code] == [200, 200, 200]
        mail = urlsplit(settings["RESPONDER_MAIL__URL"])
        assert (mail.scheme, mail.query) == ("smtp", "starttls=never")
        assert mail.hostname is not None
        with smtplib.SMTP(mail.hostname, mail.port or 0) as session:
            session.sendmail(settings["RESPONDER_MAIL__FROM"], ["zoe@acme.example"], b"Subject: x\r\n\r\nhello\r\n")
        assert len(world.mail.wait_for(1)) == 1
        assert len(world.channel.posts) == 1
        assert settings["RESPONDER_GITHUB__WEBHOOK_SECRET"] == world.github.hooks.secret


def test_nothing_is_left_running() -> None:
    before = set(threading.enumerate())
    with World() as world:
        world.github.commit_and_push(world.github.add_repository(), {"a": "x"}, wait=False)
        idle = httpx.Client(trust_env=False)
        idle.get(f"{world.github.origin}/meta")
        ports = [s.port for s in (world.github, world.openai, world.channel, world.decoy, world.mail)]
        assert len(set(ports)) == 5
    assert set(threading.enumerate()) == before
    for port in ports:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
    idle.close()


def test_ports_can_be_fixed_and_used_again_at_once() -> None:
    with World() as first:
        ports = {
            "github_port": first.github.port,
            "openai_port": first.openai.port,
            "mail_port": first.mail.port,
            "channel_port": first.channel.port,
        }
    with World(**ports) as second:
        assert second.github.port == ports["github_port"]
        assert second.mail.port == ports["mail_port"]


def test_the_same_seed_makes_the_same_keys_and_another_does_not() -> None:
    one, two, other = World(1), World(1), World(2)
    assert one.openai.add_key().value == two.openai.add_key().value != other.openai.add_key().value
    for world in (one, two, other):
        world.github.hooks.close()


def test_redirects_of_every_server_lead_to_the_decoy() -> None:
    with World() as world:
        for server in (world.github, world.openai, world.channel):
            server.faults.add("GET", "redirect")
            httpx.get(f"{server.origin}/x", follow_redirects=True, trust_env=False)
        assert len(world.decoy.journal) == 3
