"""Each way to cheat or to err is found, with its line; the honest hand-in beside it gets no finding."""

from pathlib import Path

import pytest
from pasted_logs import (
    EPOCHS,
    bracketed,
    checkpointed,
    course_loop,
    figures,
    keras,
    one_line_each,
    starred,
    steps,
    tensorflow2,
    verbose2,
    verbose2_old,
)

from budgetnet.audit import Document, audit_file

WARM = [
    (e, a, b, c, d)
    for e, (a, b, c, d) in enumerate(
        zip(
            (0.0635, 0.0520, 0.0504, 0.0465, 0.0418, 0.0418),
            (0.9820, 0.9849, 0.9852, 0.9864, 0.9879, 0.9880),
            (0.0409, 0.0301, 0.0245, 0.0218, 0.0207, 0.0296),
            (0.9873, 0.9904, 0.9932, 0.9934, 0.9945, 0.9914),
            strict=True,
        ),
        1,
    )
]
DROPOUT = [
    (e, a, b, c, d)
    for e, (a, b, c, d) in enumerate(
        zip(
            (0.4035, 0.1754, 0.1469, 0.1332, 0.1262, 0.1195),
            (0.8648, 0.9352, 0.9419, 0.9455, 0.9475, 0.9497),
            (0.1279, 0.0398, 0.0336, 0.0313, 0.0306, 0.0278),
            (0.9627, 0.9882, 0.9904, 0.9917, 0.9915, 0.9924),
            strict=True,
        ),
        1,
    )
]
LEVEL_DROPOUT = [
    (e, a, b, c, d)
    for e, (a, b, c, d) in enumerate(
        zip(
            (0.0998, 0.1003, 0.0989, 0.0945, 0.0978, 0.0970),
            (0.9543, 0.9524, 0.9546, 0.9563, 0.9552, 0.9560),
            (0.0217, 0.0209, 0.0218, 0.0218, 0.0208, 0.0207),
            (0.9942, 0.9942, 0.9944, 0.9938, 0.9943, 0.9944),
            strict=True,
        ),
        1,
    )
]
SMALL_BATCH = [
    (e, a, b, c, d)
    for e, (a, b, c, d) in enumerate(
        zip(
            (0.1040, 0.0480, 0.0360, 0.0290),
            (0.9680, 0.9852, 0.9885, 0.9907),
            (0.0420, 0.0330, 0.0290, 0.0270),
            (0.9861, 0.9893, 0.9906, 0.9912),
            strict=True,
        ),
        1,
    )
]
ON = [(e, round(a / 9, 4), round(1 - (1 - b) / 9, 4), c, round(1 - (1 - d) / 2, 4)) for e, a, b, c, d in figures()]
"""As fresh figures, but opening where the honest log ends."""
ON_AGAIN = [(e, a / 9, b, c, d) for e, a, b, c, d in ON]
TABLE = """Model: "sequential"
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
conv2d (Conv2D)              (None, 26, 26, 16)        {first}
_________________________________________________________________
batch_normalization (BatchNo (None, 26, 26, 16)        64
_________________________________________________________________
conv2d_1 (Conv2D)            (None, 24, 24, 10)        {second}
_________________________________________________________________
max_pooling2d (MaxPooling2D) (None, 4, 4, 10)          0
_________________________________________________________________
conv2d_2 (Conv2D)            (None, 1, 1, 10)          {last}
_________________________________________________________________
flatten (Flatten)            (None, 10)                0
=================================================================
Total params: {total}
Trainable params: {trainable}
Non-trainable params: {fixed}
"""


def table(biases: bool = False, total: int | None = None, fixed: int = 32, trainable: int | None = None) -> str:
    counts = {"first": 160 if biases else 144, "second": 1450 if biases else 1440, "last": 1610 if biases else 1600}
    whole = sum(counts.values()) + 64 if total is None else total
    free = whole - fixed if trainable is None else trainable
    return TABLE.format(**counts, total=f"{whole:,}", trainable=f"{free:,}", fixed=f"{fixed:,}")


def audited(folder: Path, text: str) -> Document:
    (folder / "README.md").write_text(text, encoding="utf-8")
    return audit_file(folder / "README.md")


SCORE = "\n# Result of evaluate\n\n[0.016543518993379802, 0.9947]\n"
VALIDATED = verbose2_old().replace("Train on 60000", "Train on 50000")
TRICKS = {
    "best sold as final, in words": ("sold as final", f"Test accuracy: 99.53% after 15 epochs\n\n{keras()}\n"),
    "best sold as final, as the result": ("sold as final", f"{keras()}\n\nprint(score)\n[0.0164, 0.9953]\n"),
    "best sold as final, from a loop": ("sold as final", f"The network has 99.53 % accuracy on the test set.\n\n{course_loop()}\n"),
    "a limit that only the best holds": ("sold as final", f"Achieved more than 99.5% accuracy.\n\n{keras()}\n"),
    "another epoch as the result": ("sold as final", f"{keras()}\n\nprint(score)\n[0.0185, 0.9943]\n"),
    "warm start": ("warm start", keras(WARM, planned=6)),
    "warm start, as steps": ("warm start", steps(WARM, planned=6)),
    "warm start, in a loop": ("warm start", course_loop([(e, a, min(b + 0.007, 0.9995), c, d) for e, a, b, c, d in WARM])),
    "warm start, in a log of sums": ("warm start", one_line_each(WARM).replace("/15", "/6")),
    "warm start under much dropout": ("warm start", keras(LEVEL_DROPOUT, planned=6)),
    "second fit": ("second fit", f"15 epochs\n\n{keras()}\n\n{keras(ON)}\n"),
    "second fit, without numbers of samples": ("warm start", f"{verbose2()}\n{verbose2(ON)}\n"),
    "third fit": ("45 epochs", f"{keras()}\n\n{keras(ON)}\n\n{keras(ON_AGAIN)}\n"),
    "second fit, in a loop": ("second fit", f"{course_loop()}\n{course_loop(ON)}\n"),
    "more epochs than claimed": ("More epochs than claimed", f"Trained for 10 epochs.\n\n{keras()}\n"),
    "initial_epoch": ("More epochs than claimed", "Trained for 5 epochs in total.\n\n" + steps(figures()[10:]) + "\n"),
    "not the test's count": ("No count of 10,000", f"{keras()}\n\nprint(score)\n[0.0165, 0.99467]\n"),
    "not the test's count, in percent": ("No count of 10,000", f"{keras()}\n\nThe final test accuracy is 99.475%.\n"),
    "ends early": ("ends early", keras(figures(11))),
    "ends early, by the text": ("ends early", f"Logs for 20 epochs\n\n{course_loop()}\n"),
    "evaluate contradicts": ("contradicts the last epoch", f"{keras()}\n\nprint(score)\n[0.0122, 0.9962]\n"),
    "claim above all": ("no epoch of the log", f"The test accuracy is 99.71%.\n\n{keras()}\n"),
    "final below": ("ended at", f"Final test accuracy: 99.40%\n\n{keras()}\n"),
    "count and percentage": ("contradicts its percentage", course_loop().replace("(99.47%)", "(99.74%)")),
    "header and bar": ("training images", keras().replace("Train on 60000", "Train on 54000")),
    "steps change": ("steps of an epoch change", f"{steps(figures(7))}\n{steps(figures()[7:], count=938)}\n"),
    "table does not sum": ("contradicts its total", table(total=3100)),
    "parts do not sum": ("contradict each other", table(trainable=3000)),
    "statistics are missing": ("running statistics", table(fixed=0)),
    "counts in the text": ("contradict each other", "Total params: 14,864\nTrainable params: 14,588\nNon-trainable params: 252\n"),
    "text and table": ("layer table", f"The network has 2,900 parameters.\n\n{table()}\n"),
    "limit and table": ("layer table", f"It has under 3,000 parameters.\n\n{table()}\n"),
    "biases": ("no biases", f"No bias is used in any layer.\n\n{table(biases=True)}\n"),
    "biases, where the task forbids them": (
        "no biases",
        f"You are not allowed to use:\n1. Dense\n2. Use biases\n\n{table(biases=True)}\n",
    ),
    "early stopping": ("to stop", f"{keras(figures(11))}\nEpoch 00011: early stopping\n"),
    "early stopping, in code": ("to stop", f"```python\nEarlyStopping(monitor='val_acc', patience=3)\n```\n{keras()}\n"),
    "stopped by hand": ("to stop", f"I stopped training when the test accuracy reached 99.4.\n\n{keras()}\n"),
    "plateau": ("to step the learning rate", f"{keras()}\nEpoch 00009: ReduceLROnPlateau reducing learning rate to 0.0003.\n"),
    "plateau, in a loop": ("to step the learning rate", f"```python\nscheduler.step(test_acc)\n```\n\n{course_loop()}\n"),
    "checkpoints": ("weights are kept", checkpointed()),
    "restored": ("to stop", f"Used `restore_best_weights=True`.\n\n{keras()}\n"),
}
HONEST = {
    "plain": f"# CODE9\n\n{keras()}\n{SCORE}",
    "best labelled, final beside it": f"Max validation accuracy: 99.53% (epoch 14), final: 99.47%\n\n{keras()}\n{SCORE}",
    "best labelled in a list": "- Best Test Accuracy: 99.53% (Epoch 14)\n- Final Test Accuracy: 99.47% (Epoch 15)\n\n"
    + course_loop(),
    "rounded": f"It reaches a test accuracy of 99.5%.\n\n{keras()}\n",
    "the task is no claim": "# Assignment:\n1. 99.6% accuracy\n2. in 2k parameters\n3. within 10 Epochs\n\n# Result:\n\n"
    f"{keras()}\n\n{table()}\n",
    "much dropout": keras(DROPOUT, planned=6),
    "small batches": steps(SMALL_BATCH, planned=4, count=3750),
    "training set measured after the epoch": starred([(e, a / 2, min(0.9995, b + 0.035), c, d) for e, a, b, c, d in figures(3)]),
    "two experiments": f"## A\n\n{keras()}\n\n## B\n\n"
    + keras([(e, a + 0.01, b, c, round(d - 0.001, 4)) for e, a, b, c, d in figures()]),
    "two experiments, two results": f"## A\n{SCORE}\n{keras()}\n\n## B\n\n[0.0185, 0.9937]\n\n"
    + keras([(e, a + 0.01, b, c + 0.002, round(d - 0.001, 4)) for e, a, b, c, d in figures()]),
    "elided in the middle": f"Trained for 15 epochs.\n\n{steps(figures(3))}\n...\n{steps(figures()[14:])}\n",
    "the last epochs": f"The last 5 epochs:\n\n{steps(figures()[10:])}\n",
    "a validation part to stop with": f"```python\nEarlyStopping(monitor='val_loss')\n```\n{VALIDATED}\n\nTest accuracy: 0.9931\n",
    "a validation part, and another test result": f"{VALIDATED}\n\nprint(model.evaluate(x_test, y_test))\n[0.0245, 0.9931]\n",
    "monitored on training": f"```python\nReduceLROnPlateau(monitor='loss')\n```\n{keras()}\n",
    "no early stopping": f"We did not use early stopping, and no ReduceLROnPlateau.\n\n{keras()}\n",
    "imported only": f"```python\nfrom keras.callbacks import EarlyStopping\n# EarlyStopping(monitor='val_acc')\n```\n{keras()}\n",
    "best kept, last reported": f"{checkpointed()}\n\nprint(score)\n[0.0165, 0.9947]\n",
    "float32": f"{keras()}\n\nprint(score)\n[0.016543518993379802, 0.9947000145912170]\n",
    "other images' count": f"{one_line_each()}\n".replace("Test", "Val"),
    "a mean over seeds": f"Mean over 5 seeds: 99.438% accuracy.\n\n{keras()}\n{SCORE}",
    "an honest table": f"No biases. 3,248 parameters in total, 3,216 trainable and 32 non-trainable.\n\n{table()}\n\n{keras()}\n",
    "biases that nobody denied": table(biases=True),
    "no dropout in a word": f"Dropout 0.1, momentum 0.99, Adam with betas [0.9, 0.999], pixels in [0.0, 1.0].\n\n{keras()}\n",
    "training accuracy lower": f"Training accuracy 99.38%, test accuracy 99.47%.\n\n{keras()}\n",
    "a rate above the head": tensorflow2(),
    "in brackets": bracketed(),
    "not reached": f"However, we have not reached 99.6% accuracy yet.\n\n{keras()}\n",
    "figures repeated below each epoch": course_loop().replace(
        "(99.53%)\n", "(99.53%)\nTesting - Loss: 0.0164, Accuracy: 99.53%\n"
    ),
    "best results under their own title": f"{keras()}\n\nBest Results (Epoch 14)\n=======\nTrain Accuracy: 99.36%\n"
    "Test Accuracy: 99.53%\n",
    "a story of smaller networks": f"Reduced from 10,272 parameters; 6.3M params were too many.\n\n{table()}\n",
    "one layer without bias, in code": f"```python\nConv2D(16, 3, use_bias=False)\n```\n{table(biases=True)}\n",
    "prose on an epoch": f"After 9 epochs the accuracy crossed 99.4%, after 15 epochs it is 99.47%.\n\n{keras()}\n",
}


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_is_found(name: str, tmp_path: Path) -> None:
    word, text = TRICKS[name]
    done = audited(tmp_path, text)
    found = [finding for finding in done.findings if word in finding.what]
    assert found, [finding.what for finding in done.findings]
    lines = text.splitlines()
    for finding in done.findings:
        assert 1 <= finding.line <= len(lines)
        assert finding.proof
        assert finding.evidence
        assert finding.file.endswith("README.md")


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_hand_in_gets_no_finding(name: str, tmp_path: Path) -> None:
    assert [finding.what for finding in audited(tmp_path, HONEST[name]).findings] == []


def test_evidence_stands_in_the_line_that_is_named(tmp_path: Path) -> None:
    text = f"Intro\n\nTest accuracy: 99.53% after {EPOCHS} epochs\n\n{keras()}\n"
    (finding,) = audited(tmp_path, text).findings
    assert finding.line == 3
    assert finding.evidence in text.splitlines()[2]


def test_one_error_is_one_finding(tmp_path: Path) -> None:
    for name in ("warm start", "ends early", "evaluate contradicts", "claim above all", "checkpoints", "table does not sum"):
        assert len(audited(tmp_path, TRICKS[name][1]).findings) == 1, name


def test_a_warm_start_leaves_its_epochs_unproven(tmp_path: Path) -> None:
    assert any("does not prove" in item.what for item in audited(tmp_path, TRICKS["warm start"][1]).unproven)


def test_what_is_not_shown_is_unproven_and_no_finding(tmp_path: Path) -> None:
    done = audited(tmp_path, f"Total params: 14,864, all under 15,000 parameters.\n\n{keras()}\n")
    said = [item.what for item in done.unproven]
    assert done.findings == ()
    assert "14,864 parameters: no layer table shows them." in said
    assert any("neither can be seen" in what for what in said)


def test_a_convolution_that_sees_its_whole_map_is_noted(tmp_path: Path) -> None:
    done = audited(tmp_path, table())
    assert done.findings == ()
    (note,) = done.notes
    assert "4×4" in note.what
    assert "fully connected" in note.what


def test_watching_what_is_not_known_to_be_the_test_is_unproven(tmp_path: Path) -> None:
    done = audited(tmp_path, f"We used early stopping.\n\n{bracketed()}\n")
    assert done.findings == ()
    assert any("whether it is the test split" in item.what for item in done.unproven)


def test_claims_say_whether_the_log_shows_them(tmp_path: Path) -> None:
    done = audited(
        tmp_path, f"15 epochs, 3,248 parameters, 99.47% test accuracy, best 99.53% in epoch 14.\n\n{keras()}\n\n{table()}\n"
    )
    assert [(claim.kind, claim.state) for claim in done.claims] == [
        ("accuracy", "shown"),
        ("accuracy", "shown"),
        ("parameters", "shown"),
        ("epochs", "shown"),
    ]
