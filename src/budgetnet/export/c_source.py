"""`c`: one header and one source file in C99 with int8 weights, for a microcontroller with 64 kB of flash and 32 kB of RAM.

No allocation, no library beyond libm, one buffer of fixed size. It is compiled with `-std=c99 -Wall -Wextra -Werror` by the machine's
own `cc` and run on every test image before it is written; where flash or RAM would not suffice, it is refused with the figures. Sums
are exact in 32 bits, what follows them is float: so the answers are alike on every machine with IEEE floats. Costs a minute for MNIST.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import jinja2
import numpy
import torch

from budgetnet.errors import InputError
from budgetnet.export.memory import Life, offsets
from budgetnet.export.runtime import BATCH, SINGLE_IMAGES, Seconds, Written
from budgetnet.export.stages import Quantized, Stage, quantize
from budgetnet.export.subject import Pixels, Probabilities, Subject
from budgetnet.graph import Activation

NAME = "c"
FLOAT = False
EXTRA = None
WORDS = "C99 with int8 weights, no allocation"
FLASH, RAM = 64 * 1024, 32 * 1024
"""Bytes of the smallest machine that it is written for."""
STACK = 1024
"""Bytes of RAM that are left for the stack and the ten probabilities."""
CALIBRATION_IMAGES = 1000
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
LONGEST = 600
"""Seconds that a compiler, or all test images, may take."""


def files(subject: Subject) -> tuple[str, ...]:
    """Return the names of the source and the header."""
    name = subject.stem.replace("-", "_")
    return (f"{name}.c", f"{name}.h")


def write(subject: Subject, folder: Path) -> Written:
    """Write source and header. Raises `InputError` where no compiler is here, and where flash or RAM would not suffice."""
    images = torch.from_numpy(subject.calibration(CALIBRATION_IMAGES)).float().div(255)
    quantized = quantize(subject.graph, images)
    places, buffer = _placed(quantized)
    name = files(subject)[1].removesuffix(".h")
    constants = sum(_constant_bytes(stage) for stage in quantized.stages)
    values: dict[str, Any] = {
        "name": name,
        "title": subject.name,
        "shape": subject.dataset.shape,
        "classes": len(subject.dataset.class_names),
        "quantized": quantized,
        "places": places,
        "buffer": buffer,
        "kinds": {stage.kind for stage in quantized.stages},
        "functions": _functions(quantized),
        "scalings": any(not isinstance(step, Activation) for stage in quantized.stages for step in stage.after),
    }
    paths = []
    for file, template in zip(files(subject), ("network.c.jinja", "network.h.jinja"), strict=True):
        paths.append(folder / file)
        paths[-1].write_text(_templates().get_template(template).render(values), encoding="utf-8")
    code = _machine_code(folder / files(subject)[0])
    flash, ram = code, buffer + STACK
    _refuse_too_large(subject.name, flash, ram)
    figures = {"flash_bytes": flash, "constant_bytes": constants, "ram_bytes": ram, "buffer_bytes": buffer}
    return Written(tuple(paths), figures)


def _refuse_too_large(name: str, flash: int, ram: int) -> None:
    if flash > FLASH:
        raise InputError(
            f"{name}: needs {flash:,} bytes of flash for weights and code; the target c has {FLASH:,}. Nothing was written."
        )
    if ram > RAM:
        raise InputError(
            f"{name}: needs {ram:,} bytes of RAM, {ram - STACK:,} of them for the maps that live at one time; the target c has {RAM:,}. "
            "Nothing was written."
        )


def _placed(quantized: Quantized) -> tuple[dict[int, int], int]:
    last_use = quantized.last_use
    made = {0: 0, **{stage.result: place for place, stage in enumerate(quantized.stages)}}
    lives = {
        value: Life(int(numpy.prod(quantized.shapes[value])), made[value], last_use[value])
        for value in made
        if value != quantized.answer
    }
    return offsets(lives)


def _constant_bytes(stage: Stage) -> int:
    arrays = [stage.weights, stage.factors, stage.bias]
    arrays += [array for step in stage.after if not isinstance(step, Activation) for array in (step.scale, step.shift)]
    return sum(array.nbytes for array in arrays if array is not None)


def _functions(quantized: Quantized) -> list[str]:
    found = {step.function for stage in quantized.stages for step in stage.after if isinstance(step, Activation)}
    return sorted(found)


# -- the compiler and the program


def _compiler() -> str:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise InputError("The target c is verified with a C compiler, and there is no cc, gcc or clang here. Install one.")
    return compiler


def _run(arguments: list[str], *, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(arguments, input=given, capture_output=True, check=False, timeout=LONGEST)  # noqa: S603 - its own compiler and program
    except subprocess.TimeoutExpired:
        raise InputError(f"{Path(arguments[0]).name} did not end within {LONGEST} seconds.") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(f"{Path(arguments[0]).name} failed on the exported C: {words[0]}")
    return done.stdout


def _machine_code(source: Path) -> int:
    """Return the bytes of code and constants, as this machine's compiler makes them for size; a small machine's are much the same."""
    compiled = source.with_suffix(".o")
    _run([_compiler(), *FLAGS, "-Os", "-c", str(source), "-o", str(compiled)])
    try:
        measure = shutil.which("size")
        if measure is None:
            return compiled.stat().st_size  # with its tables: too large rather than too small
        text = _run([measure, str(compiled)]).decode().splitlines()[-1].split()
        return int(text[0]) + int(text[1])
    finally:
        compiled.unlink()


class Program:
    """The compiled files."""

    def __init__(self, program: Path, compiler: str, classes: int) -> None:
        self.program, self.classes = program, classes
        version = _run([compiler, "--version"]).decode(errors="replace").splitlines()[0]
        self.name = f"C99 by {version}"

    def answers(self, images: Pixels) -> Probabilities:
        """Return the probabilities of images (N, C, H, W)."""
        output = _run([str(self.program)], given=_as_stored(images))
        return numpy.frombuffer(output, numpy.float32).reshape(-1, self.classes)

    def seconds(self, images: Pixels) -> Seconds:
        """Return how long answers take here: there is no batch, so one image costs what one of many costs."""
        few = images[: max(SINGLE_IMAGES, BATCH)]
        spent = float(_run([str(self.program), "time"], given=_as_stored(few)).decode()) / len(few)
        return Seconds(spent, spent)


@contextmanager
def opened(written: Written, subject: Subject) -> Iterator[Program]:
    """Compile the files with a program that reads images and writes probabilities."""
    source = written.files[0]
    driver, program = source.with_name("driver.c"), source.with_name("program")
    values = {"name": source.stem}
    driver.write_text(_templates().get_template("network_driver.c.jinja").render(values), encoding="utf-8")
    compiler = _compiler()
    _run([compiler, *FLAGS, "-O3", str(source), str(driver), "-o", str(program), "-lm"])
    try:
        yield Program(program, compiler, len(subject.dataset.class_names))
    finally:
        driver.unlink(missing_ok=True)
        program.unlink(missing_ok=True)


def _as_stored(images: Pixels) -> bytes:
    return numpy.ascontiguousarray(images.transpose(0, 2, 3, 1)).tobytes()


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701 - C, not HTML
        loader=jinja2.FunctionLoader(lambda name: (package_files("budgetnet") / "templates" / name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["numbers"] = _numbers
    environment.filters["real"] = _real
    return environment


def _numbers(array: Any, width: int = 24) -> str:
    """Return an array's numbers as lines of C."""
    flat = array.reshape(-1)
    words = [_real(number) for number in flat] if array.dtype.kind == "f" else [str(int(number)) for number in flat]
    per_line = width if array.dtype.kind != "f" else width // 3
    return ",\n    ".join(", ".join(words[start : start + per_line]) for start in range(0, len(words), per_line))


def _real(number: float) -> str:
    """Return a float constant of C that is this float32 exactly."""
    text = format(float(numpy.float32(number)), ".9g")
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"
