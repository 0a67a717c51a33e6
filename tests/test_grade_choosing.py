"""Which of several networks is graded: what was asked for, what code trains or makes, what a text names, and else none."""

import ast
import csv
from pathlib import Path

import pytest
from test_grade import HONEST, hand_in, log

from budgetnet.errors import InputError
from budgetnet.grade import grade_folder
from budgetnet.grade.choosing import chosen
from budgetnet.targets.several import Named, networks_in, trained_names

BOTH = HONEST + HONEST.replace("class Net", "class Other")
A, B = Named(file="a.py", name="Net"), Named(file="b.py", name="Other")


def told(found: list[Named], wanted: str | None = None, text: str = "") -> tuple[str | None, str]:
    one, why = chosen(found, wanted, lambda: [("README.md", text)])
    return (one.place if one else None), why


@pytest.mark.parametrize(
    ("found", "wanted", "text", "expected"),
    [
        ([A], None, "", "a.py:Net"),
        ([A], "Wanted", "", "a.py:Net"),
        ([A, B], None, "", None),
        ([A, B], "Other", "", "b.py:Other"),
        ([A, B], "b.py", "", "b.py:Other"),
        ([A, B], "a.py:*", "", "a.py:Net"),
        ([A, B], "N?t", "", "a.py:Net"),
        ([A, B], "*", "", None),
        ([A, B], "Third", "", None),
        ([A, B.model_copy(update={"trained": True})], None, "We hand in Net.", "b.py:Other"),
        ([A, B.model_copy(update={"made": True})], None, "", "b.py:Other"),
        ([A, B], None, "We hand in `Other`, with 1,000 parameters.", "b.py:Other"),
        ([A, B], None, "The network is in b.py.", "b.py:Other"),
        ([A, B], None, "Network and Others are no names of ours.", None),
        ([A, B], None, "Net was first, Other is better.", None),
        ([A.model_copy(update={"parent": True}), B], None, "", "b.py:Other"),
        ([A.model_copy(update={"parent": True}), B], None, "We hand in Net.", "a.py:Net"),
    ],
)
def test_one_network_is_taken_or_none(found: list[Named], wanted: str | None, text: str, expected: str | None) -> None:
    place, why = told(found, wanted, text)
    assert place == expected
    assert why
    if expected is None:
        assert "a.py:Net, b.py:Other" in why
        assert "--network" in why


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("net = Net().to(device)\noptimizer = SGD(net.parameters(), 0.1)", {"net", "Net"}),
        ("def main():\n    model = build(16)\n    train(model, loader)", {"model", "build", "loader"}),
        ("model = Other()\nmodel.fit(x, y)", {"model", "Other", "x", "y"}),
        ("net = Net()\nprint(net)", set()),
        ("Trainer(max_epochs=3).fit(Net())", {"Trainer", "Net"}),
        ("class Lit:\n    def configure(self):\n        return SGD(self.parameters())", set()),
    ],
)
def test_what_code_trains_is_read_from_it(code: str, names: set[str]) -> None:
    assert trained_names([ast.parse(code)]) == names


def test_networks_are_listed_without_being_run(tmp_path: Path) -> None:
    hand_in(tmp_path / "two", net_py=f"{BOTH}\nraise SystemExit('run')\nmodel = Other()\nmodel.parameters()\n")
    found = networks_in(tmp_path / "two", "two", seconds=30)
    assert {one.place: one.trained for one in found} == {"net.py:Other": True}
    hand_in(tmp_path / "open", net_py=BOTH)
    assert {one.place for one in networks_in(tmp_path / "open" / "net.py", "open", seconds=30)} == {"net.py:Net", "net.py:Other"}
    hand_in(tmp_path / "derived", net_py=f"{HONEST}\n\nclass Wide(Net):\n    pass\n")
    derived = networks_in(tmp_path / "derived", "derived", seconds=30)
    assert {one.name: one.parent for one in derived} == {"Net": True, "Wide": False}
    hand_in(tmp_path / "broken", net_py="class Net(:")
    with pytest.raises(InputError, match=r"^broken"):
        networks_in(tmp_path / "broken" / "net.py", "broken", seconds=30)


def test_a_row_says_which_network_was_taken_or_why_none_can_be(tmp_path: Path) -> None:
    hand_in(tmp_path / "class" / "named", net_py=BOTH, README_md=f"We hand in Other.\n\n{log(0.9945)}")
    hand_in(tmp_path / "class" / "open", net_py=BOTH, README_md=log(0.9945))
    graded = grade_folder(tmp_path / "class", jobs=2)
    rows = {row.hand_in: row for _, row in graded.rows}
    assert rows["named"].network == "net.py:Other"
    assert "README.md" in rows["named"].network_why
    assert rows["named"].parameters is not None
    assert rows["open"].verdict == "failed"
    assert rows["open"].network is None
    assert "net.py:Net, net.py:Other" in (rows["open"].problem or "")
    with graded.csv.open(encoding="utf-8", newline="") as file:
        assert {line["hand_in"]: line["network"] for line in csv.DictReader(file)} == {"named": "net.py:Other", "open": ""}
    assert "net.py:Other" in graded.html.read_text(encoding="utf-8")
    # Another question is another grading.
    again = grade_folder(tmp_path / "class", jobs=2, network="Net")
    assert again.skipped == 0
    assert {row.network for _, row in again.rows} == {"net.py:Net"}
    with pytest.raises(InputError, match="--network"):
        grade_folder(tmp_path / "class", network=" ")
