"""The snapshot: state and applied number of one instant, discarded whenever it does not fit the journal."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gateway.aggregator import Aggregator
from gateway.snapshot import Snapshot, Snapshots
from gateway.state.contents import PIECE, Head
from gateway.state.held import Held
from gateway.state.patterns import Parts
from gateway.state.taking import Waiting
from telemetry.errors import Stop
from telemetry.trade import Trade
from tests.gateway.test_aggregator import EPOCH, NOW, answer, offer, trade


def some_trades(count: int, seed: int = 1) -> list[Trade]:
    rng = random.Random(seed)
    return [
        trade(
            rng.choice([-3, 5, 10**17]),
            rng.randint(1, 10**9),
            NOW - rng.randrange(10**14),
            symbol=rng.choice("ABCD"),
            price_scale=rng.choice([0, 2, 9]) if rng.random() < 0.98 else 18,
            side=rng.randrange(3),
        )
        for _ in range(count)
    ]


def test_a_restored_state_answers_as_the_one_that_was_saved_and_goes_on_alike(tmp_path: Path) -> None:
    some = some_trades(3000)
    state = Aggregator(epoch=EPOCH, atoms=1000)
    snapshot = Snapshot(tmp_path / "snapshot.db", "j1")
    for first in range(1, 2001, 50):
        offer(state, some, first, first + 49)
        if first % 500 == 1:
            snapshot.save(state)
    snapshot.save(state)
    restored = Aggregator(epoch=EPOCH, atoms=1000)
    assert Snapshot(tmp_path / "snapshot.db", "j1").load(restored, newest=2000) is None
    assert restored.wide.atoms
    assert answer(restored) == answer(state)
    for target in (restored, state):
        offer(target, some, 2001, 3000)
    assert answer(restored) == answer(state)
    assert restored.negative == state.negative


def test_what_failed_in_the_middle_of_merging_is_never_saved(tmp_path: Path) -> None:
    def fail(held: Held, waiting: Sequence[Waiting]) -> None:
        raise MemoryError("no memory for patterns")

    state = Aggregator(epoch=EPOCH, parts=Parts(rows=0, take=lambda: fail))
    with pytest.raises(MemoryError):
        offer(state, some_trades(10), 1, 10)
    assert state.applied == 0
    with pytest.raises(Stop, match="behind trade 0"):
        Snapshot(tmp_path / "snapshot.db", "j1").save(state)
    assert not (tmp_path / "snapshot.db").exists()


def test_a_snapshot_of_another_journal_or_ahead_of_it_is_discarded_with_the_reason(tmp_path: Path) -> None:
    state = Aggregator(epoch=EPOCH)
    offer(state, some_trades(10), 1, 10)
    snapshot = Snapshot(tmp_path / "snapshot.db", "j1")
    snapshot.save(state)
    for journal_id, newest, reason in (("j2", 10, "belongs to"), ("j1", 9, "ahead of the journal")):
        empty = Aggregator(epoch=EPOCH)
        assert reason in (Snapshot(tmp_path / "snapshot.db", journal_id).load(empty, newest=newest) or "")
        assert (empty.applied, empty.instruments) == (0, [])


def test_an_unreadable_snapshot_is_discarded_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    path.write_bytes(b"not a database at all" * 100)
    state = Aggregator(epoch=EPOCH)
    snapshot = Snapshot(path, "j1")
    assert "cannot be read" in (snapshot.load(state, newest=10) or "")
    offer(state, some_trades(10), 1, 10)
    snapshot.save(state)
    restored = Aggregator(epoch=EPOCH)
    assert Snapshot(path, "j1").load(restored, newest=10) is None
    assert answer(restored) == answer(state)


def test_rows_that_are_nothing_at_all_are_noticed(tmp_path: Path) -> None:
    path, state = tmp_path / "snapshot.db", Aggregator(epoch=EPOCH)
    offer(state, some_trades(100), 1, 100)
    for damage in ("UPDATE state SET value = NULL WHERE name LIKE 'totals%'", "INSERT INTO state VALUES (x'00', 1)"):
        Snapshot(path, "j1").save(state)
        with closing(sqlite3.connect(path)) as database:
            database.execute(damage)
            database.commit()
        assert "damaged" in (Snapshot(path, "j1").load(Aggregator(epoch=EPOCH), newest=100) or ""), damage


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    path = tmp_path / "snapshot.db"
    state = Aggregator(epoch=EPOCH)
    offer(state, some_trades(2000), 1, 2000)
    Snapshot(path, "j1").save(state)
    whole = path.read_bytes()
    right, discarded = answer(state), 0
    for place in rng.sample([place for place, value in enumerate(whole) if value], 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        restored = Aggregator(epoch=EPOCH)
        if Snapshot(path, "j1").load(restored, newest=2000) is None:
            assert answer(restored) == right, f"byte {place}"  # SQLite does not use every byte of a page
        else:
            assert restored.applied == 0
            discarded += 1
    assert discarded > 100


def test_only_pages_that_changed_are_written(tmp_path: Path) -> None:
    some = [trade(at=NOW - second * 10**9) for second in range(5000)]
    state = Aggregator(epoch=EPOCH)
    offer(state, some, 1, 4999)
    snapshot = Snapshot(tmp_path / "snapshot.db", "j1")
    snapshot.save(state)
    offer(state, some, 5000, 5000)
    snapshot.open(snapshot.copy(state, snapshot.begin(state)))
    pages = state.atoms.take_frozen(100)
    assert len(pages) == 1
    snapshot.write(pages)
    snapshot.commit()
    snapshot.close(state)
    with closing(sqlite3.connect(tmp_path / "snapshot.db")) as database:
        assert database.execute("SELECT count(*) FROM pages").fetchone() == (40,)


def test_one_that_is_not_complete_is_none_and_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    path, state = tmp_path / "snapshot.db", Aggregator(epoch=EPOCH)
    offer(state, [trade(at=NOW - second * 10**9) for second in range(3000)], 1, 3000)
    given_up = Snapshot(path, "j1")
    given_up.open(given_up.copy(state, given_up.begin(state)))
    given_up.write(state.atoms.take_frozen(1))
    assert Snapshot(path, "j1").load(Aggregator(epoch=EPOCH), newest=3000) == "there is none"
    given_up.close(state)
    Snapshot(path, "j1").save(state)
    restored = Aggregator(epoch=EPOCH)
    assert Snapshot(path, "j1").load(restored, newest=3000) is None
    assert answer(restored) == answer(state)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_one_that_is_written_whole_leaves_the_one_before_until_it_is_complete(tmp_path: Path) -> None:
    path, state = tmp_path / "snapshot.db", Aggregator(epoch=EPOCH)
    offer(state, some_trades(1000), 1, 1000)
    Snapshot(path, "j1").save(state)
    given_up = Snapshot(path, "j1")  # knows of none, so it writes all
    given_up.open(given_up.copy(state, given_up.begin(state)))
    given_up.close(state)
    restored = Aggregator(epoch=EPOCH)
    assert Snapshot(path, "j1").load(restored, newest=1000) is None
    assert answer(restored) == answer(state)
    Snapshot(path, "j2").save(state)
    assert Snapshot(path, "j2").load(Aggregator(epoch=EPOCH), newest=1000) is None


def test_what_a_killed_process_left_of_one_is_not_taken_for_the_next(tmp_path: Path) -> None:
    path, state = tmp_path / "snapshot.db", Aggregator(epoch=EPOCH)
    offer(state, some_trades(1000), 1, 1000)
    snapshot = Snapshot(path, "j1")
    snapshot.save(state)
    path.with_name("snapshot.db.new").write_bytes(b"the beginning of one")
    snapshot.save(state)
    restored = Aggregator(epoch=EPOCH)
    assert Snapshot(path, "j1").load(restored, newest=1000) is None
    assert answer(restored) == answer(state)
    assert not path.with_name("snapshot.db.new").exists()


def test_who_reads_it_while_it_is_written_ends_nothing(tmp_path: Path) -> None:
    """The last process that closes a database removes its log, which then held what is being written."""
    path, state = tmp_path / "snapshot.db", Aggregator(epoch=EPOCH)
    some = [trade(at=NOW - second * 10**9) for second in range(4000)]
    snapshot = Snapshot(path, "j1")
    offer(state, some, 1, 3000)
    snapshot.save(state)
    offer(state, some, 3001, 4000)
    snapshot.open(snapshot.copy(state, snapshot.begin(state)))
    read = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM pages').fetchone())"
    seen = subprocess.run([sys.executable, "-c", read, path], check=True, capture_output=True, timeout=60)
    assert int(seen.stdout) > 0
    assert path.with_name("snapshot.db-wal").exists()
    while pages := state.atoms.take_frozen(1):
        snapshot.write(pages)
    snapshot.commit()
    snapshot.close(state)
    restored = Aggregator(epoch=EPOCH)
    assert Snapshot(path, "j1").load(restored, newest=4000) is None
    assert answer(restored) == answer(state)


def test_what_is_merged_while_a_snapshot_is_written_is_not_in_it(tmp_path: Path) -> None:
    some = some_trades(4000, seed=5)
    state, at_begin = Aggregator(epoch=EPOCH, atoms=1000), Aggregator(epoch=EPOCH, atoms=1000)
    for first in range(1, 2001, 50):
        offer(state, some, first, first + 49)
        offer(at_begin, some, first, first + 49)
    snapshot = Snapshot(tmp_path / "snapshot.db", "j1")
    snapshot.open(snapshot.copy(state, snapshot.begin(state)))
    for first in range(2001, 4001, 50):
        offer(state, some, first, first + 49)
        snapshot.write(state.atoms.take_frozen(1))
    while pages := state.atoms.take_frozen(8):
        snapshot.write(pages)
    snapshot.commit()
    snapshot.close(state)
    restored = Aggregator(epoch=EPOCH, atoms=1000)
    assert Snapshot(tmp_path / "snapshot.db", "j1").load(restored, newest=4000) is None
    assert answer(restored) == answer(at_begin)
    snapshot.save(state)
    later = Aggregator(epoch=EPOCH, atoms=1000)
    assert Snapshot(tmp_path / "snapshot.db", "j1").load(later, newest=4000) is None
    assert answer(later) == answer(state)


class Gated(Snapshot):
    """Copies when it is let to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "j1")
        self.begun, self.may = threading.Event(), threading.Event()

    def copy(self, state: Aggregator, head: Head) -> Head:
        self.begun.set()
        assert self.may.wait(30)
        return super().copy(state, head)


def test_merging_waits_while_what_is_not_in_pages_is_copied_and_no_longer(tmp_path: Path) -> None:
    state = Aggregator(epoch=EPOCH)
    offer(state, some_trades(100), 1, 100)
    snapshot = Gated(tmp_path / "snapshot.db")
    snapshots = Snapshots(snapshot, state, seconds=0.01)

    async def run() -> None:
        task = asyncio.create_task(snapshots.run(lambda: None))
        await snapshots.room(1)  # there is room before
        assert await asyncio.to_thread(snapshot.begun.wait, 30)
        room = asyncio.create_task(snapshots.room(1))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not room.done()
        snapshot.may.set()
        await asyncio.wait_for(room, 30)
        snapshots.stop()
        await asyncio.wait_for(task, 30)

    asyncio.run(run())
    assert Snapshot(tmp_path / "snapshot.db", "j1").load(Aggregator(epoch=EPOCH), newest=100) is None


def test_a_large_state_is_written_in_pieces_and_none_of_a_larger_one_before_is_left(tmp_path: Path) -> None:
    state, path = Aggregator(epoch=EPOCH), tmp_path / "snapshot.db"
    many = 2 * PIECE // 312  # a row of totals has 39 numbers
    offer(state, [trade(symbol=f"S{number}") for number in range(many)], 1, many)
    snapshot = Snapshot(path, "j1")
    snapshot.save(state)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM state WHERE name LIKE 'totals#%'").fetchone() == (2,)
        database.execute("INSERT INTO state VALUES ('totals#000002', ?)", (bytes(312),))
        database.commit()
    assert "damaged" in (Snapshot(path, "j1").load(Aggregator(epoch=EPOCH), newest=many) or "")
    snapshot.save(state)
    restored = Aggregator(epoch=EPOCH)
    assert Snapshot(path, "j1").load(restored, newest=many) is None
    assert answer(restored) == answer(state)
