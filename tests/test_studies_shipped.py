"""The study files that the project ships: each can be trained, compares what its question names, and differs in one thing at a time."""

from functools import cache
from pathlib import Path

import pytest

from budgetnet import zoo
from budgetnet.check import measure
from budgetnet.networks import build_network
from budgetnet.study import running
from budgetnet.study.arms import Arm, Study

FOLDER = Path(__file__).parents[1] / "studies"
FILES = sorted(FOLDER.glob("*.toml"))
CLAIMS = 9


@cache
def read(path: Path) -> Study:
    """The study on digits, whose networks are those of MNIST."""
    return running.read_study(running.Asked(targets=(str(path),), data="digits"))


def parameters(arm: Arm) -> int:
    network = build_network(arm.recipe, seed=0, input_shape=(1, 28, 28), classes=10)
    return measure(network, name="x", input_shape=(1, 28, 28)).parameters.total


def test_there_is_a_file_for_each_claim_and_one_for_the_published_networks() -> None:
    assert len(FILES) == CLAIMS + 1
    assert [arm.label for arm in read(FOLDER / "published.toml").arms] == list(zoo.MODULES)[:7]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_study_can_be_trained(path: Path) -> None:
    study = read(path)
    assert study.title
    assert study.question
    assert len(study.seeds) >= (3 if path.stem == "published" else 5)
    assert bool(study.pairs) is (path.stem != "published")
    assert {arm.recipe.validation for arm in study.arms} == {0}, "the hand-ins trained on all of the training split"


def test_the_networks_have_the_parameters_that_the_questions_say() -> None:
    counts = {path.stem: {arm.label: parameters(arm) for arm in read(path).arms} for path in FILES if path.stem != "published"}
    assert set(counts["one-pooling-or-two"].values()) == {14_568}
    assert set(counts["global-max-or-average"].values()) == {14_496}
    assert list(counts["average-or-flatten"].values()) == [14_864, 12_464, 14_992]
    assert list(counts["separable-or-plain"].values()) == [14_496, 16_400, 14_978]
    assert list(counts["last-1x1"].values()) == [14_704, 14_664, 12_984]
    assert list(counts["normalised-flatten"].values()) == [13_904, 13_944, 14_568, 14_528]


def test_variants_take_the_whole_recipe_of_the_network_they_vary() -> None:
    own = {"name", "network", "network_arguments", "strategy"}
    for path in FILES:
        arms = read(path).arms
        published = [arm.recipe.model_dump(exclude=own) for arm in arms if ".py" not in arm.recipe.network]
        for arm in arms:
            assert ".py" not in arm.recipe.network or arm.recipe.model_dump(exclude=own) in published
