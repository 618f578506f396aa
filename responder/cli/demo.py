"""``responder demo``: the main job, on this machine alone, in front of your eyes.

A GitHub, an OpenAI and a mail server are simulated; the responder is the real
one, started as its users start it. Whether it worked is asked of the simulated
OpenAI and the received mail, not of the responder.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from responder.core.incident import Event, Incident
    from responder.simulator import World

_PATIENCE_SECONDS = 60.0
_WORDS = {
    "received": "we were told",
    "matched": "compared with the known keys",
    "decided": "decided",
    "revoke_requested": "asked OpenAI to delete the key",
    "revoke_unknown": "no clear answer: its list is read before anything is repeated",
    "revoked": "OpenAI says it is deleted",
    "confirmed_dead": "seen dead",
    "notified": "told",
    "alert_resolved": "alert on GitHub closed as revoked",
    "closed": "incident closed",
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
@click.option("--chaos", is_flag=True, help="Add server errors, a lost answer and a killed worker.")
def demo(keep: bool, chaos: bool) -> None:
    """Leak a made-up key to a simulated GitHub and watch it being dealt with.

    Exit 0 only if the key ended confirmed dead and its owner was told.
    """
    from rich.console import Console

    from responder.simulator import World

    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="responder-demo-") as folder, World() as world:
        stage = Stage(console, world, Path(folder))
        with stage.responder():
            good = stage.play(chaos=chaos)
            console.print(f"\nThe whole demo took {time.monotonic() - started:.1f} s.")
            if keep and good:
                console.print(f"Still running: the receiver is at {stage.url}, its data in {folder}. Ctrl-C ends it.")
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()
        if not good:
            console.print("\n[bold red]It did not work.[/] The responder's last words:")
            console.print(stage.last_words(), markup=False)
    sys.exit(0 if good else 1)


@dataclass
class Stage:
    """One performance.

    Attributes:
        console: where it is shown.
        world: the simulated services.
        folder: the responder's data directory.
    """

    console: "Console"
    world: "World"
    folder: Path
    port: int = field(default_factory=_free_port)

    @property
    def url(self) -> str:
        """The receiver's address."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def responder(self) -> Iterator[None]:
        """The real responder, started as its users start it, in a process group of its own."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RESPONDER_")}
        environment |= self.world.environment()
        environment |= {
            "RESPONDER_CONFIG": os.devnull,
            "RESPONDER_DATA_DIR": str(self.folder),
            "RESPONDER_BIND": f"127.0.0.1:{self.port}",
        }
        with (self.folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "responder.cli", "serve"]
            process = subprocess.Popen(command, env=environment, stderr=log, start_new_session=True)  # noqa: S603
            try:
                yield
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # it is made to stand that
                process.wait()

    def play(self, *, chaos: bool) -> bool:
        """Leak a key, show what happens, and say whether it ended as it should."""
        organization = self.world.openai
        project = organization.add_project("checkout")
        owner = organization.add_user("Ada Example", "ada@acme.example")
        key = organization.add_key("checkout production", owner=owner, project=project)
        twin = organization.add_key("same look, other key", owner=owner, tail=key.value[-4:])
        if not self._wait_until_ready():
            return False
        self.console.print("[bold]A responder is running[/], beside a simulated GitHub, OpenAI and mail server.")
        self.console.print(
            f"OpenAI lists two keys that look alike: {key.value[:8]}…{key.value[-4:]}. One of them leaks now.\n"
        )
        if chaos:
            self._plan_chaos()
        self.world.github.hook_url = f"{self.url}/hooks/github"
        repository = self.world.github.add_repository("checkout")
        source = f'client = OpenAI(api_key="{key.value}")\n'
        made = repository.objects.commit({"app.py": source}, "Quick fix before the weekend")
        self.console.print(f"[dim]  +0.000 s[/]  git push, and GitHub's signed webhook: commit {made.sha[:12]}")
        pushed = time.time()
        self.world.github.push(repository, made)
        self.world.github.alert(repository, key.value, commit=made)
        incident = self._follow(pushed, chaos=chaos)
        if incident is None:
            return False
        return self._show(incident, key.id, twin.id)

    def _wait_until_ready(self) -> bool:
        import httpx

        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                    return True
            time.sleep(0.05)
        return False

    def _plan_chaos(self) -> None:
        faults = self.world.openai.faults
        faults.add("GET /v1/models", "status", status=500, times=2)
        faults.add("DELETE ", "timeout", seconds=12, applied=True)
        self.console.print(
            "Chaos: OpenAI answers 500 twice; the answer to the deletion is lost; the worker is killed.\n"
        )

    def _follow(self, pushed: float, *, chaos: bool) -> "Incident | None":
        """Print each line of the timeline as it appears, until the incident is closed."""
        from responder.store import Store, incidents

        store = Store(f"sqlite:///{self.folder / 'responder.sqlite'}")
        shown: list[object] = []
        end, killed = time.monotonic() + _PATIENCE_SECONDS, not chaos
        try:
            while time.monotonic() < end:
                with store.read() as tx:
                    found = incidents.recent(tx, 1)
                    incident = incidents.load(tx, found[0]) if found else None
                for event in incident.timeline if incident else ():
                    if event not in shown:
                        self._print_event(event, pushed)
                        shown.append(event)
                if incident and not killed and incident.first("revoke_requested"):
                    self._kill_worker()
                    killed = True
                if incident and incident.state == "closed" and self.world.mail.letters and self._alerts_closed():
                    return incident
                time.sleep(0.02)
            return None
        finally:
            store.close()

    def _print_event(self, event: "Event", pushed: float) -> None:
        detail: dict[str, Any] = dict(event.detail)
        more = {
            "received": f"by {str(detail.get('source', '')).replace('_', ' ')}",
            "matched": f"{detail.get('candidates')} candidate, evidence: {detail.get('evidence')}",
            "decided": f"{detail.get('decision')}. {detail.get('reason')}",
            "notified": {"owner": "the key's owner, by mail"}.get(str(detail.get("audience")), "the security team"),
        }.get(event.event, "")
        words = _WORDS.get(event.event, event.event.replace("_", " "))
        color = "bold green" if event.event in ("revoked", "confirmed_dead", "closed") else "bold"
        self.console.print(
            f"[dim]{max(event.at.timestamp() - pushed, 0):+8.3f} s[/]  [{color}]{words}[/]  {more}".rstrip()
        )

    def _kill_worker(self) -> None:
        for lease in (self.folder / "leases").iterdir():
            self.console.print("            [bold red]kill -9[/] of the worker")
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(lease.name.split("-")[-2]), signal.SIGKILL)

    def _alerts_closed(self) -> bool:
        return all(alert.state == "resolved" for alert in self.world.github.alerts)

    def _show(self, incident: "Incident", key_id: str, twin_id: str) -> bool:
        """The owner's message, the summary, and the verdict of the simulated services themselves."""
        from responder import summary

        organization = self.world.openai
        letters = [letter for letter in self.world.mail.letters if "ada@acme.example" in letter.recipients]
        revoked = [letter for letter in letters if "revoked" in str(letter.message["Subject"]).lower()] or letters
        self.console.rule("what the owner received")
        if revoked:
            self.console.print(
                f"To: {revoked[-1].message['To']}\nSubject: {str(revoked[-1].message['Subject']).strip()}\n",
                markup=False,
            )
            self.console.print(revoked[-1].text, markup=False)
        self.console.rule("the summary on the desk")
        self.console.print(summary.markdown(incident), markup=False)
        self.console.rule("asked of the simulated services themselves")
        applied = [one for one in organization.deletions if one.applied]
        facts = {
            "the leaked key is dead": not organization.is_live(key_id),
            "the key that looks like it is alive": organization.is_live(twin_id),
            "exactly one key was deleted": [one.key_id for one in applied] == [key_id],
            "the responder confirmed it": incident.confirmed_dead,
            "its owner has a mail": bool(letters),
            "the alert on GitHub is closed as revoked": self._alerts_closed(),
        }
        for fact, true in facts.items():
            self.console.print(f"  {'[green]yes[/]' if true else '[red]NO [/]'}  {fact}")
        return all(facts.values())

    def last_words(self) -> str:
        """The end of the responder's log."""
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-15:])
