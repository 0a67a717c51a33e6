"""Write the second set of pasted hand-ins, `fresh/` and `fresh.toml`: `python tests/corpus/make_fresh_logs.py`.

Written after the first set had been used to mend the audit, and before the audit was run on any of it: docs/LOG.md has the figures
of that first run. Forms that the first set lacks: other languages and decimal commas, semicolons, Keras of 2015, fast.ai's and
Flax's prints, quotes of quotes, HTML, backspaces, huge files. One fixed seed for each document. Standard library only.
"""

from pathlib import Path

import make_logs
from make_logs import BAR, BUILD, FIT, Document, History, Notebook, decay, keras, keras3, score, step, torch_tqdm

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "fresh"


def comma(value, digits):
    """A number as Germans, French and Spaniards write it."""
    return f"{value:.{digits}f}".replace(".", ",")


def line_with(document, text):
    """Return the number of the one line that holds `text`."""
    found = [number for number, line in enumerate(document.lines, 1) if text in line]
    assert len(found) == 1, (document.file, text, found)
    return found[0]


def keras_of_2016(document, h, *, notes=None):
    """Keras 1: seconds for the epoch alone."""
    opening = document.add("Train on 60000 samples, validate on 10000 samples")
    first = result = None
    for e in range(h.epochs):
        head = document.add(f"Epoch {e + 1}/{notes or h.epochs}")
        number = document.add(
            f"60000/60000 [{BAR}] - {9 + h.dice.randint(0, 1)}s - loss: {h.loss[e]:.4f} - acc: {h.accuracy[e]:.4f} - "
            f"val_loss: {h.test_loss[e]:.4f} - val_acc: {h.test(e):.4f}     "
        )
        first, result = first or head, result or number
    document.log(h, opening, first, result)


def german_table(document, h):
    document.add(
        "| Epoche | Trainingsverlust | Trainingsgenauigkeit | Testverlust | Testgenauigkeit |", "|---:|---:|---:|---:|---:|"
    )
    first = len(document.lines) + 1
    for e in range(h.epochs):
        document.add(
            f"| {e + 1} | {comma(h.loss[e], 4)} | {comma(100 * h.accuracy[e], 2)} % | {comma(h.test_loss[e], 4)} | "
            f"{comma(100 * h.test(e), 2)} % |"
        )
    document.log(h, first - 2, first, first)
    return first


def semicolons(document, h, header):
    document.add(header)
    first = len(document.lines) + 1
    for e in range(h.epochs):
        document.add(";".join([str(e + 1), *(comma(v, 4) for v in (h.loss[e], h.accuracy[e], h.test_loss[e], h.test(e)))]))
    document.log(h, first - 1, first, first)
    return first


def fast_ai(document, h, *, error=False):
    document.add(f"epoch\ttrain_loss\tvalid_loss\t{'error_rate' if error else 'accuracy'}\ttime")
    first = len(document.lines) + 1
    for e in range(h.epochs):
        value = 1 - h.test(e) if error else h.test(e)
        document.add(f"{e}\t{h.loss[e]:.6f}\t{h.test_loss[e]:.6f}\t{value:.6f}\t00:{h.dice.randint(11, 13)}")
    document.log(h, first - 1, first, first)
    return first


def flax(document, h, prefix=""):
    """Flax's MNIST example, which measures training accuracy while it trains."""
    first = len(document.lines) + 1
    for e in range(h.epochs):
        document.add(
            f"{prefix}epoch:{e + 1:3d}, train_loss: {h.loss[e]:.4f}, train_accuracy: {100 * h.accuracy[e]:.2f}, "
            f"test_loss: {h.test_loss[e]:.4f}, test_accuracy: {100 * h.test(e):.2f}"
        )
    document.log(h, first, first, first)
    return first


def bullets(document, h, mark="*"):
    first = len(document.lines) + 1
    for e in range(h.epochs):
        document.add(
            f"{mark} **Epoch {e + 1}**: train loss {h.loss[e]:.4f}, train acc {100 * h.accuracy[e]:.2f}%, "
            f"test loss {h.test_loss[e]:.4f}, test acc {100 * h.test(e):.2f}%"
        )
    document.log(h, first, first, first)
    return first


def brackets(document, h, start=1, total=None):
    first = len(document.lines) + 1
    for e in range(h.epochs):
        document.add(
            f"Epoch [{e + start}/{total or h.epochs}], Loss: {h.loss[e]:.4f}, Train Acc: {100 * h.accuracy[e]:.2f}%, "
            f"Test Acc: {100 * h.test(e):.2f}%"
        )
    document.log(h, first, first, first)
    return first


def redrawn(document, h, *, erase):
    """Keras 2 in a file: each epoch's bar is drawn over and over, with backspaces between; one long line for an epoch."""
    opening = document.add("Train on 60000 samples, validate on 10000 samples")
    first = result = None
    for e in range(h.epochs):
        head = document.add(f"Epoch {e + 1}/{h.epochs}")
        states = []
        for at in range(128, 60_000, 128):
            share = at / 60_000
            done = int(29 * share)
            loss = h.loss[e] * (1.05 - 0.05 * share) if e else 2.3 * (1 - share) ** 6 + h.loss[e] * (2 - share)
            accuracy = h.accuracy[e] * (0.99 + 0.01 * share) if e else h.accuracy[e] * min(1, 0.1 + 0.9 * share**0.2)
            states.append(
                f"{at:>5}/60000 [{'=' * done}>{'.' * (29 - done)}] - ETA: {int(9 * (1 - share))}s - "
                f"loss: {loss:.4f} - acc: {accuracy:.4f}"
            )
        states.append(
            f"60000/60000 [{BAR}] - 9s 150us/step - loss: {h.loss[e]:.4f} - acc: {h.accuracy[e]:.4f} - "
            f"val_loss: {h.test_loss[e]:.4f} - val_acc: {h.test(e):.4f}"
        )
        line = "".join(state + erase(state) for state in states[:-1]) + states[-1]
        number = document.add(line)
        first, result = first or head, result or number
    document.log(h, opening, first, result)


def honest_ones():
    d = Document("keras1.txt", "Keras 1 prints seconds and no time for a step; spaces trail.", honest=True)
    h = History(201, 12, first=0.8921, test_first=9741, test_last=9913)
    d.add("Using TensorFlow backend.", "X_train shape: (60000, 28, 28, 1)", "60000 train samples", "10000 test samples")
    keras_of_2016(d, h)
    d.add(f"Test score: {h.test_loss[-1]:.12f}", f"Test accuracy: {h.test(11)}")

    d = Document("keras-2015.txt", "Keras 0.2 counts from zero and writes «acc.» and «val. acc.».", honest=True)
    h = History(202, 10, first=0.9012, test_first=9762, test_last=9908)
    d.add("Train on 60000 samples, validate on 10000 samples")
    first = len(d.lines) + 1
    for e in range(10):
        d.add(
            f"Epoch {e}",
            f"60000/60000 [{BAR}] - 12s - loss: {h.loss[e]:.4f} - acc.: {h.accuracy[e]:.4f} - "
            f"val. loss: {h.test_loss[e]:.4f} - val. acc.: {h.test(e):.4f}",
        )
    d.log(h, first - 1, first, first + 1)

    d = Document("deutsch.md", "Deutscher Text mit Dezimalkommas, das Protokoll mit Punkten; alles stimmt.", honest=True)
    h = History(203, 18, rate=decay(), test_last=9942, fixed={15: 9945})
    d.add(
        "# Aufgabe 2: CODE9",
        "",
        "Unser Netz hat 14.120 Parameter und erreicht nach der letzten Epoche **99,42 %** auf den Testbildern.",
        "Die beste Epoche war die 15. mit 99,45 %, wir zählen aber die letzte. Faltungen ohne Bias, keine vollverbundene Schicht.",
        "",
        "## Protokoll (18 Epochen)",
        "",
        "```",
    )
    keras(d, h, schedule="inverse_time")
    d.add("```", "", "Ergebnis von `model.evaluate`:", "", f"    {score(h)}")

    d = Document("tabelle.md", "Eine Tabelle mit Dezimalkommas, eine Zeile je Epoche.", honest=True)
    h = History(204, 15, first=0.9211, test_last=9938)
    d.add("Nach 15 Epochen: Testgenauigkeit 99,38 %.", "")
    german_table(d, h)

    d = Document("francais.csv", "Point-virgule et virgule décimale.", honest=True)
    h = History(205, 12, first=0.9108, test_last=9921)
    semicolons(d, h, "époque;perte;précision;perte_test;précision_test")

    d = Document("terminal-colour.txt", "Keras 3 in a terminal's file: colours, line ends of Windows.", honest=True)
    h = History(206, 8, first=0.9033, test_last=9919)
    d.end = "\r\n"
    d.add("PS C:\\course> python train.py")
    keras3(d, h, ansi=True)
    d.add(f"\x1b[33mTest accuracy:\x1b[0m {h.test(7):.4f}")

    d = Document("fast-ai.txt", "fast.ai's table, tabs between columns, epochs from zero.", honest=True)
    fast_ai(d, History(207, 10, first=0.94, test_first=9811, test_last=9940))

    d = Document("fast-ai-errors.md", "fast.ai's table of error rates; the accuracy claimed is one minus the last.", honest=True)
    h = History(208, 8, first=0.94, test_first=9803, test_last=9931, fixed={6: 9935})
    d.add("Final accuracy 99.31 %, that is an error rate of 0.69 %.", "")
    fast_ai(d, h, error=True)

    d = Document("bullets.md", "Each epoch is an item of a nested list.", honest=True)
    h = History(209, 15, first=0.9127, test_last=9940)
    d.add("- Parameters: 13,940", "- Epochs: 15", "- Test accuracy at the end: 99.40%", "- Log:")
    bullets(d, h, "  *")

    d = Document("mail.txt", "The log is quoted twice over, as an answer to an answer.", honest=True)
    h = History(210, 12, first=0.9256, test_last=9936)
    d.add(
        "On Tuesday you wrote:",
        "> On Monday the group wrote:",
        "> > Dear all, after 12 epochs we stand at 99.36 and 12,800 parameters.",
        "> >",
    )
    keras(d, h, indent="> > ", scheduler=False)
    d.add("> >", "> > The group", ">", "> Fine. Send the notebook, too.", "", "It is attached.")

    d = Document(
        "html.md", "The log stands in <details> and <pre>, with entities for the bar's arrow, and once more below.", honest=True
    )
    h = History(211, 10, first=0.9339, rate=step(0.002, 5), test_last=9928)
    d.add("<h2>Result: 99.28% after 10 epochs</h2>", "<details><summary>Full log</summary>", "<pre>")
    start = len(d.lines)
    keras(d, h, schedule="step")
    d.lines[start:] = [line.replace("=]", "&gt;]") if "Train" not in line else line for line in d.lines[start:]]
    again = d.lines[start:]
    d.add("</pre></details>", "", "## Appendix: the log in full", "", "<pre>", *again, "</pre>")

    d = Document("plateau-on-loss.md", "The rate falls by the training loss; no test figure decides anything.", honest=True)
    h = History(212, 14, first=0.9214, test_last=9941)
    d.add(
        "```python",
        "scheduler = ReduceLROnPlateau(optimizer, mode='min', factor=0.3, patience=1, verbose=True)",
        "for epoch in range(1, 15):",
        "    train_loss = train(model, train_loader, optimizer, epoch)",
        "    test(model, test_loader)",
        "    scheduler.step(train_loss)",
        "```",
        "",
        "```",
    )
    torch_tqdm(d, h, remains=False, notes={8: ("Epoch 00008: reducing learning rate of group 0 to 3.0000e-03.",)})
    d.add("```")

    d = Document("stops-on-training-loss.md", "EarlyStopping watches the training loss; the log ends where it says.", honest=True)
    h = History(213, 16, first=0.9288, test_last=9939)
    d.add("`EarlyStopping(monitor='loss', patience=2)` ended the training after 16 of 30 epochs. Test accuracy then: 99.39%.", "")
    keras(d, h, scheduler=False, total=30, notes={16: ("Epoch 00016: early stopping",)})

    d = Document("loads-after.md", "Loads the weights of the last epoch, after the training, to evaluate them.", honest=True)
    h = History(214, 12, first=0.9142, rate=decay(), test_last=9937)
    d.add("The network starts from random weights (Glorot uniform), nothing is pretrained.", "", "```")
    keras(d, h, schedule="inverse_time")
    d.add("```", "", "```python", "model.save_weights('last.h5')")
    d.add("model.load_weights('last.h5')", "print(model.evaluate(X_test, Y_test, verbose=0))", "```", "", score(h))

    d = Document("five-seeds.md", "A mean over five seeds with its deviation, and the log of one of them.", honest=True)
    h = History(215, 15, first=0.9301, test_last=9944)
    d.add("Test accuracy of the last epoch, five seeds: 99.41 ± 0.03 %.", "")
    d.add(
        "| seed | accuracy |",
        "| ---: | ---: |",
        "| 0 | 99.38 |",
        "| 1 | 99.41 |",
        "| 2 | 99.40 |",
        "| 3 | 99.44 |",
        "| 4 | 99.42 |",
    )
    d.add("", "Seed 3:", "")
    keras(d, h, scheduler=False)

    d = Document("chinese.md", "Chinese text around a loop's print.", honest=True)
    h = History(216, 20, first=0.9087, test_last=9940)
    d.add("# 手写数字识别", "", "参数量: 13,252。第20轮的测试准确率: 99.40%", "", "训练日志:", "", "```")
    brackets(d, h)
    d.add("```")

    d = Document("flax.txt", "Flax's example, behind absl's time stamps.", honest=True)
    h = History(217, 10, first=0.9267, test_last=9923)
    flax(d, h, prefix="I1121 10:12:33.123456 140735 train.py:101] ")

    d = Document("keras3-verbose2.txt", "Keras 3 with verbose=2 and batches of 32.", honest=True)
    h = History(218, 10, first=0.9561, test_first=9831, test_last=9929)
    first = len(d.lines) + 1
    for e in range(10):
        d.add(
            f"Epoch {e + 1}/10",
            f"1875/1875 - 11s - 6ms/step - accuracy: {h.accuracy[e]:.4f} - loss: {h.loss[e]:.4f} - "
            f"val_accuracy: {h.test(e):.4f} - val_loss: {h.test_loss[e]:.4f}",
        )
    d.log(h, first, first, first + 1)

    d = Document("huge-backspaces.txt", "A file of a megabyte: every state of each bar, with backspaces between.", honest=True)
    redrawn(d, History(219, 14, first=0.9222, test_last=9940), erase=lambda state: "\b" * len(state))

    d = Document("one-line-fresh.md", "The whole log on one line, and a text that rounds: «about 99.4».", honest=True)
    h = History(220, 16, first=0.9189, test_last=9937)
    d.add("We reach about 99.4 % with 13.9k parameters.", "")
    inner = Document.__new__(Document)
    inner.lines, inner.logs, inner.findings, inner.file = [], [], [], d.file
    keras(inner, h, scheduler=False)
    number = d.add(" ".join(inner.lines))
    d.log(h, number, number, number)

    d = Notebook("stderr.ipynb", "Warnings and tqdm's bars between the results of a notebook.", honest=True)
    n = History(221, 10, first=0.9155, test_last=9931)
    d.markdown("## Training", "", "Ten epochs; the last one gives 99.31 %.")
    d.code(
        "for epoch in range(10):\n    train(epoch)\n    test(epoch)",
        lambda inner: (
            inner.add("UserWarning: The verbose parameter is deprecated.", "  warnings.warn("),
            torch_tqdm(inner, n, start=0),
        ),
    )

    d = Notebook(
        "validation-part.ipynb", "Stops on a part of the training images; the test is read once, and is lower.", honest=True
    )
    v = History(222, 13, first=0.9244, test_last=9931, fixed={10: 9940})
    d.code(BUILD)
    d.code(
        "stop = EarlyStopping(monitor='val_accuracy', patience=3)\n"
        "model.fit(X_train[:50000], Y_train[:50000], epochs=40, validation_data=(X_train[50000:], Y_train[50000:]), callbacks=[stop])",
        lambda inner: keras(inner, v, samples=50_000, word="accuracy", scheduler=False, total=40, unit="us/sample"),
    )
    d.code("print(model.evaluate(X_test, Y_test, verbose=0))", lambda inner: inner.add("[0.02871634, 0.9919]"))


def false_results():
    d = Document("bestes-netz.md", "«Erreicht: 99,47 %», das war Epoche 15 von 18.", honest=False)
    h = History(231, 18, rate=decay(), test_last=9941, fixed={15: 9947})
    d.add("# Aufgabe 2", "", "Erreichte Testgenauigkeit: **99,47 %** bei 13.804 Parametern.", "", "```")
    keras(d, h, schedule="inverse_time")
    d.add("```")
    d.finding("best_sold_as_final", 3)

    d = Document("beste-zeile.md", "Eine Tabelle mit Dezimalkommas; behauptet wird die beste Zeile.", honest=False)
    h = History(232, 14, first=0.9198, test_last=9936, fixed={11: 9948})
    d.add("Ergebnis: 99,48 % Genauigkeit auf den Testdaten", "")
    german_table(d, h)
    d.finding("best_sold_as_final", 1)

    d = Document("lowest-error.md", "The lowest error rate of fast.ai's table is sold as the result.", honest=False)
    h = History(233, 10, first=0.94, test_first=9801, test_last=9937, fixed={7: 9950})
    d.add("**Test accuracy: 99.50 %**", "")
    fast_ai(d, h, error=True)
    d.finding("best_sold_as_final", 1)

    d = Document(
        "huge-best-sold.txt", "A megabyte of redrawn bars, and under it the best epoch as the final accuracy.", honest=False
    )
    h = History(234, 12, first=0.9176, test_last=9932, fixed={9: 9944})
    redrawn(d, h, erase=lambda state: "\b" * len(state))
    line = d.add("", "Final test accuracy: 0.9944")
    d.finding("best_sold_as_final", line)

    d = Notebook("history-max.ipynb", "The maximum of the history is printed as the final accuracy.", honest=False)
    n = History(235, 15, first=0.9290, test_last=9937, fixed={12: 9949})
    d.code(BUILD)
    d.code("history = " + FIT.format(15), lambda inner: keras(inner, n, scheduler=False))
    d.code("print('Final test accuracy:', max(history.history['val_acc']))", lambda inner: inner.add("Final test accuracy: 0.9949"))
    d.after = lambda d: d.finding("best_sold_as_final", d.line_of("Final test accuracy: 0.9949"), d.line_of("max(history.history"))

    d = Document("evaluer.md", "Le résultat d'evaluate ne correspond à aucune époque.", honest=False)
    h = History(236, 12, rate=decay(), test_last=9937, fixed={10: 9943})
    d.add("## Journal", "")
    keras(d, h, schedule="inverse_time")
    line = d.add("", "## Résultat de model.evaluate", "", "[0.017102846, 0.9951]")
    d.finding("evaluate_contradicts_log", line)
    d.findings[-1]["also_kinds"] = ["claim_contradicts_log"]

    d = Document("never-there.md", "«99.5%+» in a list, and no epoch above 99.38.", honest=False)
    h = History(237, 15, first=0.9127, test_last=9934, fixed={13: 9938})
    d.add("- Test accuracy: **99.52%**", "- Log:")
    bullets(d, h, "  *")
    d.finding("claim_contradicts_log", 1)

    d = Document("unmoeglich.md", "99,435 % von 10.000 Bildern gibt es nicht.", honest=False)
    h = History(238, 15, rate=decay(), test_last=9943)
    d.add("Testgenauigkeit am Ende: 99,435 % (10.000 Testbilder)", "", "```")
    keras(d, h, schedule="inverse_time")
    d.add("```")
    d.finding("impossible_accuracy", 1)
    d.findings[-1]["also_kinds"] = ["claim_contradicts_log"]

    d = Document("swapped-digits.txt", "One line of the loop says 9938/10000 (99.83%).", honest=False)
    h = History(239, 10, first=0.9203, test_first=9801, test_last=9938)
    results = torch_tqdm(d, h, remains=False)
    d.lines[results[-1] - 1] = d.lines[results[-1] - 1].replace("(99.38%)", "(99.83%)")
    assert "(99.83%)" in d.lines[results[-1] - 1]
    d.finding("impossible_accuracy", results[-1])
    d.findings[-1]["also_kinds"] = ["counts_contradict", "claim_contradicts_log"]
    d.debate = (
        "As impossible-percent.txt of the first set: which of the two figures is the accuracy is open; the answers take the count."
    )


def false_starts():
    d = Document("warm-keras3.md", "Keras 3 opens at 0.9861 and 0.0441.", honest=False)
    h = History(241, 12, first=0.9861, last=0.9934, test_first=9897, test_last=9942)
    d.add("99.42% in 12 epochs", "")
    results = keras3(d, h)
    d.finding("warm_start", results[0], results[0] - 1)

    d = Document("warm-flax.txt", "Flax's print opens at 98.9 in training.", honest=False)
    h = History(242, 10, first=0.9889, last=0.9941, test_first=9905, test_last=9944)
    first = flax(d, h)
    d.finding("warm_start", first)

    d = Document("warm.csv", "Virgules décimales; la première ligne est déjà à 0,0452.", honest=False)
    h = History(243, 12, first=0.9862, last=0.9938, test_first=9899, test_last=9941)
    first = semicolons(d, h, "époque;perte;précision;perte_test;précision_test")
    d.finding("warm_start", first)
    d.debate = (
        "A table does not show whether its training figures were taken while the epoch ran; measured after it, a fresh network's "
        "can open there. A careful reader asks, and does not accuse."
    )

    d = Document("starts-again.txt", "A loop counts to ten and begins again at one, where the first ended.", honest=False)
    one = History(244, 10, first=0.9133, test_last=9929)
    two = History(245, 10, first=0.9919, last=0.9943, test_first=9930, test_last=9942)
    d.add("# 10 epochs, 99.42 %")
    brackets(d, one)
    first = brackets(d, two)
    d.finding("second_fit", first)
    d.findings[-1]["also_kinds"] = ["warm_start", "more_epochs_than_claimed"]

    d = Notebook("fit-again-keras3.ipynb", "A second cell calls fit on the same Keras 3 model.", honest=False)
    one3, two3 = (
        History(246, 8, first=0.9081, test_last=9918),
        History(247, 8, first=0.9898, last=0.9931, test_first=9920, test_last=9935),
    )
    d.code("import keras\n" + BUILD + "\nmodel.compile('adam', 'categorical_crossentropy', metrics=['accuracy'])")
    d.code(FIT.format(8), lambda inner: keras3(inner, one3))
    d.markdown("A little longer:")
    d.code(FIT.format(8).replace("verbose=1", "verbose='auto'"), lambda inner: keras3(inner, two3))
    d.after = lambda d: (
        d.finding(
            "second_fit",
            d.logs[1]["line"],
            *range(d.logs[1]["line_range"][0], d.logs[1]["line_range"][1] + 1),
            d.line_of("verbose='auto'"),
        ),
        d.findings[-1].update(also_kinds=["warm_start", "more_epochs_than_claimed"]),
    )


def false_lengths():
    d = Document("epochs-in-colour.txt", "Says 20 epochs; the coloured log counts to 25.", honest=False)
    h = History(251, 25, first=0.9034, test_last=9943)
    d.add("Trained for 20 epochs. Test accuracy: 99.43%")
    results = keras3(d, h, ansi=True)
    d.finding("more_epochs_than_claimed", 1, results[0] - 1, *results[20:], *[line - 1 for line in results[20:]])

    d = Document("one-line-longer.md", "The whole log on one line: 24 epochs, where the text has 20.", honest=False)
    h = History(252, 24, first=0.9189, test_last=9941)
    d.add("We reach 99.41 % after 20 epochs.", "")
    inner = Document.__new__(Document)
    inner.lines, inner.logs, inner.findings, inner.file = [], [], [], d.file
    keras(inner, h, scheduler=False)
    number = d.add(" ".join(inner.lines))
    d.log(h, number, number, number)
    d.finding("more_epochs_than_claimed", 1, number)

    d = Document("zu-kurz.md", "Zwanzig Epochen sind behauptet und angefangen, siebzehn stehen da.", honest=False)
    h = History(253, 17, first=0.9144, test_last=9940)
    d.add("Nach 20 Epochen erreicht das Netz 99,40 %.", "", "```")
    keras_of_2016(d, h, notes=20)
    d.add("```")
    last = len(d.lines) - 1
    d.finding("ends_early", last, 1, last - 1, *range(d.logs[0]["line_range"][0], d.logs[0]["line_range"][1] + 1))
    d.findings[-1]["also_kinds"] = ["claim_contradicts_log"]


def chosen():
    d = Notebook("stop-on-test.ipynb", "EarlyStopping watches the test images.", honest=False)
    n = History(261, 14, first=0.9271, test_last=9938, fixed={12: 9942})
    d.code(BUILD)
    d.code(
        "stop = EarlyStopping(monitor='val_acc', patience=2)\n"
        "model.fit(X_train, Y_train, epochs=50, validation_data=(X_test, Y_test), callbacks=[stop])",
        lambda inner: keras(inner, n, scheduler=False, total=50, notes={14: ("Epoch 00014: early stopping",)}),
    )
    d.after = lambda d: d.finding(
        "test_used_to_choose", d.line_of("monitor='val_acc'"), d.line_of("early stopping"), d.line_of("callbacks=[stop]")
    )

    d = Document(
        "mail-best.txt",
        "In a mail within a mail: the checkpoint of the epoch with the highest test accuracy is handed in.",
        honest=False,
    )
    h = History(262, 15, first=0.9226, test_last=9933, fixed={13: 9945})
    d.add("> > We kept the checkpoint of epoch 13, where the test accuracy was highest (99.45%), and hand that in.", "> >")
    keras(d, h, indent="> > ", scheduler=False)
    d.finding("test_used_to_choose", 1)
    d.findings[-1]["also_kinds"] = ["best_sold_as_final"]

    d = Document(
        "gespeichert.md", "Gespeichert wird, wenn die Testgenauigkeit steigt; abgegeben wird das Gespeicherte.", honest=False
    )
    h = History(263, 12, first=0.9163, test_last=9931, fixed={9: 9941})
    d.add(
        "Wir speichern das Netz mit der besten Testgenauigkeit und geben dieses ab.",
        "",
        "```python",
        "best = 0",
        "for epoch in range(1, 13):",
        "    train(model, train_loader, optimizer, epoch)",
        "    accuracy = test(model, test_loader)",
        "    if accuracy > best:",
        "        best = accuracy",
        "        torch.save(model.state_dict(), 'best.pt')",
        "model.load_state_dict(torch.load('best.pt'))",
        "```",
        "",
        "```",
    )
    torch_tqdm(d, h, remains=False)
    d.add("```")
    d.finding("test_used_to_choose", 8, 1, 7, 9, 10, 11)
    d.findings[-1]["also_kinds"] = ["best_sold_as_final"]

    d = Document("plateau-keras3.md", "Keras 3's ReduceLROnPlateau on val_loss, where val is the test.", honest=False)
    h = History(264, 12, first=0.9012, test_last=9937)
    code = d.add(
        "```python",
        "from keras.callbacks import ReduceLROnPlateau",
        "drop = ReduceLROnPlateau(monitor='val_loss', patience=1, verbose=1)",
        "model.fit(x_train, y_train, epochs=12, validation_data=(x_test, y_test), callbacks=[drop])",
    )
    d.add("```", "", "```")
    results = keras3(d, h)
    note = results[6] + 1
    d.lines.insert(results[6], "")
    d.lines.insert(results[6], "Epoch 7: ReduceLROnPlateau reducing learning rate to 0.00010000000474974513.")
    d.add("```")
    d.finding("test_used_to_choose", note, code, code - 1)


def false_counts():
    d = Document("punkte.md", "Der Text hat 13.080 Parameter, die Tabelle 10.976.", honest=False)
    h = History(271, 12, first=0.9208, test_last=9934)
    claim = d.add("Unser Netz: 13.080 Parameter, am Ende 99,34 % Testgenauigkeit.")
    d.add("", "```")
    _, last, _ = torch_rows(d, biases=False)
    d.add("```", "", "```")
    torch_tqdm(d, h, remains=False)
    d.add("```")
    d.finding("counts_contradict", claim, last)

    d = Document("sin-sesgo.md", "«Sin sesgos»; la tabla cuenta uno por filtro.", honest=False)
    h = History(272, 12, first=0.9208, test_last=9930)
    claim = d.add("Red sin sesgos (no biases in any convolution), precisión final en test 99,30 %.")
    d.add("", "```")
    rows, _, _ = torch_rows(d, biases=True)
    d.add("```", "", "```")
    torch_tqdm(d, h, remains=False)
    d.add("```")
    d.finding("biases_in_table", rows[0], *rows, claim)


def torch_rows(document, *, biases):
    """torchinfo's table: names, shapes, counts; return the convolutions' lines, the total's line and the total."""
    rule = "=" * 90
    document.add(
        rule, f"{'Layer (type:depth-idx)':<41}{'Output Shape':<26}{'Param #':<15}", rule, f"{'Net':<41}{'[1, 10]':<26}{'--':<15}"
    )
    rows, total = [], 0
    for index, (kind, shape, count) in enumerate(
        (
            ("Conv2d", (16, 26, 26), 144),
            ("BatchNorm2d", (16, 26, 26), 32),
            ("MaxPool2d", (16, 13, 13), 0),
            ("Conv2d", (24, 11, 11), 3456),
            ("BatchNorm2d", (24, 11, 11), 48),
            ("Conv2d", (32, 9, 9), 6912),
            ("BatchNorm2d", (32, 9, 9), 64),
            ("Conv2d", (10, 9, 9), 320),
            ("AdaptiveAvgPool2d", (10, 1, 1), 0),
        ),
        1,
    ):
        numbers = count + (shape[0] if biases and kind == "Conv2d" else 0)
        total += numbers
        line = document.add(f"├─{f'{kind}: 1-{index}':<39}{[1, *shape]!s:<26}{f'{numbers:,}' if numbers else '--':<15}")
        if kind == "Conv2d":
            rows.append(line)
    document.add(rule)
    last = document.add(f"Total params: {total:,}")
    document.add(f"Trainable params: {total:,}", "Non-trainable params: 0", rule)
    return rows, last, total


def documents():
    """Make all documents of this set, none of those of the first, and return them."""
    make_logs.DOCUMENTS.clear()
    for write in (honest_ones, false_results, false_starts, false_lengths, chosen, false_counts):
        write()
    for d in make_logs.DOCUMENTS:
        if isinstance(d, Notebook):
            d.settle()
            if hasattr(d, "after"):
                d.after(d)
    return list(make_logs.DOCUMENTS)


def main():
    FOLDER.mkdir(exist_ok=True)
    for d in documents():
        if not d.file.startswith("huge-"):
            (FOLDER / d.file).write_bytes(d.text().encode())
    text = make_logs.answers().replace(
        "written by make_logs.py", "written by make_fresh_logs.py; what begins with `huge-` is not kept"
    )
    (HERE / "fresh.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
