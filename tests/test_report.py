"""The hand-in, made from a run directory that this file writes: 12 epochs of an invented network on an invented test split."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_run import EPOCHS, confusion_of, drawn, mistake, write_run
from markdown_it import MarkdownIt
from PIL import Image
from safetensors.numpy import save

from budgetnet import rundir
from budgetnet.contract import judge, load_contract
from budgetnet.errors import InputError
from budgetnet.recipe import Recipe
from budgetnet.report import write_report
from budgetnet.report.evidence import read_run
from budgetnet.report.markdown import block, code, embedded, inline, read_strategy, table
from budgetnet.report.page import page

GOLDEN = Path(__file__).parent / "golden" / "report-README.md"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def readme_of(run: Path, contract: str = "code9", strategy: Path | None = None) -> str:
    """Return the README alone, without the second that the pictures take."""
    evidence, rules = read_run(run), load_contract(contract)
    return page(evidence, rules, judge(evidence.facts, rules), read_strategy(strategy) if strategy else None, widths={})


def section(readme: str, title: str) -> str:
    return readme.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of every table row that is no rule, as a reader of GitHub's tables splits them."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_readme_is_the_golden_one(run: Path) -> None:
    """The README of the invented run, character by character.

    After a change that is meant, write it anew and read what changed:
    `BUDGETNET_OVERWRITE_GOLDEN=1 python -m pytest tests/test_report.py && git diff tests/golden`
    """
    readme = write_report(run).read_text(encoding="utf-8")
    if os.environ.get("BUDGETNET_OVERWRITE_GOLDEN") == "1":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(readme, encoding="utf-8")
    assert readme == GOLDEN.read_text(encoding="utf-8")


def test_numbers_of_the_readme_add_up(run: Path) -> None:
    readme = readme_of(run)
    rows = table_rows(section(readme, "Confusion matrix"))[1:]
    matrix = [[int(cell) for cell in row[1:]] for row in rows]
    right, total = sum(matrix[place][place] for place in range(10)), sum(map(sum, matrix))
    assert f"{right:,} of {total:,} images are right, {total - right} wrong." in readme
    loss, accuracy = json.loads(re.findall(r"^\[.*\]$", section(readme, "Evaluation"), re.MULTILINE)[0])
    assert (loss, accuracy) == (0.0725811, right / total)
    shown = int(10000 * right / total) / 100
    assert readme.splitlines()[1].startswith(f"# small on mnist: {shown:.2f} %")
    assert f"**{shown:.2f} %**" in section(readme, "Accuracy")
    layers = section(readme, "Layers")
    counted = [int(line.split()[-1]) for line in layers.split("```")[1].splitlines() if re.match(r"[a-z]\w* \(", line)]
    assert len(counted) == 5
    assert f"Total params: {sum(counted):,}" in layers


def test_verdict_comes_first_and_names_each_clause(run: Path) -> None:
    readme = readme_of(run)
    assert readme.splitlines()[3] == "❌ **The contract is broken**, in 2 of 6 clauses."
    rows = table_rows(readme.split("\n## ")[0])
    assert [row[:4] for row in rows[1:4]] == [
        ["parameters", "❌ broken", "27,248", "≤ 15,000"],
        ["epochs", "✅ met", "12", "≤ 20"],
        ["accuracy", "❌ broken", "98.18 %", "≥ 99.40 %"],
    ]


def test_another_contract_gives_another_verdict(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mild.toml").write_text("[accuracy]\nat_least = 0.98\n[parameters]\nat_most = 30000\n")
    assert (
        readme_of(run, contract=str(tmp_path / "mild.toml")).splitlines()[3]
        == "✅ **The contract is met**, in all of its 2 clauses."
    )
    (tmp_path / "lasting.toml").write_text("[sustained_accuracy]\nat_least = 0.97\nlast = 20\n")
    assert "❔ **The contract is unproven**" in readme_of(run, contract=str(tmp_path / "lasting.toml"))


def test_final_best_and_last_five_stand_side_by_side(run: Path) -> None:
    final = confusion_of()
    accuracy = sum(final[place][place] for place in range(10)) / sum(map(sum, final))
    mean = (3 * accuracy + 2 * (accuracy + 0.002)) / 5
    head, row = table_rows(section(readme_of(run), "Accuracy"))
    assert head == ["", "final, the judged one", "best epoch", "mean of the last 5 epochs"]
    assert row == ["test split", "**98.18 %**", "98.38 % (epoch 5)", f"{mean * 100:.3f} %"]


def test_accuracies_that_were_not_read_are_not_shown(tmp_path: Path) -> None:
    recipe = Recipe(name="own", network="own", epochs=3, watch="validation", validation=5000)
    text = section(readme_of(write_run(tmp_path / "run", recipe=recipe)), "Accuracy")
    _, test, validation = table_rows(text)
    assert test == ["test split", "**98.18 %**", "not read", "not read"]
    assert validation[0] == "validation part, 5,000 images"
    assert "(epoch" in validation[2]
    assert "read once" in text


def test_logs_of_all_epochs_in_the_published_form(run: Path) -> None:
    log = section(readme_of(run), "Logs of every epoch").split("```")[1]
    assert log.count("[==============================] - 19s ") == EPOCHS
    assert "\nEpoch 2/12\n\nEpoch 00002: LearningRateScheduler setting learning rate to 0.0022744503.\n60000/60000 [" in log


def test_pictures_are_all_there_and_linked(run: Path) -> None:
    readme = write_report(run)
    linked = re.findall(r'<img src="([^"]+)" alt="[^"]+" width="(\d+)">', readme.read_text(encoding="utf-8"))
    assert [name for name, _ in linked] == ["curves.png", "confusion.png", "misclassified.png"]
    assert {path.name for path in readme.parent.iterdir()} == {"README.md", "report.html", *(name for name, _ in linked)}
    for name, width in linked:
        with Image.open(readme.parent / name) as picture:
            assert picture.width == 2 * int(width) or picture.width == 2 * int(width) + 1
            assert picture.getpixel((2, 2)) == (255, 255, 255, 255)


def test_gallery_shows_the_surest_mistakes_dot_by_dot(run: Path) -> None:
    """The surest mistake comes first, and each of its pixels is a square of five dots of one shade."""
    names_probabilities = [mistake(place, 0, 1, 10)["probabilities"][1] for place in range(19)]
    surest = int(np.argmax(names_probabilities))
    with Image.open(write_report(run).parent / "misclassified.png") as picture:
        tile = np.asarray(picture.convert("L"))[28 : 28 + 140, 28 : 28 + 140]
    labels = [
        row
        for row, counts in enumerate(confusion_of())
        for column, count in enumerate(counts)
        if row != column
        for _ in range(count)
    ]
    expected = drawn([labels[surest]], 1)[0, 0].repeat(5, axis=0).repeat(5, axis=1)
    assert np.array_equal(tile, expected)


def test_more_mistakes_than_the_gallery_holds(tmp_path: Path) -> None:
    matrix = [[90 if row == column else 1 for column in range(10)] for row in range(10)]
    text = section(readme_of(write_run(tmp_path / "run", confusion=matrix, channels=3)), "Misclassified")
    assert text.strip().startswith("The 60 surest mistakes of 90; 30 more are not shown.")


def test_run_without_a_mistake_has_no_gallery(tmp_path: Path) -> None:
    matrix = [[100 if row == column else 0 for column in range(10)] for row in range(10)]
    readme = write_report(write_run(tmp_path / "run", confusion=matrix))
    assert "No image of the test split was misclassified." in readme.read_text(encoding="utf-8")
    assert not (readme.parent / "misclassified.png").exists()


def test_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_report(write_run(tmp_path / name)).parent for name in ("one", "two"))
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_class_names_that_the_font_lacks_are_numbered(tmp_path: Path) -> None:
    names = tuple("おきすつなはまやれを")
    text = section(write_report(write_run(tmp_path / "run", class_names=names)).read_text(encoding="utf-8"), "Confusion matrix")
    assert "The pictures number the classes: #0 お, #1 き," in text
    assert table_rows(text)[0][1:] == list(names)


def test_many_classes_in_a_short_run(tmp_path: Path) -> None:
    recipe = Recipe(name="letters", network="letters", epochs=1, watch="nothing")
    run = write_run(tmp_path / "run", recipe=recipe, class_names=tuple(f"kind {place}" for place in range(70)))
    readme = write_report(run).read_text(encoding="utf-8")
    assert table_rows(section(readme, "Confusion matrix")) == []
    assert "mean of the last 1 epoch |" in readme


HOSTILE = "a|b`c\n# d <script>*e*</details> \u202e[f](g) &amp; \x1b[31m"


def test_foreign_words_stay_words(tmp_path: Path) -> None:
    """Rendered by a CommonMark parser with tables: no tag, link, emphasis or heading of theirs, and every cell in its column."""
    recipe = Recipe(name="hostile", network=HOSTILE, epochs=2, watch="test")
    names = (HOSTILE, "1. one", "- two", "__three__", "#", "==", "|", "``", "\\", "nine_9_")
    readme = readme_of(write_run(tmp_path / "run", recipe=recipe, class_names=names))
    tokens = MarkdownIt("commonmark").enable("table").parse(readme)
    headings = [
        tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open" and token.tag < "h3"
    ]
    assert headings[1:] == [
        line.removeprefix("## ") for line in GOLDEN.read_text(encoding="utf-8").splitlines() if line.startswith("## ")
    ]
    inner = [child for token in tokens for child in token.children or ()]
    assert not [child for child in inner if child.type in {"link_open", "em_open", "html_inline"}]
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert all(re.match(r"<!-- Written|<details>|</details>|<img ", content) for content in html)
    assert "\x1b" not in readme
    assert "\u202e" not in readme
    matrix = table_rows(section(readme, "Confusion matrix"))
    assert [len(row) for row in matrix] == [11] * 11
    cells = [child for token in tokens if token.type == "inline" for child in token.children or () if child.type == "text"]
    assert {"1. one", "- two", "__three__", "|", "``", "\\", "nine_9_"} <= {child.content for child in cells} | {
        token.content for token in tokens
    }


def test_users_strategy_takes_the_place_of_the_recipes(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("# Idea\r\n1. **fewer** channels\r\n\r\nWhy\r\n===\r\n`a < b`, 1 < 2\r\n")
    text = section(readme_of(run, strategy=tmp_path / "mine.md"), "Strategy")
    assert text.strip() == "### Idea\n1. **fewer** channels\n\n### Why\n`a < b`, 1 &lt; 2"


@pytest.mark.parametrize(
    "words",
    [
        "```\nnever closed",
        "~~~python\n``` \n## inside",
        "</details><h1>x</h1>",
        "<!-- open",
        "text\n---\n",
        "- item\n---\n",
        "> # quoted",
        "    ```\nx\n# y",
        "a ` b\n` <b> `",
        "- ```\n  code\n",
        "<details>\n\n## x\n",
        "## Misclassified",
        "[x]: y 'z\n\n",
    ],
)
def test_strategy_cannot_swallow_the_page(run: Path, tmp_path: Path, words: str) -> None:
    (tmp_path / "strategy.md").write_text(words)
    tokens = MarkdownIt("commonmark").enable("table").parse(readme_of(run, strategy=tmp_path / "strategy.md"))
    headings = [
        tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open" and token.tag < "h3"
    ]
    assert headings[1:] == [
        line.removeprefix("## ") for line in GOLDEN.read_text(encoding="utf-8").splitlines() if line.startswith("## ")
    ]
    inner = [child.content for token in tokens for child in token.children or () if child.type == "html_inline"]
    html = inner + [token.content for token in tokens if token.type == "html_block"]
    assert all(re.match(r"<!-- Written|<details>\n<summary>|</details>|<img ", content) for content in html)


PIECES = [
    "`",
    "``",
    "```",
    "~~~",
    "<b>",
    "</details>",
    "<!--",
    "# x",
    "## ",
    "\n",
    "\n\n",
    "    ",
    " ",
    "---",
    "===",
    "- ",
    "1. ",
    "> ",
]
PIECES += [
    "|",
    "| a | b |",
    "a",
    "\\",
    "*",
    "_",
    "[x](y)",
    "\t",
    "<?",
    "<![CDATA[",
    "=",
    "\r",
    "\u2028",
    "\xa0",
    "\x0c",
    "&lt;",
    "```py",
    "``` x`",
]


@settings(max_examples=400, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_no_text_breaks_out(text: str) -> None:
    """Any mixture of Markdown's and HTML's signs, as a strategy, in cells and in blocks: the frame parses as it was meant."""
    parts = (f"# {inline(text)}", embedded(text), "## Cells", table(("a", "b"), [(text, code(text))]), block(text), "## End\n")
    frame = "\n\n".join(parts)
    tokens = MarkdownIt("commonmark").enable("table").parse(frame)
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert [tag for tag in headings if tag < "h3"] == ["h1", "h2", "h2"]
    inner = [child for token in tokens for child in token.children or ()]
    assert not [token for token in [*tokens, *inner] if token.type in {"html_block", "html_inline"}]
    cells = tokens[[token.content for token in tokens].index("Cells") :]
    assert [token.type for token in cells].count("td_open") == 2
    assert [token.type for token in cells].count("fence") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x" * 65537, "larger than 65,536 bytes"),
        (b"good\nb\xffd", "line 2: is not UTF-8"),
        (b" \n\n", "is blank"),
        (None, "cannot be read"),
    ],
)
def test_unusable_strategy_is_refused(run: Path, tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "strategy.md").write_bytes(content)
    with pytest.raises(InputError, match=said):
        write_report(run, strategy=tmp_path / "strategy.md")
    assert not (run / "report").exists()


def test_unfinished_run_is_refused_with_the_way_on(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", finished=False)
    with pytest.raises(InputError, match=rf"not finished \(3 of 12 epochs\).*budgetnet train --resume {re.escape(str(run))}"):
        write_report(run)


def test_damaged_run_is_refused_by_name(run: Path) -> None:
    content = bytearray((run / rundir.WEIGHTS).read_bytes())
    content[-1] ^= 1
    (run / rundir.WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=rundir.WEIGHTS):
        write_report(run)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"correct": 1024}, "counts 1025 right of 1044 images"),
        ({"accuracy": 0.99}, "but its accuracy is 0.99"),
        ({"confusion": [[1, 2], [3, 4]]}, "not 10 × 10"),
        ({"misclassified": [mistake(0, 3, 10, 11)]}, "does not fit the 10 classes"),
        ({"images": "many"}, "images: "),
    ],
)
def test_evaluation_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    run = write_run(tmp_path / "run", **changes)
    with pytest.raises(InputError, match=rf"{rundir.EVALUATION}: .*{said}"):
        write_report(run)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"images": np.zeros((19, 1, 28, 28), dtype=np.float32)}, "float32"),
        ({"images": np.zeros((18, 1, 28, 28), dtype=np.uint8)}, "not 18 × 1 × 28 × 28"),
        ({"images": np.zeros((19, 28, 28), dtype=np.uint8)}, "not 19 × 28 × 28"),
        ({"images": np.zeros((19, 2, 28, 28), dtype=np.uint8)}, "not 19 × 2 × 28 × 28"),
        ({"pictures": np.zeros((19, 1, 28, 28), dtype=np.uint8)}, "no tensor"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00not json", "no safetensors file"),
        (b"", "no safetensors file"),
    ],
)
def test_misclassified_images_of_another_shape_are_refused(
    run: Path, tensors: dict[str, np.ndarray[Any, Any]] | bytes, said: str
) -> None:
    content = tensors if isinstance(tensors, bytes) else save(tensors)
    rundir.open_run(run).finish({rundir.MISCLASSIFIED: content})
    with pytest.raises(InputError, match=rf"{rundir.MISCLASSIFIED}: .*{said}"):
        write_report(run)


def test_own_report_is_replaced_and_leaves_nothing_behind(run: Path) -> None:
    readme = write_report(run)
    before = {path.name for path in run.iterdir()}
    (readme.parent / "curves.png").write_bytes(b"old")
    assert write_report(run) == readme
    assert (readme.parent / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert {path.name for path in run.iterdir()} == before


@pytest.mark.parametrize("name", ["notes.md", "README.md"])
def test_foreign_files_are_never_replaced(run: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("# Mine\n")
    with pytest.raises(InputError, match="Choose another --out"):
        write_report(run, out=out)
    assert [path.read_text() for path in out.iterdir()] == ["# Mine\n"]


def test_out_that_is_no_folder_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(run)
    for name in ("file", "link"):
        with pytest.raises(InputError, match="no folder"):
            write_report(run, out=tmp_path / name)
    with pytest.raises(InputError, match="cannot be written"):
        write_report(run, out=tmp_path / "file" / "deeper")


def test_report_is_written_without_torch(run: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nimport budgetnet.report\n"
        "assert 'torch' not in sys.modules, 'at import'\nassert 'matplotlib' not in sys.modules, 'before it is needed'\n"
        "budgetnet.report.write_report(Path(sys.argv[1]))\nassert 'torch' not in sys.modules, 'after a whole report'\n"
    )
    # Settings of the user's must not reach the pictures.
    (tmp_path / "matplotlibrc").write_text("font.size: 30\naxes.facecolor: black\n")
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program, str(run)], check=True, cwd=tmp_path, env=environment)
    assert (run / "report" / "curves.png").read_bytes() == (
        write_report(run, out=tmp_path / "here").parent / "curves.png"
    ).read_bytes()
