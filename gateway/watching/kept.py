"""A small file that is replaced as a whole: after a crash it is either the one before or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from isal.isal_zlib import crc32

_HEAD = 8  # bytes: the checksum of the rest in hexadecimal digits


class Kept:
    """`journal_id` names the journal that the content is about; what is about another one is not read."""

    def __init__(self, path: Path, journal_id: str) -> None:
        self.path = path
        self._owner = journal_id.encode() + b"\n"

    def read(self) -> tuple[bytes | None, str]:
        """The content, or None and the reason."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None, "there is none"
        except OSError as error:
            return None, f"it cannot be read: {error}"
        body = raw[_HEAD:]
        if raw[:_HEAD] != _sum(body):
            return None, "it is damaged: its checksum is wrong"
        if not body.startswith(self._owner):
            return None, "it belongs to another journal"
        return body[len(self._owner) :], ""

    def write(self, content: bytes) -> None:
        """Replace it; on disk when this returns. Raises OSError, and leaves the one before."""
        body = self._owner + content
        new = self.path.with_name(self.path.name + ".new")
        with new.open("wb") as file:
            file.write(_sum(body) + body)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _sum(body: bytes) -> bytes:
    return b"%08x" % crc32(body)
