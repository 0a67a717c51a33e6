"""What each lever of a recipe is worth: the recipe as it is, and with one lever taken away, on a validation part of the training split.

`python scripts/ablate.py fast --seeds 3` trains each variant with each seed on all training images but the last 5,000, which are what it is
judged by; the test split is not read. Each run is kept as it ends in `records/ablations/NAME.json`, and the same command goes on where it
was stopped. With `--folds 6` seed K is judged by the K-th of six parts of the training split instead, and trained on the other five: more
images tell designs apart that are near to each other. Then `docs/LEVERS.md` is written anew of all that is kept; `--page` does only that.
Costs a whole training each.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from budgetnet.errors import InputError
from budgetnet.stats import Difference, compare, holm, images_told_apart
from budgetnet.stats.sentences import p_in_words

if TYPE_CHECKING:
    from budgetnet.datasets import Split

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "records" / "ablations"
PAGE = ROOT / "docs" / "LEVERS.md"
VALIDATION = 5000
WHOLE = "as it is"
STILL = [f"augmentation.{part}=0" for part in ("rotation", "scale", "shear", "shift", "elastic")]
VARIANTS: dict[str, list[str]] = {
    WHOLE: [],
    "no augmentation": STILL,
    "augmentation to the end": ["augmentation.last_plain=0"],
    "no averaging of weights": ["averaging=0"],
    "inverse-time schedule": ["schedule=inverse-time"],
    "batches of 128": ["batch=128"],
    "no label smoothing": ["label_smoothing=0"],
    "label smoothing of 0.1": ["label_smoothing=0.1"],
    "no teacher, 20 epochs": ["teacher=none", "epochs=20"],
    "augmentation as far in each epoch": ["augmentation.fading=false"],
    "one tower": ["network.towers=1"],
    "ReLU": ["network.activation=relu"],
}
OTHER_LOSS = ("no label smoothing", "label smoothing of 0.1")
"""Who learns towards other labels is not comparable by cross-entropy: these are judged by the share of wrong answers."""
ONLY_ASKED = (*OTHER_LOSS, "no teacher, 20 epochs", "augmentation as far in each epoch", "one tower", "ReLU")
"""Levers that not every recipe of our own has."""
USUAL = [variant for variant in VARIANTS if variant not in ONLY_ASKED]
HEAD = f"""# What our levers are worth

<!-- Written by scripts/ablate.py from records/ablations. -->

Each recipe of our own as it is, and with one lever taken away, everything else alike; trained on MNIST's training split but for its
last {VALIDATION:,} images, and judged by these. The test split is not read. Differences are paired by seed; p-values are corrected by Holm's
steps over all variants of a recipe. An accuracy over {VALIDATION:,} images has a standard error of 0.1 points for a single run, so the
cross-entropy is what a choice should be made by; except for label smoothing, which changes what cross-entropy means: it is judged by wrong
answers, in points. Designs as near to each other as the forms of `accurate` are not told apart by so few images, whatever the seeds: what these
say of fading moves is the opposite of what four parts of 10,000 say (LOG.md). So some tables are by such parts instead, each of them held out
in turn: they count images that one variant gets wrong and the recipe does not, and the other way round (McNemar's test, exact).
"""


def main() -> None:
    """Train what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", help="a recipe of the zoo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="FIELD=VALUE",
        help="another form of the recipe; may be repeated",
    )
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="K/N", help="only each N-th run, from the K-th on: for N processes at once"
    )
    parser.add_argument(
        "--only", action="append", choices=list(VARIANTS), help="this variant beside the recipe as it is; may be repeated"
    )
    parser.add_argument(
        "--folds", type=int, default=0, metavar="N", help="judge each seed by another of N parts of the training split"
    )
    parser.add_argument("--page", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.page and not options.recipe:
        parser.error("name a recipe, or ask for --page")
    if options.folds and not 2 <= options.folds >= options.seeds:
        parser.error(f"--folds {options.folds}: there must be 2 or more, and as many as seeds")
    if not options.page:
        part, parts = options.part
        variants = [variant for variant in VARIANTS if variant == WHOLE or variant in (options.only or USUAL)]
        wanted = [(variant, seed) for variant in variants for seed in range(options.seeds)]
        try:
            for variant, seed in wanted[part - 1 :: parts]:
                _run(options.recipe, options.settings, variant, seed, options.threads, options.folds)
        except InputError as error:
            parser.exit(2, f"{error}\n")
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE.relative_to(ROOT)}")


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part of a whole; 1/2, for instance, is the first of two")
    return int(part), int(parts)


def _path(name: str, settings: list[str], folds: int = 0) -> Path:
    """Return where the runs of this form of a recipe are kept."""
    form = f"-{hashlib.sha256(' '.join(sorted(settings)).encode()).hexdigest()[:8]}" if settings else ""
    return KEPT / f"{name}{form}{f'-{folds}-folds' if folds else ''}.json"


def _run(name: str, settings: list[str], variant: str, seed: int, threads: int, folds: int) -> None:
    path = _path(name, settings, folds)
    if any(row["variant"] == variant and row["seed"] == seed for row in _rows(path)):
        return
    from budgetnet import datasets, train

    whole = datasets.load("mnist")
    training, validation = _fold(whole.training, seed, folds) if folds else whole.hold_out(VALIDATION)
    part = replace(whole, training=training, test=validation, notes=("the test part is a part of the training split",))
    with tempfile.TemporaryDirectory() as folder:
        run = train(name, seed=seed, threads=threads, settings=settings + VARIANTS[variant], out=Path(folder) / "run", dataset=part)
        result = run.evaluation()
    row = {"variant": variant, "seed": seed, "accuracy": result["accuracy"], "loss": result["loss"]}
    if folds:
        first = len(whole.training) * seed // folds
        row["wrong"] = sorted(first + answer["index"] for answer in result["misclassified"])
    print(row, file=sys.stderr, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not beside the file: the folder is committed.
    with FileLock(Path(tempfile.gettempdir()) / f"budgetnet-ablate-{os.getuid()}.lock"):
        _add(path, row, name, settings, folds)


def _fold(split: "Split", place: int, folds: int) -> tuple["Split", "Split"]:
    """Return all of a split but its part `place`, and that part."""
    import torch

    first, end = (len(split) * edge // folds for edge in (place, place + 1))
    inside = torch.zeros(len(split), dtype=torch.bool)
    inside[first:end] = True
    others, part = (type(split)(split.images[chosen], split.labels[chosen]) for chosen in (~inside, inside))
    return others, part


def _add(path: Path, row: dict[str, Any], name: str, settings: list[str], folds: int = 0) -> None:
    rows = sorted([*_rows(path), row], key=lambda row: (list(VARIANTS).index(row["variant"]), row["seed"]))
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    new = path.with_suffix(".new")
    judged = f'"folds": {folds}' if folds else f'"validation": {VALIDATION}'
    head = f' "recipe": "{name}",\n "settings": {json.dumps(settings)},\n {judged}'
    new.write_text(f'{{\n{head},\n "runs": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    new.replace(path)


def _rows(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []


def page() -> str:
    """Return `docs/LEVERS.md`."""
    return "\n".join([HEAD, *(_table(path) for path in sorted(KEPT.glob("*.json")))])


def _table(path: Path) -> str:
    held = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in held["runs"]:
        found.setdefault(row["variant"], {})[row["seed"]] = row
    others = [variant for variant in found if variant != WHOLE]
    if "folds" in held:
        return _table_of_folds(held, found, others)
    differences = {variant: _difference(variant, found[variant], found[WHOLE]) for variant in others}
    corrected = dict(zip(others, holm([differences[variant].p for variant in others]), strict=True))
    lines = [
        "| variant | n | accuracy: mean | single runs | cross-entropy: mean | worse by | p |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for variant, runs in found.items():
        accuracies = [row["accuracy"] for row in runs.values()]
        single = ", ".join(f"{accuracy:.2%}" for accuracy in accuracies)
        loss = fmean(row["loss"] for row in runs.values())
        against = "– | –" if variant == WHOLE else _against(variant, differences[variant], corrected[variant])
        lines.append(f"| {variant} | {len(runs)} | **{fmean(accuracies):.3%}** | {single} | {loss:.4f} | {against} |")
    return _section(held, found, lines)


def _table_of_folds(held: dict[str, Any], found: dict[str, dict[int, dict[str, Any]]], others: list[str]) -> str:
    """Return the table of variants that were judged by several parts of the training split: the images tell them apart, one by one."""
    wrong = {variant: _wrong(runs, runs.keys()) for variant, runs in found.items()}
    shared = {variant: found[variant].keys() & found[WHOLE].keys() for variant in others}
    apart = {
        variant: images_told_apart(_wrong(found[variant], folds), _wrong(found[WHOLE], folds)) for variant, folds in shared.items()
    }
    corrected = dict(zip(others, holm([apart[variant].p for variant in others]), strict=True))
    lines = [
        "| variant | wrong in each part | together | only it, only the recipe | cross-entropy: mean | p |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for variant, runs in found.items():
        single = ", ".join(str(len(row["wrong"])) for row in runs.values())
        loss, p = fmean(row["loss"] for row in runs.values()), corrected.get(variant)
        only = f"{apart[variant].only_first_wrong}, {apart[variant].only_second_wrong}" if variant in apart else "–"
        said = "–" if p is None else p_in_words(p)
        lines.append(f"| {variant} | {single} | **{len(wrong[variant])}** | {only} | {loss:.4f} | {said} |")
    return _section(held, found, lines)


def _wrong(runs: dict[int, dict[str, Any]], folds: Collection[int]) -> set[int]:
    return {index for fold in folds for index in runs[fold]["wrong"]}


def _section(held: dict[str, Any], found: dict[str, dict[int, dict[str, Any]]], lines: list[str]) -> str:
    """Return a table under its heading, and the command that makes it again."""
    settings, folds = held["settings"], held.get("folds")
    form = "".join(f", {setting}" for setting in settings)
    by = f", by {len(found[WHOLE])} of {folds} parts of the training split" if folds else ""
    words = ["python scripts/ablate.py", held["recipe"], "--seeds", str(max(map(len, found.values())))]
    words += [f"--set {setting}" for setting in settings]
    if set(found) != set(USUAL):
        words += [f"--only '{variant}'" for variant in found if variant != WHOLE or len(found) == 1]
    words += [f"--folds {folds}"] if folds else []
    return "\n".join([f"## `{held['recipe']}`{form}{by}\n", *lines, "", f"Again: `{' '.join(words)}`", ""])


def _difference(variant: str, runs: dict[int, dict[str, Any]], whole: dict[int, dict[str, Any]]) -> Difference:
    """How much worse `runs` are: in cross-entropy, or in points of wrong answers."""

    def measured(rows: dict[int, dict[str, Any]]) -> dict[int, float]:
        return {seed: 100 * (1 - row["accuracy"]) if variant in OTHER_LOSS else row["loss"] for seed, row in rows.items()}

    return compare(measured(runs), measured(whole))


def _against(variant: str, result: Difference, p: float | None) -> str:
    digits, unit = (2, " points") if variant in OTHER_LOSS else (4, "")
    half = "" if result.interval is None else f" ± {(result.interval[1] - result.interval[0]) / 2:.{digits}f}"
    return f"{result.difference:+.{digits}f}{half}{unit} | {'–' if p is None else p_in_words(p)}"


if __name__ == "__main__":
    main()
