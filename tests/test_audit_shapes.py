"""Logs as tables of epochs, and as the lines that loops of one's own print, in shapes that no reader was written for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pasted_logs import EPOCHS, Row, figures

from budgetnet.audit import Document, audit_file


def audited(folder: Path, text: str) -> Document:
    (folder / "README.md").write_text(text, encoding="utf-8")
    return audit_file(folder / "README.md")


def table(head: str, row: Callable[..., str], rows: list[Row] | None = None) -> str:
    rule = "|" + " --- |" * (head.count("|") - 1) + "\n" if head.startswith("|") else ""
    return f"{head}\n{rule}" + "\n".join(row(*figure) for figure in rows or figures())


def percent(value: float) -> str:
    return f"{100 * value:.2f}"


TABLES = {
    "percent in the head": table(
        "| Epoch | Train loss | Train acc. (%) | Test loss | Test acc. (%) |",
        lambda e, a, b, c, d: f"| {e} | {a} | {percent(b)} | {c} | {percent(d)} |",
    ),
    "signs in the cells": table("| epoch | train | test |", lambda e, _a, b, _c, d: f"| {e} | {percent(b)}% | {percent(d)} % |"),
    "fractions": table("| # | training accuracy | test accuracy |", lambda e, _a, b, _c, d: f"| {e} | {b:.4f} | {d:.4f} |"),
    "bare train and test": table("| epoch | train | test |", lambda e, _a, b, _c, d: f"| {e} | {percent(b)} | {percent(d)} |"),
    "planned epochs": table(
        "| ep | tr_acc | te_acc | lr |", lambda e, _a, b, _c, d: f"| {e}/{EPOCHS} | {b:.4f} | {d:.4f} | 0.01 |"
    ),
    "errors": table(
        "| Epoch | train error (%) | test error (%) |",
        lambda e, _a, b, _c, d: f"| {e} | {100 - 100 * b:.2f} | {100 - 100 * d:.2f} |",
    ),
    "correct images": table("| epoch | test loss | correct |", lambda e, _a, _b, c, d: f"| {e} | {c} | {round(d * 10000)}/10000 |"),
    "count of images": table("| epoch | test correct | time |", lambda e, _a, _b, _c, d: f"| {e} | {round(d * 10000)} | 12.1 s |"),
    "bold best": table(
        "| epoch | acc (train) | acc (test) |",
        lambda e, _a, b, _c, d: f"| {e} | {percent(b)} | {'**' if e == 14 else ''}{percent(d)}{'**' if e == 14 else ''} |",
    ),
    "aligned": table(
        "epoch   train_loss   train_acc   test_loss   test_acc",
        lambda e, a, b, c, d: f"{e:5d}   {a:10.4f}   {b:9.4f}   {c:9.4f}   {d:8.4f}",
    ),
    "fastai": table(
        "epoch     train_loss  valid_loss  accuracy  time    ",
        lambda e, a, _b, c, d: f"{e - 1}         {a:.6f}    {c:.6f}    {d:.6f}  00:12    ",
    ),
    "skorch": "  epoch    train_loss    test_acc    test_loss     dur\n-------  ------------  ----------  -----------  ------\n"
    + "\n".join(f"{e:7d}        {a:.4f}      {d:.4f}       {c:.4f}  3.1337" for e, a, b, c, d in figures()),
    "csv": table("epoch,loss,accuracy,val_loss,val_accuracy", lambda e, a, b, c, d: f"{e},{a},{b},{c},{d}"),
    "tabs": table("Epoch\tTrainLoss\tTrainAcc\tTestAcc", lambda e, a, b, _c, d: f"{e}\t{a}\t{percent(b)}\t{percent(d)}"),
    "single spaces": table("epoch train test", lambda e, _a, b, _c, d: f"{e} {percent(b)} {percent(d)}"),
    "no outer pipes": "epoch | train acc | test acc\n---|---|---\n"
    + "\n".join(f"{e} | {b:.4f} | {d:.4f}" for e, a, b, c, d in figures()),
    "quoted": "\n".join(
        "> " + line
        for line in table("| epoch | train | test |", lambda e, _a, b, _c, d: f"| {e} | {percent(b)} | {percent(d)} |").split("\n")
    ),
    "one accuracy under a word": "Test accuracy, by epoch:\n\n"
    + table("| epoch | loss | accuracy |", lambda e, _a, _b, c, d: f"| {e} | {c} | {percent(d)} % |"),
    "drawn": "┃ Epoch ┃ Train Acc ┃ Test Acc ┃\n┡━━━━━━╇━━━━━━╇━━━━━━┩\n"
    + "\n".join(f"│ {e} │ {b:.4f} │ {d:.4f} │" for e, a, b, c, d in figures()),
}
LOOPS: dict[str, Callable[[int, float, float, float, float], str]] = {
    "losses and accuracies without colons": lambda e, a, b, c, d: (
        f"Epoch {e}/{EPOCHS} | train loss {a:.4f} acc {percent(b)}% | test loss {c:.4f} acc {percent(d)}%"
    ),
    "train and test alone": lambda e, _a, b, _c, d: f"epoch {e:2d}: train {percent(b)}%, test {percent(d)}%",
    "no sign": lambda e, _a, b, _c, d: f"Epoch {e} train {percent(b)} test {percent(d)}",
    "brackets": lambda e, _a, b, _c, d: f"[{e}/{EPOCHS}] train: {percent(b)}% test: {percent(d)}%",
    "short words": lambda e, a, b, c, d: f"ep {e:02d}  tr_loss {a:.4f}  tr_acc {percent(b)}  te_loss {c:.4f}  te_acc {percent(d)}",
    "pairs": lambda e, a, b, c, d: f"Epoch {e}: loss {a:.4f}/{c:.4f}, acc {percent(b)}%/{percent(d)}%",
    "pairs, test first": lambda e, _a, b, _c, d: f"epoch {e} accuracy test/train {percent(d)}/{percent(b)}",
    "the number first": lambda e, _a, b, _c, d: f"Epoch {e}: {percent(b)}% train, {percent(d)}% test ({12.5 + e / 10:.1f}s)",
    "counts alone": lambda e, _a, _b, _c, d: f"Epoch {e - 1}: {round(d * 10000)} / 10000",
    "errors": lambda e, _a, b, _c, d: f"epoch {e} train err {100 - 100 * b:.2f}% test err {100 - 100 * d:.2f}%",
    "a sentence": lambda e, _a, b, _c, d: (
        f"Epoch {e} done in 14.2s. Train accuracy is {percent(b)} percent, test accuracy is {percent(d)} percent"
    ),
    "camels": lambda e, _a, b, _c, d: f"E{e:>3} trainAcc {percent(b)} testAcc {percent(d)}",
    "marked best": lambda e, _a, b, _c, d: (
        f"epoch {e} train acc {percent(b)}% test acc {percent(d)}%" + (" <- new best" if e == 14 else "")
    ),
    "best so far": lambda e, _a, b, _c, d: (
        f"epoch {e} | test acc {percent(d)}% (best {percent(max(row[4] for row in figures(e)))}%) | train acc {percent(b)}%"
    ),
    "two lines": lambda e, a, b, c, d: (
        f"Epoch {e}\n  train  loss {a:.4f}  accuracy {percent(b)}%\n  test   loss {c:.4f}  accuracy {percent(d)}%"
    ),
    "the tutorial's": lambda e, a, _b, _c, d: (
        f"Epoch {e}\nloss {a:.3f}\nAccuracy of the network on the 10000 test images: {percent(d)} %"
    ),
    "behind a time": lambda e, _a, b, _c, d: f"2024-03-01 10:00:{e:02d} INFO epoch {e} train {percent(b)}% test {percent(d)}%",
    "no word for the epoch": lambda e, _a, b, _c, d: f"{e:3d}  train acc {percent(b)}%  test acc {percent(d)}%",
    "semicolons": lambda e, _a, b, _c, d: f"epoch={e}; train={percent(b)}%; test={percent(d)}%",
    "arrows": lambda e, _a, b, _c, d: f"epoch {e} -> train {percent(b)} % -> test {percent(d)} %",
}


@pytest.mark.parametrize("fence", ["", "```"])
@pytest.mark.parametrize("name", [*TABLES, *LOOPS])
def test_every_shape_is_read_to_the_same_figures(name: str, fence: str, tmp_path: Path) -> None:
    text = TABLES.get(name) or "\n".join(LOOPS[name](*row) for row in figures())
    done = audited(tmp_path, f"# A network\n\n{fence}\n{text}\n{fence}\n\nIt ends at 99.47 % test accuracy.\n")
    (log,) = done.logs
    assert (log.epochs, log.final, log.best) == (EPOCHS, 0.9947, 0.9953)
    assert log.last5_min == 0.9925
    assert done.findings == ()


@pytest.mark.parametrize("name", [*TABLES, *LOOPS])
def test_the_best_epoch_of_every_shape_is_no_final_one(name: str, tmp_path: Path) -> None:
    text = TABLES.get(name) or "\n".join(LOOPS[name](*row) for row in figures())
    (finding,) = audited(tmp_path, f"Test accuracy: 99.53 %\n\n{text}\n").findings
    assert "sold as final" in finding.what
    assert finding.line == 1


STEPS = (
    "| step | parameters | test accuracy |\n| --- | --- | --- |\n| first try | 24,112 | 99.21 % |\n| narrower | 9,310 | {} % |\n"
)
LAST = "\nLog of the last step:\n\n" + TABLES["fractions"] + "\n"


def test_a_row_of_a_table_of_runs_that_is_the_best_epochs_is_found(tmp_path: Path) -> None:
    (finding,) = audited(tmp_path, STEPS.format("99.53") + LAST).findings
    assert "sold as final" in finding.what
    assert finding.line == 4


@pytest.mark.parametrize(
    "text",
    [
        STEPS.format("99.47") + LAST,
        STEPS.format("99.53").replace("test accuracy", "best test accuracy") + LAST,
        STEPS.format("99.53") + "| narrower, 2nd run | 9,310 | 99.47 % |\n" + LAST,
        STEPS.format("99.35") + LAST,
        "| model | best accuracy | final accuracy |\n| --- | --- | --- |\n| A | 99.53 | 99.47 |\n" + LAST,
        "| network | accuracy |\n| --- | --- |\n| LeNet-5 | 99.53 % |\n| ours | 99.47 % |\n" + LAST,
    ],
)
def test_an_honest_table_of_runs_gets_no_finding(text: str, tmp_path: Path) -> None:
    assert [finding.what for finding in audited(tmp_path, text).findings] == []


@pytest.mark.parametrize(
    "text",
    [
        "After epoch 3 the test accuracy was 98.12%, after epoch 9 it was 99.20%.\n",
        "1. train accuracy 99.1%\n2. test accuracy 99.4%\n3. parameters 9000\n",
        "| # | layer | parameters |\n| - | - | - |\n| 1 | conv | 144 |\n| 2 | conv | 1440 |\n",
        "| network | epochs | accuracy |\n| --- | --- | --- |\n| A | 10 | 99.1 |\n| B | 12 | 99.2 |\n| C | 14 | 99.3 |\n",
    ],
)
def test_what_is_no_log_is_not_read_as_one(text: str, tmp_path: Path) -> None:
    assert audited(tmp_path, text).logs == ()
