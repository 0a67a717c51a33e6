"""Write `docs/STRATEGIES.md` anew: what each strategy of the published hand-ins is worth, from the studies kept in `records/studies`.

`python scripts/update_strategies.py` makes the page of what is kept; `--keep FOLDER` first takes over the finished reports of the studies in
FOLDER (the `--out` of `budgetnet study`). A test fails when the page is stale. Under a second; no torch.
"""

import argparse
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "studies"
KEPT = ROOT / "records" / "studies"
PAGE = ROOT / "docs" / "STRATEGIES.md"
FILES = ("README.md", "study.json", "runs.png", "differences.png", "curves.png", "trade.png")
PUBLISHED = "published"
ORDER = (
    "global-max-or-average",
    "one-pooling-or-two",
    "dropout",
    "last-1x1",
    "average-or-flatten",
    "separable-or-plain",
    "normalised-flatten",
    "rate-and-batch",
    "schedule",
    PUBLISHED,
)
HEAD = """# What the strategies are worth

<!-- Written by scripts/update_strategies.py from records/studies. -->

The five published hand-ins say what they owe their accuracy to; each claim rests on one run, often on the best epoch of it. Here each is
trained from fresh weights with several seeds, all recipes of a study alike but for the claim, and judged by the last epoch on the test split,
which chose nothing. The study files are in `studies/`, what they mean in [STUDIES.md](STUDIES.md); raw values and pictures are in
`records/studies/`.

The hand-ins train 20 epochs. Where a study has fewer, it has them for all of its recipes alike, to have five seeds of each within a day of two
processors: it then says what a strategy is worth early in training, and a difference may shrink or turn later.
"""


def anywhere(text: str) -> str:
    """Return a report's text without the places of the machine that trained it: the folder of its runs, and of its networks."""
    return re.sub(r" --out [^\s\"]+(?=\"?$)", "", re.sub(r"/[^\s\"]*/(?=studies/)", "", text), flags=re.MULTILINE)


def keep(folder: Path) -> list[str]:
    """Take the reports of complete studies in `folder` over into the records; return their names."""
    kept = []
    for name in ORDER:
        source = folder / name
        if not (source / "study.json").is_file():
            continue
        document = json.loads((source / "study.json").read_text(encoding="utf-8"))
        if document["missing"]:
            sys.stderr.write(f"{name}: {document['missing']} runs are missing, not taken over\n")
            continue
        target = KEPT / name
        target.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            if file.endswith(".png") and (source / file).is_file():
                shutil.copyfile(source / file, target / file)
            elif (source / file).is_file():
                (target / file).write_text(anywhere((source / file).read_text(encoding="utf-8")), encoding="utf-8")
        kept.append(name)
    return kept


def page(kept: Path) -> str:
    """Return the page of the studies in `kept`; those that have not been run are named at its end."""
    parts, missing = [HEAD], []
    for name in ORDER:
        path = kept / name / "study.json"
        if path.is_file():
            parts.append(section(name, json.loads(path.read_text(encoding="utf-8"))))
        else:
            missing.append(name)
    if missing:
        files = ", ".join(f"`studies/{name}.toml`" for name in missing)
        parts.append(f"## Not answered yet\n\n{files}: `budgetnet study FILE` trains what is missing and answers.\n")
    return "\n".join(parts)


def section(name: str, document: dict[str, Any]) -> str:
    """Return what one study says: the question, the plain answers, the numbers, the picture and the command."""
    question = " ".join(tomllib.loads((STUDIES / f"{name}.toml").read_text(encoding="utf-8"))["question"].split())
    answers = [f"**{sentence[0].upper()}{sentence[1:]}.**" for sentence in (one["sentence"] for one in document["comparisons"])]
    folder = f"../records/studies/{name}"
    return "\n".join(
        [
            f"## {document['title']}",
            "",
            question,
            "",
            lengths(document),
            "",
            *(f"- {answer}" for answer in answers),
            *([""] if answers else []),
            *table(document),
            "",
            f"![Every run as a dot, with mean and interval]({folder}/runs.png)",
            "",
            f"Details: [{name}]({folder}/README.md). Again: `{document['command']}`",
            "",
        ]
    )


def lengths(document: dict[str, Any]) -> str:
    """Return how long each run was, and how many there were."""
    epochs = sorted({recipe["epochs"] for recipe in document["recipes"]})
    seeds = sorted({recipe["n"] for recipe in document["recipes"]})
    long = f"{epochs[0]} epochs each" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]} epochs each, as published"
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"{count} seeds a recipe, {long}."


def table(document: dict[str, Any]) -> list[str]:
    """Return a line for each recipe."""
    lines = [
        "| recipe | parameters | n | final: mean | 95 % interval | deviation | best epoch | last five | meets the contract |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for recipe in document["recipes"]:
        low, high = recipe["interval"] or (None, None)
        met = round((recipe["pass_probability"] or 0) * recipe["n"])
        lines.append(
            f"| {recipe['recipe']} | {recipe['parameters']:,} | {recipe['n']} | **{percent(recipe['mean'])}** | "
            f"{percent(low)} – {percent(high)} | {percent(recipe['std'], 3)} | "
            f"{percent(recipe['best'])} | {percent(recipe['last5'])} | {met} of {recipe['n']} |"
        )
    return lines


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction as a percentage, a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}%}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="the --out of the studies whose finished reports are taken over"
    )
    arguments = parser.parse_args()
    if arguments.keep:
        sys.stdout.write(f"Taken over: {', '.join(keep(arguments.keep)) or 'nothing'}\n")
    PAGE.write_text(page(KEPT), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}: written\n")
