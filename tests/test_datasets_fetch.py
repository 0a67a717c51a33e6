"""Downloads against a real server on this machine that misbehaves in every way a mirror can."""

import gzip
import hashlib
import multiprocessing
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from small_data import NAMES, idx_files, small_contents, small_row, write_folder

from budgetnet.datasets import DATA_SETS, find
from budgetnet.datasets.fetch import Patience
from budgetnet.errors import InputError

SHORT = Patience(silence=0.3, file=0.6, pause=0.0)


class Mirror(ThreadingHTTPServer):
    """Serves files under /good/ and fails in its own way under every other name; counts what it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"{name}.gz": gzip.compress(content) for name, content in zip(NAMES, small_contents(), strict=True)}
        self.asked: list[str] = []
        self.over = threading.Event()

    def address(self, way: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{way}/"


class Handler(BaseHTTPRequestHandler):
    """One answer; the first part of the path says how it goes wrong."""

    server: Mirror

    def do_GET(self) -> None:
        _, way, name = self.path.split("/")
        self.server.asked.append(f"{way}/{name}")
        getattr(self, f"answer_{way}")(self.server.files[name])

    def answer_good(self, content: bytes) -> None:
        self.send(content)

    def answer_slow(self, content: bytes) -> None:
        self.server.over.wait(0.3)
        self.send(content)

    def answer_missing(self, _: bytes) -> None:
        self.send_error(404)

    def answer_unwell(self, _: bytes) -> None:
        self.send_error(503)

    def answer_recovering(self, content: bytes) -> None:
        if sum(path == self.path[1:] for path in self.server.asked) == 1:
            self.send_error(503)
        else:
            self.send(content)

    def answer_html(self, _: bytes) -> None:
        self.send(b"<!DOCTYPE html><title>Sign in to the network</title>")

    def answer_wrong(self, content: bytes) -> None:
        self.send(gzip.compress(gzip.decompress(content)[:-1] + b"\x03"))

    def answer_truncated(self, content: bytes) -> None:
        self.send(content[: len(content) // 2])

    def answer_cut(self, content: bytes) -> None:
        self.send(content[: len(content) // 2], claimed=len(content))

    def answer_huge(self, content: bytes) -> None:
        self.send(content, claimed=10**12)

    def answer_endless(self, _: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        block = bytes(64 * 1024)
        while not self.server.over.is_set():
            self.wfile.write(block)

    def answer_trickle(self, _: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.over.wait(0.05):
            self.wfile.write(b"\x1f")

    def answer_stall(self, _: bytes) -> None:
        self.server.over.wait(30)

    def answer_silence(self, content: bytes) -> None:
        self.send(content[:10], claimed=len(content))
        self.server.over.wait(30)

    def answer_reset(self, _: bytes) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def answer_elsewhere(self, _: bytes) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://data.example/{self.path}")
        self.end_headers()

    def send(self, content: bytes, claimed: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if claimed is None else claimed))
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        # Many of these ways end with the client gone.
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUDGETNET_DATA", raising=False)


def left_in(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*") if path.is_file()} - {".lock"}


def test_download_then_offline_from_the_cache(mirror: Mirror, tmp_path: Path) -> None:
    first = find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address("good")])
    assert first.sha256 == find(small_row(), data_dir=write_folder(tmp_path / "plain"), download=False).sha256
    assert left_in(tmp_path / "small") == {f"{name}.gz" for name in NAMES}
    again = find(small_row(), cache_dir=tmp_path, download=False)
    assert again.sha256 == first.sha256
    assert find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address("good")]).sha256 == first.sha256
    assert len(mirror.asked) == 4


WAYS = {
    "missing": "answered 404",
    "unwell": "answered 503",
    "html": "is an HTML page",
    "wrong": "is damaged or not the small file",
    "truncated": "is truncated",
    "cut": "broke off after",
    "huge": "wants to send 1,000,000,000,000 bytes",
    "endless": "sends more than",
    "trickle": "sent only",
    "stall": "did not answer",
    "silence": "fell silent",
    "reset": "broke off",
    "elsewhere": "redirects to http://data.example/",
}


@pytest.mark.parametrize("way", WAYS)
def test_bad_mirror_gives_way_to_the_next(mirror: Mirror, tmp_path: Path, way: str) -> None:
    data = find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address(way), mirror.address("good")], patience=SHORT)
    assert len(data.training) == 40
    assert left_in(tmp_path) == {f"{name}.gz" for name in NAMES}
    # Once it has failed it is asked no more for the other files.
    assert {path.split("/")[1] for path in mirror.asked if path.startswith(way)} == {f"{NAMES[0]}.gz"}


@pytest.mark.parametrize("way", WAYS)
def test_bad_mirror_alone_is_an_error_and_leaves_nothing(mirror: Mirror, tmp_path: Path, way: str) -> None:
    with pytest.raises(InputError, match="small was not found") as caught:
        find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address(way)], patience=SHORT)
    assert f"{mirror.address(way)}: {WAYS[way]}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path) == set()


def test_a_mirror_that_recovers_is_asked_again(mirror: Mirror, tmp_path: Path) -> None:
    find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address("recovering")], patience=SHORT)
    assert len(mirror.asked) == 8


def test_only_the_broken_file_of_the_cache_comes_again(mirror: Mirror, tmp_path: Path) -> None:
    place = write_folder(tmp_path / "small", packed=True)
    broken = place / f"{NAMES[3]}.gz"
    broken.write_bytes(broken.read_bytes()[:50])
    (place / "t10k-images-idx3-ubyte.4711.part").write_bytes(b"left by a process that was killed")
    with pytest.raises(InputError, match=r"in the cache, .*t10k-images-idx3-ubyte\.gz: is truncated"):
        find(small_row(), cache_dir=tmp_path, download=False)
    with pytest.raises(InputError, match="answered 404"):
        find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address("missing")])
    assert len(broken.read_bytes()) == 50
    mirror.asked.clear()
    assert len(find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address("good")]).test) == 10
    assert mirror.asked == [f"good/{NAMES[3]}.gz"]
    assert left_in(tmp_path) == {f"{name}.gz" for name in NAMES}


def test_progress_reaches_the_caller(mirror: Mirror, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address("good")], progress=lambda *step: seen.append(step))
    assert [step[0] for step in seen] == [f"{name}.gz" for name in NAMES]
    assert all(done == total == len(mirror.files[name]) for name, done, total in seen)


@pytest.mark.parametrize("address", ["http://data.example/", "ftp://127.0.0.1/", "file:///etc/", "http://127.0.0.1.example/"])
def test_only_https_or_this_very_machine(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError, match="is not https"):
        find(small_row(), cache_dir=tmp_path, mirrors=[address])


def test_the_tables_own_mirrors_are_never_http(mirror: Mirror, tmp_path: Path) -> None:
    row = replace(small_row(), mirrors=(mirror.address("good"),))
    with pytest.raises(InputError, match="is not https"):
        find(row, cache_dir=tmp_path)
    assert mirror.asked == []


def test_cache_that_cannot_be_written_says_so(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "small").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="cannot be written"):
        find(small_row(), cache_dir=tmp_path, mirrors=[mirror.address("good")])


def _find_at_once(cache: Path, address: str, start: Barrier, results: "multiprocessing.Queue[str]") -> None:
    os.environ.pop("BUDGETNET_DATA", None)
    start.wait()
    results.put(find(small_row(), cache_dir=cache, mirrors=[address]).sha256)


def test_two_processes_at_once_download_once(mirror: Mirror, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    arguments = (tmp_path, mirror.address("slow"), start, results)
    processes = [context.Process(target=_find_at_once, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    hashes = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(hashes) == 1
    assert sorted(mirror.asked) == sorted(f"slow/{name}.gz" for name in NAMES)


def test_real_mnist_comes_through_in_another_packing(mirror: Mirror, mnist_folder: Path, tmp_path: Path) -> None:
    """Mirrors pack MNIST differently: what is proven is the content."""
    original = find(DATA_SETS["mnist"], data_dir=mnist_folder, download=False)
    mirror.files = {f"{name}.gz": gzip.compress(content, 1) for name, content in zip(NAMES, idx_files(original), strict=True)}
    data = find(DATA_SETS["mnist"], cache_dir=tmp_path, mirrors=[mirror.address("good")])
    assert data.sha256 == original.sha256


def test_file_proven_by_its_packed_bytes(mirror: Mirror, tmp_path: Path) -> None:
    """KMNIST's training images: only the .gz as distributed counts, not the same content packed or unpacked by others."""
    row = small_row()
    name = f"{NAMES[1]}.gz"
    proven = replace(row.files[1], sha256=hashlib.sha256(mirror.files[name]).hexdigest(), packed=True)
    row = replace(row, files=(row.files[0], proven, *row.files[2:]))
    data = find(row, cache_dir=tmp_path / "cache", mirrors=[mirror.address("good")])
    assert len(data.training) == 40
    for packed in (False, True):
        with pytest.raises(InputError, match=r"keep the \.gz as it was downloaded"):
            find(row, data_dir=write_folder(tmp_path / f"folder{packed}", packed=packed), download=False)
