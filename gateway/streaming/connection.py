"""One connection of the live stream: its commands, its subscriptions, and what waits to be written to it.

Everything that is written goes through `flush`, in the order in which it is told here: answers first, so that a
subscription is confirmed before its snapshot; then whole frames, as long as the client has room for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Protocol

import msgspec

from gateway.app import Gateway
from gateway.live import EVENT_TOPICS, SUBSCRIPTIONS, Slot, Wanted
from gateway.streaming.events import events, newest
from gateway.streaming.frames import encode, text_frame
from telemetry.errors import InvalidInput

BATCH_BYTES = 1 << 16  # frames of several subscriptions are written together
TURN_FRAMES = 20  # event frames of one reading of the journal: then the cursor is compared with the newest trade again
MAX_COMMAND = 1 << 20


class Outlet(Protocol):
    """The writing end of a connection."""

    room: bool  # whether the connection is open and its client has taken all that was written before
    write: Callable[[bytes], None]  # whole frames; what the client does not take is kept, and there is no room then

    def on_room(self, call: Callable[[], None]) -> None:
        """Have a function called when there is room again."""

    def end(self, code: int, reason: str) -> None:
        """Close."""


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    subscribe: Wanted | None = None
    unsubscribe: str | None = None


_commands = msgspec.json.Decoder(_Command)


class Connection:
    """`enqueue` is called with the connection when it has something to write; `flush` is to be called then."""

    __slots__ = ("_answers", "_due", "_enqueue", "_gateway", "_turns", "outlet", "queued", "slots")

    def __init__(self, gateway: Gateway, outlet: Outlet, enqueue: Callable[[Connection], None]) -> None:
        self._gateway, self._enqueue = gateway, enqueue
        self.outlet = outlet
        self.queued = False  # of the stream, which holds the queue
        self.slots: dict[str, Slot] = {}
        self._answers: list[bytes] = []
        self._due: list[Slot] = []
        self._turns: deque[tuple[Slot, Iterator[bytes]]] = deque()  # event topics
        outlet.on_room(lambda: enqueue(self))

    # --- commands --------------------------------------------------------------------------------------------------

    async def read(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        """Take commands until the client goes; a wrong one is answered with an error frame and changes nothing.

        Raises InvalidInput when the client does not read the answers.
        """
        while (message := await receive())["type"] != "websocket.disconnect":
            if len(self._answers) > 2 * SUBSCRIPTIONS:
                raise InvalidInput("expected the answers to be read, received more commands")
            text = message.get("text")
            try:
                if text is None:
                    raise InvalidInput("expected a text frame, received a binary one")
                await self._obey(text)
            except (InvalidInput, msgspec.MsgspecError, RecursionError) as error:
                detail = error.detail if isinstance(error, InvalidInput) else str(error)
                self._answer({"type": "error", "id": _id_of(text), "detail": detail[:500]})

    async def _obey(self, text: str) -> None:
        if len(text) > MAX_COMMAND:
            raise InvalidInput(f"expected a command of at most {MAX_COMMAND} characters, received {len(text)}")
        command = _commands.decode(text)
        if command.subscribe is not None:
            await self._subscribe(command.subscribe)
        if command.unsubscribe is not None:
            self._unsubscribe(command.unsubscribe)
        if command.subscribe is None and command.unsubscribe is None:
            raise InvalidInput("expected subscribe or unsubscribe, received neither")

    async def _subscribe(self, wanted: Wanted) -> None:
        if wanted.id in self.slots:
            raise InvalidInput(f"id: expected one not in use, received {wanted.id[:64]!a}")
        if len(self.slots) >= SUBSCRIPTIONS:
            raise InvalidInput(f"expected at most {SUBSCRIPTIONS} subscriptions, received one more")
        for _ in self._gateway.live.ahead(wanted):
            await asyncio.sleep(0)
        seq, now_ns = newest(self._gateway, wanted.topic), self._gateway.clocks.monotonic_ns()
        self.slots[wanted.id] = self._gateway.live.subscribe(wanted, self._wake, seq=seq, now_ns=now_ns)
        self._answer({"type": "subscribed", "id": wanted.id, "topic": wanted.topic, "seq": seq})

    def _unsubscribe(self, name: str) -> None:
        slot = self.slots.pop(name, None)
        if slot is None:
            raise InvalidInput(f"unsubscribe: expected the id of a subscription, received {name[:64]!a}")
        self._gateway.live.unsubscribe([slot])
        self._due = [due for due in self._due if due is not slot]
        self._turns = deque(turn for turn in self._turns if turn[0] is not slot)

    # --- writing ---------------------------------------------------------------------------------------------------

    def tell(self, frame: bytes) -> None:
        """Write a frame before all else."""
        self._answers.append(frame)
        self._enqueue(self)

    def flush(self, sent: list[int]) -> bool:
        """Write what waits as long as there is room; whether there is more that could be written at once.

        `sent` is given, for every update, when (monotonic ns) that which it tells was merged.
        """
        outlet = self.outlet
        while (self._due or self._answers) and outlet.room:
            outlet.write(b"".join(self._batch(sent)))
        if self._turns and outlet.room:
            self._turn()
            return bool(self._turns)
        return False

    def _batch(self, sent: list[int]) -> list[bytes]:
        batch, due = self._answers, self._due
        self._answers, self._due, size = [], [], 0
        for number, slot in enumerate(due, 1):
            if (frame := slot.take()) is not None:
                batch.append(frame)
                sent.append(slot.published_ns)
                size += len(frame)
            if size >= BATCH_BYTES:
                self._due = due[number:]
                break
        return batch

    def _turn(self) -> None:
        slot, frames = self._turns.popleft()
        if (frame := next(frames, None)) is not None:
            self._turns.append((slot, frames))
            self.outlet.write(frame)
            return
        slot.waiting = False
        if slot.next_seq <= newest(self._gateway, slot.wanted.topic):
            slot.call()

    def _wake(self, slot: Slot) -> None:
        if slot.wanted.topic in EVENT_TOPICS:
            self._turns.append((slot, islice(events(self._gateway, slot), TURN_FRAMES)))
        else:
            self._due.append(slot)
        if not self.queued:
            self._enqueue(self)

    def _answer(self, answer: dict[str, Any]) -> None:
        self.tell(text_frame(encode(answer)))


def _id_of(text: str | None) -> str | None:
    """The id in a command that cannot be obeyed, as far as it can be read."""
    with suppress(msgspec.MsgspecError, RecursionError):
        command = msgspec.json.decode(text or "", type=dict[str, Any])
        of = command.get("subscribe")
        found = of.get("id") if isinstance(of, dict) else command.get("unsubscribe")
        return found[:64] if isinstance(found, str) else None
    return None
