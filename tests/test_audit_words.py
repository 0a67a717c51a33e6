"""What a text claims of its own log, and what it only quotes: the task's limits, other people's figures, epochs by number."""

from pathlib import Path

import pytest
from pasted_logs import basic_loop, course_loop, figures, keras, one_line_each, steps

from budgetnet.audit import Document, audit_file


def audited(folder: Path, text: str) -> Document:
    (folder / "README.md").write_text(text, encoding="utf-8")
    return audit_file(folder / "README.md")


LAYERS = """```
Layer (type)                 Output Shape              Param #
=================================================================
conv2d (Conv2D)              (None, 26, 26, 16)        144
batch_normalization (BatchNo (None, 26, 26, 16)        64
conv2d_1 (Conv2D)            (None, 24, 24, 10)        1440
max_pooling2d (MaxPooling2D) (None, 4, 4, 10)          0
conv2d_2 (Conv2D)            (None, 1, 1, 10)          1600
=================================================================
Total params: 3,248
Trainable params: 3,216
Non-trainable params: 32
```
"""
MINE = "We have 3,248 parameters and end with 99.47 % after 15 epochs.\n"
TASKS = {
    "block quote": "> 99.4% accuracy, in 15k parameters, within 10 Epochs. No fully connected layer.\n\n",
    "long block quote": "> Build a network for MNIST:\n> - at most 2,000 parameters\n> - 99.6 % test accuracy\n> - within 10 epochs\n\n",
    "numbered": "The assignment asks for:\n\n1. 99.6 % test accuracy\n2. at most 2,000 parameters\n3. within 10 epochs\n\n",
    "requirements": "## Requirements\n\n- test accuracy >= 99.6 %\n- < 2k parameters\n- < 10 epochs\n\n## Result\n\n",
    "sentence": "The task: at most 2,000 parameters, 99.6 % test accuracy, less than 10 epochs.\n\n",
    "must": "The network must have fewer than 2,000 parameters and reach 99.6 % within 10 epochs.\n\n",
    "over two lines": "The course demands at most 2,000 parameters, 99.6 % accuracy\nand no more than 10 epochs of training.\n\n",
    "budget": "The parameter budget is 2,000 parameters; 10 epochs are allowed.\n\n",
    "asked": "We were asked to train a network with 2,000 parameters to 99.6 % test accuracy in 10 epochs.\n\n",
    "limit": "Limits: 2,000 parameters, 10 epochs.\n\n",
    "imperative": "Reach 99.6 % on the test images with 2,000 parameters or fewer in 10 epochs.\n\n",
    "italic": "*Task: at most 2,000 parameters within 10 epochs, 99.6 % accuracy.*\n\n",
}
OTHERS = {
    "a paper": "Cireşan et al. reached 99.77 % with 25 epochs. ",
    "LeNet": "LeNet-5 has 61,706 parameters and 99.65 % test accuracy after 20 epochs; ours is smaller. ",
    "wrapped": "Last year's group wrote of 99.71 %\nin 25 epochs and 12,112 parameters. ",
    "the example": "The Keras example trains 12 epochs to 99.75 % test accuracy. ",
    "baseline": "Baseline: 99.61 % test accuracy after 30 epochs with 1,199,882 parameters.\n\n",
    "best known": "The best known network has a test accuracy of 99.87 %. ",
    "author and year": "Wan (2013) reports an accuracy of 99.79 % after 40 epochs. ",
    "section": "## Related work\n\nA wide network has 99.81 % test accuracy in 50 epochs and 700,000 parameters.\n\n## This network\n\n",
    "they": "Another team got 99.66 % accuracy. They trained for 40 epochs. ",
    "state of the art": "State of the art on MNIST: 99.84 % test accuracy. ",
    "compared": "Compared with VGG-16 (99.68 % accuracy, 138M parameters, 60 epochs), this is small. ",
    "tutorial": "The official PyTorch tutorial prints 99.61 % test accuracy after 14 epochs. ",
}


@pytest.mark.parametrize("name", TASKS)
def test_a_quoted_limit_contradicts_nothing(name: str, tmp_path: Path) -> None:
    assert [item.what for item in audited(tmp_path, f"# Net\n\n{TASKS[name]}{MINE}\n{LAYERS}\n{keras()}\n").findings] == []


@pytest.mark.parametrize("name", TASKS)
def test_a_false_claim_below_a_quoted_limit_is_still_found(name: str, tmp_path: Path) -> None:
    text = f"# Net\n\n{TASKS[name]}{MINE.replace('3,248', '2,948').replace('99.47', '99.53')}\n{LAYERS}\n{keras()}\n"
    found = [item.what for item in audited(tmp_path, text).findings]
    assert any("layer table" in what for what in found), found
    assert any("sold as final" in what for what in found), found


@pytest.mark.parametrize("name", OTHERS)
def test_other_peoples_figures_contradict_nothing(name: str, tmp_path: Path) -> None:
    text = f"# Net\n\n{OTHERS[name]}{MINE}\n{LAYERS}\n{keras()}\n"
    assert [item.what for item in audited(tmp_path, text).findings] == []


@pytest.mark.parametrize("name", OTHERS)
def test_an_own_claim_beside_other_peoples_is_held(name: str, tmp_path: Path) -> None:
    text = f"# Net\n\n{OTHERS[name]}{MINE.replace('99.47', '99.53')}\n{LAYERS}\n{keras()}\n"
    assert any("sold as final" in item.what for item in audited(tmp_path, text).findings)


EPOCH_CLAIMS = [
    "99.47 % already in epoch 6; it ends at 99.47 %.",
    "Already 99.44% in the 5th epoch.",
    "Epoch 6: 99.44 % test accuracy.",
    "In epoch 3 the network has 99.41 % on the test images.",
    "Best test accuracy: 99.53% (epoch 12)",
    "The test accuracy reached 99.43% at epoch 4.",
    "Accuracy 99.4 % as early as epoch 2.",
]
TRUE_CLAIMS = [
    "99.43 % already in epoch 9; it ends at 99.47 %.",
    "Already 99.21% in the 5th epoch.",
    "Epoch 6: 98.84 % test accuracy.",
    "In epoch 3 the network has 99.14 % on the test images.",
    "Best test accuracy: 99.53% (epoch 14)",
    "The accuracy stays above 99.2 % from epoch 9 on.",
    "After epoch 4 the rate is lowered, and the test accuracy rises to 99.47 %.",
    "Training accuracy 98.82 % in epoch 5, test accuracy 99.21 %.",
    "It first crosses 99.4 % in epoch 9.",
]


@pytest.mark.parametrize("claim", EPOCH_CLAIMS)
@pytest.mark.parametrize("form", [keras, course_loop, one_line_each])
def test_a_claim_of_a_certain_epoch_that_the_log_denies_is_found(claim: str, form: object, tmp_path: Path) -> None:
    (finding,) = audited(tmp_path, f"{claim}\n\n{form()}\n").findings  # type: ignore[operator]
    assert "the log shows" in finding.what
    assert finding.line == 1


@pytest.mark.parametrize("claim", TRUE_CLAIMS)
def test_a_true_claim_of_a_certain_epoch_gets_no_finding(claim: str, tmp_path: Path) -> None:
    assert [item.what for item in audited(tmp_path, f"{claim}\n\n{keras()}\n").findings] == []


def parted(form: object, between: str) -> str:
    text: str = form()  # type: ignore[operator]
    head = "Train on 60000 samples, validate on 10000 samples\n"
    cut = text.index("Epoch 9/15")
    return text[:cut] + between + (head if text.startswith("Train on") else "") + text[cut:]


@pytest.mark.parametrize("form", [keras, steps])
@pytest.mark.parametrize(
    ("said", "between"),
    [
        ("Trained for 15 epochs in two sittings (8, then `initial_epoch=8`).", "\n"),
        ("The notebook was disconnected after 8 epochs and went on from epoch 8; 15 epochs in all.", "\n```\n\n```\n"),
        ("Resumed from the checkpoint of epoch 8.", "\n### Second sitting\n\n"),
        ("15 epochs.", "\nmodel.fit(..., initial_epoch=8, epochs=15)\n"),
    ],
)
def test_a_declared_resume_is_one_log(form: object, said: str, between: str, tmp_path: Path) -> None:
    done = audited(tmp_path, f"{said}\n\n```\n{parted(form, between)}\n```\n")
    (log,) = done.logs
    assert (log.epochs, log.final) == (15, 0.9947)
    assert done.findings == ()


FIRST = {
    "the example's": "Train Epoch: {e} [0/60000 (0%)]\tLoss: {x:.6f}\nTrain Epoch: {e} [32000/60000 (53%)]\tLoss: 0.041\n\n"
    "Test set: Average loss: {c:.4f}, Accuracy: {n}/10000 ({d:.2f}%)\n",
    "a bar's first state": "Epoch {e}: 0%|          | 1/469 [00:00<00:40, 11.2it/s, loss={x:.4f}]\n"
    "Epoch {e}: 100%|██████████| 469/469 [00:10<00:00, 44.1it/s, loss=0.041]\nTest accuracy: {d:.2f}%\n",
    "batches by number": "Epoch {e}/15\nbatch 0: loss {x:.4f}\nbatch 400: loss 0.0410\nTest loss: {c:.4f}, test acc: {d:.2f}%\n",
    "steps": "Epoch [{e}/15], Step [1/938], Loss: {x:.4f}\nEpoch [{e}/15], Step [900/938], Loss: 0.0410\n"
    "Test set: Average loss: {c:.4f}, Accuracy: {n}/10000 ({d:.2f}%)\n",
}


def opened(name: str, first: float) -> str:
    return "\n".join(
        FIRST[name].format(e=e, x=first if e == 1 else 0.06 - e / 1000, c=c, d=100 * d, n=round(10000 * d))
        for e, a, b, c, d in figures()
    )


@pytest.mark.parametrize("name", FIRST)
def test_a_first_batch_that_no_fresh_network_shows_is_a_warm_start(name: str, tmp_path: Path) -> None:
    (finding,) = audited(tmp_path, opened(name, 0.05) + "\n").findings
    assert "warm start" in finding.what
    assert finding.line <= 2


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("loss", [2.31, 3.4, 1.9])
def test_a_fresh_first_batch_is_none(name: str, loss: float, tmp_path: Path) -> None:
    assert [item.what for item in audited(tmp_path, opened(name, loss) + "\n").findings] == []


def test_squared_errors_begin_low(tmp_path: Path) -> None:
    assert audited(tmp_path, "The loss is the mean squared error.\n\n" + opened("the example's", 0.1) + "\n").findings == ()


def test_the_example_as_it_is_printed_is_honest(tmp_path: Path) -> None:
    assert audited(tmp_path, basic_loop()).findings == ()
