"""`export`: a finished run -> files for another runtime, each verified on every test image before it is moved into place.

The files are written into a folder beside their place, opened there with the runtime that a user would use, held against torch, and
only then moved. `exports.json` beside them keeps a row for each target; a new export of a target replaces its row. Costs some seconds
a target for MNIST, about a minute where the browser or slow machines answer.
"""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch

from budgetnet.durable import flush_folder, parse_json, sha256, write_durably
from budgetnet.errors import InputError, did_you_mean
from budgetnet.export.runtime import Seconds, Target, timed
from budgetnet.export.subject import Pixels, Subject, load_subject
from budgetnet.export.verification import verify
from budgetnet.rundir import EXPORTS, EXPORTS_TABLE, RunDirectory, open_run

TARGETS = {"onnx": "onnx_float", "onnx-int8": "onnx_int8", "keras": "keras_file", "c": "c_source", "html": "html_page"}
"""Target -> the module of this folder that writes it."""


def export(run: str | Path, targets: list[str], *, out: Path | None = None, data_dir: Path | None = None) -> list[dict[str, Any]]:
    """Write a finished run as each of `targets` into `out` (`RUN/export` where none is given); return the rows of the table.

    Raises `InputError` where the run is unfinished, a target unknown or not installed, an operation unknown to it, and where its
    answers differ from torch's; what was verified before that is kept.
    """
    modules = [_target(name) for name in targets]
    directory = open_run(run)
    folder = out if out is not None else directory.path / EXPORTS
    subject = load_subject(directory, data_dir)
    torch_seconds = _torch_seconds(subject)
    rows = []
    for module in modules:
        row = _one(module, subject, folder, torch_seconds)
        _keep_row(folder, row)
        rows.append(row)
    return rows


def table_text(rows: list[dict[str, Any]]) -> str:
    """Return the table for people: a line for each file's target."""
    titles = ("target", "files", "bytes", "changed answers", "accuracy (torch)", "one image", "in a batch", "runtime")
    lines = [titles]
    for row in rows:
        size = sum(file["bytes"] for file in row["files"].values())
        lines.append(
            (
                row["target"],
                " ".join(row["files"]),
                f"{size:,}",
                f"{row['changed']:,} of {row['images']:,}",
                f"{row['accuracy'] * 100:.2f} % ({row['torch_accuracy'] * 100:.2f} %)",
                f"{row['one_image_ms']:.2f} ms, {row['one_image_ratio']:.2f} × torch",
                f"{row['batch_ms']:.2f} ms, {row['batch_ratio']:.2f} × torch",
                row["runtime"],
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text += [
        f"c: {row['flash_bytes']:,} bytes of flash (code as this machine's compiler makes it for size, and "
        f"{row['constant_bytes']:,} bytes of constants), {row['ram_bytes']:,} bytes of RAM (a buffer of {row['buffer_bytes']:,} "
        "and 1,024 for the stack)"
        for row in rows
        if "flash_bytes" in row
    ]
    return "\n".join(text)


def read_table(run: RunDirectory) -> list[dict[str, Any]]:
    """Return the rows of a run's own exports, none where there are none."""
    path = run.path / EXPORTS / EXPORTS_TABLE
    return _rows(path) if path.is_file() else []


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise InputError(f"There is no export target {name!r}.{did_you_mean(name, TARGETS)}")
    try:
        module: ModuleType = importlib.import_module(f"budgetnet.export.{TARGETS[name]}")
        extra = module.EXTRA
        for package in {"onnx": ("onnx", "onnxscript", "onnxruntime"), "keras": ("keras",)}.get(extra, ()):
            if importlib.util.find_spec(package) is None:
                raise ImportError(package)
    except ImportError as error:
        raise InputError(
            f"--to {name} needs a package that is not installed ({error}): pip install 'budgetnet[{name[:4]}]'."
        ) from None
    return cast(Target, module)


def _one(target: Target, subject: Subject, folder: Path, torch_seconds: Seconds) -> dict[str, Any]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=".export-", suffix=".tmp", dir=folder))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}. Choose another --out.") from None
    try:
        written = target.write(subject, workplace)
        with target.opened(written, subject) as runtime:
            verification = verify(target, runtime, subject, torch_seconds)
        contents = {path.name: path.read_bytes() for path in written.files}
        for path in written.files:
            write_durably(path, contents[path.name])
            path.replace(folder / path.name)
        flush_folder(folder)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
    return {
        **verification.document(),
        "float": target.FLOAT,
        "words": target.WORDS,
        "files": {name: {"bytes": len(content), "sha256": sha256(content)} for name, content in contents.items()},
        **written.figures,
    }


def _torch_seconds(subject: Subject) -> Seconds:
    network = subject.deployed

    def ask(images: Pixels) -> None:
        with torch.inference_mode():
            network(torch.from_numpy(images))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the other runtimes do: one thread against one thread
    try:
        return timed(ask, subject.test_images)
    finally:
        torch.set_num_threads(threads)


def _keep_row(folder: Path, row: dict[str, Any]) -> None:
    path = folder / EXPORTS_TABLE
    rows = [kept for kept in (_rows(path) if path.is_file() else []) if kept.get("target") != row["target"]]
    rows = sorted([*rows, row], key=lambda kept: list(TARGETS).index(kept["target"]) if kept["target"] in TARGETS else len(TARGETS))
    temporary = path.with_name(f".{path.name}.tmp")
    write_durably(temporary, (json.dumps({"exports": rows}, indent=1, allow_nan=False) + "\n").encode())
    temporary.replace(path)


def _rows(path: Path) -> list[dict[str, Any]]:
    content = parse_json(path.read_bytes(), path)
    rows = content.get("exports") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("target"), str) for row in rows):
        raise InputError(f"{path}: not a table of exports; remove it, and export again.")
    return rows
