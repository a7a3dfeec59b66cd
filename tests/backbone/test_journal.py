"""The journal on a real disk and, where bytes are damaged on purpose, in memory."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from telemetry.backbone import Committed
from telemetry.backbone.disk import DiskFiles, OpenFile
from telemetry.backbone.journal import PAST_CACHE_BYTES, Encode, Journal
from telemetry.backbone.record import About, Buffer, encode_record
from telemetry.backbone.recovery import read_records, scan
from telemetry.backbone.segments import HURRIED, HURRY_SECONDS, Spare, segment_name
from telemetry.backbone.writer import JournalWriter
from telemetry.errors import InvalidInput, Stop, TryAgain
from telemetry.slices import SHORT_NS, slice_ns
from tests.backbone.forgetful import ForgetfulFiles
from tests.backbone.script import HERE, SEGMENT_BYTES, Commit, Offered, commits, everything, reopen
from tests.telemetry.test_slices import seen_in_a_thread

SEED = 20261123
SMALL = 64 << 10


def record_of(count: int, frame: bytes = b"columns") -> Encode:
    """What a commit group does."""

    def encode(first_seq: int, synced_seq: int) -> bytes:
        return encode_record(
            About(first_seq, synced_seq, count, 1, 2),
            frame=frame,
        )

    return encode


def filled(seed: int, length: int) -> tuple[ForgetfulFiles, list[bytes]]:
    """A closed journal in memory and its records."""
    files = ForgetfulFiles()
    with Offered(files) as subject:
        subject.run(commits(seed, length), seed)
    return files, subject.records


def segment_of(files: ForgetfulFiles, number: int) -> bytearray:
    return files.entries[segment_name(number)].cache


# Appending and reading back


def test_numbers_start_at_1_and_are_contiguous_over_segments_and_restarts(tmp_path: Path) -> None:
    expected = 1
    for _ in range(3):
        with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
            assert journal.last_seq == journal.durable_seq == expected - 1
            for count in (1, 1000, 0, 3):
                committed = journal.append(record_of(count, bytes(20_000)), count)
                assert (committed.first_seq, committed.last_seq) == (expected, expected + count - 1)
                assert committed.durable
                expected += count
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        assert journal.recovery.records == 12
        assert journal.recovery.trades == journal.last_seq == expected - 1
        assert journal.recovery.torn_bytes == 0
        assert journal.bytes == 12 * (20_000 + 64 + 32)
        assert len(everything(journal)) == 12
    assert sorted(path.name for path in tmp_path.iterdir())[:2] == [segment_name(1), segment_name(2)]


def test_the_journal_keeps_its_id(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        first = journal.journal_id
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        assert journal.journal_id == first
        assert len(first) == 16


def test_any_range_is_read_back_as_the_records_that_hold_it() -> None:
    files, _ = filled(SEED, 120)
    chance = random.Random(SEED)
    with reopen(files) as journal:
        every = list(journal.records(1, journal.last_seq + 1))
        for _ in range(300):
            first = chance.randint(1, journal.last_seq)
            last = chance.randint(first, journal.last_seq + 3)
            expected = [r.first_seq for r in every if r.count and r.first_seq <= last and r.last_seq >= first]
            assert [r.first_seq for r in journal.records(first, last) if r.count] == expected
            empty = [r.first_seq for r in every if not r.count and first <= r.first_seq <= last + 1]
            assert [r.first_seq for r in journal.records(first, last) if not r.count] == empty
        assert list(journal.records(journal.last_seq + 2, journal.last_seq + 9)) == []


def test_a_record_damaged_after_it_was_opened_is_not_handed_out() -> None:
    files, records = filled(SEED, 20)
    with reopen(files) as journal:
        segment_of(files, 1)[4096 + len(records[0]) + 70] ^= 1
        with pytest.raises(Stop, match=f"offset {4096 + len(records[0])}"):
            list(journal.records(1, journal.last_seq))


def test_an_error_of_the_caller_changes_nothing(tmp_path: Path) -> None:
    def broken(first_seq: int, synced_seq: int) -> bytes:
        raise InvalidInput("no")

    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        journal.append(record_of(2), 2)
        with pytest.raises(InvalidInput):
            journal.append(broken, 1)
        with pytest.raises(Stop, match="expected a record"):
            journal.append(lambda first_seq, synced_seq: b"x" * 63, 1)
        with pytest.raises(InvalidInput, match="at most 61440 bytes"):
            journal.append(record_of(1, bytes(SMALL)), 1)
        assert journal.append(record_of(1), 1).first_seq == 3


def test_a_closed_journal_takes_nothing_and_one_left_open_warns(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, segment_bytes=SMALL)
    journal.close()
    journal.close()
    with pytest.raises(Stop, match="is closed"):
        journal.append(record_of(1), 1)
    journal = Journal.open(tmp_path, segment_bytes=SMALL)
    with pytest.warns(ResourceWarning, match="was not closed"):
        journal.__del__()
    journal.close()


def test_sync_times_are_measured(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        assert journal.last_sync_seconds == journal.average_sync_seconds == 0
        journal.append(record_of(1), 1)
        assert 0 < journal.last_sync_seconds < 10
        assert journal.average_sync_seconds == journal.last_sync_seconds


def test_another_segment_size_is_taken_up_at_the_next_start(tmp_path: Path) -> None:
    for size in (SMALL, 2 * SMALL, SMALL):
        with Journal.open(tmp_path, segment_bytes=size) as journal:
            for _ in range(4):
                journal.append(record_of(1, bytes(30_000)), 1)
            journal.spare.step()
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        assert journal.last_seq == 12
        assert len(everything(journal)) == 12


def test_the_records_can_be_read_without_the_lock_while_the_owner_appends(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        for count in range(1, 40):
            journal.append(record_of(count, bytes(3000)), count)
            if count % 10 == 0:
                assert sum(record.count for record in read_records(DiskFiles(), tmp_path)) == journal.last_seq


# One owner


def test_a_second_owner_is_refused_at_once_and_told_who_the_first_is(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL):
        started = perf_counter()
        with pytest.raises(Stop, match=f"{tmp_path} is in use by process {os.getpid()}"):
            Journal.open(tmp_path, segment_bytes=SMALL)
        assert perf_counter() - started < 1
        child = subprocess.run([sys.executable, "-c", CHILD, os.fspath(tmp_path)], capture_output=True, text=True)
        assert child.returncode != 0
        assert f"is in use by process {os.getpid()}" in child.stderr
    Journal.open(tmp_path, segment_bytes=SMALL).close()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Stop, match="file"):
        Journal.open(tmp_path / "file")


# Damage


def test_every_flipped_byte_is_a_torn_tail_in_the_last_record_and_named_damage_in_all_others() -> None:
    """Also in the headers of segments and in the padding."""
    files, records = filled(SEED + 1, 40)
    chance = random.Random(SEED)
    seqs = [record.first_seq for record in scan_records(files)]
    position = 0
    for number in (1, 2):
        offset = 4096
        content = segment_of(files, number)
        while content[offset : offset + 8] == b"TTRECORD":
            raw = records[position]
            for byte in flip_positions(chance, len(raw), whole=position > len(records) - 4):
                content[offset + byte] ^= 1 << chance.randrange(8)
                check_flip(files, records, position, number, offset, seqs[position])
                content[offset : offset + len(raw)] = raw
            offset, position = offset + len(raw), position + 1
    assert position == len(records)


def flip_positions(chance: random.Random, length: int, *, whole: bool) -> Iterator[int]:
    """Every byte of the header and the padding, and of the rest all or a sample."""
    yield from range(64)
    yield from range(64, length) if whole else chance.sample(range(64, length), 20)
    yield from range(length - 8, length)


def check_flip(files: ForgetfulFiles, records: list[bytes], position: int, number: int, offset: int, seq: int) -> None:
    if position == len(records) - 1:
        report = scan(files, HERE).report()
        assert report.records == len(records) - 1
        assert report.torn_bytes > 0
        assert (report.torn_file, report.torn_offset) == (segment_name(number), offset)
        return
    with pytest.raises(Stop) as caught:
        scan(files, HERE)
    message = str(caught.value)
    assert segment_name(number) in message
    assert f"offset {offset}" in message
    assert f"trades {seq} to" in message or f"before trade {seq} is missing" in message


def scan_records(files: ForgetfulFiles) -> list[SeqOnly]:
    found = scan(files, HERE)
    return [SeqOnly(found.index[position].first_seq) for position in range(len(found.index))]


class SeqOnly:
    """First sequence number of a record."""

    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq


def test_damage_names_exactly_the_missing_trades() -> None:
    files, records = filled(SEED + 2, 10)
    seqs = [record.first_seq for record in scan_records(files)]
    segment_of(files, 1)[4096 + len(records[0]) + 3] ^= 4
    segment_of(files, 1)[4096 + len(records[0]) + len(records[1])] ^= 4
    expected = f"damaged at offset {4096 + len(records[0])}: trades {seqs[1]} to {seqs[3] - 1} are missing"
    with pytest.raises(Stop, match=expected):
        reopen(files)
    assert not files.locked


def test_a_record_that_is_all_zeros_before_a_good_one_is_damage() -> None:
    files, records = filled(SEED + 2, 10)
    start = 4096 + len(records[0])
    segment_of(files, 1)[start : start + len(records[1])] = bytes(len(records[1]))
    with pytest.raises(Stop, match="are missing"):
        reopen(files)


def test_a_lost_last_record_of_a_segment_is_noticed_by_the_next_segment() -> None:
    files, _ = filled(SEED + 3, 60)
    found = scan(files, HERE)
    last = max(i for i in range(len(found.index)) if found.index[i].segment == 1)
    place = found.index[last]
    segment_of(files, 1)[place.offset : place.offset + place.length] = bytes(place.length)
    with pytest.raises(Stop, match=f"trades {place.first_seq} to {found.index[last + 1].first_seq - 1} are missing"):
        reopen(files)


def test_a_flipped_byte_in_a_segment_header_is_damage_when_it_holds_records() -> None:
    files, _ = filled(SEED + 3, 60)
    for position in (*range(64), 100, 4095):
        segment_of(files, 1)[position] ^= 8
        with pytest.raises(Stop, match=r"segment is damaged: its header|segment 1"):
            scan(files, HERE)
        segment_of(files, 1)[position] ^= 8


def test_a_journal_cut_short_at_any_byte_of_its_last_records_keeps_what_is_whole() -> None:
    files, records = filled(SEED + 4, 12)
    total = sum(map(len, records))
    content = bytes(segment_of(files, 1))
    start = 4096 + total - sum(map(len, records[-3:]))
    for length in range(start, 4096 + total, 7):
        copy = files.after_power_cut()
        copy.entries[segment_name(1)].cache[:] = content[:length]
        with reopen(copy) as journal:
            recovered = everything(journal)
            assert recovered == records[: len(recovered)]
            assert 4096 + sum(map(len, recovered)) <= length
            assert len(recovered) >= len(records) - 3
            assert journal.recovery.torn_offset == 4096 + sum(map(len, recovered))
            journal.append(record_of(1), 1)
        assert len(segment_of(copy, 1)) == SEGMENT_BYTES


def test_a_missing_segment_is_named() -> None:
    files, _ = filled(SEED + 5, 100)
    del files.entries[segment_name(2)]
    with pytest.raises(Stop, match=segment_name(2)):
        reopen(files)


def test_a_segment_of_another_journal_is_refused() -> None:
    files, _ = filled(SEED + 5, 60)
    other, _ = filled(SEED + 5, 60)
    files.entries[segment_name(2)] = other.entries[segment_name(2)]
    with pytest.raises(Stop, match="belongs to journal"):
        reopen(files)


def test_an_unfinished_segment_is_removed() -> None:
    files, records = filled(SEED + 6, 5)
    files.create(Path(segment_name(2)), 100)
    with reopen(files) as journal:
        assert everything(journal) == records
        assert segment_name(2) not in files.entries


def test_the_torn_tail_is_zeroed_and_reported_once() -> None:
    files, records = filled(SEED + 6, 5)
    end = 4096 + sum(map(len, records))
    segment_of(files, 1)[end + 10 : end + 200] = bytes([7]) * 190
    with reopen(files) as journal:
        assert (journal.recovery.torn_bytes, journal.recovery.torn_offset) == (200, end)
        assert journal.recovery.torn_file == segment_name(1)
    with reopen(files.after_power_cut()) as journal:
        assert journal.recovery.torn_bytes == 0
        assert everything(journal) == records


def test_fast_mode_tells_a_hole_that_was_never_synced_from_damage() -> None:
    """Three records synced, three not; the fifth is lost: cut. The second is lost: damage."""
    files = ForgetfulFiles()
    with Offered(files, "fast") as subject:
        for number in range(6):
            subject.append(Commit(2, bytes([number]) * 100))
            if number == 2:
                subject.journal.sync()
        state = files.after_kill()
    size = len(subject.records[0])
    lost = state.after_kill()
    segment_of(lost, 1)[4096 + 4 * size : 4096 + 5 * size] = bytes(size)
    with reopen(lost, "fast") as journal:
        assert everything(journal) == subject.records[:4]
        assert journal.recovery.unsynced_records == 1
        assert journal.recovery.torn_bytes == 2 * size - trailing_zeros(subject.records[5])
        assert journal.append(record_of(1), 1).first_seq == 9
    damaged = state.after_kill()
    segment_of(damaged, 1)[4096 + size + 90] ^= 1
    with pytest.raises(Stop, match="trades 3 to 4 are missing"):
        reopen(damaged, "fast")


def trailing_zeros(raw: bytes) -> int:
    return len(raw) - len(raw.rstrip(b"\0"))


def test_a_lost_record_without_trades_is_damage_too() -> None:
    """A later record does not say so by its number alone."""
    for durability in ("full", "fast"):
        files = ForgetfulFiles()
        with Offered(files, "fast" if durability == "fast" else "full") as subject:
            for count in (2, 0, 2):
                subject.append(Commit(count, bytes([1]) * 100))
        size = len(subject.records[0])
        segment_of(files, 1)[4096 + size + 90] ^= 1
        with pytest.raises(Stop, match="a record without trades before trade 3 is missing"):
            reopen(files, "fast" if durability == "fast" else "full")


# Fast mode, threads, processes


def test_fast_mode_answers_before_the_sync_and_says_so(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL, durability="fast") as journal:
        assert not journal.append(record_of(5), 5).durable
        assert journal.durable_seq == 0
        journal.sync()
        assert journal.durable_seq == 5
        journal.append(record_of(5), 5)
        assert journal.append(record_of(0), 0).durable
        assert journal.durable_seq == 10


def test_the_writer_appends_in_order_on_one_thread(tmp_path: Path) -> None:
    threads: set[int] = set()
    slices: set[int] = set()

    def encode(first_seq: int, synced_seq: int) -> Buffer:
        threads.add(threading.get_ident())
        slices.add(slice_ns())
        return record_of(2, bytes(2000))(first_seq, synced_seq)

    async def scenario() -> list[Committed]:
        async with JournalWriter(Journal.open(tmp_path, segment_bytes=SMALL)) as writer:
            return await asyncio.gather(*(writer.append(encode, 2) for _ in range(100)))

    committed = asyncio.run(scenario())
    assert [c.first_seq for c in committed] == list(range(1, 200, 2))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    if seen_in_a_thread(asks=True)[0]:
        assert slices == {SHORT_NS}, "it gets a core as soon as it is woken"
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        assert journal.last_seq == 200


def test_the_writer_passes_errors_on_and_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with JournalWriter(Journal.open(tmp_path, segment_bytes=SMALL)) as writer:
            with pytest.raises(InvalidInput):
                await writer.append(record_of(1, bytes(SMALL)), 1)
            cancelled = asyncio.ensure_future(writer.append(record_of(1), 1))
            await asyncio.sleep(0)  # it has handed its record over
            cancelled.cancel()
            assert (await writer.append(record_of(1), 1)).first_seq == 2
        with pytest.raises(Stop, match="has ended"):
            await writer.append(record_of(1), 1)

    asyncio.run(scenario())


class ObservedFiles(DiskFiles):
    """The real disk; `synced` is set by every sync of the first segment once `watch` is."""

    def __init__(self) -> None:
        super().__init__()
        self.watch, self.synced = threading.Event(), threading.Event()

    def create(self, path: Path, size: int) -> OpenFile:
        file = super().create(path, size)
        return ObservedFile(file, self) if path.name == segment_name(1) else file


class ObservedFile:
    """A file of ObservedFiles."""

    def __init__(self, file: OpenFile, files: ObservedFiles) -> None:
        self._file, self._files = file, files
        self.read, self.write, self.append = file.read, file.write, file.append
        self.size, self.close = file.size, file.close

    def sync(self) -> None:
        self._file.sync()
        if self._files.watch.is_set():
            self._files.synced.set()


def test_fast_mode_keeps_small_and_large_records_whichever_come_behind_one_another(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    sizes = [
        chance.choice((100, 5_000, PAST_CACHE_BYTES, 3 * PAST_CACHE_BYTES)) + chance.randrange(4_000) for _ in range(60)
    ]
    frames = [chance.randbytes(size) for size in sizes]
    with Journal.open(tmp_path, segment_bytes=4 << 20, durability="fast") as journal:
        for frame in frames:
            journal.append(record_of(1, frame), 1)
    with Journal.open(tmp_path, segment_bytes=4 << 20, durability="fast") as journal:
        assert [bytes(record.frame) for record in journal.records(1, len(frames))] == frames


def test_fast_mode_syncs_by_itself_within_100_ms_and_at_the_end(tmp_path: Path) -> None:
    files = ObservedFiles()

    async def scenario() -> None:
        journal = Journal.open(tmp_path, files=files, segment_bytes=SMALL, durability="fast")
        files.watch.set()
        async with JournalWriter(journal) as writer:
            committed = await writer.append(record_of(3), 3)
            assert not committed.durable
            assert await asyncio.to_thread(files.synced.wait, 5)
            journal.sync()  # nothing to do, but it waits for a sync under way
            assert journal.durable_seq == 3
            await writer.append(record_of(3), 3)
        assert journal.durable_seq == 6

    asyncio.run(scenario())


def test_the_next_segment_is_ready_before_it_is_needed(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        journal.append(record_of(1), 1)
        stop = threading.Event()
        thread = threading.Thread(target=journal.spare.run, args=(stop,))
        thread.start()
        while journal.spare.step() or not (tmp_path / segment_name(2)).exists():
            pass
        stop.set()
        journal.spare.wake()
        thread.join()
        assert isinstance(journal.spare, Spare)
        before = (tmp_path / segment_name(2)).stat().st_mtime_ns
        while journal.append(record_of(1, bytes(9000)), 1).last_seq < 8:
            pass
        assert (tmp_path / segment_name(2)).stat().st_mtime_ns > before
        assert (tmp_path / segment_name(2)).stat().st_size == SMALL


def test_zeros_of_segments_that_fill_quickly_are_written_in_larger_pieces() -> None:
    files, now = ForgetfulFiles(), [100.0]
    spare = Spare(files, Path("journal"), bytes(16), 1 << 20, clock=lambda: now[0])
    pieces = []
    for number, seconds in ((1, 0.0), (2, 0.5), (3, HURRY_SECONDS)):
        now[0] += seconds
        spare.want(number)
        start = len(files.steps)
        spare.take().file.close()
        pieces.append([length for kind, _, _, length in files.steps[start:] if kind == "write"][:-1])
    chunk = (1 << 20) // 64
    assert pieces == [[chunk] * 64, [HURRIED * chunk] * (64 // HURRIED), [chunk] * 64]


CHILD = """
import sys
from pathlib import Path
from telemetry.backbone.journal import Journal
from telemetry.backbone.record import About, Buffer, encode_record
journal = Journal.open(Path(sys.argv[1]), segment_bytes=65536)
while True:
    committed = journal.append(lambda f, s: encode_record(About(f, s, 7, 0, 0), frame=f.to_bytes(8, "little") * 100), 7)
    journal.spare.step()
    print(committed.last_seq, flush=True)
"""


def test_a_killed_owner_leaves_every_acknowledged_record_and_no_lock(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    acknowledged = 0
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", CHILD, os.fspath(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child, child.stdout:
            for _ in range(chance.randint(20, 150)):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = [line for line in child.stdout.read().split("\n") if line]
            acknowledged = int(rest[-1]) if rest else acknowledged
        with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
            assert acknowledged <= journal.last_seq <= acknowledged + 7, f"seed {SEED}"
            for record in journal.records(1, journal.last_seq):
                assert bytes(record.frame) == record.first_seq.to_bytes(8, "little") * 100


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", os.fspath(tmp_path)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs may not be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", os.fspath(tmp_path)], check=True)


def test_a_really_full_disk_refuses_and_resumes_when_there_is_room(tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(bytes(400 << 10))
    acknowledged = 0
    with Journal.open(tiny_disk, segment_bytes=SMALL) as journal:
        with pytest.raises(TryAgain, match="No space left"):
            while True:
                acknowledged = journal.append(record_of(10, bytes(5000)), 10).last_seq
        assert acknowledged > 500
        with pytest.raises(TryAgain):
            journal.append(record_of(10, bytes(5000)), 10)
        assert sum(record.count for record in journal.records(1, acknowledged)) == acknowledged
        (tiny_disk / "ballast").unlink()
        assert journal.append(record_of(10, bytes(5000)), 10).first_seq == acknowledged + 1
    with Journal.open(tiny_disk, segment_bytes=SMALL) as journal:
        assert journal.last_seq == acknowledged + 10
