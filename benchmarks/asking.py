"""The benchmark's side of the conversation with a contender: a child process that stays alive and plays a round when it is asked.

Rounds of all contenders can so take turns: what slows the machine for a minute slows them all. `contenders/asked.py` is the other side.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATIENCE = 900.0
"""Compiling and the first round take the longest."""
TAIL = 3


class ContenderFailed(Exception):
    """A contender ended, or did not answer; the message says what it printed last."""


@dataclass
class Contender:
    """One child process, and the rounds that it has played."""

    name: str
    process: subprocess.Popen[str]
    printed: Path
    """What it and its libraries print."""
    patience: float = PATIENCE
    """Seconds for one answer."""
    versions: dict[str, str] = field(default_factory=dict)
    rounds: list[tuple[float, int]] = field(default_factory=list)
    """Seconds and images of each round."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a line and return the answer. Raises `ContenderFailed`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ContenderFailed(self._last_words("ended")) from None
        ready, _, _ = select.select([self.process.stdout], [], [], self.patience)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise ContenderFailed(self._last_words("ended" if ready else f"gave no answer in {self.patience:.0f} seconds"))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def play(self, *, counted: bool) -> None:
        """Have one round played; a warm-up is not counted."""
        answer = self.ask({"round": len(self.rounds)})
        if counted:
            self.rounds.append((float(answer["seconds"]), int(answer["images"])))

    def stop(self) -> None:
        """End the process: closing its input asks it to go, and it is killed where it does not."""
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _last_words(self, what: str) -> str:
        lines = self.printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL:]
        return f"{self.name} {what}: {' / '.join(lines) or 'it printed nothing'}"


def start(name: str, python: str, program: str, task: dict[str, Any], folder: Path, *, patience: float = PATIENCE) -> Contender:
    """Start `contenders/PROGRAM.py` under `python` and give it its task. Raises `ContenderFailed` where it does not become ready."""
    printed = folder / f"{name}.txt"
    source = HERE.parent / "src"
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    with printed.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [python, str(HERE / "contenders" / f"{program}.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            cwd=folder,
            env=environment,
        )
    contender = Contender(name, process, printed, patience)
    try:
        contender.versions = dict(contender.ask(task)["versions"])
    except ContenderFailed:
        contender.stop()
        raise
    return contender
