"""A file system that forgets: it keeps after a power cut only what was synced, or a seeded choice of the rest too.

What it models, each seen on real systems:
* writes stay in the page cache until `sync`; any 512-byte sectors of them may reach the disk earlier, in any order;
* a write under way is torn; a process that is killed in it leaves a part of it in the page cache;
* directory entries, new or removed, stay in memory until `sync_directory`; each may reach the disk earlier;
* reserved blocks that were never written are not zero;
* after a failed `sync` the pages count as clean: the cache still shows them, no later `sync` writes them.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from telemetry.errors import Stop

SECTOR = 512


class Inode:
    """The content of one file: as processes see it, and as it is on disk (None: not even its size is)."""

    def __init__(self, size: int) -> None:
        self.cache = bytearray(size)
        self.disk: bytearray | None = None
        self.pending: list[tuple[int, bytes]] = []

    def copy(self) -> Inode:
        twin = Inode(0)
        twin.cache, twin.disk, twin.pending = self.cache.copy(), self.disk and self.disk.copy(), self.pending.copy()
        return twin

    def write(self, offset: int, data: bytes) -> None:
        self.cache[offset : offset + len(data)] = data
        self.pending.append((offset, data))

    def sync(self) -> None:
        disk = self._reserved() if self.disk is None else self.disk
        for offset, data in self.pending:
            disk[offset : offset + len(data)] = data
        self.disk, self.pending = disk, []

    def after_power_cut(self, chance: random.Random | None) -> Inode:
        """What the disk shows; with `chance` also some sectors that nobody synced."""
        disk = bytearray() if self.disk is None else self.disk.copy()
        if chance is not None and (self.disk is not None or chance.random() < 0.5):
            disk = disk or self._reserved()
            for offset, data in self.pending:
                for start in range(0, len(data), SECTOR):
                    if chance.random() < 0.5:
                        part = data[start : start + SECTOR]
                        disk[offset + start : offset + start + len(part)] = part
        twin = Inode(0)
        twin.cache, twin.disk = disk.copy(), disk
        return twin

    def _reserved(self) -> bytearray:
        return bytearray(b"\xa5" * len(self.cache))


class ForgetfulFiles:
    """Implements telemetry.backbone.disk.Files in memory, for one directory.

    `after(kind, name)` is called after every step that changes something, and with kind "torn" in the middle of a
    write. `fault(kind, name)` may return an OSError that the step raises. `room` is how many bytes fit.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Inode] = {}
        self.disk_entries: dict[str, Inode] = {}
        self.after: Callable[[str, str], None] = lambda kind, name: None
        self.fault: Callable[[str, str], OSError | None] = lambda kind, name: None
        self.room = 1 << 40
        self.steps: list[tuple[str, str, int, int]] = []  # kind, name, offset, length
        self.locked = False

    def after_power_cut(self, chance: random.Random | None = None) -> ForgetfulFiles:
        """The same disk after the power came back."""
        twin = ForgetfulFiles()
        names = {**self.disk_entries}
        if chance is not None:
            for name in sorted(self.entries.keys() | self.disk_entries.keys()):
                if self.entries.get(name) is not self.disk_entries.get(name) and chance.random() < 0.5:
                    if name in self.entries:
                        names[name] = self.entries[name]
                    else:
                        del names[name]
        twin.entries = {name: inode.after_power_cut(chance) for name, inode in names.items()}
        twin.disk_entries = dict(twin.entries)
        return twin

    def after_kill(self) -> ForgetfulFiles:
        """The same machine after the process was killed: the page cache is still there."""
        twin = ForgetfulFiles()
        copies = {id(inode): inode.copy() for inode in [*self.entries.values(), *self.disk_entries.values()]}
        twin.entries = {name: copies[id(inode)] for name, inode in self.entries.items()}
        twin.disk_entries = {name: copies[id(inode)] for name, inode in self.disk_entries.items()}
        return twin

    def lock(self, directory: Path) -> HeldLock:
        if self.locked:
            raise Stop(f"{directory} is in use")
        self.locked = True
        return HeldLock(self)

    def names(self, directory: Path) -> Sequence[str]:
        return list(self.entries)

    def create(self, path: Path, size: int) -> ForgetfulFile:
        self.step("create", path.name, 0, size)
        others = sum(len(inode.cache) for name, inode in self.entries.items() if name != path.name)
        if others + size > self.room:
            self.entries[path.name] = Inode(0)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        inode = self.entries[path.name] = Inode(size)
        self.after("create", path.name)
        return ForgetfulFile(self, path.name, inode)

    def open(self, path: Path) -> ForgetfulFile:
        if path.name not in self.entries:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return ForgetfulFile(self, path.name, self.entries[path.name])

    def remove(self, path: Path) -> None:
        self.step("remove", path.name)
        if path.name not in self.entries:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        del self.entries[path.name]
        self.after("remove", path.name)

    def sync_directory(self, directory: Path) -> None:
        self.step("sync_directory", "")
        self.disk_entries = dict(self.entries)
        self.after("sync_directory", "")

    def step(self, kind: str, name: str, offset: int = 0, length: int = 0) -> None:
        """Note the step; raise the fault that is planned for it."""
        self.steps.append((kind, name, offset, length))
        error = self.fault(kind, name)
        if error is not None:
            raise error


class ForgetfulFile:
    """An open file of ForgetfulFiles."""

    def __init__(self, files: ForgetfulFiles, name: str, inode: Inode) -> None:
        self._files, self._name, self._inode = files, name, inode

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._inode.cache[offset : offset + length])

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        whole = bytes(data)
        torn = whole[: len(whole) * 2 // 3]
        try:
            self._files.step("write", self._name, offset, len(whole))
        except OSError:
            self._inode.write(offset, torn)
            raise
        self._inode.write(offset, torn)
        self._files.after("torn", self._name)
        self._inode.write(offset, whole)
        self._files.after("write", self._name)

    append = write

    def sync(self) -> None:
        try:
            self._files.step("sync", self._name)
        except OSError:
            self._inode.pending = []
            raise
        self._inode.sync()
        self._files.after("sync", self._name)

    def size(self) -> int:
        return len(self._inode.cache)

    def close(self) -> None:
        pass


class HeldLock:
    """The lock of ForgetfulFiles."""

    def __init__(self, files: ForgetfulFiles) -> None:
        self._files = files

    def close(self) -> None:
        self._files.locked = False
