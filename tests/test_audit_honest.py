"""Honest hand-ins, written to look like the dishonest ones: none gets a finding, and each log ends at its own figure."""

from pathlib import Path

import pytest
from pasted_logs import course_loop, figures, keras
from test_audit_shapes import LOOPS, TABLES
from test_audit_words import LAYERS

from budgetnet.audit import audit_file

K, C = keras(), course_loop()
T = TABLES["percent in the head"]
L = "\n".join(LOOPS["train and test alone"](*row) for row in figures())
HONEST = {
    "beside LeNet": f"# MNIST in 3,248 parameters\n\n"
    f"We reach 99.47 % after 15 epochs; LeNet needs 61,706 parameters for 99.05 %.\n\n"
    f"{LAYERS}\n"
    f"{K}",
    "the peak, and the last": f"The peak was 99.53 % in epoch 14, but we report the last epoch: 99.47 %.\n\n{L}",
    "columns of two networks": f"| | ours | LeNet-5 |\n"
    f"| --- | --- | --- |\n"
    f"| parameters | 3,248 | 61,706 |\n"
    f"| test accuracy | 99.47 % | 99.65 % |\n"
    f"| epochs | 15 | 20 |\n\n"
    f"{LAYERS}\n"
    f"{T}",
    "a task in a list": f"## Task\n\n"
    f"1. MNIST, 99.4 %\n"
    f"2. Not more than 20,000 parameters\n"
    f"3. Not more than 20 epochs\n"
    f"4. No biases\n\n"
    f"## What we did\n\n"
    f"3,248 parameters, 15 epochs, 99.47 %.\n\n"
    f"{LAYERS}\n"
    f"{T}",
    "a mean over seeds": f"Each run takes 15 epochs. Over five seeds the test accuracy is 99.41 ± 0.06 %.\n\n{L}",
    "a run whose log was not kept": f"We tried a batch size of 64 first (99.21 % after 12 epochs, log not kept). "
    f"The log below is of batch size 128: 99.47 %.\n\n"
    f"{C}",
    "training and test": f"Training accuracy reaches 99.38 % in epoch 15; the test accuracy is higher because of dropout: 99.47 %.\n\n{T}",
    "an error": f"The learning rate is halved every 5 epochs. Final test error: 0.53 %.\n\n{L}",
    "limits in parentheses": f"- parameters: 3,248 (limit: 15,000)\n"
    f"- epochs: 15 (limit: 20)\n"
    f"- accuracy: 99.47 % (limit: 99.4 %)\n\n"
    f"{LAYERS}\n"
    f"{T}",
    "a column of limits": f"| requirement | limit | ours |\n"
    f"| --- | --- | --- |\n"
    f"| parameters | < 15,000 | 3,248 |\n"
    f"| epochs | <= 20 | 15 |\n"
    f"| accuracy | >= 99.4 % | 99.47 % |\n\n"
    f"{LAYERS}\n"
    f"{K}",
    "from epoch to epoch": f"The accuracy rises from 98.05 % in epoch 1 to 99.47 % in epoch 15.\n\n{T}",
    "crossed": f"99.2 % was crossed in epoch 5 for the first time; in epochs 9 to 15 it stays above 99.2 %.\n\n{C}",
    "a count of errors": f"The full 60,000 images are used. Accuracy on the 10,000 test images: 99.47 %, i.e. 53 wrong.\n\n{L}",
    "an earlier version": f"An earlier version with 6,070 parameters got 99.38 % after 20 epochs; this one, "
    f"with 3,248, gets 99.47 % after 15.\n\n"
    f"{LAYERS}\n"
    f"{K}",
    "a table of other networks": f"## Comparison\n\n"
    f"| network | parameters | epochs | test accuracy |\n"
    f"| --- | --- | --- | --- |\n"
    f"| LeNet-5 | 61,706 | 20 | 99.05 % |\n"
    f"| Keras example | 1,199,882 | 12 | 99.25 % |\n"
    f"| this | 3,248 | 15 | 99.47 % |\n\n"
    f"{LAYERS}\n"
    f"{T}",
    "a question": f"Could one reach 99.6 % with more than 15 epochs? A friend ran it for 40 epochs and got 99.58 %.\n\n{C}",
    "a task in one line": f"Assignment: train MNIST under 20k parameters in less than 20 epochs to 99.4 %.\n"
    f"My solution: 3,248 parameters, 15 epochs, 99.47 %.\n\n"
    f"{LAYERS}\n"
    f"{K}",
    "two runs": f"Two runs.\n\n"
    f"### Run A\n\n"
    f"{T}\n\n"
    f"### Run B\n\n"
    f"" + TABLES["percent in the head"].replace("99.47", "99.44").replace("99.53", "99.50").replace("0.1601", "0.1711"),
    "a table of steps": f"| step | what changed | accuracy | epochs |\n"
    f"| --- | --- | --- | --- |\n"
    f"| 1 | no augmentation | 99.12 | 10 |\n"
    f"| 2 | batch norm | 99.31 | 12 |\n"
    f"| 3 | dropout | 99.47 | 15 |\n\n"
    f"{T}",
    "a table with commas": f"The log (the last epoch counts, 99.47 %):\n\n{TABLES['csv']}",
}


@pytest.mark.parametrize("name", HONEST)
def test_it_gets_no_finding(name: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(HONEST[name] + "\n", encoding="utf-8")
    done = audit_file(tmp_path / "README.md")
    assert [item.what for item in done.findings] == []
    assert done.logs[0].final == 0.9947
