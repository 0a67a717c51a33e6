"""A journal survives kills, torn lines and flipped bits: what was told of is there, and what is not whole is not believed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgetnet.errors import InputError
from budgetnet.journal import Journal, read_journal

WRITER = """
import sys
from pathlib import Path
from budgetnet.journal import Journal
journal = Journal(Path(sys.argv[1]))
number = len(journal.reading.texts)
while True:
    journal.append(f'{{"line": {number}, "rest": "{"x" * 3000}"}}')
    print(number, flush=True)
    number += 1
"""


def written(path: Path, number: int) -> list[str]:
    file, texts = Journal(path), [f'{{"row": {place}, "word": "wörd"}}' for place in range(number)]
    for text in texts:
        file.append(text)
    return texts


def test_what_was_written_is_read(tmp_path: Path) -> None:
    texts = written(tmp_path / "ledger", 3)
    reading = read_journal(tmp_path / "ledger")
    assert (reading.texts, reading.damaged) == (texts, 0)
    assert reading.end == (tmp_path / "ledger").stat().st_size
    assert read_journal(tmp_path / "nothing").texts == []


def test_a_line_torn_anywhere_is_repaired_and_the_next_is_good(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    texts = written(path, 3)
    whole = path.read_bytes()
    last = len(whole) - whole.rindex(b"\n", 0, -1) - 1
    for cut in range(1, last + 1):
        path.write_bytes(whole[:-cut])
        assert read_journal(path).texts == texts[:2]
        file = Journal(path)
        assert file.torn is (cut < last)
        file.append("new")
        assert read_journal(path).texts == [*texts[:2], "new"]


def test_a_reader_beside_the_writer_repairs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    written(path, 2)
    path.write_bytes(path.read_bytes() + b'{"sum": "half of a li')
    before = path.read_bytes()
    assert len(read_journal(path).texts) == 2
    assert path.read_bytes() == before


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_never_believed(tmp_path: Path, place: int, bit: int) -> None:
    path = tmp_path / "ledger"
    path.unlink(missing_ok=True)
    texts = written(path, 3)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    assert set(read_journal(path).texts) <= set(texts)
    Journal(path).append("new")
    assert read_journal(path).texts[-1] == "new"


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_told_of(tmp_path: Path) -> None:
    path, told = tmp_path / "ledger", -1
    for round_ in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = max(told, int(process.stdout.readline()))
        time.sleep(0.003 * round_)
        process.send_signal(signal.SIGKILL)
        said = [int(line) for line in process.stdout.read().splitlines() if line.endswith(tuple("0123456789"))]
        process.stdout.close()
        process.wait()
        reading = read_journal(path)
        assert reading.damaged == 0
        assert [text.split(",")[0] for text in reading.texts] == [f'{{"line": {number}' for number in range(len(reading.texts))]
        assert len(reading.texts) > max([told, *said[:-1]])


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger"
    written(path, 2)
    before, file = path.read_bytes(), Journal(path)
    real, room = os.write, [40]

    def half(descriptor: int, content: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return real(descriptor, content[: room.pop()])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(InputError, match="No space left"):
        file.append("a line that does not fit any more")
    assert path.read_bytes() == before


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="no ledger"):
        read_journal(tmp_path / "link")
    with pytest.raises(InputError, match="no ledger"):
        read_journal(tmp_path)
