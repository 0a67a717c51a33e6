"""Write the README's generated parts anew: what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, and the front picture.

Run it with `make readme`; a test fails when a part is stale.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import accuracy_picture

from budgetnet.checking import network_facts
from budgetnet.record import newest, read_records
from budgetnet.record_text import claims_table, own_table

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "accuracy-by-parameters.svg"
PUBLIC = ROOT / "records" / "public-points.toml"
ORDER = ["gap-1x1", "code9", "code9-gap", "one-pool", "high-lr", "separable-gmp", "separable-gap"]
CONTENDERS = {
    "keras-tensorflow": "Keras on TensorFlow",
    "keras-jax": "Keras on JAX",
    "keras-torch": "Keras on torch",
    "pytorch-tutorial": "PyTorch tutorial loop",
}


def drawn() -> list[accuracy_picture.Mark]:
    """Return what the front picture shows."""
    return accuracy_picture.marks(read_records(ROOT / "records"), PUBLIC)


def generated_parts() -> dict[str, str]:
    """Return the text of each generated part by its name."""
    records = read_records(ROOT / "records")
    published = [record for record in (newest(records, name) for name in ORDER) if record is not None]
    own = [newest(records, name) for name in sorted({record["name"] for record in records if record.get("claim") is None})]
    image = f"![MNIST accuracy against parameters]({PICTURE.relative_to(ROOT)})"
    return {
        "picture": f"{image}\n\n{accuracy_picture.words(drawn())}",
        "claims": claims_table(published),
        "own": own_text([record for record in own if record is not None]),
        "benchmarks": benchmarks(ROOT / "benchmarks"),
    }


def own_text(records: list[dict[str, Any]]) -> str:
    """Return the table of our own recipes, and how they were chosen where each record names the commit that froze its recipe."""
    text = own_table(records)
    if not records or not all(record.get("recipe_frozen_by") for record in records):
        return text
    return (
        f"{text}\n\nEach was chosen on a validation part of the training split and frozen in a commit; only then was the test split read, "
        "once for each seed. Raw values, curves and commits: `records/`." + again_text(records) + teachers_text(records)
    )


def teachers_text(records: list[dict[str, Any]]) -> str:
    """Return which recipes learned from a teacher, and what it was; nothing where none did."""
    said = [
        f" `{record['name']}` learned from a teacher, `{record['teacher']['network']}` with {record['teacher']['parameters']:,} parameters, "
        f"which was trained first: its {record['recipe']['teacher']['epochs']} epochs are among the {record['epochs']}, its seconds among "
        "the seconds; it is no part of the network."
        for record in records
        if record.get("teacher")
    ]
    return "".join(said)


def again_text(records: list[dict[str, Any]]) -> str:
    """Return which recipes had been frozen, and their test split read, before; nothing where none had."""
    earlier = Counter(record["name"] for record in read_records(ROOT / "records" / "earlier"))
    forms = {record["name"]: earlier[record["name"]] + 1 for record in records if record["name"] in earlier}
    if not forms:
        return ""
    names = [f"`{name}`" if form == 2 else f"`{name}` (its {ordinal(form)} form)" for name, form in forms.items()]
    return (
        f" {', '.join(names)}: frozen anew after the test split had been read for an earlier form, which is kept in `records/earlier/`; "
        "those readings had no part in the new choice."
    )


def ordinal(number: int) -> str:
    """Return `number` in words for a text."""
    return {3: "third", 4: "fourth", 5: "fifth"}.get(number, f"{number}th")


def benchmarks(folder: Path) -> str:
    """Return the tables of the throughput and time files in `folder`."""
    lines = []
    for path in sorted(folder.glob("throughput-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        machine = (
            f"{document['machine']['cpu']}, {document['machine']['cpu_capability']}, {document['fingerprint']['threads']} threads"
        )
        lines += [
            f"Training, {machine} ([raw times]({path.relative_to(ROOT)})): how many times as long the others take for the same "
            "network and batch.",
            "",
            f"| network | ours, µs an image | {' | '.join(CONTENDERS.values())} | of `torch.mm`'s rate |",
            f"| --- | ---: | {'---: | ' * len(CONTENDERS)}---: |",
        ]
        for name, ratios in document["ratios"].items():
            cells = ["–" if ratios.get(key) is None else f"{ratios[key]:.1f}×" for key in CONTENDERS]
            rate = "–" if ratios.get("matrix_rate") is None else f"{ratios['matrix_rate']:.0%}"
            ours = document["networks"][name]["contenders"]["ours"]["median"]
            lines.append(f"| `{name}` | {'–' if ours is None else f'{ours:.0f}'} | {' | '.join(cells)} | {rate} |")
        lines += ["", *earlier_forms(document["networks"])]
    for path in sorted(folder.glob("time-to-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        compared, ours = document["compared"], document["ours"]
        if compared["ratio"] is not None:
            bound = "at least " if compared["is_a_lower_bound"] else ""
            finished = [run for run in document["runs"] if run["finished"]]
            lines.append(
                f"Time to hold {document['target']:.2%}: `{ours['recipe']}` trains in {ours['mean_seconds']:.0f} s (mean of "
                f"{len(ours['seconds'])} seeds), {bound}{compared['ratio']:.0f} times less than `one-pool`'s published recipe on Keras "
                f"and TensorFlow (n = {len(finished)}; [raw values]({path.relative_to(ROOT)}))."
            )
    return "\n".join(lines).rstrip() or "No figures are kept yet; `make bench` makes them for your machine."


def earlier_forms(networks: dict[str, Any]) -> list[str]:
    """Return a line for each network that has changed since it was measured."""
    pairs = [
        (name, network["multiply_accumulates"], network_facts(name).multiply_accumulates) for name, network in networks.items()
    ]
    return [
        line
        for name, measured, now in pairs
        if measured != now
        for line in (
            f"There `{name}` is an earlier form of it, of {measured:,} multiply-accumulates an image; now it has {now:,}.",
            "",
        )
    ]


def with_parts(text: str, parts: dict[str, str]) -> str:
    """Return `text` with each part put between its marks."""
    for name, part in parts.items():
        match = re.search(rf"(?<=<!-- {name}:begin)[^>]*-->\n(.*?)(?=<!-- {name}:end -->)", text, re.DOTALL)
        if match is None:
            raise SystemExit(f"The document has no marks for the part {name!r}.")
        text = f"{text[: match.start(1)]}{part}\n{text[match.end(1) :]}"
    return text


if __name__ == "__main__":
    before = README.read_text(encoding="utf-8")
    after = with_parts(before, generated_parts())
    README.write_text(after, encoding="utf-8")
    everything = drawn()
    old = PICTURE.read_text(encoding="utf-8") if PICTURE.exists() else ""
    fresh = accuracy_picture.digest_in(old) == accuracy_picture.digest(everything)
    if not fresh:
        PICTURE.write_text(accuracy_picture.svg(everything), encoding="utf-8")
    sys.stdout.write("README.md: unchanged\n" if after == before and fresh else "README.md: written\n")
