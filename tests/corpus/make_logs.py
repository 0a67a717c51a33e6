"""Write the pasted hand-ins under `logs/` and their right answers, `logs.toml`: `python tests/corpus/make_logs.py`.

The numbers are invented, and each fits the others: test accuracies are counts of 10,000 images, losses go with accuracies,
times with sizes, rates with their schedule. One fixed seed for each document, so that the files come out the same again.
Standard library only.
"""

import json
import math
import random
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "logs"
BAR = "=" * 30
DOCUMENTS = []


def fallen(epoch, power):
    """What is left of the first epoch's errors: they fall fast, then slowly."""
    return (1 + epoch) ** -power


class History:
    """An invented training: rates, training figures and test counts for each epoch."""

    def __init__(
        self, seed, epochs, *, first=0.93, last=0.9935, test_first=9790, test_last=9941, fixed=None, images=10_000, rate=None
    ):
        dice = random.Random(seed)
        self.epochs, self.images = epochs, images
        self.rates = [rate(epoch) if rate else None for epoch in range(epochs)]
        self.accuracy, self.loss, self.counts, self.test_loss = [], [], [], []
        fixed = {epoch - 1: count for epoch, count in (fixed or {}).items()}
        top = max([test_last, *fixed.values()])
        power = 1.8 if first > 0.8 else 0.9
        for epoch in range(epochs):
            learned, share = (
                1 - (fallen(epoch, exponent) - fallen(epochs - 1, exponent)) / (1 - fallen(epochs - 1, exponent))
                for exponent in (power, 0.9)
            )
            accuracy = first + (last - first) * learned + dice.uniform(-0.0004, 0.0004)
            count = round(test_first + (test_last - test_first) * share + dice.gauss(0, 7) * (1.6 - share))
            count = fixed.get(epoch, min(count, top - 1))
            if epoch == epochs - 1 and epoch not in fixed:
                count = test_last
            self.accuracy.append(round(accuracy * 60_000) / 60_000)
            self.loss.append((1 - accuracy) * 3.15 + 0.0015 + dice.uniform(-4e-4, 4e-4))
            self.counts.append(count)
            self.test_loss.append((1 - count / images) * 3.0 + 0.0012 + dice.uniform(-9e-4, 9e-4))
        self.dice = dice

    def test(self, epoch):
        return self.counts[epoch] / self.images

    def answer(self):
        """The log's answer: fractions, as the text prints them."""
        values = [round(self.test(epoch), 4) for epoch in range(self.epochs)]
        last = values[-5:]
        return {
            "epochs": self.epochs,
            "final": values[-1],
            "best": max(values),
            "last5": round(sum(last) / len(last), 6),
            "last5_min": min(last),
        }


class Document:
    """Lines of text; remembers where logs and findings stand."""

    def __init__(self, file, trick, *, honest):
        self.file, self.trick, self.honest = file, trick, honest
        self.lines, self.logs, self.findings = [], [], []
        self.debate = None
        self.end = "\n"
        DOCUMENTS.append(self)

    def add(self, *lines):
        """Append lines and return the number of the last."""
        for text in lines:
            self.lines += text.split("\n")
        return len(self.lines)

    def log(self, history, opening, first, result, schedule=None, **more):
        """A log: its opening line (`Train on`, or the first epoch's head), the first epoch's head and its result."""
        entry = {**history.answer(), "line": first, "line_range": [opening, result], **more}
        if schedule:
            entry["schedule"] = schedule
        self.logs.append(entry)

    def finding(self, kind, line, *also):
        self.findings.append({"kind": kind, "line": line, **({"also_lines": sorted({*also} - {line})} if also else {})})

    def text(self):
        return self.end.join(self.lines) + self.end


def decay(start=0.003, factor=0.319):
    return lambda epoch: round(start / (1 + factor * epoch), 10)


def step(start, size, factor=0.1):
    return lambda epoch: round(start * factor ** (epoch // size), 10)


def exponential(start, factor):
    return lambda epoch: round(start * factor**epoch, 10)


def keras(
    document,
    h,
    *,
    unit="us/step",
    word="acc",
    scheduler=True,
    train=True,
    indent="",
    between="",
    seconds=None,
    samples=60_000,
    heads=True,
    talk="setting",
    offset=0,
    total=None,
    notes=None,
    schedule=None,
):
    """Keras's bar of 2.2 or tf.keras. `notes` are lines after an epoch; the numbers of all result lines are returned."""
    seconds = seconds or h.dice.randint(6, 21)
    opening = first = None
    results, total = [], total or h.epochs + offset
    if train:
        opening = document.add(f"{indent}Train on {samples} samples, validate on {h.images} samples")
    for epoch in range(h.epochs):
        number = epoch + 1 + offset
        if heads:
            first = first or len(document.lines) + 1
            document.add(f"{indent}Epoch {number}/{total}")
        if scheduler and h.rates[epoch] is not None:
            if heads:
                document.add(f"{indent}" if not indent.startswith(">") else indent.rstrip())
            document.add(f"{indent}Epoch {number:05d}: LearningRateScheduler {talk} learning rate to {h.rates[epoch]!r}.")
            first = first or len(document.lines)
        spent = seconds + h.dice.uniform(-0.3, 0.3) + (3 if epoch == 0 else 0)
        each = f"{spent / samples * 1e6:.0f}{unit}"
        figures = (
            f"loss: {h.loss[epoch]:.4f} - {word}: {h.accuracy[epoch]:.4f} - "
            f"val_loss: {h.test_loss[epoch]:.4f} - val_{word}: {h.test(epoch):.4f}"
        )
        results.append(document.add(f"{indent}{samples}/{samples} [{BAR}] - {spent:.0f}s {each} - {figures}"))
        first = first or results[0]
        for note in (notes or {}).get(epoch + 1, ()):
            document.add(indent + note)
        if between is not None and epoch < h.epochs - 1 and between != "":
            document.add(between)
    document.log(h, opening or first, first, results[0], schedule)
    return results


def keras_line(h, epoch, seconds):
    return (
        f"60000/60000 [{BAR}] - {seconds}s {seconds / 60_000 * 1e6:.0f}us/step - loss: {h.loss[epoch - 1]:.4f} - "
        f"acc: {h.accuracy[epoch - 1]:.4f} - val_loss: {h.test_loss[epoch - 1]:.4f} - val_acc: {h.test(epoch - 1):.4f}"
    )


def score(h, epoch=None):
    """What `evaluate` gives for the weights after that epoch: more digits of the same loss."""
    epoch = h.epochs - 1 if epoch is None else epoch - 1
    loss = round(h.test_loss[epoch], 4) + h.dice.uniform(-4e-5, 4e-5)
    return f"[{loss!r}, {h.test(epoch)!r}]"


def keras3(document, h, *, batches=469, rate=False, ansi=False, schedule=None):
    results, first = [], None
    for epoch in range(h.epochs):
        first = first or len(document.lines) + 1
        document.add(f"Epoch {epoch + 1}/{h.epochs}")
        spent = h.dice.randint(4, 6) + (2 if epoch == 0 else 0)
        tail = f" - learning_rate: {h.rates[epoch]:.4f}" if rate else ""
        bold, off, green, white = ("\x1b[1m", "\x1b[0m", "\x1b[32m", "\x1b[37m") if ansi else ("", "", "", "")
        bar = f"{green}{'━' * 20}{off}{white}{off}" if ansi else "━" * 20
        results.append(
            document.add(
                f"{bold}{batches}/{batches}{off} {bar} {bold}{spent}s{off} {spent * 1000 / batches:.0f}ms/step - "
                f"accuracy: {h.accuracy[epoch]:.4f} - loss: {h.loss[epoch]:.4f} - "
                f"val_accuracy: {h.test(epoch):.4f} - val_loss: {h.test_loss[epoch]:.4f}{tail}"
            )
        )
    document.log(h, first, first, results[0], schedule)
    return results


def torch_example(document, h, *, steps=(0, 20_480, 40_960), decimals=2, start_loss=2.302, head=1):
    """The loop of PyTorch's MNIST example."""
    results, first = [], None
    for epoch in range(h.epochs):
        for at in steps:
            share = at / 60_000
            fresh = start_loss + h.dice.uniform(-0.02, 0.02) * (1 if start_loss > 1 else 0.1)
            loss = fresh if epoch == 0 and at == 0 else h.loss[epoch] * (1.9 - share) * h.dice.uniform(0.6, 1.5)
            number = document.add(f"Train Epoch: {epoch + head} [{at}/60000 ({100 * share:.0f}%)]\tLoss: {loss:.6f}")
            first = first or number
        percent = f"{100 * h.test(epoch):.{decimals}f}%"
        document.add("")
        results.append(
            document.add(f"Test set: Average loss: {h.test_loss[epoch]:.4f}, Accuracy: {h.counts[epoch]}/{h.images} ({percent})")
        )
        document.add("")
    document.log(h, first, first, results[0])
    return results


def torch_tqdm(document, h, *, start=1, word="EPOCH", remains=True, notes=None, schedule=None):
    results, first = [], None
    for epoch in range(h.epochs):
        first = first or len(document.lines) + 1
        document.add(f"{word}: {epoch + start}")
        if remains:
            document.add("  0%|          | 0/469 [00:00<?, ?it/s]")
        spent = h.dice.randint(11, 14)
        document.add(
            f"Loss={h.loss[epoch] * h.dice.uniform(0.3, 1.8):.4f} Batch_id=468 Accuracy={100 * h.accuracy[epoch]:.2f}: "
            f"100%|{'█' * 10}| 469/469 [00:{spent}<00:00, {469 / spent:.2f}it/s]"
        )
        document.add("")
        results.append(
            document.add(
                f"Test set: Average loss: {h.test_loss[epoch]:.4f}, "
                f"Accuracy: {h.counts[epoch]}/{h.images} ({100 * h.test(epoch):.2f}%)"
            )
        )
        document.add("", *(notes or {}).get(epoch + 1, ()))
    document.log(h, first, first, results[0], schedule)
    return results


# Layers of a table: kind, output shape, kernel numbers, biases (if any), channels.
PLAIN = (
    ("conv", (26, 26, 16), 144),
    ("norm", (26, 26, 16), 64),
    ("conv", (24, 24, 20), 2880),
    ("norm", (24, 24, 20), 80),
    ("conv", (24, 24, 10), 200),
    ("pool", (12, 12, 10), 0),
    ("conv", (10, 10, 16), 1440),
    ("norm", (10, 10, 16), 64),
    ("conv", (8, 8, 16), 2304),
    ("norm", (8, 8, 16), 64),
    ("conv", (6, 6, 16), 2304),
    ("norm", (6, 6, 16), 64),
    ("conv", (6, 6, 10), 160),
    ("gap", (10,), 0),
    ("act", (10,), 0),
)
WORDS = {
    "conv": ("conv2d", "Conv2D"),
    "norm": ("batch_normalization", "BatchNormalization"),
    "pool": ("max_pooling2d", "MaxPooling2D"),
    "gap": ("global_average_pooling2d", "GlobalAveragePooling2D"),
    "act": ("activation", "Activation"),
}


def totals(biases=False):
    """Return total, trainable and non-trainable of the table."""
    total = sum(count + (shape[-1] if biases and kind == "conv" else 0) for kind, shape, count in PLAIN)
    fixed = sum(2 * shape[-1] for kind, shape, _ in PLAIN if kind == "norm")
    return total, total - fixed, fixed


def table(document, *, biases=False, claimed=None):
    """Keras's layer table; return the numbers of its convolution rows and of its last three lines."""
    document.add('Model: "sequential_1"', "_" * 65, f"{'Layer (type)':<29}{'Output Shape':<26}{'Param #':<10}", "=" * 65)
    rows, counters = [], {}
    for kind, shape, count in PLAIN:
        name, word = WORDS[kind]
        counters[kind] = counters.get(kind, 0) + 1
        left = f"{name}_{counters[kind]} ({word})"[:28]
        output = f"(None, {', '.join(map(str, shape))})"
        number = count + (shape[-1] if biases and kind == "conv" else 0)
        line = document.add(f"{left:<29}{output:<26}{number:<10}")
        if kind == "conv":
            rows.append(line)
        document.add("_" * 65)
    document.lines[-1] = "=" * 65
    total, trainable, fixed = totals(biases)
    last = [
        document.add(f"{name} params: {value:,}")
        for name, value in (("Total", claimed or total), ("Trainable", trainable), ("Non-trainable", fixed))
    ]
    document.add("_" * 65)
    return rows, last


def honest_keras():
    total = totals()[0]
    d = Document("keras-plain.md", "Keras 2.2, the last epoch claimed, a layer table that fits.", honest=True)
    h = History(1, 20, rate=decay(), test_last=9944, fixed={17: 9947})
    d.add("# Assignment 2", "", f"Parameters: {total:,}, no biases, no dense layer. 99.44% after 20 epochs.", "", "## Logs", "")
    keras(d, h, schedule="inverse_time")
    d.add("", "## Result of model.evaluate", "", "```", score(h), "```", "", "## Layers", "", "```")
    table(d)
    d.add("```")

    d = Document("tf-indented.md", "tf.keras in a list, indented, in a fence; the lines end as on Windows.", honest=True)
    h = History(2, 15, first=0.9372, test_last=9941, rate=decay())
    d.end = "\r\n"
    d.add("1. My network has 12,842 parameters.", "2. Logs:", "", "   ```")
    keras(d, h, unit="us/sample", word="accuracy", indent="   ", between="   ", talk="reducing", schedule="inverse_time")
    d.add("   <tensorflow.python.keras.callbacks.History at 0x7f21c03e5a58>", "   ```", "3. Result of evaluate: 99.41%")

    d = Document("quoted-block.md", "Each line of the log is quoted as in a mail.", honest=True)
    h = History(3, 12, rate=exponential(0.004, 0.85), test_last=9936)
    d.add("Our answer to the second assignment. We did not reach 99.4: the last epoch has 99.36.", "")
    keras(d, h, indent="> ", schedule="exponential")

    d = Document("cut-head.md", "The first lines of the log were lost when it was copied; nothing else is wrong.", honest=True)
    h = History(4, 18, first=0.9402, rate=decay(), test_last=9942)
    d.add("# LOGS", "")
    mark = len(d.lines)
    keras(d, h, schedule="inverse_time")
    cut = 3  # Train on, Epoch 1/18, and an empty line
    del d.lines[mark : mark + cut]
    d.logs[0]["line"], d.logs[0]["line_range"] = mark + 1, [mark + 1, mark + 2]
    d.add("", "# Accuracy", score(h))

    d = Document("two-verbosities.txt", "Keras with verbose=2, of two ages; two networks.", honest=True)
    for index, (seed, name) in enumerate(((5, "net A, 9,988 parameters"), (6, "net B, 7,114 parameters"))):
        h = History(seed, 10, first=0.921 - 0.01 * index, test_last=9925 - 8 * index)
        d.add(f"# {name}", "")
        first = len(d.lines) + 1
        for epoch in range(h.epochs):
            d.add(f"Epoch {epoch + 1}/{h.epochs}")
            if index == 0:
                d.add(
                    f" - 8s - loss: {h.loss[epoch]:.4f} - acc: {h.accuracy[epoch]:.4f} - "
                    f"val_loss: {h.test_loss[epoch]:.4f} - val_acc: {h.test(epoch):.4f}"
                )
            else:
                d.add(
                    f"469/469 - 3s - loss: {h.loss[epoch]:.4f} - accuracy: {h.accuracy[epoch]:.4f} - "
                    f"val_loss: {h.test_loss[epoch]:.4f} - val_accuracy: {h.test(epoch):.4f} - 3s/epoch - 6ms/step"
                )
        d.log(h, first, first, first + 1)
        d.add("", f"test accuracy at the end: {h.test(h.epochs - 1):.4f}", "")

    d = Document("keras3-bars.txt", "Keras 3 with its thin bars and the rate at the end of the line.", honest=True)
    h = History(7, 12, first=0.9056, test_last=9940, rate=step(0.004, 4, 0.5))
    keras3(d, h, rate=True, schedule="step")
    d.add("313/313 - 1s - 2ms/step - accuracy: 0.9940 - loss: " + f"{h.test_loss[-1]:.4f}")

    d = Document(
        "carriage-returns.txt",
        "A terminal's file: the bar's earlier states stand before the last, between carriage returns.",
        honest=True,
    )
    h = History(8, 8, first=0.9181, test_last=9918)
    first = d.add("Train on 60000 samples, validate on 10000 samples")
    for epoch in range(h.epochs):
        d.add(f"Epoch {epoch + 1}/{h.epochs}")
        states = [
            f"{seen}/60000 [{'=' * (seen // 2000)}>{'.' * (29 - seen // 2000)}] - ETA: {9 - seen // 7000}s - "
            f"loss: {h.loss[epoch] * 1.1:.4f} - acc: {h.accuracy[epoch] - 0.001:.4f}"
            for seen in (128, 20_096, 45_056)
        ]
        last = (
            f"60000/60000 [{BAR}] - 9s 150us/step - loss: {h.loss[epoch]:.4f} - acc: {h.accuracy[epoch]:.4f} - "
            f"val_loss: {h.test_loss[epoch]:.4f} - val_acc: {h.test(epoch):.4f}"
        )
        d.add("\r".join([*states, last]))
    d.log(h, first, first + 1, first + 2)

    d = Document("one-line.md", "Each epoch on one line, as Markdown joins lines.", honest=True)
    h = History(9, 20, first=0.9123, rate=decay(), test_last=9946)
    d.add("### print(score)", "", f" **{score(h)}**", "", "### Logs for 20 Epochs", "")
    first = len(d.lines) + 1
    for epoch in range(h.epochs):
        d.add(
            f" Epoch {epoch + 1}/20 Epoch {epoch + 1:05d}: LearningRateScheduler setting learning rate to {h.rates[epoch]!r}. "
            + keras_line(h, epoch + 1, 6)
            + " ",
            "",
        )
    d.log(h, first, first, first, "inverse_time")

    d = Document("whole-log-one-line.md", "The whole log on one single line.", honest=True)
    h = History(10, 10, first=0.9207, test_last=9921)
    pieces = ["Train on 60000 samples, validate on 10000 samples"]
    for epoch in range(h.epochs):
        pieces += [f"Epoch {epoch + 1}/10", keras_line(h, epoch + 1, 7)]
    first = d.add("Logs (10 epochs, last one 99.21%):", "", " ".join(pieces))
    d.log(h, first, first, first)

    d = Document(
        "highlight.md",
        "The best line is quoted again on top, named as what it is; the score claimed is the last epoch's.",
        honest=True,
    )
    h = History(11, 20, first=0.9462, rate=decay(), test_last=9943, fixed={16: 9950})
    d.add(
        "**print(score) output:** " + score(h),
        "",
        "**Max Validation Accuracy**",
        f"in Epoch 00016: LearningRateScheduler setting learning rate to {h.rates[15]!r}.",
        keras_line(h, 16, 19),
        "",
        "**All epochs:**",
        "",
    )
    keras(d, h, seconds=19, schedule="inverse_time")

    d = Document("two-models.md", "Two networks trained afresh, each with its own log and score.", honest=True)
    for seed, title, last in ((12, "With max pooling at the end", 9948), (13, "With average pooling at the end", 9939)):
        h = History(seed, 15, first=0.9024 if seed == 12 else 0.9311, rate=decay(), test_last=last)
        d.add(f"## {title}", "", score(h), "", "```")
        keras(d, h, schedule="inverse_time")
        d.add("```", "")


def honest_numbers():
    d = Document(
        "small-batches.md", "Batches of 32: the first epoch already ends at 0.962 in training, and is a first epoch.", honest=True
    )
    h = History(20, 12, first=0.9621, last=0.9948, test_first=9842, test_last=9940, rate=step(0.01, 6))
    d.add("SGD with momentum 0.9, `batch_size=32`, 8,870 parameters. Accuracy after 12 epochs: 99.40 %.", "", "```")
    keras(d, h, seconds=31, schedule="step")
    d.add("```")

    d = Document("fast-first-epoch.md", "A one-cycle rate and batches of 64: 0.968 in the first epoch.", honest=True)
    h = History(21, 10, first=0.9684, last=0.9965, test_first=9861, test_last=9945)
    d.add("OneCycleLR up to 0.05, batch size 64, 9,752 parameters.", "")
    torch_tqdm(d, h, remains=False)
    d.add("Final test accuracy 99.45%.")

    d = Document(
        "much-dropout.md", "Training accuracy stays far below test accuracy, because dropout works only in training.", honest=True
    )
    h = History(22, 20, first=0.8641, last=0.9553, test_first=9631, test_last=9942, rate=decay(0.3))
    d.add("- Dropout of 0.25 after each block.", "- Result of model.evaluate is 99.42%", "")
    keras(d, h, unit="us/sample", word="accuracy", schedule="inverse_time")

    d = Document(
        "validation-apart.md", "Stops early, on a part of the training images; the test images are read once.", honest=True
    )
    h = History(23, 14, first=0.9240, images=6000, test_first=5850, test_last=5957, fixed={11: 5963})
    d.add(
        "The last 6,000 training images are the validation part. `EarlyStopping(monitor='val_acc', patience=3)` stopped",
        "after epoch 14 of at most 30. The test images were not used before the very end.",
        "",
        "```",
    )
    keras(d, h, scheduler=False, samples=54_000, seconds=9, total=30, notes={14: ("Epoch 00014: early stopping",)})
    d.add("```", "", "`model.evaluate(x_test, y_test)` once, with the weights of the last epoch: [0.02471385219395859, 0.9921]")

    d = Document("best-and-last.md", "Says both: the best epoch, and the last one, which it claims.", honest=True)
    h = History(24, 15, test_last=9938, fixed={12: 9946})
    d.add(
        "| | test accuracy |",
        "| --- | --- |",
        "| best epoch (12) | 99.46 |",
        "| **last epoch (15), our result** | **99.38** |",
        "",
        "```",
    )
    keras(d, h, scheduler=False)
    d.add("```")

    d = Document("float32-score.md", "evaluate prints the accuracy as a float32: 0.9940999746322632 is 9,941 images.", honest=True)
    h = History(25, 10, first=0.9333, test_last=9941)
    keras(d, h, unit="us/sample", word="accuracy", scheduler=False)
    d.add(
        f"10000/10000 [{BAR}] - 1s 61us/sample - loss: {h.test_loss[-1]:.4f} - accuracy: 0.9941",
        f"[{round(h.test_loss[-1], 4)!r}, 0.9940999746322632]",
    )

    d = Document(
        "training-count.md",
        "Total and trainable differ by BatchNormalization's statistics; both are given, each by its name.",
        honest=True,
    )
    total, trainable, fixed = totals()
    h = History(26, 10, test_last=9932)
    d.add(f"The network has {trainable:,} trainable parameters ({total:,} with the {fixed} that are not trained).", "", "```")
    table(d)
    keras(d, h, scheduler=False)
    d.add("```")

    d = Document("no-log.md", "No log at all: claims without evidence, and no evidence against them.", honest=True)
    d.add("# MNIST", "", "13,402 parameters, 99.43 % on the test images after 19 epochs. The notebook is on request.")

    d = Document(
        "resumed.md",
        "The notebook was closed after ten epochs; initial_epoch=10 goes on to twenty, and the text says so.",
        honest=True,
    )
    h = History(27, 16, rate=decay(), test_last=9940)
    d.add(
        "Trained for 16 epochs in two sittings (8, then `initial_epoch=8` from the saved weights). The last epoch has 99.40 %.", ""
    )
    results = keras(d, h, schedule="inverse_time", between="")
    at = results[7]
    d.lines.insert(at, "Train on 60000 samples, validate on 10000 samples")
    d.debate = (
        "Two calls of fit, one training of 16 epochs that the text declares; read as two logs (8 and 8 epochs) it is right as well."
    )

    d = Document("pasted-twice.md", "The same log, to the last digit, is pasted twice.", honest=True)
    h = History(30, 8, test_last=9921)
    d.add("8 epochs, 99.21 %.", "")
    start = len(d.lines)
    keras(d, h, scheduler=False)
    d.add("", "And once more, as asked in the forum:", "", *d.lines[start:])

    d = Document("assignment-quoted.md", "Quotes the task's limits, which are no claims, and does not reach them.", honest=True)
    h = History(31, 18, rate=decay(), test_last=9936)
    d.add(
        "> 99.4% accuracy, in 15k parameters, within 20 Epochs. No fully connected layer, no biases.",
        "",
        f"We have {totals()[0]:,} parameters and end with 99.36% after 18 epochs, so the task is not solved.",
        "",
        "```",
    )
    keras(d, h, schedule="inverse_time")
    table(d)
    d.add("```")

    d = Document("others-work.md", "Names accuracies of other people's networks.", honest=True)
    h = History(32, 10, test_last=9929)
    d.add(
        "LeNet-5 has 61,706 parameters and 99.05 %; the best network we know of has 99.79 %. Last year's group wrote of 99.51 %",
        "in 25 epochs. **Ours: 99.29 % in 10 epochs.**",
        "",
        "```",
    )
    torch_example(d, h, steps=(0, 30_080))
    d.add("```")

    d = Document("other-data.md", "Another data set, more epochs, far lower accuracies.", honest=True)
    h = History(28, 12, first=0.412, last=0.779, test_first=5120, test_last=7421)
    d.add("CIFAR-10 with 24,106 parameters, for comparison: 74.21 % after 12 epochs.", "", "```")
    keras(d, h, scheduler=False)
    d.add("```")

    d = Document("rows.md", "The log as a table, in percent.", honest=True)
    h = History(29, 12, first=0.9288, test_last=9943)
    d.add(
        "Final accuracy: **99.43 %** (epoch 12)",
        "",
        "| epoch | train loss | train accuracy (%) | test loss | test accuracy (%) |",
        "| ---: | ---: | ---: | ---: | ---: |",
    )
    first = len(d.lines) + 1
    for e in range(h.epochs):
        d.add(f"| {e + 1} | {h.loss[e]:.4f} | {100 * h.accuracy[e]:.2f} | {h.test_loss[e]:.4f} | {100 * h.test(e):.2f} |")
    d.log(h, first - 2, first, first)


def honest_torch():
    d = Document("torch-example.txt", "PyTorch's MNIST example, with two decimals in the percentage.", honest=True)
    torch_example(d, History(40, 14, test_first=9803, test_last=9937))

    d = Document(
        "torch-example-rounded.txt",
        "PyTorch's MNIST example as it is: percentages without decimals, 99% from 9850 on.",
        honest=True,
    )
    torch_example(d, History(41, 8, test_first=9790, test_last=9914), decimals=0, steps=(0, 30_080))

    d = Document("torch-tqdm.md", "tqdm's bars with their remains, epochs from 0.", honest=True)
    h = History(42, 15, first=0.9194, test_last=9942, rate=step(0.01, 8))
    d.add("**Target**: 99.4 in 15 epochs under 10k parameters", "**Result**: 9,842 parameters, last epoch 99.42", "", "```")
    torch_tqdm(d, h, start=0)
    d.add("```")

    d = Document(
        "torch-lightning.txt",
        "One line an epoch, as a training framework leaves it, and its table of the test at the end.",
        honest=True,
    )
    h = History(43, 10, first=0.9231, images=5000, test_first=4890, test_last=4959)
    first = None
    for e in range(h.epochs):
        number = d.add(
            f"Epoch {e}: 100%|{'█' * 10}| 430/430 [00:05<00:00, 82.{e}1it/s, v_num=3, train_loss={h.loss[e]:.4f}, "
            f"train_acc={h.accuracy[e]:.4f}, val_loss={h.test_loss[e]:.4f}, val_acc={h.test(e):.4f}]"
        )
        first = first or number
    d.log(h, first, first, first)
    d.add(
        "`Trainer.fit` stopped: `max_epochs=10` reached.",
        "─" * 60,
        "       Test metric             DataLoader 0",
        "─" * 60,
        "        test_acc            0.9908000230789185",
        "        test_loss           0.028731601312756538",
        "─" * 60,
    )

    d = Document("torch-percent.md", "A loop of one's own: percentages with two decimals, training and test.", honest=True)
    h = History(44, 20, first=0.9055, test_last=9940, rate=exponential(0.02, 0.9))
    d.add("Test accuracy after the 20th epoch: 99.40%", "", "```")
    first = len(d.lines) + 1
    for e in range(h.epochs):
        d.add(
            f"Epoch {e + 1}/20 | lr {h.rates[e]:.6f} | train loss {h.loss[e]:.4f} acc {100 * h.accuracy[e]:.2f}% | "
            f"test loss {h.test_loss[e]:.4f} acc {100 * h.test(e):.2f}%"
        )
    d.log(h, first, first, first, "exponential")
    d.add("```")


def false_claims():
    d = Document("best-sold.md", "The best epoch's accuracy is given as the result; the last epoch has less.", honest=False)
    h = History(60, 20, rate=decay(), test_last=9939, fixed={17: 9951})
    claim = d.add("# CODE9", "", "Final validation accuracy: **99.51%**, 20 epochs")
    d.add("", "```")
    keras(d, h, schedule="inverse_time")
    d.add("```", "", score(h))
    d.finding("best_sold_as_final", claim)

    d = Document("best-sold-torch.md", "«We reach 99.41»: in one epoch of fifteen, and not in the last.", honest=False)
    h = History(61, 15, test_last=9928, fixed={9: 9941})
    claim = d.add("Results: parameters 7,960; accuracy 99.41; epochs 15")
    d.add("", "```")
    torch_tqdm(d, h)
    d.add("```")
    d.finding("best_sold_as_final", claim)

    d = Document("best-sold-rows.md", "A table of steps where each accuracy is its best epoch's.", honest=False)
    h = History(62, 12, test_last=9930, fixed={8: 9944})
    d.add("| step | parameters | accuracy |", "| --- | --- | --- |")
    claim = d.add("| final model | 9,310 | 99.44 % |")
    d.add("", "Log of the final model:", "", "| epoch | test loss | test accuracy |", "| --- | --- | --- |")
    first = len(d.lines) + 1
    for e in range(h.epochs):
        d.add(f"| {e + 1} | {h.test_loss[e]:.4f} | {100 * h.test(e):.2f} % |")
    d.log(h, first - 2, first, first)
    d.finding("best_sold_as_final", claim)

    d = Document(
        "highlight-sold.md",
        "The best line is quoted on top as the result; in the log it stands two epochs before the end.",
        honest=False,
    )
    h = History(63, 20, first=0.9401, rate=decay(), test_last=9942, fixed={18: 9952})
    claim = d.add("## Accuracy reached: 99.52", "", keras_line(h, 18, 12))
    d.add("", "## Log", "")
    keras(d, h, seconds=12, schedule="inverse_time")
    d.finding("best_sold_as_final", claim, claim - 2, claim)
    d.findings[-1]["line"] = claim - 2
    d.findings[-1]["also_lines"] = [claim]

    d = Document("warm-start.md", "The first epoch opens at 0.9834 in training: the weights had been trained before.", honest=False)
    h = History(64, 18, first=0.9834, last=0.9921, test_first=9881, test_last=9941, rate=decay())
    d.add("18 epochs were enough: 99.41", "")
    results = keras(d, h, schedule="inverse_time")
    d.finding("warm_start", results[0], *range(d.logs[0]["line_range"][0], results[0] + 1))

    d = Document("warm-start-one-line.md", "The same on one line an epoch.", honest=False)
    h = History(65, 10, first=0.9871, last=0.9938, test_first=9902, test_last=9943)
    d.add("### Logs", "")
    first = len(d.lines) + 1
    for e in range(h.epochs):
        d.add(f"Epoch {e + 1}/10 " + keras_line(h, e + 1, 8), "")
    d.log(h, first, first, first)
    d.finding("warm_start", first)

    d = Document(
        "warm-start-torch.txt", "The very first batch of «epoch 1» has a loss of 0.05, where a fresh network has 2.3.", honest=False
    )
    h = History(66, 10, first=0.985, last=0.993, test_first=9899, test_last=9940)
    results = torch_example(d, h, start_loss=0.0512)
    d.finding("warm_start", d.logs[0]["line"], *range(d.logs[0]["line"], results[0] + 1))

    d = Document("more-epochs.md", "«Within 15 epochs», above a log of twenty.", honest=False)
    h = History(67, 20, rate=decay(), test_last=9942)
    claim = d.add("99.42 % within 15 epochs and 12,106 parameters.")
    d.add("", "```")
    results = keras(d, h, schedule="inverse_time")
    d.add("```")
    d.finding("more_epochs_than_claimed", claim, claim, d.logs[0]["line"], *results[15:], *[line - 3 for line in results[15:]])

    d = Document("more-epochs-keras3.md", "Claims ten epochs; Keras 3 prints fourteen.", honest=False)
    h = History(68, 14, first=0.9004, test_last=9940)
    claim = d.add("**Epochs: 10**, test accuracy 0.9940")
    d.add("", "```")
    results = keras3(d, h)
    d.add("```")
    d.finding("more_epochs_than_claimed", claim, claim, d.logs[0]["line"], *results[10:], *[line - 1 for line in results[10:]])

    d = Document("second-fit.md", "After the 15 epochs, fit is called again on the same weights: ten more.", honest=False)
    h = History(69, 15, rate=decay(), test_last=9931)
    d.add("# One network, 14,000 parameters", "", "Test accuracy at the end: 99.42%", "", "```")
    keras(d, h, schedule="inverse_time")
    h = History(70, 10, first=0.9936, last=0.9951, test_first=9932, test_last=9942)
    d.add("```", "", "model.fit once more:", "", "```")
    results = keras(d, h, scheduler=False)
    d.add("```")
    d.finding("second_fit", d.logs[1]["line"], *range(d.logs[1]["line_range"][0] - 3, results[0] + 1))
    d.findings[-1]["also_kinds"] = ["warm_start", "more_epochs_than_claimed"]

    d = Document("evaluate-differs.md", "evaluate gives more than the log's last epoch, and equals no epoch of it.", honest=False)
    h = History(71, 15, rate=decay(), test_last=9937, fixed={13: 9943})
    keras(d, h, schedule="inverse_time")
    line = d.add("", "Result of model.evaluate:", "", "[0.016213744201064, 0.9952]")
    d.finding("evaluate_contradicts_log", line)
    d.findings[-1]["also_kinds"] = ["claim_contradicts_log"]

    d = Document("never-reached.md", "Claims an accuracy that no epoch of the log reaches.", honest=False)
    h = History(72, 12, test_last=9933, fixed={10: 9938})
    claim = d.add("Test accuracy: 99.61%")
    d.add("", "```")
    torch_example(d, h, steps=(0, 30_080))
    d.add("```")
    d.finding("claim_contradicts_log", claim)


def false_counts():
    total, _, _ = totals()
    d = Document("count-and-table.md", "The text claims fewer parameters than the layer table adds up to.", honest=False)
    h = History(80, 10, test_last=9935)
    claim = d.add(f"Total params: {total - 320:,}")
    d.add("", "```")
    _, last = table(d)
    keras(d, h, scheduler=False)
    d.add("```")
    d.finding("counts_contradict", claim, claim, last[0])

    d = Document("table-sum.md", "The total under the table was edited: its rows add up to more.", honest=False)
    h = History(81, 10, test_last=9936)
    d.add("```")
    _, last = table(d, claimed=total - 1200)
    keras(d, h, scheduler=False)
    d.add("```")
    d.finding("counts_contradict", last[0], *last)

    d = Document("two-counts.md", "Two totals for the same network in one text.", honest=False)
    h = History(82, 10, rate=decay(), test_last=9938)
    one = d.add("# Week 2", "", "**Total params:** 13,962")
    d.add("", "```")
    keras(d, h, schedule="inverse_time")
    two = d.add("```", "", "In sum: 13,296 total params, 99.38 %.")
    d.finding("counts_contradict", two, one, two)

    d = Document("biases-in-table.md", "«Without biases»; the layer table counts one for each filter.", honest=False)
    h = History(83, 12, test_last=9941)
    claim = d.add("All convolutions are without biases.")
    d.add("", "```")
    rows, last = table(d, biases=True)
    d.add("```", "")
    keras(d, h, scheduler=False)
    d.finding("biases_in_table", rows[0], *rows, claim, last[0])

    d = Document("impossible-score.md", "An accuracy that no count of 10,000 images gives: 0.99437.", honest=False)
    h = History(84, 10, test_last=9940)
    keras(d, h, scheduler=False)
    line = d.add("", "evaluate: [0.0182447109375, 0.99437]")
    d.finding("impossible_accuracy", line)
    d.findings[-1]["also_kinds"] = ["evaluate_contradicts_log", "claim_contradicts_log"]

    d = Document("impossible-percent.txt", "9935 of 10000 are printed as 99.53%.", honest=False)
    h = History(85, 8, test_last=9935)
    results = torch_example(d, h, steps=(0, 30_080))
    d.lines[results[-1] - 1] = d.lines[results[-1] - 1].replace("(99.35%)", "(99.53%)")
    d.finding("impossible_accuracy", results[-1])
    d.findings[-1]["also_kinds"] = ["counts_contradict", "claim_contradicts_log"]
    d.debate = (
        "The finding is sure; whether the last accuracy is 0.9935 (the count) or 0.9953 (the percentage) is not. "
        "The answers take the count."
    )

    d = Document("ends-early.md", "The heads count to 20, the log ends with 14, and the text speaks of 20.", honest=False)
    h = History(86, 14, rate=decay(), test_last=9941)
    claim = d.add("Logs of the 20 epochs, 99.41 %")
    d.add("", "```")
    results = keras(d, h, total=20, schedule="inverse_time")
    d.add("```")
    d.finding("ends_early", results[-1], claim, d.logs[0]["line"], *range(results[-1] - 3, results[-1] + 1))
    d.findings[-1]["also_kinds"] = ["claim_contradicts_log"]

    d = Document("stopped-by-hand.txt", "Stopped by hand in epoch 9 of 15, where the accuracy was good.", honest=False)
    h = History(87, 8, first=0.9111, test_last=9940)
    results = keras(d, h, scheduler=False, total=15)
    line = d.add(
        "Epoch 9/15", "13824/60000 [=====>........................] - ETA: 7s - loss: 0.0203 - acc: 0.9934", "KeyboardInterrupt"
    )
    d.finding("ends_early", results[-1], d.logs[0]["line"], results[-1] - 1, line - 2, line - 1, line)


def torch_table(document, *, biases):
    """A summary as PyTorch's users print it; return its convolution rows and its total line."""
    rule, rows, total = "-" * 64, [], 0
    document.add(rule, f"{'Layer (type)':>25}{'Output Shape':>24}{'Param #':>15}", "=" * 64)
    for index, (kind, shape, kernel) in enumerate(
        (
            ("Conv2d", (8, 26, 26), 72),
            ("BatchNorm2d", (8, 26, 26), 16),
            ("ReLU", (8, 26, 26), 0),
            ("MaxPool2d", (8, 13, 13), 0),
            ("Conv2d", (16, 11, 11), 1152),
            ("BatchNorm2d", (16, 11, 11), 32),
            ("ReLU", (16, 11, 11), 0),
            ("Conv2d", (24, 9, 9), 3456),
            ("BatchNorm2d", (24, 9, 9), 48),
            ("ReLU", (24, 9, 9), 0),
            ("Conv2d", (10, 9, 9), 240),
            ("AvgPool2d", (10, 1, 1), 0),
        ),
        1,
    ):
        count = kernel + (shape[0] if biases and kind == "Conv2d" else 0)
        total += count
        line = document.add(f"{f'{kind}-{index}':>25}{[-1, *shape]!s:>24}{count:>15,}")
        if kind == "Conv2d":
            rows.append(line)
    document.add("=" * 64)
    last = document.add(f"Total params: {total:,}")
    document.add(f"Trainable params: {total:,}", "Non-trainable params: 0", rule)
    return rows, last, total


def more_false_ones():
    d = Document(
        "biases-torch-table.md", "bias=False is claimed; each row of the summary has a number for each filter more.", honest=False
    )
    h = History(100, 10, test_last=9934)
    claim = d.add("**bias=False in all convolutions**, last epoch 99.34")
    d.add("", "```")
    rows, last, _ = torch_table(d, biases=True)
    torch_tqdm(d, h, remains=False)
    d.add("```")
    d.finding("biases_in_table", rows[0], *rows, claim, last)

    d = Document("count-torch-table.md", "The heading has fewer parameters than the summary below.", honest=False)
    h = History(101, 10, test_last=9931)
    claim = d.add("## Result: 4,816 parameters, 99.31 after 10 epochs")
    d.add("", "```")
    _, last, _ = torch_table(d, biases=False)
    torch_tqdm(d, h, start=0, remains=False)
    d.add("```")
    d.finding("counts_contradict", claim, claim, last)

    d = Document(
        "claimed-epoch.md", "«99.41 already in epoch 6»: epoch 6 has 99.06, and the figure comes in epoch 13.", honest=False
    )
    h = History(102, 14, test_last=9938, fixed={6: 9906, 13: 9941})
    claim = d.add("99.41 % already in epoch 6; the last epoch has 99.38 %.")
    d.add("", "```")
    results = keras(d, h, scheduler=False)
    d.add("```")
    d.finding("claim_contradicts_log", claim, claim, results[5])
    d.findings[-1]["also_kinds"] = ["best_sold_as_final"]

    d = Document(
        "evaluate-of-other-weights.md",
        "evaluate, right below the log, gives a loss and an accuracy of other weights.",
        honest=False,
    )
    h = History(103, 12, first=0.9241, test_last=9929)
    keras(d, h, unit="us/sample", word="accuracy", scheduler=False)
    line = d.add("", f"10000/10000 [{BAR}] - 1s 58us/sample - loss: 0.0151 - accuracy: 0.9951")
    score_line = d.add("Test accuracy: 0.9951")
    d.finding("evaluate_contradicts_log", line, line, score_line)
    d.findings[-1]["also_kinds"] = ["claim_contradicts_log"]

    d = Document("impossible-epoch.txt", "One epoch has more digits than 10,000 images can give.", honest=False)
    h = History(104, 8, test_last=9933)
    results = keras(d, h, scheduler=False)
    forged = results[4]
    d.lines[forged - 1] += "37"
    value = float(d.lines[forged - 1].rsplit(" ", 1)[1])
    d.finding("impossible_accuracy", forged)
    values = [round(h.test(epoch), 4) for epoch in range(8)]
    values[4] = value
    d.logs[0].update(best=max(values), last5=round(sum(values[-5:]) / 5, 6), last5_min=min(values[-5:]))

    d = Document("ends-early-tqdm.md", "«15 epochs», and the log holds eleven, the last bar unfinished.", honest=False)
    h = History(105, 11, test_last=9940)
    claim = d.add("Epochs: 15. Accuracy: 99.40. Parameters: 7,312.")
    d.add("", "```")
    results = torch_tqdm(d, h)
    rest = d.add("EPOCH: 12", "Loss=0.0312 Batch_id=171 Accuracy=99.12:  37%|███▋      | 172/469 [00:04<00:07, 39.87it/s]")
    d.add("```")
    d.finding("ends_early", results[-1], claim, *range(results[-1] - 4, rest + 1), d.logs[0]["line"])
    d.findings[-1]["also_kinds"] = ["claim_contradicts_log"]


def chosen_by_test():
    d = Document("plateau.md", "ReduceLROnPlateau watches the test accuracy.", honest=False)
    h = History(90, 15, test_last=9942)
    d.add("callbacks = [ReduceLROnPlateau(monitor='val_acc', factor=0.2, patience=2, verbose=1)]", "")
    code = len(d.lines) - 1
    notes = {
        6: ("", "Epoch 00006: ReduceLROnPlateau reducing learning rate to 0.0006000000052154065."),
        10: ("", "Epoch 00010: ReduceLROnPlateau reducing learning rate to 0.00012000000569969416."),
    }
    keras(d, h, scheduler=False, notes=notes)
    said = [number for number, text in enumerate(d.lines, 1) if "ReduceLROnPlateau" in text]
    d.finding("test_used_to_choose", said[1], code, *said)

    d = Document("checkpoint.md", "Keeps the weights of the best test epoch and evaluates those.", honest=False)
    h = History(91, 12, test_last=9936, fixed={9: 9945})
    best, notes = 0.0, {}
    for e in range(h.epochs):
        value = h.test(e)
        notes[e + 1] = (
            "",
            f"Epoch {e + 1:05d}: val_acc improved from {best if best else -math.inf:.5f} to {value:.5f}, saving model to best.h5"
            if value > best
            else f"Epoch {e + 1:05d}: val_acc did not improve from {best:.5f}",
        )
        best = max(best, value)
    keras(d, h, scheduler=False, notes=notes)
    loaded = d.add("", "model.load_weights('best.h5')")
    line = d.add("print(model.evaluate(x_test, y_test))", score(h, 9))
    said = [number for number, text in enumerate(d.lines, 1) if "val_acc improved" in text or "did not improve" in text]
    d.finding("test_used_to_choose", said[0], *said, loaded, line)
    d.findings[-1]["also_kinds"] = ["best_sold_as_final", "evaluate_contradicts_log"]

    d = Document("early-stopping.md", "Stops when the test accuracy does not rise, and goes back to its best epoch.", honest=False)
    h = History(92, 14, test_last=9935, fixed={11: 9943})
    claim = d.add("Accuracy: 99.43 % (EarlyStopping, restore_best_weights=True)")
    d.add("", "```")
    notes = {14: ("Restoring model weights from the end of the best epoch: 11.", "Epoch 00014: early stopping")}
    keras(d, h, scheduler=False, total=40, notes=notes)
    said = [number for number, text in enumerate(d.lines, 1) if "early stopping" in text or "Restoring" in text]
    d.add("```")
    d.finding("test_used_to_choose", said[0], *said, claim)
    d.findings[-1]["also_kinds"] = ["best_sold_as_final", "ends_early"]

    d = Document("torch-plateau.md", "The scheduler is given the test accuracy.", honest=False)
    h = History(93, 12, test_last=9939)
    d.add(
        "```python",
        "scheduler = ReduceLROnPlateau(optimizer, mode='max', factor=0.1, patience=1, verbose=True)",
        "for epoch in range(1, 13):",
        "    train(model, train_loader, optimizer, epoch)",
    )
    call = d.add("    test_loss, test_acc = test(model, test_loader)", "    scheduler.step(test_acc)")
    d.add("```", "", "```")
    notes = {
        7: ("Epoch 00007: reducing learning rate of group 0 to 1.0000e-03.",),
        11: ("Epoch 00011: reducing learning rate of group 0 to 1.0000e-04.",),
    }
    torch_tqdm(d, h, remains=False, notes=notes)
    said = [
        number
        for number, text in enumerate(d.lines, 1)
        if "reducing learning rate of group" in text or "ReduceLROnPlateau(" in text
    ]
    d.add("```")
    d.finding("test_used_to_choose", call, *said, call, call - 1)

    d = Document("lightning-checkpoint.txt", "A checkpoint callback that watches test_acc.", honest=False)
    h = History(94, 10, test_last=9934, fixed={7: 9942})
    first, best, said = None, 0.0, []
    for e in range(h.epochs):
        number = d.add(
            f"Epoch {e}: 100%|{'█' * 10}| 469/469 [00:06<00:00, 75.{e}0it/s, v_num=0, train_loss={h.loss[e]:.4f}, "
            f"train_acc={h.accuracy[e]:.4f}, test_acc={h.test(e):.4f}]"
        )
        first = first or number
        if h.test(e) > best:
            best = h.test(e)
            said.append(
                d.add(
                    f"Epoch {e}, global step {469 * (e + 1)}: 'test_acc' reached {best:.5f} (best {best:.5f}), "
                    f"saving model to 'checkpoints/epoch={e}.ckpt' as top 1"
                )
            )
        else:
            said.append(d.add(f"Epoch {e}, global step {469 * (e + 1)}: 'test_acc' was not in top 1"))
    d.log(h, first, first, first)
    d.finding("test_used_to_choose", said[0], *said)


class Notebook(Document):
    """Cells instead of lines; `line` is the line of the .ipynb file, one indented space for each level, as Jupyter writes it."""

    def __init__(self, file, trick, *, honest):
        super().__init__(file, trick, honest=honest)
        self.cells = []

    def code(self, source, output=None):
        """A code cell; `output` is a function that writes text into a document (its lines become the cell's stream)."""
        inner = Document.__new__(Document)
        inner.lines, inner.logs, inner.findings, inner.file = [], [], [], self.file
        if output:
            output(inner)
        self.cells.append(("code", source.split("\n"), inner))
        return inner

    def markdown(self, *lines):
        inner = Document.__new__(Document)
        inner.lines, inner.logs, inner.findings = [], [], []
        self.cells.append(("markdown", list(lines), inner))

    def text(self):
        return self.dumped() + "\n"

    def dumped(self):
        cells, number = [], 0
        for kind, source, inner in self.cells:
            cell = {"cell_type": kind, "metadata": {}, "source": ended(source)}
            if kind == "code":
                number += 1
                cell["execution_count"] = number
                cell["outputs"] = (
                    [{"name": "stdout", "output_type": "stream", "text": ended([*inner.lines, ""])}] if inner.lines else []
                )
            cells.append(dict(sorted(cell.items())))
        book = {
            "cells": cells,
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
        return json.dumps(book, indent=1, ensure_ascii=False)

    def settle(self):
        """Translate each cell's own line numbers into those of the file."""
        lines = self.dumped().split("\n")
        at = 0
        for index, (kind, _, inner) in enumerate(self.cells):
            wanted = lines.index(f'   "cell_type": "{kind}",', at)
            if inner.lines:
                start = lines.index('     "text": [', wanted) + 1
                for log in inner.logs:
                    log["line"] += start
                    log["line_range"] = [start + number for number in log["line_range"]]
                    self.logs.append({**log, "cell": index + 1})
            at = wanted + 1

    def line_of(self, text):
        """Return the number of the one line of the file that holds `text`."""
        found = [number for number, line in enumerate(self.dumped().split("\n"), 1) if text in line]
        assert len(found) == 1, (self.file, text, found)
        return found[0]


def ended(lines):
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines and lines[-1] else [])


IMPORTS = "from keras.models import Sequential\nfrom keras.layers import Conv2D, BatchNormalization, GlobalAveragePooling2D"
BUILD = "model = Sequential()\nmodel.add(Conv2D(16, 3, activation='relu', use_bias=False, input_shape=(28, 28, 1)))"
FIT = "model.fit(X_train, Y_train, batch_size=128, epochs={}, verbose=1, validation_data=(X_test, Y_test))"


def notebooks():
    d = Notebook("keras.ipynb", "A Keras notebook with its outputs.", honest=True)
    h = History(110, 12, first=0.9290, rate=decay(), test_last=9940)
    d.markdown("# CODE9", "", "99.40 % after 12 epochs")
    d.code(IMPORTS)
    d.code(BUILD)
    d.code(FIT.format(12), lambda inner: keras(inner, h, schedule="inverse_time"))
    d.code("score = model.evaluate(X_test, Y_test, verbose=0)\nprint(score)", lambda inner: inner.add(score(h)))

    d = Notebook("keras3-colour.ipynb", "A Keras 3 notebook: bars with colour codes.", honest=True)
    h = History(111, 8, first=0.8962, test_last=9917)
    d.code("import keras\n" + BUILD)
    d.code(FIT.format(8), lambda inner: keras3(inner, h, ansi=True))

    d = Notebook("torch.ipynb", "A PyTorch notebook with tqdm's remains.", honest=True)
    h = History(112, 10, first=0.9180, test_last=9934)
    d.markdown("Last epoch: 99.34")
    d.code(
        "for epoch in range(1, 11):\n    train(model, train_loader, optimizer, epoch)\n    test(model, test_loader)",
        lambda inner: torch_tqdm(inner, h),
    )

    d = Notebook("two-networks.ipynb", "Two networks, each built anew before its fit.", honest=True)
    one, two = History(113, 6, first=0.9242, test_last=9901), History(114, 6, first=0.9139, test_last=9893)
    d.code(BUILD + "\nmodel.compile('adam', 'categorical_crossentropy', metrics=['accuracy'])")
    d.code(FIT.format(6), lambda inner: keras(inner, one, scheduler=False))
    d.code(BUILD.replace("16", "12") + "\nmodel.compile('adam', 'categorical_crossentropy', metrics=['accuracy'])")
    d.code(FIT.format(6), lambda inner: keras(inner, two, scheduler=False))

    d = Notebook("fit-twice.ipynb", "fit is called twice on one model, and the text counts the second time alone.", honest=False)
    one, two = (
        History(115, 10, first=0.9301, test_last=9926),
        History(116, 10, first=0.9920, last=0.9947, test_first=9928, test_last=9941),
    )
    d.markdown("99.41 % in 10 epochs")
    d.code(BUILD + "\nmodel.compile('adam', 'categorical_crossentropy', metrics=['accuracy'])")
    d.code(FIT.format(10), lambda inner: keras(inner, one, scheduler=False))
    d.code(FIT.format(10).replace("verbose=1", "verbose=True"), lambda inner: keras(inner, two, scheduler=False))
    d.after = lambda d: (
        d.finding(
            "second_fit",
            d.logs[1]["line"],
            *range(d.logs[1]["line_range"][0], d.logs[1]["line_range"][1] + 1),
            d.line_of("verbose=True"),
        ),
        d.findings[-1].update(also_kinds=["warm_start", "more_epochs_than_claimed"]),
    )

    d = Notebook("best-sold.ipynb", "The heading claims the best epoch of the output below.", honest=False)
    h = History(117, 12, first=0.9333, test_last=9932, fixed={10: 9944})
    d.markdown("# MNIST in 11,940 parameters", "", "Final test accuracy 99.44 %")
    d.code(FIT.format(12), lambda inner: keras(inner, h, scheduler=False))
    d.after = lambda d: d.finding("best_sold_as_final", d.line_of("Final test accuracy"))

    d = Notebook("loaded.ipynb", "Loads weights before it starts to count epochs.", honest=False)
    h = History(118, 8, first=0.9866, last=0.9931, test_first=9903, test_last=9940)
    d.code(BUILD)
    d.code("model.load_weights('/content/last_night.h5')")
    d.code(FIT.format(8), lambda inner: keras(inner, h, scheduler=False))
    d.after = lambda d: d.finding(
        "warm_start",
        d.logs[0]["line_range"][1],
        *range(d.logs[0]["line_range"][0], d.logs[0]["line_range"][1]),
        d.line_of("load_weights"),
    )


def written(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def answers():
    lines = [
        "# The pasted hand-ins of the corpus and their right answers; written by make_logs.py. README.md explains each field.",
        "",
    ]
    for d in DOCUMENTS:
        lines += ["[[document]]", f"file = {written(d.file)}", f"trick = {written(d.trick)}", f"honest = {written(d.honest)}"]
        lines += [f"count = {len(d.logs)}"]
        if d.debate:
            lines += ["debatable = true", f"reason = {written(d.debate)}"]
        for name, entries in (("log", d.logs), ("finding", d.findings)):
            for entry in entries:
                lines += [f"[[document.{name}]]", *(f"{key} = {written(value)}" for key, value in entry.items())]
        lines.append("")
    return "\n".join(lines)


def main():
    for write in (
        honest_keras,
        honest_numbers,
        honest_torch,
        false_claims,
        false_counts,
        more_false_ones,
        chosen_by_test,
        notebooks,
    ):
        write()
    FOLDER.mkdir(exist_ok=True)
    for d in DOCUMENTS:
        if isinstance(d, Notebook):
            d.settle()
            if hasattr(d, "after"):
                d.after(d)
        (FOLDER / d.file).write_bytes(d.text().encode())
    (HERE / "logs.toml").write_text(answers(), encoding="utf-8")
    assert not re.search(r"\bnan\b", answers())


if __name__ == "__main__":
    main()
