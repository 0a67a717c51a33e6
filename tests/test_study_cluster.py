"""Studies on a real Ray cluster of two nodes on this machine: the local executor's bits, and every run once, whatever is lost midway."""

import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_studies import FAILING, SMALL, asked, train

from budgetnet.errors import InputError
from budgetnet.study import running
from budgetnet.study.executors import Limits, Standing
from budgetnet.study.executors.cluster import RayExecutor
from budgetnet.study.executors.node import Order, carry_out, clear, code_sum, gather, lay_out
from budgetnet.study.ledger import LEDGER
from budgetnet.study.showing import Silent

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
CLUSTER = running.Means(cluster="auto")
PLACE = f"test-{os.getpid()}"
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def nodes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the nodes keep their files."""
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
def cluster(nodes_folder: Path) -> Iterator[Any]:
    """A head without processors beside the driver, and two nodes of one processor each."""
    before = dict(os.environ)
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so
    os.environ["RAY_TMPDIR"] = tempfile.gettempdir()  # for its sockets, whose paths must be short
    os.environ["TMPDIR"] = str(nodes_folder)
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
    nodes.add_node(**NODE)
    nodes.add_node(**NODE)
    ray.init(address=nodes.address, log_to_driver=False, namespace="budgetnet")
    nodes.wait_for_nodes()
    yield nodes
    ray.shutdown()
    nodes.shutdown()
    os.environ.clear()
    os.environ.update(before)


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(json.loads(line)["row"]) for line in (folder / LEDGER).read_text(encoding="utf-8").splitlines()]


def weights(document: dict[str, Any]) -> list[str]:
    return [run["weights_sha256"] for recipe in document["recipes"] for run in recipe["runs"]]


def busy_workers() -> list[int]:
    """The Ray workers of this machine under which a run is trained; other tests train runs of their own, which are not touched."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"budgetnet.study.executors.child" in path.read_bytes():
                above = int((path.parent / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
                if Path(f"/proc/{above}/cmdline").read_bytes().startswith(b"ray::"):
                    found.append(above)
        except OSError:
            continue
    return found


class LosesThings(Silent):
    """Kills the Ray worker above the first run, and when a run is done takes away a node and gives another."""

    def __init__(self, nodes: Any) -> None:
        self.nodes = nodes
        self.done: list[str] = []
        self.number = 0

    def finished(self, *_: Any) -> None:
        self.number += 1

    def tick(self, standings: dict[str, Standing]) -> None:
        if not self.done and (busy := busy_workers()):
            os.kill(busy[0], signal.SIGKILL)
            self.done.append("worker")
        elif self.done == ["worker"] and self.number >= 1 and busy_workers():
            self.nodes.remove_node(self.nodes.list_all_nodes()[-1], allow_graceful=False)
            self.done.append("node")
            self.nodes.add_node(**NODE)


def test_the_cluster_s_runs_have_the_local_bits_though_a_worker_and_a_node_are_lost(cluster: Any, tmp_path: Path) -> None:
    words: dict[str, Any] = {"epochs": 20, "seeds": "2", "vary": ("network.width=4,6",)}
    losing = LosesThings(cluster)
    there, conducted = train(tmp_path / "cluster", means=CLUSTER, showing=losing, **words)
    assert [event for event in events(tmp_path / "cluster") if event["event"] == "failed"] == [], "a lost node is no run's failure"
    assert losing.done == ["worker", "node"]
    assert conducted.trained == 4
    finished = Counter(event["key"] for event in events(tmp_path / "cluster") if event["event"] == "finished")
    assert len(finished) == 4
    assert set(finished.values()) == {1}
    here, _ = train(tmp_path / "here", **words)
    assert weights(there) == weights(here)


def test_a_run_that_fails_there_is_told_as_here(cluster: Any, tmp_path: Path) -> None:
    document, _ = train(tmp_path, FAILING, settings=(*SMALL, "network.how=diverge"), seeds="1", means=CLUSTER)
    assert [(lost["kind"], lost["tries"]) for lost in document["left_out"]] == [("diverged", 2)]


class StopsSoon(Silent):
    """Presses Ctrl-C when a run has made its first step."""

    def __init__(self) -> None:
        self.pressed = False

    def tick(self, standings: dict[str, Standing]) -> None:
        if not self.pressed and any(standing.share or standing.epoch for standing in standings.values()):
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


def test_a_stop_brings_the_states_back_and_the_study_goes_on_here(cluster: Any, tmp_path: Path) -> None:
    hurry = tmp_path / "hurry"
    settings = (*SMALL, "network.how=slow", f"network.once={hurry}")
    words: dict[str, Any] = {"epochs": 25, "seeds": "1", "settings": settings}
    _, conducted = train(tmp_path / "study", FAILING, means=CLUSTER, showing=StopsSoon(), **words)
    assert (conducted.signal, conducted.trained) == (signal.SIGINT, 0)
    (run,) = (tmp_path / "study" / "runs").iterdir()
    assert list((run / "checkpoints").iterdir())
    hurry.touch()
    document, conducted = train(tmp_path / "study", FAILING, **words)
    assert conducted.trained == 1
    whole, _ = train(tmp_path / "whole", FAILING, **words)
    assert weights(document) == weights(whole)


def test_the_data_set_stays_on_a_node_as_long_as_the_study(cluster: Any, nodes_folder: Path, tmp_path: Path) -> None:
    (spec,) = running.read_study(asked(tmp_path, seeds="1")).specs()
    before = set(nodes_folder.glob("budgetnet-*"))
    with RayExecutor(tmp_path / "runs") as executor:
        executor.submit(spec).result()
        (folder,) = set(nodes_folder.glob("budgetnet-*")) - before
        assert [path.stem for path in folder.glob("*.safetensors")] == [executor._sent(spec.recipe.data)[0]]
    assert set(nodes_folder.glob("budgetnet-*")) == before


def order_for(tmp_path: Path, **given: Any) -> Order:
    spec = running.read_study(asked(tmp_path)).specs()[0]
    words: dict[str, Any] = {
        "key": spec.key,
        "recipe": spec.recipe.model_dump(),
        "seed": 0,
        "source_sha256": spec.source_sha256,
        "threads": 1,
        "limits": Limits(),
        "code": code_sum(),
        "files": {},
        "data_sha256": "none",
        "place": PLACE,
    }
    return Order(**{**words, **given})


def refused(order: Order) -> str:
    answer = carry_out(order, lambda: b"", lambda _: False)
    assert answer["failed"] == "crash"
    return str(answer["words"])


def test_a_node_with_other_code_or_another_network_refuses(tmp_path: Path) -> None:
    assert "another version of budgetnet" in refused(order_for(tmp_path, code="0" * 64))
    assert "another file on this node" in refused(order_for(tmp_path, source_sha256="0" * 64))
    recipe = {**order_for(tmp_path).recipe, "network": "/nowhere/tiny.py:Tiny"}
    assert "same path on every node" in refused(order_for(tmp_path, recipe=recipe))
    clear(PLACE)


def test_files_that_come_back_stay_in_their_folder(tmp_path: Path) -> None:
    lay_out(tmp_path / "run", {"a": b"1", "checkpoints/2/b": b"2"})
    assert gather(tmp_path / "run") == {"a": b"1", "checkpoints/2/b": b"2"}
    with pytest.raises(InputError, match="leads out"):
        lay_out(tmp_path / "run", {"../outside": b"3"})
    assert not (tmp_path / "outside").exists()


def test_no_cluster_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", gone)
    with pytest.raises(InputError, match="no Ray cluster answers there"), RayExecutor(tmp_path):
        pass


def test_nothing_is_left_on_the_machine(cluster: Any) -> None:
    deadline = time.monotonic() + 30
    while busy_workers() and time.monotonic() < deadline:
        threading.Event().wait(0.2)
    assert not busy_workers()
