"""Runs on a Ray cluster: a task for each, the data set sent once to each node, run directories brought back.

Tasks alone, no Tune. A task that loses its worker or its node is started again by Ray; a run that fails by itself is the study's to try
again, as everywhere. Where each run stands is told to an actor beside the driver, which also answers whether to stop. What Ray sends between
its machines it pickles: a cluster is a place of trust. Ray is imported here alone (three seconds), from the extra `ray`.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from budgetnet.errors import InputError
from budgetnet.rundir import RECIPE, RunDirectory, open_run
from budgetnet.study.executors.interface import Limits, RunFailed, Standing, Stopped
from budgetnet.study.executors.node import Order, carry_out, clear, code_sum, gather, lay_out
from budgetnet.study.spec import RunSpec

SYSTEM_RETRIES = 3
"""How often Ray starts a run again whose worker or node was lost; that is nobody's failure."""
WAITING_SHARE = 2
"""Runs in flight for each that has room, so that no node waits for the driver, and an autoscaler sees what is wanted."""
SECONDS_BETWEEN_LOOKS = 1.0
BRINGERS = 8
"""Threads that write run directories which came back."""
SECONDS_TO_CLEAR = 20.0
"""How long the end of a study waits for nodes that remove what it left there."""


class RayExecutor:
    """A Ray cluster; `address` is `auto` for the one this machine belongs to, or `ray://HOST:PORT`."""

    def __init__(
        self,
        runs: Path,
        *,
        address: str = "auto",
        threads: int = 1,
        gpus: float = 0.0,
        limits: Limits | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.runs = runs
        self.address = address
        self.threads = threads
        self.gpus = gpus
        self.limits = limits or Limits()
        self.data_dir = data_dir
        self.name = f"the Ray cluster {address}"
        self._ray: Any = None
        self._board: Any = None
        self._task: Any = None
        self._data: dict[str, tuple[str, Any]] = {}
        self._references: dict[str, Any] = {}
        self._pool = ThreadPoolExecutor(max_workers=BRINGERS)
        self._guard = threading.Lock()
        self._looked = 0.0
        self._slots = 1
        self._seen: dict[str, Standing] = {}
        self._own_session = False
        self._place = uuid.uuid4().hex[:12]

    @property
    def slots(self) -> int:
        """Runs that the cluster has room for, and as many again in waiting; counted anew as nodes come and go."""
        if self._ray is not None and time.monotonic() - self._looked > SECONDS_BETWEEN_LOOKS:
            resources = self._ray.cluster_resources()
            room = resources.get("CPU", 0) / self.threads
            if self.gpus:
                room = min(room, resources.get("GPU", 0) / self.gpus)
            self._slots, self._looked = max(1, int(room)) * WAITING_SHARE, time.monotonic()
        return self._slots

    def __enter__(self) -> Self:
        """Join the cluster. Raises `InputError` where Ray is not installed or the cluster does not answer."""
        try:
            import ray
            import ray.util.scheduling_strategies
        except ImportError:
            raise InputError("--cluster needs Ray: pip install 'budgetnet[ray]', on every node.") from None
        self._ray = ray
        if not ray.is_initialized():
            try:
                ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR, namespace="budgetnet")
            except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
                words = " ".join(str(error).split())[:200]
                raise InputError(f"--cluster {self.address}: no Ray cluster answers there ({words}).") from None
            self._own_session = True
        # Beside the driver: a node that goes must not take with it what all runs tell.
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        remote: Any = ray.remote
        self._board = remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(_Board).remote()
        self._task = remote(max_retries=SYSTEM_RETRIES, retry_exceptions=False)(_on_a_node)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cancel what is under way, have the nodes remove what they kept, and leave the cluster."""
        for reference in list(self._references.values()):
            self._ray.cancel(reference, force=True)
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._task is not None:
            self._clear_nodes()
        if self._board is not None:
            self._ray.kill(self._board)
        if self._own_session:
            self._ray.shutdown()

    def submit(self, spec: RunSpec) -> Future[RunDirectory]:
        """Send a run to the cluster; one that was stopped before takes its files along and goes on."""
        future: Future[RunDirectory] = Future()
        future.set_running_or_notify_cancel()
        path = self.runs / spec.key
        data_sha256, data = self._sent(spec.recipe.data)
        order = Order(
            key=spec.key,
            recipe=spec.recipe.model_dump(),
            seed=spec.seed,
            source_sha256=spec.source_sha256,
            threads=self.threads,
            limits=self.limits,
            code=code_sum(),
            files=gather(path) if (path / RECIPE).is_file() else {},
            data_sha256=data_sha256,
            place=self._place,
        )
        options: dict[str, Any] = {"num_cpus": self.threads, "name": spec.key}
        if self.gpus:
            options["num_gpus"] = self.gpus
        if self.limits.memory_mib is not None:
            options["memory"] = self.limits.memory_mib * 2**20
        # The data set goes as a reference inside a list, so that Ray hands it over unread: a node that has it does not fetch it again.
        reference = self._task.options(**options).remote(order, [data], self._board)
        with self._guard:
            self._references[spec.key] = reference
        self._seen.pop(spec.key, None)
        reference.future().add_done_callback(lambda done: self._pool.submit(self._bring_back, spec, done, future))
        return future

    def standings(self) -> dict[str, Standing]:
        """Return where each run under way stands, as it last told."""
        try:
            self._seen = self._ray.get(self._board.look.remote(), timeout=5)
        except self._ray.exceptions.RayError:
            return self._seen
        return {key: standing for key, standing in self._seen.items() if key in self._references}

    def stop(self) -> None:
        """Ask every run under way to save its state; one that waits gives its place back as soon as it has it."""
        self._ray.get(self._board.stop.remote())

    def _clear_nodes(self) -> None:
        place, remote = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy, self._ray.remote
        nodes = [node["NodeID"] for node in self._ray.nodes() if node["Alive"]]
        pinned = [remote(num_cpus=0, max_retries=0, scheduling_strategy=place(node, soft=False))(_clear_node) for node in nodes]
        cleared = [task.remote(self._place) for task in pinned]
        # A node that goes meanwhile takes its files along.
        for late in self._ray.wait(cleared, num_returns=len(cleared), timeout=SECONDS_TO_CLEAR)[1]:
            self._ray.cancel(late, force=True)

    def _sent(self, name: str) -> tuple[str, Any]:
        """Return the sum of a data set and its place in the cluster's store, to which it is sent once."""
        if name not in self._data:
            import numpy

            from budgetnet import datasets
            from budgetnet.datasets.packed import pack

            dataset = datasets.load(name, data_dir=self.data_dir)
            self._data[name] = (dataset.sha256, self._ray.put(numpy.frombuffer(pack(dataset), dtype=numpy.uint8)))
        return self._data[name]

    def _bring_back(self, spec: RunSpec, done: Any, future: Future[RunDirectory]) -> None:
        with self._guard:
            self._references.pop(spec.key, None)
        try:
            answer = done.result()
            if "failed" in answer:
                raise RunFailed(answer["failed"], answer["words"])
            put_in_place(self.runs / spec.key, answer["files"])
            if "stopped" in answer:
                raise Stopped
            future.set_result(open_run(self.runs / spec.key))
        except (RunFailed, Stopped, InputError) as error:
            future.set_exception(error)
        except self._ray.exceptions.TaskCancelledError:
            future.set_exception(Stopped())
        except self._ray.exceptions.OutOfMemoryError as error:
            future.set_exception(RunFailed("memory", " ".join(str(error).split())[:300]))
        except Exception as error:  # whatever a cluster may say, it is this run's end and not the study's
            words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            future.set_exception(RunFailed("crash", f"the cluster lost it: {words}"))


class _Board:
    """Where each run stands, and whether to stop; an actor."""

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self.stopping = False

    def tell(self, key: str, standing: Standing | None) -> bool:
        """Take where a run stands, None at its end; answer whether to stop."""
        if standing is None:
            self.standings.pop(key, None)
        else:
            self.standings[key] = standing
        return self.stopping

    def look(self) -> dict[str, Standing]:
        """Return where all stand."""
        return self.standings

    def stop(self) -> None:
        """From now on answer that it is time to stop."""
        self.stopping = True


def _on_a_node(order: Order, data: list[Any], board: Any) -> dict[str, Any]:
    """Run on a node, as a task."""
    from dataclasses import replace

    import ray

    from budgetnet.recipe import Recipe

    stopping = False
    epochs = Recipe.model_validate(order.recipe).epochs_in_all
    told = [board.tell.remote(order.key, Standing(epochs=epochs))]

    def tell(standing: Standing) -> bool:
        # Never waiting for the answer: while a task waits, Ray gives its processor to another.
        nonlocal stopping
        if ray.wait(told, timeout=0)[0]:
            with contextlib.suppress(ray.exceptions.RayError):  # nobody listens for the moment
                stopping = bool(ray.get(told.pop())) or stopping
            told[:] = [board.tell.remote(order.key, standing)]
        return stopping

    try:
        return carry_out(replace(order, place=_on_this_node(order.place)), lambda: ray.get(data[0]).tobytes(), tell)
    finally:
        board.tell.remote(order.key, None)


def _clear_node(place: str) -> None:
    """Run on a node, as a task: remove what a study left there."""
    clear(_on_this_node(place))


def _on_this_node(place: str) -> str:
    import ray

    return f"{place}-{ray.get_runtime_context().get_node_id()[:12]}"


def put_in_place(folder: Path, files: dict[str, bytes]) -> None:
    """Put a run directory that came back in its place; it appears whole."""
    if not files:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent.parent))
    try:
        lay_out(workplace / "new", files)
        if folder.exists():
            folder.rename(workplace / "old")
        (workplace / "new").rename(folder)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
