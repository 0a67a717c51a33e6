"""What a confined child cannot do, tried by real children that try it; and that whatever it does costs one sentence."""

import os
import sys
import time
from pathlib import Path

import pytest

from budgetnet.confine import Limits, run_confined
from budgetnet.confine.syscalls import MACHINES, REFUSED, program
from budgetnet.errors import InputError

HERE = Path(__file__).parent / "confined"
SHORT = Limits(seconds=3)
linux = pytest.mark.usefixtures("on_linux")


@pytest.fixture
def on_linux() -> None:
    assert sys.platform == "linux", "these layers are Linux's; elsewhere tests of the hook alone hold"


def confined(code: str, *, readable: tuple[Path, ...] = (), without: tuple[str, ...] = (), limits: Limits = SHORT) -> object:
    return run_confined("probe:run", code, name="probe", readable=readable, trusted=[HERE], limits=limits, without=without).answer


def tried(statement: str, *, without: tuple[str, ...] = (), readable: tuple[Path, ...] = ()) -> object:
    """The name of the exception that the statement raises in the child, or None."""
    indented = "\n    ".join(statement.splitlines())
    code = f"import os\ntry:\n    {indented}\nexcept Exception as error:\n    answer = type(error).__name__"
    return confined(code, without=without, readable=readable)


LAYERS = [(), ("namespaces",), ("landlock",), ("syscalls",), ("namespaces", "landlock", "syscalls")]


def test_a_task_is_done_and_answered() -> None:
    assert confined("print('heard by nobody')\nanswer = [1, {'a': None}, 'é']") == [1, {"a": None}, "é"]


@pytest.mark.parametrize("without", LAYERS, ids="+".join)
def test_every_layer_alone_keeps_files_and_network_from_foreign_python(tmp_path: Path, without: tuple[str, ...]) -> None:
    secret, marker = tmp_path / "secret", tmp_path / "marker"
    secret.write_text("told to nobody")
    assert tried(f"open({str(secret)!r}).read()", without=without) == "PermissionError"
    assert tried(f"open({str(marker)!r}, 'w')", without=without) == "PermissionError"
    assert tried(f"os.remove({str(secret)!r})", without=without) == "PermissionError"
    assert tried(f"os.listdir({str(tmp_path)!r})", without=without) == "PermissionError"
    assert tried("import socket\nsocket.create_connection(('127.0.0.1', 9), timeout=1)", without=without) in {
        "PermissionError",
        "OSError",
    }
    assert tried("os.fork()", without=without) == "PermissionError"
    assert tried("import subprocess\nsubprocess.run(['/bin/true'])", without=without) == "PermissionError"
    assert tried("os.kill(os.getppid(), 9)", without=without) == "PermissionError"
    assert secret.read_text() == "told to nobody"
    assert not marker.exists()


def test_what_is_named_readable_is_read_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text("x = 1")
    code = f"answer = open({str(tmp_path / 'network.py')!r}).read()"
    assert confined(code, readable=(tmp_path,)) == "x = 1"
    assert tried(f"open({str(tmp_path / 'network.py')!r}, 'a')", readable=(tmp_path,)) == "PermissionError"
    assert tried(f"os.chmod({str(tmp_path / 'network.py')!r}, 0)", readable=(tmp_path,)) == "PermissionError"


@linux
def test_machine_code_is_held_as_well_as_python(tmp_path: Path) -> None:
    """What Python's own hooks would never see: calls of the C library."""
    (tmp_path / "secret").write_text("told to nobody")
    code = (
        "import ctypes, os\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        f"answer = [library.open({str(tmp_path / 'secret')!r}.encode(), 0), library.open({str(tmp_path / 'new')!r}.encode(), 65),\n"
        "library.socket(2, 1, 0), library.fork(), library.kill(os.getppid(), 9), library.system(b'true') == 0,\n"
        "library.mount(b'none', b'/', b'tmpfs', 0, None), library.ptrace(16, os.getppid(), None, None),\n"
        "library.unshare(0x10000000), library.chmod(b'/tmp', 511), library.syscall(435, None, 0)]"
    )
    assert confined(code) == [-1, -1, -1, -1, -1, False, -1, -1, -1, -1, -1]
    assert not (tmp_path / "new").exists()


@linux
def test_the_parent_s_memory_and_environment_are_out_of_reach() -> None:
    for name in ("environ", "mem", "maps", "cmdline"):
        assert tried(f"open(f'/proc/{{os.getppid()}}/{name}', 'rb').read(1)") in {"PermissionError", "FileNotFoundError"}


def test_home_and_environment_tell_nothing_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_TOKEN", "told to nobody")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    code = "import os, sys, pathlib\nanswer = [dict(os.environ), os.getcwd(), str(pathlib.Path.home()), os.listdir('.'), sys.path]"
    answer = confined(code)
    assert isinstance(answer, list)
    environment, folder, home, files, paths = answer
    assert "A_SECRET_TOKEN" not in environment
    assert "PYTHONPATH" not in environment
    assert folder == home == environment["HOME"] != str(Path.home())
    assert files == []
    assert not {"", "/elsewhere", str(Path.cwd())} & set(paths)
    assert not Path(folder).exists(), "the temporary folder goes with the child"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("while True: pass", "took longer than 1 s and was stopped"),
        ("import time; time.sleep(60)", "took longer than 1 s and was stopped"),
        ("while True: print('x' * 10000)", "took longer than 1 s and was stopped"),
        (
            "import signal, time\nfor n in range(1, 9): signal.signal(n, signal.SIG_IGN) if n != 9 else 0\ntime.sleep(60)",
            "was stopped",
        ),
        ("x = bytearray(100 * 2**30)", "it asked for more memory than it may have"),
        ("import os; os._exit(0)", "ended the process (exit code 0)"),
        (
            "import os; print('bye', flush=True); os._exit(7)",
            "ended the process (exit code 7) before the check was done (its last words: bye)",
        ),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died of SIGSEGV"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("answer = object()", "TypeError"),
        ("answer = 'x' * (40 * 2**20)", "larger than 32 MiB"),
    ],
)
def test_a_child_that_does_not_answer_costs_one_sentence(code: str, sentence: str) -> None:
    with pytest.raises(InputError, match=r"^probe: ") as raised:
        confined(code, limits=Limits(seconds=1 if "stopped" in sentence else 20))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "lie",
    [
        """{"word": "guessed", "answer": "all is well"}""",
        """{"answer": "all is well"}""",
        "[]",
        "no JSON at all",
    ],
)
def test_an_answer_in_the_check_s_place_is_not_believed(lie: str) -> None:
    code = (
        f"import os\nlie = {lie!r}.encode() + b'\\n'\n"
        "for number in range(1, 64):\n    try: os.write(number, lie)\n    except OSError: pass\nos._exit(0)"
    )
    with pytest.raises(InputError, match="its code answered in place of the check"):
        confined(code)


@linux
def test_threads_without_end_are_stopped() -> None:
    start = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    code = f"import threading, time\nthreading.stack_size(65536)\nwhile True: {start}"
    with pytest.raises(InputError, match=r"started more than 200 threads|can't start new thread|took longer"):
        confined(code)


@linux
def test_what_a_child_leaves_running_dies_with_it() -> None:
    """Without the filter that refuses new processes, a grandchild is killed with the group."""
    code = "import ctypes, os\nif ctypes.CDLL(None).fork() == 0:\n    while True: pass\nanswer = os.getpid()"
    group = confined(code, without=("syscalls",))
    assert isinstance(group, int)
    for _ in range(100):
        if not _alive(group):
            return
        time.sleep(0.05)
    raise AssertionError("something of the child's group still runs")


def _alive(group: int) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[2]) == group and words[0] != "Z":
                return True
    return False


def test_the_temporary_folder_cannot_be_filled() -> None:
    code = "for i in range(100_000):\n    with open(f'f{i}', 'wb') as file: file.write(bytes(10_000_000))"
    for without in ((), ("namespaces",)):
        with pytest.raises(InputError, match=r"No space left|filled its temporary folder|took longer"):
            confined(code, without=without, limits=Limits(seconds=20))


def test_what_is_missing_is_said_before_anything_runs(tmp_path: Path) -> None:
    heard: list[str] = []

    def say(line: str) -> None:
        heard.append(line)
        assert not list(tmp_path.iterdir())

    everything = ("namespaces", "landlock", "syscalls")
    result = run_confined("probe:run", "answer = 1", name="probe", trusted=[HERE], limits=SHORT, say=say, without=everything)
    assert len(heard) == len(result.missing) == 1
    assert "only limits and Python's own hooks hold here" in heard[0]
    assert heard[0].startswith("probe: not confined on this platform: ")


@linux
def test_nothing_is_missing_where_all_layers_hold() -> None:
    assert run_confined("probe:run", "answer = 1", name="probe", trusted=[HERE], limits=SHORT).missing == ()


@linux
def test_privileges_are_gone_for_good() -> None:
    code = (
        "answer = {l.split(':')[0]: l.split()[1] for l in open('/proc/self/status') if l.startswith(('Cap', 'NoNew', 'Seccomp:'))}"
    )
    status = confined(code)
    assert isinstance(status, dict)
    assert status["CapEff"] == status["CapPrm"] == status["CapInh"] == "0" * 16
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert tried("import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))") == "ValueError"


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_is_whole_on_each_machine(machine: str) -> None:
    """Each row gives two numbers, and the program is a multiple of an instruction, within the kernel's bound."""
    rows = [row.split() for row in REFUSED.split(", ")]
    assert all(len(row) == 3 for row in rows)
    column = MACHINES[machine][1]
    numbers = [row[column] for row in rows if row[column] != "-"]
    assert len(numbers) == len(set(numbers))
    code = program(machine, os.getpid())
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096
