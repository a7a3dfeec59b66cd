"""The power is cut, the process killed, the disk full or broken, after every single step of a script of 200 commits.

The oracle each time: what is recovered is exactly the first k records that were offered, in their bytes, and k covers
every record that was acknowledged. Each failure names the step and the seed.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from telemetry.backbone.journal import Journal
from telemetry.backbone.segments import decode_header
from telemetry.errors import Stop, TryAgain
from tests.backbone.forgetful import ForgetfulFiles
from tests.backbone.script import SEGMENT_BYTES, Commit, Offered, commits, everything, reopen

SEED = 20261122
COMMITS = 200

Crash = Callable[[ForgetfulFiles, random.Random], ForgetfulFiles]
CRASHES: dict[str, Crash] = {
    "power cut": lambda files, chance: files.after_power_cut(),
    "power cut, some sectors written": lambda files, chance: files.after_power_cut(chance),
    "process killed": lambda files, chance: files.after_kill(),
}


class Sweep:
    """Calls `check` on the state after every step of the script `run`."""

    def __init__(self, check: Callable[[ForgetfulFiles, random.Random, str], None]) -> None:
        self.files = ForgetfulFiles()
        self.check = check
        self.points = 0

    def attach(self) -> None:
        self.files.after = self.point

    def point(self, kind: str, name: str) -> None:
        self.points += 1
        seed = SEED + self.points
        try:
            self.check(self.files, random.Random(seed), f"step {self.points} ({kind} {name}, seed {seed})")
        except (AssertionError, Stop) as error:
            pytest.fail(f"after step {self.points} ({kind} {name}), seed {seed}: {error!r}")


def check_recovered(recovered: list[bytes], offered: list[bytes], owed: int) -> None:
    """`recovered` is a prefix of what was offered and holds everything that is owed."""
    assert recovered == offered[: len(recovered)]
    assert len(recovered) >= owed


@pytest.mark.parametrize("name", CRASHES)
def test_after_a_crash_at_any_step_every_acknowledged_record_is_there_once_and_unchanged(name: str) -> None:
    crash = CRASHES[name]
    script = commits(SEED, COMMITS)

    def check(files: ForgetfulFiles, chance: random.Random, step: str) -> None:
        with reopen(crash(files, chance)) as journal:
            check_recovered(everything(journal), subject.records, subject.acknowledged)
            if name == "power cut":  # a record that was not synced left nothing at all
                assert journal.recovery.torn_bytes == 0

    sweep = Sweep(check)
    with Offered(sweep.files) as subject:
        sweep.attach()
        subject.run(script, SEED)
    assert subject.acknowledged == COMMITS
    assert sweep.points > 3 * COMMITS  # each commit is torn, written and synced


def test_what_a_restarted_process_found_in_the_page_cache_survives_the_next_power_cut() -> None:
    """The restart answers from what it found, so from then on it is owed."""

    def check(files: ForgetfulFiles, chance: random.Random, step: str) -> None:
        killed = files.after_kill()
        with reopen(killed) as journal:
            answered = everything(journal)
            after_cut = killed.after_power_cut(chance if chance.random() < 0.5 else None)
        with reopen(after_cut) as journal:
            assert everything(journal) == answered

    sweep = Sweep(check)
    with Offered(sweep.files) as subject:
        sweep.attach()
        subject.run(commits(SEED + 1, COMMITS), SEED)


def test_a_power_cut_during_recovery_and_the_first_commit_after_it_loses_nothing() -> None:
    def check(files: ForgetfulFiles, chance: random.Random, step: str) -> None:
        if chance.random() < 0.9:
            return
        inner = Sweep(check_again)
        inner.files = files.after_power_cut(chance) if chance.random() < 0.5 else files.after_kill()
        inner.attach()
        with reopen(inner.files) as journal:
            found = len(everything(journal))
            nested.append(found)
            inner_subject = Offered.__new__(Offered)
            inner_subject.journal, inner_subject.acknowledged = journal, found
            inner_subject.records = subject.records[:found]
            subjects.append(inner_subject)
            inner_subject.append(Commit(3, chance.randbytes(500)))
            subjects.pop()

    def check_again(files: ForgetfulFiles, chance: random.Random, step: str) -> None:
        with reopen(files.after_power_cut(chance)) as journal:
            if subjects:
                check_recovered(everything(journal), subjects[-1].records, subjects[-1].acknowledged)
            else:
                check_recovered(everything(journal), subject.records, subject.acknowledged)

    nested: list[int] = []
    subjects: list[Offered] = []
    sweep = Sweep(check)
    with Offered(sweep.files) as subject:
        sweep.attach()
        subject.run(commits(SEED + 2, COMMITS), SEED)
    assert len(nested) > 20


@pytest.mark.parametrize("name", CRASHES)
def test_fast_mode_loses_at_most_what_it_did_not_call_durable_and_never_refuses_to_start(name: str) -> None:
    crash = CRASHES[name]

    def check(files: ForgetfulFiles, chance: random.Random, step: str) -> None:
        crashed = crash(files, chance)
        with reopen(crashed, "fast") as journal:
            recovered = everything(journal)
            assert recovered == subject.records[: len(recovered)]
            assert journal.last_seq >= subject.journal.durable_seq
            after_cut = crashed.after_power_cut()
        with reopen(after_cut) as journal:
            assert everything(journal) == recovered

    sweep = Sweep(check)
    with Offered(sweep.files, "fast") as subject:
        sweep.attach()
        subject.run(commits(SEED + 3, COMMITS), SEED, sync_every=7)
    assert subject.journal.durable_seq == subject.journal.last_seq


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_an_error_at_any_step_is_full_or_final_and_never_costs_an_acknowledged_record(code: int) -> None:
    """One step fails once. Full: the same commit is tried again and the script goes on. Final: restart."""
    script = commits(SEED + 4, 60)
    outcomes = {"full": 0, "final": 0}
    failing = 0
    while True:
        failing += 1
        files = ForgetfulFiles()
        with Offered(files) as subject:
            hold = {"step": 0}

            def fault(kind: str, name: str, failing: int = failing, hold: dict[str, int] = hold) -> OSError | None:
                hold["step"] += 1
                return OSError(code, "injected", name) if hold["step"] == failing else None

            files.fault = fault
            try:
                subject.run(script, SEED)
            except Stop:
                outcomes["final"] += 1
                with pytest.raises(Stop):
                    subject.append(script[0])
                subject.records.pop() if len(subject.records) > subject.acknowledged + 1 else None
            else:
                outcomes["full"] += 1
                assert subject.acknowledged == len(script)
        if hold["step"] < failing:
            break
        _check_after_fault(subject, files, failing)
    assert outcomes["final"] > 100
    assert outcomes["full"] > 20


def _check_after_fault(subject: Offered, files: ForgetfulFiles, failing: int) -> None:
    chance = random.Random(SEED + failing)
    for crashed in (files.after_power_cut(), files.after_power_cut(chance), files.after_kill()):
        with reopen(crashed) as journal:
            answered = everything(journal)
        check_recovered(answered, subject.records, subject.acknowledged)
        with reopen(crashed.after_power_cut()) as journal:  # also what a failed sync left in the page cache only
            assert everything(journal) == answered, f"step {failing}"


@pytest.mark.parametrize("kind", ["write", "sync"])
def test_a_first_record_of_a_segment_that_failed_never_returns_beside_the_one_that_took_its_number(kind: str) -> None:
    """Its number goes to another record; after any later power cut only that one may be found."""
    files = ForgetfulFiles()
    with Offered(files) as subject:
        big = Commit(5, bytes(range(256)) * 16)
        while subject.journal.bytes + 2 * (len(big.frame) + 64) < SEGMENT_BYTES:
            subject.append(big)
        armed = {"segment": "journal-00000002.segment", "writes": 0}

        def fault(step: str, name: str) -> OSError | None:
            ready = files.steps.count(("sync_directory", "", 0, 0)) > before
            if step == kind and name == armed["segment"] and ready and armed["writes"] == 0:
                armed["writes"] = 1
                return OSError(errno.EIO, "injected", name)
            return None

        before = files.steps.count(("sync_directory", "", 0, 0))
        files.fault = fault
        with pytest.raises(TryAgain):
            subject.append(big)
        unacknowledged = subject.records[subject.acknowledged]
        checks = []

        def after(step: str, name: str) -> None:
            for seed in range(4):
                cut = files.after_power_cut(random.Random(seed) if seed else None)
                with reopen(cut) as journal:
                    found = everything(journal)
                    check_recovered(found, subject.records, subject.acknowledged)
                    assert unacknowledged not in found
                    checks.append(len(found))

        files.after = after
        subject.append(Commit(2, b"another"))
        subject.append(big)
        files.after = lambda kind, name: None
    assert len(checks) > 20


def test_an_unacknowledged_record_of_a_fresh_segment_may_only_survive_if_its_number_was_not_used_again() -> None:
    """When the failed file cannot be removed either, the error is final."""
    files = ForgetfulFiles()
    with Offered(files) as subject:
        files.fault = lambda kind, name: OSError(errno.EIO, "injected", name) if kind in ("write", "remove") else None
        with pytest.raises(Stop, match="failed for good"):
            subject.append(Commit(1, b"x"))
        files.fault = lambda kind, name: None
        with pytest.raises(Stop, match="failed for good"):
            subject.append(Commit(1, b"y"))


def test_a_full_disk_refuses_keeps_what_it_has_and_resumes_by_itself() -> None:
    files = ForgetfulFiles()
    files.room = 2 * (24 << 10)
    with Offered(files) as subject:
        commit = Commit(4, bytes(900))
        with pytest.raises(TryAgain, match="no room"):
            for _ in range(100):
                subject.append(commit)
        full_at = subject.acknowledged
        assert full_at > 30
        for _ in range(3):
            with pytest.raises(TryAgain):
                subject.append(commit)
        with reopen(files.after_power_cut()) as journal:
            check_recovered(everything(journal), subject.records, full_at)
        files.room *= 2
        subject.append(commit)
        assert subject.journal.last_seq == 4 * (full_at + 1)


def test_a_start_on_a_full_disk_succeeds_and_takes_records_when_there_is_room() -> None:
    files = ForgetfulFiles()
    files.room = 1000
    with Offered(files) as subject:
        with pytest.raises(TryAgain):
            subject.append(Commit(1, b"x"))
        files.room = 1 << 20
        subject.append(Commit(1, b"x"))
        assert subject.journal.last_seq == 1


def test_a_record_is_written_only_after_the_sync_of_the_one_before_it_and_acknowledged_only_after_its_own() -> None:
    files = ForgetfulFiles()
    with Offered(files) as subject:
        for commit in commits(SEED + 5, 50):
            start = len(files.steps)
            subject.append(commit)
            kinds = [(kind, name) for kind, name, _, _ in files.steps[start:]]
            name = kinds[-1][1]
            assert kinds[-2:] == [("write", name), ("sync", name)]


def test_a_segment_is_written_with_zeros_and_synced_with_its_directory_before_its_first_record() -> None:
    files = ForgetfulFiles()
    with Offered(files) as subject:
        subject.append(Commit(1, b"x"))
        kinds = [(kind, offset) for kind, _, offset, _ in files.steps]
        created, record = (
            kinds.index(("create", 0)),
            kinds.index(("write", 4096), kinds.index(("sync_directory", 0), 2)),
        )
        zeros = files.steps[created + 1 : record - 3]
        assert sum(length for kind, _, _, length in zeros if kind == "write") == SEGMENT_BYTES
        assert {kind for kind, _, _, _ in zeros} == {"write", "sync"}
        assert zeros[-1][0] == "sync"
        assert kinds[record - 3 : record] == [("write", 0), ("sync", 0), ("sync_directory", 0)]


def test_a_prepared_segment_whose_header_never_reached_the_disk_is_made_good_at_the_next_start() -> None:
    """Its sync fails and so does its removal; then the process is killed. The page cache shows a good header."""
    files = ForgetfulFiles()
    with Offered(files) as subject:
        subject.append(Commit(1, b"x"))

        def fault(kind: str, name: str) -> OSError | None:
            header = files.steps[-2][2:] == (0, 4096) and files.entries[name].cache[:4] == b"TTSE"
            return OSError(errno.EIO, "injected", name) if kind == "remove" or (kind == "sync" and header) else None

        files.fault = fault
        with pytest.raises(OSError, match="injected"):
            while subject.journal.spare.step():
                pass
    killed = files.after_kill()
    with reopen(killed) as journal:
        assert everything(journal) == subject.records
    assert decode_header(bytes(killed.after_power_cut().entries["journal-00000002.segment"].cache)) is not None


def test_the_first_record_of_a_segment_says_that_the_segment_before_it_is_synced() -> None:
    """Otherwise fast mode would take damage there for a hole that was never synced."""
    files = ForgetfulFiles()
    with Offered(files, "fast") as subject:
        while len(files.entries) < 2:
            subject.append(Commit(3, bytes(2000)))
        last = next(subject.journal.records(subject.journal.last_seq, subject.journal.last_seq))
        assert last.synced_seq == last.first_seq - 1 > 0


def test_recovery_writes_the_last_good_record_again_and_syncs_it() -> None:
    """After a failed sync its pages count as clean, so a sync alone would not bring it to disk."""
    files = ForgetfulFiles()
    with Offered(files) as subject:
        subject.append(Commit(1, b"first"))
        files.fault = lambda kind, name: OSError(errno.EIO, "injected", name) if kind == "sync" else None
        with pytest.raises(Stop):
            subject.append(Commit(1, b"second"))
    killed = files.after_kill()
    with reopen(killed) as journal:
        assert everything(journal) == subject.records
    with reopen(killed.after_power_cut()) as journal:
        assert everything(journal) == subject.records


def test_fast_mode_recovery_writes_every_record_again_that_is_not_known_to_be_synced() -> None:
    files = ForgetfulFiles()
    with Offered(files, "fast") as subject:
        for commit in commits(SEED + 6, 6):
            subject.append(replace(commit, count=2))
        files.fault = lambda kind, name: OSError(errno.EIO, "injected", name) if kind == "sync" else None
        with pytest.raises(Stop):
            subject.journal.sync()
    killed = files.after_kill()
    with reopen(killed, "fast") as journal:
        assert everything(journal) == subject.records
    with reopen(killed.after_power_cut()) as journal:
        assert everything(journal) == subject.records


def test_a_failed_background_sync_of_fast_mode_is_final() -> None:
    files = ForgetfulFiles()
    with Offered(files, "fast") as subject:
        subject.append(Commit(1, b"x"))
        files.fault = lambda kind, name: OSError(errno.EIO, "injected", name) if kind == "sync" else None
        with pytest.raises(Stop):
            subject.journal.sync()
        files.fault = lambda kind, name: None
        with pytest.raises(Stop):
            subject.append(Commit(1, b"y"))
        assert isinstance(subject.journal, Journal)
        assert subject.journal.durable_seq == 0
        assert "failed for good" in (subject.journal.failure or "")
