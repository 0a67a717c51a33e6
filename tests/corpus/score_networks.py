"""What `budgetnet check` answers for each network of the corpus, held against `networks.toml`: `python tests/corpus/score_networks.py`.

Each target goes the way of the command (understand, read, build, measure, judge under `code9`), in this process and not in the
confined child, without `--input`, so that the guess is scored as well. About half a minute on one core. A clause that is
*unproven* where it should be broken is no alarm and no miss that passes: it is counted apart.
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from budgetnet.contract import judge, load_contract
from budgetnet.errors import InputError
from budgetnet.facts import Facts, NetworkFacts
from budgetnet.remarks import remarks
from budgetnet.targets.naming import understand
from budgetnet.targets.worker import TRAINS, work

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "CHECK.md"
CLAUSES = ("parameters", "fully_connected", "biases", "forward_passes")
NUMBERS = ("total", "trainable", "with_hidden", "passes")
BEHAVIOURS = (
    "depends_on_batch",
    "random_in_eval",
    "keeps_state",
    "raises_in_eval",
    "wrong_output",
    "unused_parameters",
    "trains_at_import",
)
CLASSES = 10
EVIDENCE = {
    "fully_connected": "fully connected layer",
    "biases": "bias",
    "with_hidden": "hidden numbers",
    "forward_passes": "several forward passes",
}
"""What is debatable -> the finding that would be its evidence."""


@dataclass
class Answer:
    """What the checker said of one target."""

    target: str
    clauses: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int | None] = field(default_factory=dict)
    equivalent: bool | None = None
    behaviours: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    input: str = ""
    error: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Difference:
    """One answer that is not the right one."""

    target: str
    what: str
    """A clause, a number, `equivalent`, `input`, a behaviour, or `finding`."""
    right: Any
    said: Any
    honest: bool
    debatable: bool


def manifest() -> dict[str, Any]:
    """Return the corpus's right answers."""
    return tomllib.loads((HERE / "networks.toml").read_text(encoding="utf-8"))


def ask(target: str) -> Answer:
    """Check one target of the corpus in this process."""
    answer, start = Answer(target), time.perf_counter()
    threads = torch.get_num_threads()
    try:
        known = understand(str(HERE / "networks" / target))
        result = work(
            {
                "kind": known.kind,
                "path": str(known.path),
                "label": target,
                "name": known.name,
                "arguments": list(known.arguments),
                "keywords": known.keywords,
            }
        )
    except InputError as error:
        answer.error = str(error)
    else:
        _fill(answer, result)
    finally:
        torch.set_num_threads(threads)
    answer.seconds = time.perf_counter() - start
    return answer


def _fill(answer: Answer, result: dict[str, Any]) -> None:
    facts = NetworkFacts.model_validate(json.loads(json.dumps(result["network"])))
    verdict = judge(Facts(network=facts), load_contract("code9"))
    answer.clauses = {clause.name: clause.state for clause in verdict.clauses if clause.name in CLAUSES}
    counts = facts.parameters
    answer.numbers = {
        "total": counts.total,
        "trainable": counts.trainable,
        "with_hidden": counts.with_hidden,
        "passes": facts.forward_passes,
    }
    answer.equivalent = None if facts.fully_connected_equivalent is None else bool(facts.fully_connected_equivalent)
    answer.findings = [f"{one['what']}: {one['evidence']}" for one in remarks(facts)]
    answer.notes = [*result["notes"], *facts.notes]
    answer.input = "x".join(str(side) for side in facts.input_shape)
    seen = {
        "depends_on_batch": facts.depends_on_batch,
        "random_in_eval": facts.random_in_evaluation,
        "keeps_state": facts.depends_on_calls,
        "wrong_output": facts.classes != CLASSES,
        "unused_parameters": bool(facts.unused),
    }
    seen["trains_at_import"] = any(TRAINS in note for note in answer.notes)
    seen["raises_in_eval"] = False  # then there is an error, and nothing comes here
    answer.behaviours = [name for name, found in seen.items() if found]


def differences(entry: dict[str, Any], answer: Answer, *, accepted: bool = True) -> list[Difference]:
    """Return what `answer` has wrong; what the entry calls defensible is right too, where `accepted`."""
    also = entry.get("also_defensible", {}) if accepted else {}
    wrong: list[Difference] = []

    def hold(what: str, right: object, said: object) -> None:
        if said != right and said not in also.get(what, ()):
            wrong.append(Difference(entry["target"], what, right, said, entry["honest"], entry.get("debatable", False)))

    expected = set(entry.get("behaviours", ()))
    if answer.error:
        # What raises in evaluation mode can be refused with that reason; nothing else of the corpus may be.
        if "raises_in_eval" not in expected:
            hold("error", "", answer.error)
        return wrong
    for clause in CLAUSES:
        hold(clause, entry[clause], answer.clauses[clause])
    for number in NUMBERS:
        if number in entry:
            hold(number, entry[number], answer.numbers[number])
    hold("input", entry["input"], answer.input)
    if "fully_connected_equivalent" in entry:
        hold("fully_connected_equivalent", entry["fully_connected_equivalent"], bool(answer.equivalent))
    for behaviour in BEHAVIOURS:
        hold(behaviour, behaviour in expected, behaviour in answer.behaviours)
    if entry["honest"]:
        # A full-extent convolution is reported of honest networks too, and where a verdict is defensible so is its evidence.
        fine = [
            "fully connected layer in disguise",
            "equivalent of a fully connected layer",
            *(EVIDENCE[what] for what in also if what in EVIDENCE),
        ]
        hold("findings", [], [one for one in answer.findings if not one.startswith(tuple(fine))])
    return wrong


@dataclass
class Score:
    """How often something was said, was right to say, and was to be said."""

    right: int = 0
    said: int = 0
    wanted: int = 0
    left_open: int = 0
    """Called unproven where the answer is known: neither an alarm nor a pass."""

    def row(self) -> str:
        """Return the score as cells of a table."""
        precision = "–" if not self.said else f"{self.right / self.said:.3f}"
        recall = "–" if not self.wanted else f"{self.right / self.wanted:.3f}"
        return f"{self.wanted} | {self.said} | {self.right} | {precision} | {recall} | {self.left_open}"


def scores(corpus: dict[str, Any], answers: dict[str, Answer], *, debatable: bool) -> dict[str, Score]:
    """Return a score for each clause (of «broken») and each behaviour; without the debatable networks where not `debatable`."""
    found: dict[str, Score] = {}
    for entry in corpus["network"]:
        answer = answers[entry["target"]]
        if entry.get("debatable") and not debatable:
            continue
        also = entry.get("also_defensible", {})
        expected = set(entry.get("behaviours", ()))
        for clause in CLAUSES:
            state = answer.clauses.get(clause, "unproven")
            wanted = state if state in also.get(clause, ()) else entry[clause]
            _tally(found.setdefault(clause, Score()), state == "broken", wanted == "broken", state == "unproven" != wanted)
        if "fully_connected_equivalent" in entry and not answer.error:
            said = bool(answer.equivalent)
            right = said if said in also.get("fully_connected_equivalent", ()) else entry["fully_connected_equivalent"]
            _tally(found.setdefault("full extent reported", Score()), said, right, False)
        for behaviour in BEHAVIOURS:
            said = behaviour == "raises_in_eval" if answer.error else behaviour in answer.behaviours
            _tally(found.setdefault(behaviour.replace("_", " "), Score()), said, behaviour in expected, False)
    return found


def _tally(score: Score, said: bool, wanted: bool, left_open: bool) -> None:
    score.said += said
    score.wanted += wanted
    score.right += said and wanted
    score.left_open += left_open


def table(corpus: dict[str, Any], answers: dict[str, Answer]) -> str:
    """Return the figures as Markdown: for each clause, for the numbers, and what is wrong, one by one."""
    lines: list[str] = []
    for debatable in (True, False):
        title = "all networks, a defensible answer accepted" if debatable else "without the debatable networks"
        lines += [f"| {title} | to find | said | rightly | precision | recall | left open |", "| --- |" + " ---: |" * 6]
        lines += [f"| {name} | {score.row()} |" for name, score in scores(corpus, answers, debatable=debatable).items()]
        lines.append("")
    wrong = {entry["target"]: differences(entry, answers[entry["target"]]) for entry in corpus["network"]}
    lines += ["| number | right | of |", "| --- | ---: | ---: |"]
    for name in (*NUMBERS, "input"):
        of = sum(name in entry and not answers[entry["target"]].error for entry in corpus["network"])
        missed = sum(one.what == name for found in wrong.values() for one in found)
        lines.append(f"| {'input, guessed' if name == 'input' else name} | {of - missed} | {of} |")
    honest = [entry["target"] for entry in corpus["network"] if entry["honest"]]
    alarmed = [target for target in honest if any(one.what in {"findings", *CLAUSES} for one in wrong[target])]
    lines += [
        "",
        f"{len(honest) - len(alarmed)} of {len(honest)} honest networks pass without a finding and with nothing left open.",
    ]
    lines += ["", "What is not as `networks.toml` has it:", ""]
    lines += [f"- `{one.target}`: {_words(one)}" for found in wrong.values() for one in found] or ["- nothing."]
    return "\n".join(lines)


def _words(one: Difference) -> str:
    if one.what == "findings":
        return f"honest, and reported: {'; '.join(one.said)}"
    return f"{one.what.replace('_', ' ')}: {one.right}, said: {one.said}"


MARKS = ("<!-- corpus:begin (python tests/corpus/score_networks.py --write) -->", "<!-- corpus:end -->")


def with_table(text: str, new: str) -> str:
    """Return the document with `new` between its marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{new}\n\n{MARKS[1]}{after}"


def main() -> None:
    """Print the table; with `--write` put it into docs/CHECK.md."""
    corpus = manifest()
    answers = {entry["target"]: ask(entry["target"]) for entry in corpus["network"]}
    new = table(corpus, answers)
    sys.stdout.write(f"{new}\n\n{sum(answer.seconds for answer in answers.values()):.1f} s\n")
    if "--write" in sys.argv:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), new), encoding="utf-8")


if __name__ == "__main__":
    main()
