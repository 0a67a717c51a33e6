"""Grade a class of 50 made from the corpus, and say how long it took: `python scripts/grade_corpus.py FOLDER`.

44 hand-ins are networks of `tests/corpus`, each in a folder with the whole file it stands in (so that most hold several networks) and a README
that names it and pastes a log of the corpus; six misbehave: one hangs, one crashes, one eats memory, one floods, one trains at import,
one is called names. FOLDER is made, and gets `class` and `class-grades`. Some minutes on two processors.
"""

import argparse
import resource
import sys
import time
import tomllib
from pathlib import Path

from budgetnet.grade import grade_folder
from budgetnet.grade.showing import Lines
from budgetnet.grade.table import grades_text

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus"
NETWORKS = 44
HEAD = """import os, sys, time
import torch
import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
"""
REST = """        self.features = nn.Sequential(nn.Conv2d(1, 10, 3, bias=False), nn.BatchNorm2d(10), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def forward(self, images):
        return self.features(images).flatten(1)
"""
MISBEHAVING = {
    "hanging": "        time.sleep(10_000)\n",
    "crashing": "        os.abort()\n",
    "eating memory": "        self.eaten = [bytearray(2**30) for _ in range(200)]\n",
    "flooding": "        [print('x' * 10**6) for _ in range(100)]\n",
    "<b>=cmd|calc": "",
}
TRAINING_AT_IMPORT = "\n\nnet = Net()\nwhile True:\n    net(torch.zeros(1, 1, 28, 28))\n"


def build(folder: Path) -> None:
    """Write the hand-ins into `folder`."""
    networks = tomllib.loads((CORPUS / "networks.toml").read_text(encoding="utf-8"))["network"]
    logs = sorted((CORPUS / "logs").glob("*.md"))
    step = len(networks) / NETWORKS
    for place in range(NETWORKS):
        file, _, name = networks[int(place * step)]["target"].partition(":")
        hand_in = folder / f"{place:02d} {name}"
        hand_in.mkdir(parents=True)
        (hand_in / "net.py").write_bytes((CORPUS / "networks" / file).read_bytes())
        log = logs[place % len(logs)].read_text(encoding="utf-8")
        (hand_in / "README.md").write_text(f"# Hand-in\n\nThe network is `{name}` in net.py.\n\n{log}", encoding="utf-8")
    for name, line in MISBEHAVING.items():
        (folder / name).mkdir()
        (folder / name / "net.py").write_text(HEAD + line + REST, encoding="utf-8")
    (folder / "training at import.py").write_text(HEAD + REST + TRAINING_AT_IMPORT, encoding="utf-8")


def main() -> None:
    """Build, grade, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60.0)
    words = parser.parse_args()
    if not (words.folder / "class").exists():
        build(words.folder / "class")
    begun = time.monotonic()
    graded = grade_folder(words.folder / "class", jobs=words.jobs, timeout=words.timeout, showing=Lines())
    seconds = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stdout.write(
        f"{grades_text(graded.rows)}\n{len(graded.rows)} hand-ins in {seconds:.0f} s, {graded.skipped} known before; "
        f"{used.ru_utime + used.ru_stime:.0f} s of processors.\n"
    )


if __name__ == "__main__":
    main()
