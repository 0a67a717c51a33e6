"""Logs as authors paste them, made from the figures of one training, for the tests of `audit`."""

from collections.abc import Callable, Sequence

from budgetnet import log_form

TRAINED = (0.9497, 0.98, 0.9842, 0.9864, 0.9882, 0.9898, 0.9902, 0.9912, 0.9914, 0.9924, 0.9925, 0.9932, 0.9939, 0.9936, 0.9938)
LOSSES = (0.1601, 0.0659, 0.0502, 0.0439, 0.0375, 0.0336, 0.0311, 0.0278, 0.0257, 0.024, 0.0234, 0.0218, 0.0193, 0.0199, 0.0192)
TESTED = (0.9805, 0.9866, 0.9914, 0.9907, 0.9921, 0.9884, 0.9922, 0.9912, 0.9943, 0.992, 0.9937, 0.9944, 0.9925, 0.9953, 0.9947)
TEST_LOSSES = (
    0.056,
    0.0485,
    0.0269,
    0.0293,
    0.0238,
    0.0366,
    0.0216,
    0.0242,
    0.0185,
    0.0226,
    0.0178,
    0.0167,
    0.0214,
    0.0164,
    0.0165,
)
EPOCHS = len(TESTED)
BAR = "=" * 30
Row = tuple[int, float, float, float, float]
"""Epoch from 1, training loss and accuracy, test loss and accuracy."""


def figures(last: int = EPOCHS) -> list[Row]:
    """An honest training: final 0.9947, best 0.9953 in epoch 14."""
    return list(zip(range(1, last + 1), LOSSES, TRAINED, TEST_LOSSES, TESTED, strict=False))


def keras(rows: Sequence[Row] | None = None, planned: int = EPOCHS, rate: Callable[[int], float] | None = None) -> str:
    """The form of the published hand-ins, by the writer that prints it."""
    rate = rate or (lambda epoch: 0.003 / (1 + 0.319 * epoch))
    logged = [
        {
            "epoch": e,
            "rate": rate(e - 1),
            "loss": a,
            "accuracy": b,
            "val_loss": c,
            "val_accuracy": d,
            "samples": 60000,
            "validated": 10000,
        }
        for e, a, b, c, d in rows or figures()
    ]
    return log_form.whole_log(logged, [{"epoch": row["epoch"], "seconds": 7.2} for row in logged], planned)


def steps(rows: Sequence[Row] | None = None, planned: int = EPOCHS, count: int = 469) -> str:
    """Keras after 2.2: its bar counts steps."""
    return "\n".join(
        f"Epoch {e}/{planned}\n{count}/{count} [{BAR}] - 5s 10ms/step - loss: {a:.4f} - accuracy: {b:.4f} - val_loss: {c:.4f} "
        f"- val_accuracy: {d:.4f}"
        for e, a, b, c, d in rows or figures()
    )


def keras3(rows: Sequence[Row] | None = None) -> str:
    """Keras 3, its colours without their escape character, the rate in the line."""
    return "\n".join(
        f"Epoch {e}/{EPOCHS}\n[1m469/469[0m [32m{'━' * 20}[0m[37m[0m [1m5s[0m 10ms/step - accuracy: {b:.4f} - loss: {a:.4f} "
        f"- val_accuracy: {d:.4f} - val_loss: {c:.4f} - learning_rate: {0.003 / (1 + 0.319 * (e - 1)):.4e}"
        for e, a, b, c, d in rows or figures()
    )


def verbose2(rows: Sequence[Row] | None = None) -> str:
    """One line for each epoch, of Keras 3."""
    return "\n".join(
        f"Epoch {e}/{EPOCHS}\n469/469 - 5s - 10ms/step - loss: {a:.4f} - accuracy: {b:.4f} - val_loss: {c:.4f} "
        f"- val_accuracy: {d:.4f}"
        for e, a, b, c, d in rows or figures()
    )


def verbose2_old(rows: Sequence[Row] | None = None) -> str:
    """One line for each epoch, of Keras 2.2."""
    return "Train on 60000 samples, validate on 10000 samples\n" + "\n".join(
        f"Epoch {e}/{EPOCHS}\n - 5s - loss: {a:.4f} - acc: {b:.4f} - val_loss: {c:.4f} - val_acc: {d:.4f}"
        for e, a, b, c, d in rows or figures()
    )


def tensorflow2(rows: Sequence[Row] | None = None) -> str:
    """`us/sample`, the rate above the epoch's head, indented in a list."""
    return "\n".join(
        f"  - \n     Epoch {e:05d}: LearningRateScheduler reducing learning rate to {round(0.3 / (1 + 0.319 * (e - 1)), 10)}.\n"
        f"     Epoch {e}/{EPOCHS}\n     60000/60000 [{BAR}] - 18s 302us/sample - loss: {a:.4f} - accuracy: {b:.4f} "
        f"- val_loss: {c:.4f} - val_accuracy: {d:.4f}"
        for e, a, b, c, d in rows or figures()
    )


def checkpointed(rows: Sequence[Row] | None = None) -> str:
    """A bar that is printed twice, as ModelCheckpoint makes it; the first time without validation."""
    return "\n".join(
        f"Epoch {e}/{EPOCHS}\n469/469 [{BAR}] - ETA: 0s - loss: {a:.4f} - accuracy: {b:.4f}\n"
        f"Epoch {e:05d}: val_accuracy improved from 0.90000 to {d:.5f}, saving model to best.h5\n"
        f"469/469 [{BAR}] - 5s 10ms/step - loss: {a:.4f} - accuracy: {b:.4f} - val_loss: {c:.4f} - val_accuracy: {d:.4f}"
        for e, a, b, c, d in rows or figures()
    )


def redrawn(rows: Sequence[Row] | None = None) -> str:
    """What is left of a bar that redrew itself with carriage returns and backspaces."""
    return "\n".join(
        f"Epoch {e}/{EPOCHS}\n"
        + "".join(f"\r{k * 128:5d}/60000 [>{'.' * 29}] - ETA: 9s - loss: 0.5 - acc: 0.8" + "\b" * 70 for k in range(1, 6))
        + f"\r60000/60000 [{BAR}] - 10s 168us/step - loss: {a:.4f} - acc: {b:.4f} - val_loss: {c:.4f} "
        f"- val_acc: {d:.4f}"
        for e, a, b, c, d in rows or figures()
    )


def coloured(rows: Sequence[Row] | None = None) -> str:
    """Colour codes of a terminal, and Windows line ends."""
    return verbose2(rows).replace("Epoch", "\x1b[1mEpoch\x1b[0m").replace("\n", "\r\n")


def commented(rows: Sequence[Row] | None = None) -> str:
    """Pasted below the code, as a comment."""
    return "\n".join(f"# {line}" for line in verbose2(rows).splitlines())


def course_loop(rows: Sequence[Row] | None = None, first: int = 1) -> str:
    """The loop of the PyTorch courses, with tqdm's bar; the loss is the last batch's."""
    return "\n".join(
        f"EPOCH: {e - 1 + first}\nLoss=0.0194{e} Batch_id=468 Accuracy={100 * b:.2f}: "
        f"100%|██████████| 469/469 [00:12<00:00, 37.2it/s]\n"
        f"  0%|          | 0/469 [00:00<?, ?it/s]\n\nTest set: Average loss: {c:.4f}, Accuracy: {round(d * 10000)}/10000 "
        f"({100 * d:.2f}%)\n"
        for e, a, b, c, d in rows or figures()
    )


def course_loop_from_zero(rows: Sequence[Row] | None = None) -> str:
    """The same, counted from 0."""
    return course_loop(rows, first=0)


def headless_loop(rows: Sequence[Row] | None = None) -> str:
    """The same without the numbers of its epochs."""
    return "\n".join(line for line in course_loop(rows).splitlines() if not line.startswith("EPOCH"))


def bar_glued_loop(rows: Sequence[Row] | None = None) -> str:
    """The remains of the next bar stand in the line of the result."""
    return course_loop(rows).replace("it/s]\n\nTest set", "it/s]Test set").replace("EPOCH: ", "epoch= ")


def basic_loop(rows: Sequence[Row] | None = None) -> str:
    """PyTorch's own example: batches, then `(99%)`."""
    return "\n".join(
        "\n".join(
            f"Train Epoch: {e} [{k * 10000}/60000 ({k * 17}%)]\tLoss: {2.3 if e == 1 and k == 0 else (300 - k) / 10000:.4f}"
            for k in range(6)
        )
        + f"\n\nTest set: Average loss: {c:.4f}, Accuracy: {round(d * 10000)}/10000 ({100 * d:.0f}%)\n"
        for e, a, b, c, d in rows or figures()
    )


def one_line_each(rows: Sequence[Row] | None = None) -> str:
    """`Epoch 1/15, Train Loss: …`, percentages."""
    return "\n".join(
        f"Epoch {e}/{EPOCHS}, Train Loss: {a:.4f}, Test Loss: {c:.4f}, Train Acc: {100 * b:.2f}%, Test Acc: {100 * d:.2f}%"
        for e, a, b, c, d in rows or figures()
    )


def key_values(rows: Sequence[Row] | None = None) -> str:
    """`Epoch 3: train_loss=… val_acc=99.2%`."""
    return "\n".join(
        f"Epoch {e}: train_loss={a:.4f} val_loss={c:.4f} val_acc={100 * d:.2f}%" for e, a, b, c, d in rows or figures()
    )


def barred(rows: Sequence[Row] | None = None) -> str:
    """`| Train: Loss=…, Acc=… | Test: … | Best: …`: the best so far is not this epoch's."""
    return "\n".join(
        f"Epoch {e:2d} | Train: Loss={a:.4f}, Acc={100 * b:.2f}% | Test: Loss={c:.4f}, Acc={100 * d:.2f}% "
        "| LR=0.010000 | Best: 99.99%"
        for e, a, b, c, d in rows or figures()
    )


def bracketed(rows: Sequence[Row] | None = None) -> str:
    """Two lines for each epoch, its number in brackets."""
    return "\n".join(
        f"Epoch [{e}/{EPOCHS}], Training Accuracy: {100 * b:.2f}%\nEpoch [{e}/{EPOCHS}], Validation Accuracy: {100 * d:.2f}%"
        for e, a, b, c, d in rows or figures()
    )


def logger(rows: Sequence[Row] | None = None) -> str:
    """Each line behind a time stamp."""
    return "\n".join(
        f"2025-01-08 12:46:08 | INFO | EPOCH: {e}\n"
        f"2025-01-08 12:46:13 | INFO | Loss=0.0063 Batch_id=468 Accuracy={100 * b:.2f}\n"
        f"2025-01-08 12:46:14 | INFO | Test set: Average loss: {c:.4f}, Accuracy: {round(d * 10000)}/10000 ({100 * d:.2f}%)"
        for e, a, b, c, d in rows or figures()
    )


def starred(rows: Sequence[Row] | None = None) -> str:
    """A head between stars, the training set measured after the epoch."""
    return "\n".join(
        f"LR =  [0.01]\n********* Epoch = {e} *********\n"
        f"loss=0.0425 batch_id=468: 100%|██████████| 469/469 [00:17<00:00,  3.45it/s]\n\n"
        f"Epoch {e}: Train set: Average loss: {a:.4f}, Accuracy: {round(b * 60000)}/60000 ({round(b * 60000) / 600:.2f}%)\n\n"
        f"Test set: Average loss: {c:.4f}, Accuracy: {round(d * 10000)}/10000 ({100 * d:.2f}%)\n"
        for e, a, b, c, d in rows or figures()
    )


FORMS = (
    keras,
    steps,
    keras3,
    verbose2,
    verbose2_old,
    tensorflow2,
    checkpointed,
    redrawn,
    coloured,
    commented,
    course_loop,
    course_loop_from_zero,
    headless_loop,
    bar_glued_loop,
    basic_loop,
    one_line_each,
    key_values,
    barred,
    bracketed,
    logger,
    starred,
)
