"""A GitHub, an OpenAI, a mail server and a channel, small enough to ship.

For the demo, the drill and the tests: the real responder runs beside it and
talks to it over loopback. Everything is made up; nothing leaves 127.0.0.1.
"""

import contextlib
from types import TracebackType
from typing import Self

from responder.simulator.channel import Channel
from responder.simulator.github import GitHub
from responder.simulator.mail import Mail
from responder.simulator.openai import OpenAI
from responder.simulator.server import Server

__all__ = ["World"]


class World:
    """All servers on loopback, from entering the context to leaving it.

    Args:
        seed: of keys and ids.
        github_port: 0 for any free one, as the others.
        openai_port: likewise.
        mail_port: likewise.
        channel_port: likewise.

    Attributes:
        github: code, alerts and webhooks; set ``github.hook_url`` once the receiver listens.
        openai: the keys and their administration.
        mail: what owners are sent.
        channel: what the security team is sent.
        decoy: where redirects lead; its journal should stay empty.

    Raises:
        ExceptionGroup: on leaving, if the simulator itself failed.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        github_port: int = 0,
        openai_port: int = 0,
        mail_port: int = 0,
        channel_port: int = 0,
    ) -> None:
        self.github = GitHub(github_port)
        self.openai = OpenAI(seed, openai_port)
        self.mail = Mail(mail_port)
        self.channel = Channel(channel_port)
        self.decoy = Server()
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            for server in (self.decoy, self.github, self.openai, self.mail, self.channel):
                running.enter_context(server)
            for server in (self.github, self.openai, self.channel):
                server.decoy_url = self.decoy.origin
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
        bugs = [bug for server in (self.github, self.openai, self.channel, self.decoy) for bug in server.bugs]
        if bugs and error is None:
            raise ExceptionGroup("the simulator itself failed", bugs)

    def environment(self) -> dict[str, str]:
        """The settings that point a responder here; all by environment name."""
        credential = {"RESPONDER_GITHUB__TOKEN": self.github.token}
        if (app := self.github.app) is not None:
            credential = {
                "RESPONDER_GITHUB__APP_ID": app.id,
                "RESPONDER_GITHUB__PRIVATE_KEY": app.private_key,
                "RESPONDER_GITHUB__INSTALLATION_ID": str(app.installation),
            }
        return {
            **credential,
            "RESPONDER_GITHUB__API_URL": self.github.api_url,
            "RESPONDER_GITHUB__WEBHOOK_SECRET": self.github.hooks.secret,
            "RESPONDER_OPENAI__BASE_URL": self.openai.base_url,
            "RESPONDER_OPENAI__ADMIN_KEY": self.openai.admin_key.value,
            "RESPONDER_MAIL__URL": self.mail.url,
            "RESPONDER_MAIL__FROM": "responder@acme.example",
            "RESPONDER_NOTIFY__URLS": self.channel.url,
        }
