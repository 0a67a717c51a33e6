"""What a run was exported to: the table of verification that `export` keeps beside its files, read and bounded. No torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from budgetnet.durable import parse_json
from budgetnet.errors import InputError
from budgetnet.recipe import explain
from budgetnet.rundir import EXPORTS, EXPORTS_TABLE, RunDirectory

Count = Annotated[int, Field(ge=0, le=10**12)]
Positive = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Words = Annotated[str, Field(max_length=200)]
COLUMNS = ("exported to", ">bytes", ">changed answers", ">accuracy", ">one image", ">each of a batch", "answered by")


class File(BaseModel):
    """One exported file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bytes: Count


class Exported(BaseModel):
    """One target's row; milliseconds on the machine that exported, ratios to torch on one thread there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    target: Words
    runtime: Words
    images: Count
    changed: Count
    accuracy: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    one_image_ms: Positive
    one_image_ratio: Positive
    batch_ms: Positive
    batch_ratio: Positive
    files: Annotated[dict[Words, File], Field(max_length=20)]


class Table(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    exports: Annotated[tuple[Exported, ...], Field(max_length=50)]


def read_exports(run: RunDirectory) -> tuple[Exported, ...]:
    """Return the rows, none where nothing was exported. Raises `InputError` where the file is not a table of exports."""
    name = f"{EXPORTS}/{EXPORTS_TABLE}"
    path = run.path / name
    if not path.is_file():
        return ()
    try:
        return Table.model_validate(parse_json(run.read(name), path)).exports
    except ValidationError as error:
        first = explain(error).split("; ")[0][:300]
        raise InputError(f"{path}: not a table of exports ({first}); remove it, and export again.") from None


def cells(row: Exported) -> list[str]:
    """Return a row as `COLUMNS` names its cells."""
    return [
        row.target,
        f"{sum(file.bytes for file in row.files.values()):,}",
        f"{row.changed:,} of {row.images:,}",
        f"{row.accuracy * 100:.2f} %",
        f"{row.one_image_ms:.2f} ms, {row.one_image_ratio:.2f} × torch",
        f"{row.batch_ms:.3f} ms, {row.batch_ratio:.2f} × torch",
        row.runtime,
    ]
