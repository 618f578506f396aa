"""Close every socket to anywhere but this machine, in the tests and in the processes they start.

`tests/outside/sitecustomize.py` brings this into the processes: a responder that
calls anybody it was not pointed at is found out.
"""

import ipaddress
import socket
import sys
from typing import Any

ALARM = "outside_connection_refused"
"""What a process under test prints when it tried; see `running.Group`."""


class OutsideConnection(ConnectionRefusedError):
    """Somebody tried to leave this machine."""


def is_inside(family: int, address: object) -> bool:
    """Whether a socket of *family* connected to *address* stays on this machine."""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    host = address[0] if isinstance(address, tuple) and address else ""
    if host in ("localhost", b"localhost"):
        return True
    try:
        named = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return named.is_loopback or named.is_unspecified  # 0.0.0.0 is this machine, by another name


def close() -> None:
    """Close them, for the rest of this process; closing twice changes nothing."""
    if getattr(socket.socket.connect, "guards", False):
        return
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(method: Any) -> Any:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if arguments and not is_inside(self.family, arguments[-1]):
            sys.stderr.write(f"{ALARM}\n")
            raise OutsideConnection
        return method(self, *arguments)

    guarded.guards = True  # type: ignore[attr-defined]  # a mark for `close`
    return guarded
