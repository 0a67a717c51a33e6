"""A study as a person writes it: what each form asks for, and what wrong ones are told."""

from pathlib import Path
from typing import Any

import pytest
from small_studies import TINY, asked

from budgetnet.errors import InputError
from budgetnet.study import running
from budgetnet.study.arms import Study
from budgetnet.study.definition import parse_seeds


def from_text(folder: Path, text: str, **given: Any) -> Study:
    path = folder / "question.toml"
    path.write_text(text, encoding="utf-8")
    return running.read_study(running.Asked(targets=(str(path),), **given))


def labels(study: Study) -> list[str]:
    return [arm.label for arm in study.arms]


def test_names_on_the_command_line_are_a_study() -> None:
    study = running.read_study(running.Asked(targets=("one-pool", "code9-gap"), seeds="3", data="digits", epochs=2))
    assert (study.name, labels(study), study.seeds) == ("one-pool-or-code9-gap", ["one-pool", "code9-gap"], (0, 1, 2))
    assert {(arm.recipe.data, arm.recipe.epochs) for arm in study.arms} == {("digits", 2)}
    assert [(spec.recipe.name, spec.seed) for spec in study.specs()[:3]] == [("one-pool", 0), ("code9-gap", 0), ("one-pool", 1)]
    assert study.contract.name == "code9"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5), ("0,3,7", [0, 3, 7]), ("5-8", [5, 6, 7, 8]), ("1, 4-5", [1, 4, 5])],
)
def test_seeds_are_a_number_or_themselves(text: str, expected: int | list[int]) -> None:
    assert parse_seeds(text) == expected


@pytest.mark.parametrize("text", ["", "five", "-3", "3-1", "1,,2", "0-99999999", "1.5"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--seeds takes"):
        parse_seeds(text)


def test_a_grid_tries_every_combination(tmp_path: Path) -> None:
    text = """
        recipes = ["one-pool"]
        data = "digits"
        epochs = 1
        [grid]
        rate = [0.003, 0.001]
        "network.dropout" = [0.1, 0.2]
    """
    study = from_text(tmp_path, text)
    assert labels(study) == [
        "rate 0.003, dropout 0.1",
        "rate 0.003, dropout 0.2",
        "rate 0.001, dropout 0.1",
        "rate 0.001, dropout 0.2",
    ]
    assert study.arms[3].recipe.rate == 0.001
    assert study.arms[3].recipe.network_arguments == {"dropout": 0.2}
    assert len(study.pairs) == 6


def test_a_list_tries_each_change_on_each_recipe(tmp_path: Path) -> None:
    text = """
        title = "A question"
        question = "Which is better?"
        recipes = ["one-pool", "code9"]
        compare = "first"
        data = "digits"
        seeds = [4, 2, 2]
        [set]
        batch = 64
        [[variations]]
        name = "slow"
        set = { rate = 0.001 }
        [[variations]]
        name = "as published"
    """
    study = from_text(tmp_path, text)
    assert labels(study) == ["one-pool, slow", "one-pool, as published", "code9, slow", "code9, as published"]
    assert [arm.recipe.rate for arm in study.arms] == [0.001, 0.003, 0.001, 0.003]
    assert {arm.recipe.batch for arm in study.arms} == {64}
    assert (study.seeds, study.title) == ((2, 4), "A question")
    assert study.pairs == ((1, 0), (2, 0), (3, 0))


def test_a_network_of_one_s_own_lies_beside_the_file_and_takes_another_s_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(Path(TINY.rpartition(":")[0]).read_text(encoding="utf-8"), encoding="utf-8")
    text = """
        data = "digits"
        compare = [["mine", "theirs"]]
        [[recipes]]
        name = "theirs"
        network = "high-lr"
        [[recipes]]
        name = "mine"
        network = "mine.py:Tiny"
        like = "high-lr"
        set = { "network.width" = 6 }
    """
    study = from_text(tmp_path, text)
    theirs, mine = (arm.recipe for arm in study.arms)
    assert mine.network == f"{tmp_path / 'mine.py'}:Tiny"
    assert mine.network_arguments == {"width": 6}
    taken = {"rate", "optimizer", "watch", "validation", "epochs", "batch"}
    assert mine.model_dump(include=taken) == theirs.model_dump(include=taken)
    assert study.pairs == ((1, 0),)


def test_a_run_s_name_follows_what_decides_it_and_nothing_else(tmp_path: Path) -> None:
    base = running.read_study(asked(tmp_path)).arms[0]
    assert base.spec(0).key != base.spec(1).key
    slow = running.read_study(asked(tmp_path, settings=("validation=0", "watch=nothing", "rate=0.001"))).arms[0]
    assert slow.spec(0).key != base.spec(0).key
    copy = tmp_path / "elsewhere.py"
    copy.write_text(Path(TINY.rpartition(":")[0]).read_text(encoding="utf-8"), encoding="utf-8")
    assert running.read_study(asked(tmp_path, f"{copy}:Tiny")).arms[0].spec(0).key == base.spec(0).key
    copy.write_text(copy.read_text(encoding="utf-8").replace("Dropout(0.2)", "Dropout(0.3)"), encoding="utf-8")
    assert running.read_study(asked(tmp_path, f"{copy}:Tiny")).arms[0].spec(0).key != base.spec(0).key


def test_a_network_s_default_validation_part_is_what_small_data_can_afford(tmp_path: Path) -> None:
    study = running.read_study(asked(tmp_path, settings=()))
    assert study.arms[0].recipe.validation == 143


def test_options_take_the_place_of_what_the_file_says(tmp_path: Path) -> None:
    text = 'recipes = ["code9"]\ndata = "digits"\nepochs = 9\nseeds = 9\n[set]\nbatch = 64\nrate = 0.01'
    study = from_text(tmp_path, text, seeds="2", epochs=3, settings=("rate=0.02",))
    recipe = study.arms[0].recipe
    assert (study.seeds, recipe.epochs, recipe.batch, recipe.rate) == ((0, 1), 3, 64, 0.02)


WRONG = [
    ("recipes = [", "is not TOML"),
    ('recipe = ["code9"]', "recipes: Field required"),
    ('recipes = ["code9"]\nspeed = 3', "speed"),
    ("recipes = []", "at least 1 item"),
    ('recipes = ["code7"]', "code9"),
    ('recipes = ["code9"]\nseeds = 0', "seeds"),
    ('recipes = ["code9"]\nepochs = "ten"', "epochs"),
    ('recipes = ["code9", "code9"]\ndata = "digits"', "Two recipes of this study are called 'code9'"),
    ('recipes = ["code9"]\ndata = "digits"\n[set]\nrates = 1', "Did you mean 'rate'"),
    ('recipes = ["code9"]\ndata = "digits"\n[set]\n"network.dropin" = 1', "takes no argument 'dropin'"),
    ('recipes = ["code9"]\ndata = "digits"\n[[variations]]\nname="a"\n[[variations]]\nname="b"', "the same recipe as 'a'"),
    ('recipes = ["code9"]\n[grid]\nrate=[1]\n[[variations]]\nname="a"', "not both"),
    ('recipes = ["code9", "one-pool"]\ndata = "digits"\ncompare = [["code9", "two-pool"]]', "no recipe 'two-pool'"),
    ('recipes = ["code9", "one-pool"]\ndata = "digits"\ncompare = [["code9", "code9"]]', "with itself"),
    ('recipes = ["code9"]\ncontract = "code8"', "code8"),
    ('recipes = ["code9"]\nseeds = 10000\n[grid]\nrate = [1, 2, 3]\nbatch = [1, 2, 3, 4]', "120,000 runs"),
    ('[[recipes]]\nname = "x"\nnetwork = "gone.py:Net"', "no such file"),
    ('[[recipes]]\nname = "x"\nnetwork = "code9"\nlike = "code"', "code9"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[words[:24] for _, words in WRONG])
def test_wrong_files_are_told_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as told:
        from_text(tmp_path, text)
    assert words in str(told.value)
    assert len(str(told.value)) < 600


def test_a_study_file_stands_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not both"):
        running.read_study(running.Asked(targets=("a.toml", "code9")))
    with pytest.raises(InputError, match="cannot be read"):
        running.read_study(running.Asked(targets=(str(tmp_path / "gone.toml"),)))
