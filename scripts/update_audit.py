"""Measure the audit on the corpus, and write the generated tables of docs/AUDIT.md anew.

`python scripts/update_audit.py` audits the pasted hand-ins of `tests/corpus` and writes their table. With `--published FOLDER` it also
audits the published documents in FOLDER and keeps what came out in `docs/published-audits.json`, from which the other table
is made: the documents themselves belong to their authors and are not in this repository. Some seconds; no torch.
"""

import argparse
import importlib
import json
import re
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus"
PAGE = ROOT / "docs" / "AUDIT.md"
KEPT = ROOT / "docs" / "published-audits.json"
sys.path[:0] = [str(ROOT / "scripts"), str(CORPUS)]

from update_readme import with_parts  # noqa: E402

from budgetnet.audit import Document, audit_file  # noqa: E402
from budgetnet.contract import load_contract  # noqa: E402

SETS = {"logs": "logs.toml", "fresh": "fresh.toml"}
KINDS = (
    (r"The best epoch is sold|Another epoch is sold", {"best_sold_as_final"}),
    (r"A second fit", {"second_fit"}),
    (r"A warm start", {"warm_start"}),
    (r"More epochs than claimed", {"more_epochs_than_claimed"}),
    (r"The log ends early", {"ends_early"}),
    (r"The result of evaluate", {"evaluate_contradicts_log"}),
    (r"The text claims|The text says the run ended", {"claim_contradicts_log"}),
    (r"No count of", {"impossible_accuracy"}),
    # `9938/10000 (99.83%)` is both.
    (r"A count contradicts its percentage", {"impossible_accuracy", "counts_contradict"}),
    (r"The text says or asks «no biases»", {"biases_in_table"}),
    (r"The text says or asks «no fully connected", {"dense_in_table"}),
    (r"The test accuracy was used", {"test_used_to_choose"}),
    (
        r"Two numbers of training images|The steps of an epoch|The layer table contradicts|The counts contradict|Two totals|The text says",
        {"counts_contradict"},
    ),
)
FIGURES = ("epochs", "final", "best", "last5", "last5_min")
DIGITS = 1.5e-6


def kinds_of(what: str) -> set[str]:
    """Return the kinds of the corpus that a finding's sentence means; a `KeyError` for a sentence that this table does not know."""
    for pattern, kinds in KINDS:
        if re.match(pattern, what):
            return kinds
    raise KeyError(what)


@dataclass(slots=True)
class Score:
    """What came out for the documents of one or more sets."""

    wanted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    on_honest: list[str] = field(default_factory=list)
    """Findings reported for honest documents."""
    missed: list[str] = field(default_factory=list)
    misread: list[str] = field(default_factory=list)
    """Logs whose figures are not those of the answers."""
    documents: Counter[str] = field(default_factory=Counter)
    logs: int = 0
    clauses: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(clause, `right` | `wrong` | `unproven`) -> logs."""


def documents_of(name: str, folder: Path) -> list[tuple[dict[str, Any], Path]]:
    """Return each right answer of a set with the file that it is of; what is too large to keep is written into `folder`."""
    entries = tomllib.loads((CORPUS / SETS[name]).read_text(encoding="utf-8"))["document"]
    if any(not (CORPUS / name / entry["file"]).exists() for entry in entries):
        written = importlib.import_module("make_fresh_logs").documents()
        for document in written:
            if document.file.startswith("huge-"):
                (folder / document.file).write_bytes(document.text().encode())
    return [(entry, place if (place := CORPUS / name / entry["file"]).exists() else folder / entry["file"]) for entry in entries]


def score(*names: str) -> Score:
    """Audit the sets of those names and hold what comes out against the right answers."""
    result = Score()
    contract = load_contract("code9")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for entry, path in documents_of(name, Path(folder)):
                _one(result, entry, audit_file(path, contract))
    return result


def _one(result: Score, entry: dict[str, Any], document: Document) -> None:
    name = entry["file"]
    result.documents["honest" if entry["honest"] else "tricky"] += 1
    wanted = {item["kind"]: item for item in entry.get("finding", [])}
    allowed = {kind for item in wanted.values() for kind in [item["kind"], *item.get("also_kinds", [])]}
    given = [(item, kinds_of(item.what)) for item in document.findings]
    for kind, item in wanted.items():
        lines = {item["line"], *item.get("also_lines", [])}
        result.wanted[kind] += 1
        if any(kind in kinds and one.line in lines for one, kinds in given):
            result.found[kind] += 1
        else:
            result.missed.append(f"{name}: {kind}{' (debatable)' if entry.get('debatable') else ''}")
    for one, kinds in given:
        if not kinds & allowed:
            result.alarms[min(kinds)] += 1
            if entry["honest"]:
                result.on_honest.append(f"{name}: {one.what}")
    _logs(result, entry, document)


def _logs(result: Score, entry: dict[str, Any], document: Document) -> None:
    answers = entry.get("log", [])
    if len(answers) != len(document.logs) and not entry.get("debatable"):
        result.logs += len(answers)
        result.misread.append(f"{entry['file']}: {len(document.logs)} logs, not {len(answers)}")
        return
    for right, log in zip(answers, document.logs, strict=False):
        result.logs += 1
        shown = log.model_dump()
        wrong = [name for name in FIGURES if shown[name] is None or abs(shown[name] - right[name]) > DIGITS]
        low, high = right["line_range"]
        wrong += [] if low <= log.line <= high else ["line"]
        schedule = right.get("schedule")
        wrong += ["schedule"] if schedule and not log.schedule.replace("-", "_").startswith(schedule) else []
        if wrong and not entry.get("debatable"):
            result.misread.append(f"{entry['file']}: {', '.join(wrong)} of the log in line {right['line']}")
        for clause in log.clauses:
            limit = {"epochs": right["epochs"] <= 20, "accuracy": right["final"] >= 0.994}.get(clause.name)
            again = clause.name == "epochs" and "second_fit" in {item["kind"] for item in entry.get("finding", [])}
            if limit is not None and not again:  # the sum of both fits is held against the limit
                said = "unproven" if clause.state == "unproven" else "right" if (clause.state == "met") == limit else "wrong"
                result.clauses[clause.name, said] += 1


def percent(part: int, whole: int) -> str:
    """Return a share for people: `-` where there is nothing to share."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def corpus_table() -> str:
    """Return precision and recall by kind over both sets, and below it what was missed and which alarms are false."""
    parts = {name: score(name) for name in SETS}
    both = score(*SETS)
    lines = [
        "| finding | in documents | found | false | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind in sorted(both.wanted | both.alarms):
        found, wanted, alarms = both.found[kind], both.wanted[kind], both.alarms[kind]
        lines.append(f"| {kind} | {wanted} | {found} | {alarms} | {percent(found, found + alarms)} | {percent(found, wanted)} |")
    found, wanted, alarms = (sum(counter.values()) for counter in (both.found, both.wanted, both.alarms))
    lines.append(f"| **all** | {wanted} | {found} | {alarms} | {percent(found, found + alarms)} | {percent(found, wanted)} |")
    lines += ["", "| clause, by what a log shows | right | wrong | left unproven |", "| --- | ---: | ---: | ---: |"]
    for clause in ("epochs", "accuracy"):
        lines.append(
            f"| {clause} | " + " | ".join(str(both.clauses[clause, said]) for said in ("right", "wrong", "unproven")) + " |"
        )
    lines += ["", "| set | honest | with a false alarm | tricky | findings found | logs | read as they are |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, part in parts.items():
        alarmed = len({text.split(":")[0] for text in part.on_honest})
        lines.append(
            f"| `{name}` | {part.documents['honest']} | {alarmed} | {part.documents['tricky']} | "
            f"{sum(part.found.values())} of {sum(part.wanted.values())} | {part.logs} | {part.logs - len(part.misread)} |"
        )
    for title, items in (
        ("False alarms on honest documents", both.on_honest),
        ("Missed", both.missed),
        ("Logs not read as they are", both.misread),
    ):
        lines += ["", f"{title}: " + ("; ".join(items) if items else "none") + "."]
    return "\n".join(lines)


def keep_published(folder: Path) -> None:
    """Audit the published documents and keep the results, without the machine's paths."""
    contract = load_contract("code9")
    kept = []
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        document = audit_file(path, contract).model_dump(mode="json")
        for found in [document, *document["findings"], *document["unproven"], *document["notes"]]:
            found["file"] = path.name
        kept.append(document)
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def published_table() -> str:
    """Return the table of the published documents, from what was kept of their audits."""
    lines = [
        "| document | log (line) | epochs | final | best (epoch) | last five, mean / lowest | schedule | µs | findings | notes | "
        "clauses as logged |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for document in json.loads(KEPT.read_text(encoding="utf-8")):
        findings = "; ".join(f"{_short(item['what'])} (line {item['line']})" for item in document["findings"]) or "none"
        notes = "; ".join(f"{_short(item['what'])} (line {item['line']})" for item in document["notes"]) or "none"
        for place, log in enumerate(document["logs"]):
            clauses = ", ".join(f"{clause['name']} {clause['state']}" for clause in log["clauses"])
            lines.append(
                f"| {document['file'] if not place else ''} | {log['line']} | {log['epochs']} | {log['final']:.4f} | "
                f"{log['best']:.4f} ({log['best_epoch']}) | {log['last5']:.4f} / {log['last5_min']:.4f} | "
                f"{log['schedule'].removeprefix('inverse-time: ')} | {log['microseconds_per_sample']:.0f} | "
                f"{findings if not place else ''} | {notes if not place else ''} | {clauses} |"
            )
    return "\n".join(lines)


def _short(what: str) -> str:
    """Return a finding's sentence up to its colon or full stop."""
    return re.split(r"[:.](?:\s|$)", what)[0]


def parts() -> dict[str, str]:
    """Return the generated parts of docs/AUDIT.md by their names."""
    return {"corpus": corpus_table(), "published": published_table()}


def main() -> None:
    """Do what the words of the command line say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, help="The folder with the published documents.")
    folder = parser.parse_args().published
    if folder:
        keep_published(folder)
    before = PAGE.read_text(encoding="utf-8")
    after = with_parts(before, parts())
    PAGE.write_text(after, encoding="utf-8")
    print(f"docs/AUDIT.md: {'unchanged' if after == before else 'written'}")


if __name__ == "__main__":
    main()
