"""Grading, part by part: finding hand-ins, child processes with accidents, the ledger after a power cut, the order of rows.

Where a command itself must crash, hang or flood, a stand-in is started in place of this program; all else uses the real ones.
"""

import os
import signal
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from budgetnet.clauses import State
from budgetnet.errors import InputError
from budgetnet.grade import grade_folder
from budgetnet.grade.children import LARGEST_ANSWER, run_child
from budgetnet.grade.contents import contents_of
from budgetnet.grade.handins import HandIn, hand_ins_of
from budgetnet.grade.ledger import LEDGER, open_ledger
from budgetnet.grade.plain import visible
from budgetnet.grade.rows import GradedClause, GradedCounts, GradedFinding, Row, RowVerdict, ranked

STAND_IN = """
import json, os, sys, time
command, target = sys.argv[1], sys.argv[2]
with open(os.environ["CALLS"], "a", errors="backslashreplace") as calls:
    calls.write(f"{command} {os.path.basename(target)}\\n")
name = os.path.basename(target)
clause = {"name": "biases", "state": "met", "measured": 0, "limit": "none", "why": "None."}
counts = {"total": 10, "trainable": 10, "with_hidden": 10, "non_zero": 10}
document = {"verdict": "met", "clauses": [clause], "facts": {"network": {"parameters": counts}}}
if command == "audit":
    print(json.dumps({"file": target}))
    sys.exit(0)
if "hang" in name:
    time.sleep(10_000)
if "family" in name:
    if os.fork() == 0:
        os.setsid()
        time.sleep(10_000)
    time.sleep(10_000)
if "flood" in name:
    while True:
        sys.stdout.write("x" * 2**16)
if "crash" in name:
    os.abort()
if "garbage" in name:
    print("[" * 100_000)
elif "wrong" in name:
    print(json.dumps({"verdict": "splendid"}))
elif "complaint" in name:
    print("budgetnet: this is no network.", file=sys.stderr)
    sys.exit(2)
else:
    print(json.dumps(document))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The stand-in, as a command."""
    path = tmp_path / "stand_in.py"
    path.write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return sys.executable, str(path)


def calls(folder: Path) -> list[str]:
    """What the stand-in was asked, sorted."""
    path = folder / "calls"
    return sorted(path.read_text(encoding="utf-8").split("\n")[:-1]) if path.exists() else []


def a_class(folder: Path, *names: str) -> Path:
    """A folder with a hand-in of each name, a Python file in each."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "net.py").write_text(f"# {name!a}\n", encoding="utf-8")
    return folder


def test_every_accident_of_a_command_becomes_a_sentence_in_its_own_row(tmp_path: Path, program: tuple[str, ...]) -> None:
    folder = a_class(tmp_path / "class", "good", "hang", "family", "flood", "crash", "garbage", "wrong", "complaint")
    graded = grade_folder(folder, jobs=2, timeout=4, program=program)
    row = {row.hand_in: row for _, row in graded.rows}
    assert row["good"].verdict == "met"
    problems = {name: str(row[name].problem) for name in row if row[name].verdict == "failed"}
    assert set(problems) == {"hang", "family", "flood", "crash", "garbage", "wrong", "complaint"}
    assert "took longer than" in problems["hang"]
    assert f"more than {LARGEST_ANSWER >> 20} MiB" in problems["flood"]
    assert f"exit code {-signal.SIGABRT}" in problems["crash"]
    assert "no answer" in problems["garbage"]
    assert "no answer" in problems["wrong"]
    assert problems["complaint"] == "this is no network."
    living = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [words for words in living if os.fsencode(tmp_path) in words], "a child of a child outlived its time"


def test_a_missing_program_is_a_row_s_problem(tmp_path: Path) -> None:
    graded = grade_folder(a_class(tmp_path / "class", "one"), program=(str(tmp_path / "nowhere"),))
    assert "could not be started" in str(graded.rows[0][1].problem)


def test_a_restart_asks_only_for_what_changed(tmp_path: Path, program: tuple[str, ...]) -> None:
    folder = a_class(tmp_path / "class", "a", "b", "hang")
    assert grade_folder(folder, timeout=2, program=program).skipped == 0
    first = calls(tmp_path)
    assert grade_folder(folder, timeout=2, program=program).skipped == 3, "one that took too long is done too"
    assert calls(tmp_path) == first
    (folder / "b" / "net.py").write_text("# better\n", encoding="utf-8")
    (folder / "b" / ".cache").write_text("hidden\n", encoding="utf-8")
    assert grade_folder(folder, timeout=2, program=program).skipped == 2
    assert calls(tmp_path) == sorted([*first, "audit net.py", "check b"])
    assert grade_folder(folder, timeout=2, program=program, contract="8k-parameters-15-epochs").skipped == 0
    assert grade_folder(folder, timeout=2, program=program, again=True).skipped == 0


def test_more_time_gives_a_slow_one_another_try(tmp_path: Path, program: tuple[str, ...]) -> None:
    folder = a_class(tmp_path / "class", "hang")
    grade_folder(folder, timeout=1.5, program=program)
    assert grade_folder(folder, timeout=1.5, program=program).skipped == 1
    assert grade_folder(folder, timeout=2, program=program).skipped == 0


def test_a_torn_or_flipped_ledger_costs_only_those_rows(tmp_path: Path, program: tuple[str, ...]) -> None:
    folder = a_class(tmp_path / "class", "a", "b", "c")
    ledger = tmp_path / "class-grades" / LEDGER
    grade_folder(folder, jobs=1, program=program)
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(lines[0] + lines[1].replace(b"unproven", b"met", 1).replace(b"None.", b"Some.", 1) + lines[2][:-40])
    assert grade_folder(folder, jobs=1, program=program).skipped == 1
    assert grade_folder(folder, jobs=1, program=program).skipped == 3
    ledger.write_bytes(b"\xff\x00[]\n{}\nnull\n" + b"[" * 100_000)
    assert grade_folder(folder, jobs=1, program=program).skipped == 0


def test_two_processes_do_not_write_the_same_results(tmp_path: Path, program: tuple[str, ...]) -> None:
    folder = a_class(tmp_path / "class", "a")
    with open_ledger(tmp_path / "class-grades"), pytest.raises(InputError, match="another process"):
        grade_folder(folder, program=program)


def test_links_and_special_files_show_nothing_from_elsewhere(tmp_path: Path, program: tuple[str, ...]) -> None:
    folder = a_class(tmp_path / "class", "linked")
    (tmp_path / "secret.md").write_text("secret\n", encoding="utf-8")
    (folder / "linked" / "README.md").symlink_to(tmp_path / "secret.md")
    (folder / "linked" / "all").symlink_to(tmp_path)
    (folder / "linked" / "copy.py").symlink_to("net.py")
    os.mkfifo(folder / "linked" / "pipe.py")
    os.mkfifo(folder / "pipe.py")
    (folder / "file.md").symlink_to(tmp_path / "secret.md")
    (folder / "dead.md").symlink_to("nowhere.md")
    (folder / "twin").symlink_to("linked")
    row = {row.hand_in: row for _, row in grade_folder(folder, program=program).rows}
    assert set(row) == {"linked", "file.md", "dead.md"}
    assert row["linked"].verdict == "met"
    assert "Links out of the hand-in were refused, and not followed: README.md, all." in row["linked"].notes
    assert {row["file.md"].verdict, row["dead.md"].verdict} == {"failed"}
    assert calls(tmp_path) == ["audit net.py", "check linked"], "neither the secret nor a pipe was opened"


def test_names_of_any_bytes_are_graded(tmp_path: Path) -> None:
    folder = a_class(tmp_path / "class", "-rf", "a:b.py", "\u202egnp.py", os.fsdecode(b"\xff\xfe"), "--help", "x.py:Net")
    for path in folder.iterdir():
        (path / "net.py").unlink()
        (path / "README.md").write_text("# A hand-in\n99.5 % test accuracy after 20 epochs\n", encoding="utf-8")
    graded = grade_folder(folder)
    assert {row.hand_in for _, row in graded.rows} == {"-rf", "a:b.py", "\\u202egnp.py", "\\udcff\\udcfe", "--help", "x.py:Net"}
    for _, row in graded.rows:
        assert {said.file for said in row.open} == {"README.md"}
        assert str(tmp_path) not in row.model_dump_json()


def test_what_is_found_in_a_folder(tmp_path: Path) -> None:
    a_class(tmp_path, "one", ".git", "env", "__pycache__")
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}", encoding="utf-8")
    (tmp_path / "a.onnx").write_bytes(b"")
    (tmp_path / "b.PY").write_bytes(b"")
    (tmp_path / "c.h5").write_bytes(b"")
    found = hand_ins_of(tmp_path)
    kinds = {hand_in.name: hand_in.kind for hand_in in found.hand_ins}
    assert kinds == {"one": "folder", "repo": "git", "run": "run", "a.onnx": "file", "b.PY": "file"}
    assert found.passed_over == ("c.h5",)


def test_results_in_the_folder_itself_are_no_hand_in(tmp_path: Path, program: tuple[str, ...]) -> None:
    folder = a_class(tmp_path / "class", "a")
    grade_folder(folder, out=folder / "results", program=program)
    assert grade_folder(folder, out=folder / "results", program=program).skipped == 1


def test_a_digest_knows_names_and_contents(tmp_path: Path) -> None:
    folder = a_class(tmp_path, "a") / "a"
    hand_in = HandIn(folder, "a", "folder")
    before = contents_of(hand_in, b"salt").digest
    assert contents_of(hand_in, b"salt").digest == before
    assert contents_of(hand_in, b"other").digest != before
    (folder / "net.py").rename(folder / "ten.py")
    assert contents_of(hand_in, b"salt").digest != before


def test_texts_are_chosen_for_the_audit(tmp_path: Path) -> None:
    folder = a_class(tmp_path, "a") / "a"
    for name in ("z.md", "README.md", "requirements.txt", "train.log", "LICENSE.md"):
        (folder / name).write_text("words\n", encoding="utf-8")
    (folder / "binary.txt").write_bytes(b"\0\1\2")
    contents = contents_of(HandIn(folder, "a", "folder"), b"")
    assert [path.name for path in contents.texts] == ["README.md", "z.md", "train.log", "net.py"]


def test_a_child_has_neither_the_folder_nor_a_terminal_and_its_folder_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import os, sys; print(os.getcwd()); print(os.environ['OMP_NUM_THREADS'], [*sys.stdin], os.getsid(0) == os.getpid())"
    answer = run_child([sys.executable, "-c", code], seconds=60, stop=threading.Event())
    folder, rest = answer.output.decode().splitlines()
    assert rest == "1 [] True"
    assert folder != str(tmp_path)
    assert not Path(folder).exists()


def test_the_end_of_a_long_complaint_is_kept() -> None:
    code = textwrap.dedent("import sys\nsys.stderr.write('x' * 10**7 + 'the end')\nsys.exit(9)")
    answer = run_child([sys.executable, "-c", code], seconds=60, stop=threading.Event())
    assert answer.code == 9
    assert answer.complaint.endswith(b"the end")
    assert len(answer.complaint) < 10**6


@pytest.mark.parametrize(("name", "shown"), [("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("ä 漢", "ä 漢"), ("\udc80", "\\udc80")])
def test_names_become_printable(name: str, shown: str) -> None:
    assert visible(name) == shown
    assert visible(name).isprintable()


def a_row(name: str, verdict: RowVerdict, states: str, parameters: int = 100, doubts: int = 0) -> Row:
    """A row whose clauses are given by letters: m, b, u, and s for unproven but shown by its log."""
    state: dict[str, State] = {"m": "met", "b": "broken", "u": "unproven", "s": "unproven"}
    clauses = [
        GradedClause(name=str(number), state=state[letter], measured=1, limit=1, why="", shown=letter == "s")
        for number, letter in enumerate(states)
    ]
    finding = GradedFinding(source="audit", what="", evidence="")
    counts = GradedCounts(total=parameters, trainable=1, with_hidden=1, non_zero=1)
    return Row(
        hand_in=name, kind="folder", verdict=verdict, clauses=tuple(clauses), parameters=counts, findings=(finding,) * doubts
    )


def test_the_order_of_rows() -> None:
    wanted = [
        a_row("z", "met", "mmm", 90),
        a_row("y", "met", "mmm", 91),
        a_row("x", "unproven", "mms"),
        a_row("w", "unproven", "mss", 1),
        a_row("v", "unproven", "mmu", 1),
        a_row("u", "unproven", "mmu", 1, doubts=1),
        a_row("t", "unproven", "muu", 1),
        a_row("s", "broken", "mmb", 1),
        a_row("r", "broken", "mbb", 1),
        a_row("p", "unproven", "uuu").model_copy(update={"kind": "text", "parameters": None}),
        a_row("q", "failed", "mmm", 1),
    ]
    order = ranked(reversed(wanted))
    assert [row.hand_in for _, row in order] == [row.hand_in for row in wanted]
    assert [rank for rank, _ in order] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, None]


def test_a_hand_in_of_nothing_fails_and_has_no_rank(tmp_path: Path) -> None:
    (tmp_path / "class" / "empty").mkdir(parents=True)
    ((rank, row),) = grade_folder(tmp_path / "class").rows
    assert (rank, row.verdict) == (None, "failed")
    assert row.reason == "It holds no network and no text: nothing can be graded."
