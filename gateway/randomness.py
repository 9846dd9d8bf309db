"""Random bytes from the operating system, fetched in blocks: a system call per call costs more than the bytes."""

import os

BLOCK = 4096


class Randomness:
    """Every byte is used once. One event loop only."""

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def bytes(self, count: int) -> bytes:
        if self._used + count > len(self._block):
            self._block, self._used = os.urandom(BLOCK), 0
        found = self._block[self._used : self._used + count]
        self._used += count
        return found

    def hex(self, count: int) -> str:
        """`count` bytes, as twice as many hex digits."""
        return self.bytes(count).hex()


random = Randomness()
"""Of this process. Children are started, never forked, so no two processes share a block."""
