"""The published logs, rebuilt from numbers: a difference in one character would show beside a hand-in."""

import doctest
import math

import pytest

from budgetnet import log_form
from budgetnet.recipe import Recipe
from budgetnet.schedule import rate_of_epoch

# The rates as the five documents print them: «setting learning rate to …» for 0.003 (six of the seven networks), for 0.3 (high-lr).
PUBLISHED_RATES = {
    0.003: [
        "0.003",
        "0.0022744503",
        "0.0018315018",
        "0.0015329586",
        "0.0013181019",
        "0.0011560694",
        "0.0010295127",
        "0.0009279307",
        "0.0008445946",
        "0.0007749935",
        "0.0007159905",
        "0.000665336",
        "0.0006213753",
        "0.0005828638",
        "0.0005488474",
        "0.0005185825",
        "0.000491481",
        "0.0004670715",
        "0.0004449718",
        "0.000424869",
    ],
    0.3: [
        "0.3",
        "0.2274450341",
        "0.1831501832",
        "0.153295861",
        "0.1318101933",
        "0.1156069364",
        "0.1029512697",
        "0.0927930715",
        "0.0844594595",
        "0.0774993542",
        "0.0715990453",
        "0.0665335995",
        "0.0621375311",
        "0.0582863804",
        "0.054884742",
        "0.0518582541",
        "0.0491480996",
        "0.0467071462",
        "0.0444971818",
        "0.0424868999",
    ],
}

# The opening of code9's log: (seconds, loss, accuracy, loss and accuracy on the test split), and the text as it was handed in.
CODE9_EPOCHS = [(22.8, 0.1601, 0.9497, 0.0560, 0.9805), (18.96, 0.0659, 0.9800, 0.0485, 0.9866)]
CODE9_LOG = """\
Train on 60000 samples, validate on 10000 samples
Epoch 1/20

Epoch 00001: LearningRateScheduler setting learning rate to 0.003.
60000/60000 [==============================] - 23s 380us/step - loss: 0.1601 - acc: 0.9497 - val_loss: 0.0560 - val_acc: 0.9805
Epoch 2/20

Epoch 00002: LearningRateScheduler setting learning rate to 0.0022744503.
60000/60000 [==============================] - 19s 316us/step - loss: 0.0659 - acc: 0.9800 - val_loss: 0.0485 - val_acc: 0.9866"""


def row(epoch: int = 1, samples: int = 60000, **changes: float | None) -> dict[str, float | int | None]:
    seen = {"epoch": epoch, "samples": samples, "samples_seen": epoch * samples, "validated": 10000, "rate": 0.003}
    return seen | {"loss": 0.1601, "accuracy": 0.9497, "val_loss": 0.056, "val_accuracy": 0.9805} | changes


@pytest.mark.parametrize("start", PUBLISHED_RATES)
def test_rates_equal_the_published_ones_to_the_last_digit(start: float) -> None:
    recipe = Recipe(name="any", network="any", rate=start)
    printed = [log_form.rate_text(rate_of_epoch(recipe, epoch)) for epoch in range(20)]
    assert printed == PUBLISHED_RATES[start]


def test_log_is_the_published_one() -> None:
    recipe = Recipe(name="code9", network="code9")
    rows, timing = [], []
    for epoch, (seconds, loss, accuracy, val_loss, val_accuracy) in enumerate(CODE9_EPOCHS, start=1):
        rate = rate_of_epoch(recipe, epoch - 1)
        rows.append(row(epoch, rate=rate, loss=loss, accuracy=accuracy, val_loss=val_loss, val_accuracy=val_accuracy))
        timing.append({"epoch": epoch, "seconds": seconds})
    assert log_form.whole_log(rows, timing, 20) == CODE9_LOG


def test_log_of_a_run_that_watched_nothing() -> None:
    text = log_form.whole_log(
        [row(samples=1500, validated=0, val_loss=None, val_accuracy=None)], [{"epoch": 1, "seconds": 0.75}], epochs=3
    )
    first, *_, last = text.splitlines()
    assert first == "Train on 1500 samples"
    assert last == "1500/1500 [==============================] - 1s 500us/step - loss: 0.1601 - acc: 0.9497"


@pytest.mark.parametrize(
    ("seconds", "samples", "text"),
    [
        (0.0004, 1000, " - 0s 0us/step"),
        (0.6, 600, " - 1s 1ms/step"),
        (0.5999, 600, " - 1s 1000us/step"),
        (75.4, 60000, " - 75s 1ms/step"),  # whole seconds also past a minute: 1:15 is for the time that is left
        (30.0, 10, " - 30s 3s/step"),
        (None, 10, "] - loss"),
    ],
)
def test_time_in_keras_units(seconds: float | None, samples: int, text: str) -> None:
    assert text in log_form.epoch_line(row(samples=samples), seconds)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05604, "0.0560"),
        (0.00101, "0.0010"),
        (0.001, "1.0000e-03"),
        (0.00002345, "2.3450e-05"),
        (0.0, "0.0000e+00"),
        (1.0, "1.0000"),
    ],
)
def test_small_numbers_keep_their_digits(value: float, text: str) -> None:
    assert f" - loss: {text} - acc" in log_form.epoch_line(row(loss=value), 1.0)


def test_diverged_loss_is_shown() -> None:
    assert " - loss: nan - " in log_form.epoch_line(row(loss=math.nan), 1.0)


def test_tiny_rate_is_not_printed_as_zero() -> None:
    assert log_form.rate_text(3e-12) == "3e-12"


def test_epoch_without_known_time_is_still_printed() -> None:
    assert log_form.whole_log([row()], [], 1).endswith(
        "[==============================]" + CODE9_LOG.splitlines()[4].split("us/step")[1]
    )


def test_no_rows_no_text() -> None:
    assert log_form.whole_log([], [], 20) == ""


def test_examples_in_the_docstrings() -> None:
    results = doctest.testmod(log_form)
    assert results.attempted >= 2
    assert results.failed == 0
