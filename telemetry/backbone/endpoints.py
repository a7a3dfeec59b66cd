"""Where gateway and workers meet: Unix sockets in a directory of our own, or loopback TCP.

There is no authentication yet, so nothing else is accepted: the directory's mode is what keeps other users out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from telemetry.errors import InvalidInput, Stop

IPC = "ipc://"
IPC_PATH_BYTES = 104  # a Unix socket's path has room for 107 bytes and a zero on Linux, for 103 and a zero elsewhere
_SUFFIX = ".ipc"


def default_results(data: Path) -> str:
    """The endpoint for results that gateway and workers of one data directory agree on: short, whatever its path is."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(data))).hexdigest()[:12]
    return f"{IPC}{tempfile.gettempdir()}/telemetry-{os.getuid()}/{digest}/results{_SUFFIX}"


def check_endpoint(endpoint: str) -> str:
    """`endpoint`, if it is a Unix socket or on the loopback interface; InvalidInput otherwise."""
    if endpoint.startswith(IPC + "/"):
        if len(os.fsencode(endpoint)) - len(IPC) >= IPC_PATH_BYTES:
            raise InvalidInput(f"expected a socket path of less than {IPC_PATH_BYTES} bytes, received {endpoint!r}")
        return endpoint
    try:
        parts = urlsplit(endpoint)
        if parts.scheme == "tcp" and ipaddress.ip_address(parts.hostname or "").is_loopback and parts.port is not None:
            return endpoint
    except ValueError:
        pass
    raise InvalidInput(
        "expected ipc:///PATH or tcp://127.0.0.1:PORT (workers are not authenticated, so nothing else is listened to), "
        f"received {endpoint!r}"
    )


def same_place(endpoint: str, results: str) -> bool:
    """Whether a worker at `endpoint` may belong to a gateway at `results`: same directory, or both loopback TCP."""
    try:
        check_endpoint(endpoint)
    except InvalidInput:
        return False
    if endpoint.startswith(IPC) and results.startswith(IPC):
        return os.path.dirname(os.path.normpath(endpoint[6:])) == os.path.dirname(os.path.normpath(results[6:]))
    return endpoint.startswith("tcp:") and results.startswith("tcp:")


def new_endpoint(results: str) -> str:
    """An address for a worker of the gateway at `results`, never used before (a TCP port is the system's choice)."""
    if not results.startswith(IPC):
        return "tcp://127.0.0.1:*"
    name = f"worker-{os.getpid()}-{secrets.token_hex(3)}{_SUFFIX}"
    return check_endpoint(f"{results.rpartition('/')[0]}/{name}")


def prepare(results: str) -> None:
    """Make the directory of the endpoint, for this user alone. Stop: somebody else could put a socket there."""
    if not check_endpoint(results).startswith(IPC):
        return
    directory = Path(results[len(IPC) :]).parent
    for path in (directory.parent, directory):
        if not path.exists():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.parent.name == f"telemetry-{os.getuid()}":
        _check_owner(directory.parent)
    _check_owner(directory)


def remove_stale(results: str) -> None:
    """Remove the sockets of killed processes beside the endpoint: those that nobody listens on."""
    if results.startswith(IPC):
        for path in Path(results[len(IPC) :]).parent.glob(f"worker-*{_SUFFIX}"):
            if not _listening(path):
                path.unlink(missing_ok=True)


def exists(endpoint: str) -> bool:
    """Whether the socket of an open endpoint is still there: cleaners of temporary directories remove them."""
    return not endpoint.startswith(IPC) or os.path.exists(endpoint[len(IPC) :])


def remove(endpoint: str) -> None:
    """Remove the socket of an endpoint that was closed."""
    if endpoint.startswith(IPC):
        with suppress(OSError):
            os.unlink(endpoint[len(IPC) :])


def _check_owner(directory: Path) -> None:
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise Stop(
            f"expected {directory} to be a directory of user {os.getuid()} that nobody else may write to, "
            f"found mode {stat.filemode(found.st_mode)} of user {found.st_uid}"
        )


def _listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True
