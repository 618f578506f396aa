"""What a stranger can cost: neither a place in the queue nor memory."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.hook import dump, push, somebody, status
from tests.hostile import MIB
from tests.running import Group
from tests.siege import SETTINGS, House
from tests.slow import Slow

LARGEST = 25 * MIB
_HUNG_UP = b"- 0"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Group(tmp_path_factory.mktemp("weight"), SETTINGS) as group:
        group.prepare().start("web").wait_until_listening()
        yield House(group)


def test_two_hundred_who_send_a_byte_a_second_keep_nobody_waiting(house: House) -> None:
    """A place costs them nothing, and they hold it for as long as they like: that may not be one of few."""
    door = house.doors["github"]
    with Slow(house.group.origin, 200) as slow, ThreadPoolExecutor(4) as pool:
        bodies = [dump(push(repository={"id": 1000 + n})) for n in range(60)]
        answers = list(pool.map(lambda body: house.post(door, body, door.prove(body)), bodies))
        assert {status(answer) for answer in answers} == {202}
        assert house.group.client.post("/v1/reports", json={"token": "x"}, headers=somebody()).status_code == 202
        assert len(slow.answered()) <= 100, "who does not even end a head may be hung up on; the others are all there"


def heavy(good: bytes) -> Iterator[bytes]:
    """Bodies of the largest size that are read, each expensive to some reader."""
    for unit in (
        b"[],",
        b"{},",
        b"1,",
        b'"",',
        b'"a",',
        b"[[[",
        b'{"a":',
        b'\\"',
        b'"',
        b"\\u0041",
        b"\xf0\x9f\x94\x91",
        b" ",
    ):
        yield (good[:-1] + b', "heavy": [' + unit * (LARGEST // len(unit)))[:LARGEST]
    whole = good[:-1] + b', "heavy": "'
    for unit in (b"x", b"\\u0041", b"\\ud83d\\ude00", "🔑".encode()):
        yield whole + unit * ((LARGEST - len(whole) - 2) // len(unit)) + b'"}'
    yield (b"[" + b'{"token":"a"},' * (LARGEST // 14))[:LARGEST]
    yield b"payload=" + b"%5B" * ((LARGEST - 8) // 3)
    yield b"payload=" + b"&a=" * ((LARGEST - 8) // 3)
    yield bytes(LARGEST)


def test_twenty_of_the_heaviest_bodies_leave_no_weight_behind(house: House) -> None:
    """Twenty-five megabytes can become gigabytes in a reader's hands; then the kernel ends who held them."""
    github, gitlab, partner = (house.doors[name] for name in ("github", "gitlab", "partner"))
    before, sent = _resident(house.group), 0
    for body in heavy(dump(push())):
        door = (github, gitlab, partner)[sent % 3]
        proof = dict(door.prove(body))
        if body.startswith(b"payload="):
            proof["Content-Type"] = "application/x-www-form-urlencoded"
        answer = house.post(door, body, proof)
        assert status(answer) in (202, 400), answer[:300]
        sent += 1
    assert sent == 20
    growth = (_resident(house.group) - before) // MIB
    highest = max(_kilobytes(pid, "VmHWM") for pid in house.group.pids()) // 1024
    assert growth < 150, "MiB that are not given back"
    assert highest < 400, "MiB in one process"


def test_large_bodies_that_never_end_fill_no_memory_and_keep_no_small_one_out(house: House) -> None:
    """Sixty of twenty-five megabytes, all but the last byte, from somebody who has no signature to show."""
    door = house.doors["github"]
    body = dump(push())
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % LARGEST
    before = _resident(house.group)
    with ExitStack() as stack:
        sockets = [stack.enter_context(_connected(house.group)) for _ in range(60)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda one: _send(one, head + bytes(LARGEST - 1)), sockets))
        assert (_resident(house.group) - before) // MIB < 300, "MiB for what nobody has signed"
        assert status(house.post(door, body, door.prove(body))) == 202
        answers = Counter(status(_answer(one)) for one in sockets)
    assert set(answers) <= {408, 503, status(_HUNG_UP)}
    assert answers[408] > 0, "there is room for some, and an end to their patience"
    large = body[:-1] + b', "padding": "' + b"x" * MIB + b'"}'
    assert status(house.post(door, large, door.prove(large))) == 202, "what they held was given back"


@pytest.mark.parametrize("length", [1000, MIB])
def test_who_hangs_up_in_the_middle_of_a_body_costs_nothing(house: House, length: int) -> None:
    """The one thread that listens must not go on reading where nothing will come."""
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length
    for _ in range(4):  # whichever process gets it
        with _connected(house.group) as one:
            one.sendall(head + bytes(length // 2))
            one.shutdown(socket.SHUT_WR)
            assert status(_answer(one)) in (400, 401, status(_HUNG_UP))
    body, door = dump(push()), house.doors["github"]
    for _ in range(8):
        assert status(house.post(door, body, door.prove(body))) == 202


def test_who_goes_on_sending_after_the_answer_keeps_nobody_waiting(house: House) -> None:
    """A terabyte was announced, and refused: to read it in the one thread that listens would be the end of that."""
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n"
    stop = threading.Event()

    def send_on(one: socket.socket) -> None:
        with suppress(OSError):
            one.sendall(head)
            while not stop.is_set():
                one.sendall(bytes(MIB))

    with ExitStack() as stack, ThreadPoolExecutor(6) as pool:
        stack.callback(stop.set)
        for _ in range(6):  # both processes have theirs
            pool.submit(send_on, stack.enter_context(_connected(house.group)))
        time.sleep(0.5)
        body, door = dump(push()), house.doors["github"]
        began = time.monotonic()
        assert [status(house.post(door, body, door.prove(body))) for _ in range(10)] == [202] * 10
        assert time.monotonic() - began < 10


def _connected(group: Group) -> socket.socket:
    host, port = group.origin.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def _send(one: socket.socket, sent: bytes) -> None:
    """As much as is taken: whoever is refused is hung up on."""
    with suppress(OSError):
        one.sendall(sent)


def _answer(one: socket.socket) -> bytes:
    with suppress(OSError):
        return one.recv(65536) or _HUNG_UP
    return _HUNG_UP


def _resident(group: Group) -> int:
    return sum(_kilobytes(pid, "VmRSS") for pid in group.pids()) * 1024


def _kilobytes(pid: int, name: str) -> int:
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
