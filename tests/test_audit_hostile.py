"""Files that nobody meant well, or nobody meant: one clear sentence or a robust answer, in bounded time and memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from pasted_logs import keras, steps

from budgetnet.audit import audit_file
from budgetnet.errors import InputError

SECONDS = 20
"""Of processor time: a linear reader takes a few; one whose patterns backtrack takes hours."""
MEMORY = 3 * 2**30
LONG = 150_000
LINES = {
    "digits": "1" * LONG,
    "letters": "a" * LONG,
    "underscores": "val_" * (LONG // 4),
    "spaces": " " * LONG + "x",
    "stars": "*" * LONG + "a",
    "dots": "accuracy 0." + "9" * LONG,
    "commas": "Total params: " + "1," * (LONG // 2),
    "colons": ":" * LONG,
    "equals": "loss" + "=" * LONG,
    "brackets": "[" * LONG,
    "parentheses": "accuracy (" * (LONG // 10),
    "pipes": "100%|" * (LONG // 5),
    "bars": "60000/60000 [" + "=" * LONG,
    "many bars": "1/2 [==" * (LONG // 7),
    "heads": "Epoch 1/2 " * (LONG // 10),
    "heads with figures": "Epoch 1/2 loss: 0.1 acc: 0.9 " * (LONG // 30),
    "shapes": "conv (Conv2D) (None, " + "26, " * (LONG // 4),
    "table": "layer " * 50_000 + "output shape param",
    "rates": "learning rate to " * (LONG // 17),
    "sentences": "test accuracy. " * (LONG // 15),
    "no bias": "no " * (LONG // 3) + "bia",
    "stop": "stop when " * (LONG // 10),
    "best": "best saving test val " * (LONG // 21),
    "tags": "<a" * (LONG // 2),
    "colours": "\x1b[" * (LONG // 2),
    "half colours": "[1;1;1;1" * (LONG // 8),
    "redraws": "a\r" * (LONG // 2),
    "quotes": '"' * LONG,
    "epochs of prose": "after 3 epochs " * (LONG // 15),
    "percents": "accuracy 99.5% " * (LONG // 15),
    "parameters": "param 1,000 " * (LONG // 12),
    "counts": "Accuracy: 1/2 (50%) " * (LONG // 20),
    "scores": "score [0.01, 0.99] " * (LONG // 19),
    "exponents": "loss: 1e" + "9" * LONG,
    "superscripts": "accuracy: ²" * (LONG // 11) + " Epoch ٣/٥ loss: ٣",
}
RUN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
from pathlib import Path
from budgetnet.audit import audit_file
from budgetnet.errors import InputError
for path in sys.argv[1:]:
    try:
        audit_file(Path(path))
    except InputError as error:
        print(error)
"""


def confined(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Audit in a child with a limit on processor time and memory; it must come to its end."""
    code = RUN.format(seconds=SECONDS, memory=MEMORY)
    process = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    return process


@pytest.mark.parametrize("part", range(4))
def test_no_line_takes_more_than_linear_time(part: int, tmp_path: Path) -> None:
    paths = []
    for name in sorted(LINES)[part::4]:
        paths.append(tmp_path / f"{name}.md")
        paths[-1].write_text(f"Epoch 1/2\nloss: 0.1 - acc: 0.9\n{LINES[name]}\n{LINES[name]}\n", encoding="utf-8", newline="")
    assert confined(*paths).stdout == ""


def test_many_lines_take_linear_time(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("Epoch 1/2\n- 5s - loss: 0.1 - acc: 0.9\n# a\n" * 10_000)
    other = "".join(f"Epoch 1/2\n- 5s - loss: 0.{number:05d} - acc: 0.9\n# a\n" for number in range(10_000))
    (tmp_path / "logs.md").write_text(other)
    (tmp_path / "claims.md").write_text("Test accuracy: 99.5% after 20 epochs, 14,864 parameters\n[0.016, 0.9947]\n" * 5_000)
    assert confined(*sorted(tmp_path.glob("*.md"))).stdout == ""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.md", b"\x89PNG\r\n\0\0\0", "is no text"),
        ("a.md", b"a" * (33 * 2**20), "larger than 32 MiB"),
        ("a.md", b"\n" * 600_000, "more than 500,000 lines"),
        ("a.ipynb", b"{", "is no notebook"),
        ("a.ipynb", b"[1, 2]", "is no notebook"),
        ("a.ipynb", b'{"cells": {}}', "holds no cells"),
        ("a.ipynb", b"[" * 200_000, "too deeply nested"),
        ("a.ipynb", b'{"cells": [' + b"1" * 5_000 + b"]}", "is no notebook"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        audit_file(tmp_path / name)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        audit_file(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        audit_file(tmp_path / "README.md")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "README.md")
    with pytest.raises(InputError, match="no such file"):
        audit_file(tmp_path / "README.md")


def test_bytes_that_are_no_utf8_and_utf16_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"caf\xe9 \xff\n" + keras().encode())
    (tmp_path / "b.txt").write_bytes(steps().encode("utf-16"))
    assert audit_file(tmp_path / "a.md").logs[0].final == 0.9947
    assert audit_file(tmp_path / "b.txt").logs[0].final == 0.9947


def test_a_notebook_of_strange_types_is_read(tmp_path: Path) -> None:
    cells = [
        None,
        7,
        {"cell_type": "code", "source": {"a": "b"}, "outputs": {"x": 1}, "execution_count": "no"},
        {"cell_type": ["x"], "source": [1, None, steps() + "\n"], "outputs": [None, {"text": 5, "data": {"text/plain": [["a"]]}}]},
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells, "metadata": {"deep": [[[["a", {"b": "c"}]]]]}}))
    assert audit_file(tmp_path / "a.ipynb").logs[0].final == 0.9947


def test_a_repeated_field_does_not_move_the_lines(tmp_path: Path) -> None:
    text = '{"metadata": "a",\n"metadata": "b",\n"cells": [\n{"cell_type": "markdown",\n"source": "Total params: 14,864"}]}'
    (tmp_path / "a.ipynb").write_text(text)
    assert audit_file(tmp_path / "a.ipynb").claims[0].line == 5


def test_a_hostile_name_and_evidence_reach_no_terminal(tmp_path: Path) -> None:
    text = f"Test accuracy: 99.53% \x1b]0;owned\x07 \x9b2J\n\n{keras()}\n"
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    for finding in audit_file(tmp_path / "a.md").findings:
        assert finding.evidence.isprintable()


def test_where_reading_stopped_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "".join(f"Epoch {number}\n- 5s - loss: 0.1 - val_acc: 0.9{number:05d}\n" for number in range(1, 5_200))
    )
    done = audit_file(tmp_path / "a.md")
    assert done.logs[0].epochs == 5_000
    assert any("was not read" in item.what for item in done.unproven)


def test_memory_stays_bounded(tmp_path: Path) -> None:
    (tmp_path / "big.md").write_text(("x" * 200 + "\n") * 40_000)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    confined(tmp_path / "big.md")
    assert max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) < 2 * 2**20
