"""A real browser, told what to do through its own debugging pipe: nothing to install but Chromium itself."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_PATIENCE_SECONDS = 45.0
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)


class Browser:
    """One tab of a Chromium whose pages run no script.

    Args:
        folder: for its profile.
    """

    def __init__(self, folder: Path) -> None:
        assert PROGRAM is not None
        reads, self._says = os.pipe()
        self._hears, writes = os.pipe()

        def join_pipes() -> None:
            """It reads commands from 3 and writes answers to 4."""
            low, high = os.dup(reads), os.dup(writes)
            os.dup2(low, 3)
            os.dup2(high, 4)

        self._process = subprocess.Popen(
            [PROGRAM, *_ARGUMENTS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=join_pipes,  # noqa: PLW1509 -- it calls nothing that a lock could hold up
            pass_fds=(3, 4, reads, writes),
            start_new_session=True,
        )
        os.close(reads)
        os.close(writes)
        self._last, self._session, self._heard = 0, "", b""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        targets = self.do("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.do("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.do("Page.enable")
        self.do("Log.enable")
        self.do("Emulation.setScriptExecutionDisabled", value=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        os.close(self._says)
        os.close(self._hears)

    def open(self, url: str) -> None:
        """Go there, as if it had been typed."""
        self._events.clear()
        self.do("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def write(self, selector: str, text: str) -> None:
        """Paste into a field."""
        self._focus(selector)
        self.do("Input.insertText", text=text)

    def press(self, selector: str) -> None:
        """Press a button with the keyboard, and wait for the next page."""
        self._focus(selector)
        self._events.clear()
        for kind in ("keyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13, text="\r")
        self._wait_for("Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """What the page itself says of *expression*."""
        return self.do("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def complaints(self) -> list[str]:
        """What the browser has to say against the page."""
        return [event["params"]["entry"]["text"] for event in self._events if event["method"] == "Log.entryAdded"]

    def look(self, path: Path, *, width: int = 1000, height: int = 900, scheme: str = "light") -> None:
        """Take a picture."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the debugging protocol, and its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._says, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            heard = self._next(end)
            if heard.get("id") == self._last:
                assert "error" not in heard, heard["error"]
                return dict(heard["result"])

    def _focus(self, selector: str) -> None:
        root = self.do("DOM.getDocument")["root"]["nodeId"]
        node = self.do("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.do("DOM.focus", nodeId=node)

    def _wait_for(self, event: str) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while not any(heard["method"] == event for heard in self._events):
            self._next(end)

    def _next(self, end: float) -> dict[str, Any]:
        """The next message; events are also kept."""
        while b"\0" not in self._heard:
            assert time.monotonic() < end, "the browser does not answer"
            part = os.read(self._hears, 1 << 20)
            assert part, "the browser has ended"
            self._heard += part
        line, _, self._heard = self._heard.partition(b"\0")
        heard: dict[str, Any] = json.loads(line)
        if "method" in heard:
            self._events.append(heard)
        return heard
