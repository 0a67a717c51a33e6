"""Write the table of docs/EXPORT.md anew: python scripts/update_exports.py RUN [RUN ...].

Reads the verification that `budgetnet export` left in each run; nothing in the table is typed by hand. Rows of networks that no run is
given of stay as they are.
"""

import sys
from pathlib import Path

from budgetnet.export.exporting import read_table
from budgetnet.rundir import open_run

PAGE = Path(__file__).resolve().parent.parent / "docs" / "EXPORT.md"
BEGIN, END = "<!-- exports begin: scripts/update_exports.py -->\n", "<!-- exports end -->\n"
HEAD = (
    "| network | parameters | target | bytes | changed answers | accuracy (torch) | one image | image of a batch |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n"
)


def rows_of(path: Path) -> list[str]:
    """Return the lines of one run."""
    run = open_run(path)
    total, lines = run.facts().network.parameters.total, []
    for row in read_table(run):
        size = sum(file["bytes"] for file in row["files"].values())
        accuracies = f"{row['accuracy'] * 100:.2f} % ({row['torch_accuracy'] * 100:.2f} %)"
        ratios = f"{row['one_image_ratio']:.2f} | {row['batch_ratio']:.2f}"
        changed = f"{row['changed']:,} of {row['images']:,}"
        lines.append(f"| {run.recipe().name} | {total:,} | {row['target']} | {size:,} | {changed} | {accuracies} | {ratios} |\n")
    return lines


def main() -> None:
    """Exchange what stands between the marks."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    kept, after = rest.split(END)
    networks: dict[str, list[str]] = {}
    for line in kept.removeprefix(HEAD).splitlines(keepends=True):
        networks.setdefault(line.split(" | ")[0].removeprefix("| "), []).append(line)
    for path in map(Path, sys.argv[1:]):
        networks[open_run(path).recipe().name] = rows_of(path)
    lines = [line for rows in networks.values() for line in rows]
    PAGE.write_text(before + BEGIN + HEAD + "".join(lines) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
