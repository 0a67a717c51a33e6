"""The cache and the mirrors: a data set's files are downloaded once, proven, and kept for every later run.

A file comes to a temporary name beside its place, is proven there by SHA-256, flushed to disk and renamed, so the cache never
holds a part of a file; a lock (the file `.lock`, which stays) makes processes that start together download once. Only https,
also through redirects; a mirror that fails, stalls, or sends something else gives way to the next. MNIST is 11.6 MB to download.
"""

from __future__ import annotations

import contextlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir

from budgetnet.datasets.dataset import Dataset
from budgetnet.datasets.idx import CHUNK, SPARE
from budgetnet.datasets.located import OtherDataSetError, candidate, read_file, read_folder
from budgetnet.datasets.table import DataFile, DataSet
from budgetnet.errors import InputError
from budgetnet.version import __version__

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that have come, and the bytes to come where the server says so."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Patience:
    """How long a mirror is waited for, in seconds, and how often it is asked."""

    silence: float = 15.0
    """Without a byte, or without a connection."""
    file: float = 600.0
    """For one whole file, so that a trickle ends too."""
    attempts: int = 2
    """Where a connection breaks or the server is unwell; a wrong answer or silence is not asked for again."""
    pause: float = 0.5
    """Between two attempts."""
    lock: float = 3600.0
    """For another process that downloads the same data set."""


class MirrorError(Exception):
    """A mirror gave no usable file; `passing` where asking again may help."""

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


def default_cache() -> Path:
    """Return the folder of the user's cache; nothing is created."""
    return Path(user_cache_dir("budgetnet"))


def read_cached(
    row: DataSet,
    cache: Path,
    *,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Dataset:
    """Return the data set from `cache`, after downloading there what is missing or broken.

    `mirrors` takes the place of the table's; only there a plain http address of this very machine is allowed. Raises
    `InputError` that tells every place that was tried where the data set cannot be had; the cache then holds what it held, and
    those files that came whole.
    """
    place = cache / row.name
    cached = _cached(row, place)
    if isinstance(cached, Dataset):
        return cached
    if not download:
        raise InputError(f"{cached}; downloading is off")
    addresses = [_checked_mirror(address, own=mirrors is not None) for address in (row.mirrors if mirrors is None else mirrors)]
    patience = patience or Patience()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / ".lock", timeout=patience.lock):
            cached = _cached(row, place)
            if isinstance(cached, Dataset):
                return cached
            for path in place.glob("*.part"):
                # The lock is ours, so whoever left this is gone.
                path.unlink()
            _download_missing(row, place, addresses, progress=progress, patience=patience)
    except InputError as error:
        raise InputError(f"{cached}; {error}") from None
    except Timeout:
        raise InputError(f"another process has held {place / '.lock'} for {patience.lock:.0f} s; end it and try again") from None
    except OSError as error:
        raise InputError(f"the cache {place} cannot be written ({error.strerror or error})") from None
    return read_folder(row, place)


def _cached(row: DataSet, place: Path) -> Dataset | str:
    """Return the data set, or what the cache lacks in a few words."""
    try:
        if not any(candidate(place, file) for file in row.files):
            return f"the cache {place} holds none of its files"
        return read_folder(row, place)
    except (InputError, OtherDataSetError) as error:
        return f"in the cache, {str(error).rstrip('.')}"


def _download_missing(row: DataSet, place: Path, mirrors: Sequence[str], *, progress: Progress | None, patience: Patience) -> None:
    """Put every file that is missing or broken into `place`. Raises `InputError` with what each mirror did."""
    order = list(mirrors)
    for file in row.files:
        target = place / f"{file.name}.gz"
        with contextlib.suppress(InputError, OtherDataSetError):
            read_file(row, file, target)
            continue
        failures = []
        for mirror in tuple(order):
            try:
                _download(row, file, mirror, target, progress=progress, patience=patience)
                break
            except MirrorError as error:
                failures.append(f"{mirror}: {error}")
                # The next file starts with a mirror that has not failed.
                order.remove(mirror)
                order.append(mirror)
        else:
            raise InputError(f"{file.name}.gz came from no mirror — " + "; ".join(failures or ["there is none to ask"]))


def _download(row: DataSet, file: DataFile, mirror: str, target: Path, *, progress: Progress | None, patience: Patience) -> None:
    """Bring one file from one mirror to `target`, or raise `MirrorError` and leave nothing behind."""
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        for attempt in range(1, patience.attempts + 1):
            try:
                _receive(mirror, file, part, progress=progress, patience=patience)
                break
            except MirrorError as error:
                if not error.passing or attempt == patience.attempts:
                    raise
                time.sleep(patience.pause)
        try:
            read_file(row, file, part)
        except (InputError, OtherDataSetError) as error:
            # The temporary name says nothing to a reader.
            raise MirrorError(str(error).removeprefix(f"{part}: ").rstrip(".")) from None
        _settle(part, target)
    finally:
        part.unlink(missing_ok=True)


def _receive(mirror: str, file: DataFile, part: Path, *, progress: Progress | None, patience: Patience) -> None:
    """Write what `mirror` sends for `file` to `part`, bounded in bytes and in time."""
    bound = file.size + SPARE
    end = time.monotonic() + patience.file
    with _opened(f"{mirror}{file.name}.gz", patience.silence) as answer, part.open("wb") as out:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        if total is not None and total > bound:
            raise MirrorError(f"wants to send {total:,} bytes for a file of at most {bound:,}")
        done = 0
        while chunk := _next_chunk(answer):
            done += len(chunk)
            if done > bound:
                raise MirrorError(f"sends more than the {bound:,} bytes that the file can have")
            if time.monotonic() > end:
                raise MirrorError(f"sent only {done:,} bytes in {patience.file:.0f} s")
            out.write(chunk)
            if progress:
                progress(f"{file.name}.gz", done, total)
        if total is not None and done < total:
            raise MirrorError(f"broke off after {done:,} of {total:,} bytes", passing=True)


def _next_chunk(answer: HTTPResponse) -> bytes:
    try:
        # read1 returns what has come, so that the deadline is looked at even when a server trickles.
        return answer.read1(CHUNK)
    except TimeoutError:
        raise MirrorError("fell silent") from None
    except (OSError, HTTPException) as error:
        raise MirrorError(f"broke off ({_reason(error)})", passing=True) from None


@contextlib.contextmanager
def _opened(address: str, silence: float) -> Iterator[HTTPResponse]:
    """Yield the answer to a GET of `address`; every failure on the way there is a `MirrorError`."""
    handlers: list[urllib.request.BaseHandler] = [_OnlyAllowedRedirects()]
    if urlsplit(address).hostname in LOOPBACK:
        # A proxy knows another machine by that name.
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, headers={"User-Agent": f"budgetnet/{__version__}"})  # noqa: S310  checked by _checked_mirror
    try:
        answer = urllib.request.build_opener(*handlers).open(request, timeout=silence)
    except urllib.error.HTTPError as error:
        error.close()
        raise MirrorError(f"answered {error.code} {error.reason}", passing=error.code >= 500) from None
    except TimeoutError:
        raise MirrorError("did not answer") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise MirrorError("did not answer") from None
        raise MirrorError(
            f"cannot be reached ({_reason(error.reason)})", passing=isinstance(error.reason, ConnectionError)
        ) from None
    except (OSError, HTTPException) as error:
        raise MirrorError(f"broke off ({_reason(error)})", passing=True) from None
    with answer:
        yield answer


class _OnlyAllowedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as urllib does, but never from https to anything else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        loopback = urlsplit(req.full_url).hostname in LOOPBACK and urlsplit(newurl).hostname in LOOPBACK
        if urlsplit(newurl).scheme != "https" and not loopback:
            fp.close()
            raise MirrorError(f"redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _checked_mirror(address: str, *, own: bool) -> str:
    """Return `address` with a slash at its end. Raises `InputError` unless it is https, or loopback http given by the caller."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (own and parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise InputError(f"Mirror {address!r} is not https; data sets are downloaded over https only.")
    return address if address.endswith("/") else f"{address}/"


def _settle(part: Path, target: Path) -> None:
    """Flush `part` to disk and give it its name, so that a crash leaves either the old file or the whole new one."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _reason(error: object) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
