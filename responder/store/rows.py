"""A set of row numbers, a bit each: a million known keys take 125 kB."""

from collections.abc import Iterable, Iterator
from typing import Self


class Rows:
    """Row numbers, as a set.

    Args:
        bits: as `bits` gave them; none: the empty set.
    """

    def __init__(self, bits: bytes = b"") -> None:
        self._bits = bytearray(bits)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Self:
        """The set of *numbers*."""
        made = cls()
        made.add(numbers)
        return made

    @property
    def bits(self) -> bytes:
        """The set, to be stored."""
        return bytes(self._bits)

    def add(self, numbers: Iterable[int]) -> None:
        """Put *numbers* in."""
        for number in numbers:
            place = number >> 3
            if place >= len(self._bits):
                self._bits.extend(bytes(place + 1 - len(self._bits) + 1024))
            self._bits[place] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (number & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        for place, byte in enumerate(self._bits):
            if byte:
                yield from (place << 3 | bit for bit in range(8) if byte >> bit & 1)

    def __len__(self) -> int:
        return int.from_bytes(self._bits, "little").bit_count()

    def __and__(self, other: "Rows") -> "Rows":
        return Rows(bytes(a & b for a, b in zip(self._bits, other._bits, strict=False)))

    def __sub__(self, other: "Rows") -> "Rows":
        theirs = other._bits.ljust(len(self._bits), b"\0")
        return Rows(bytes(a & ~b for a, b in zip(self._bits, theirs, strict=False)))
