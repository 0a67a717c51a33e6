"""The layer table reads as Keras prints it, and its parts add up to its totals."""

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from budgetnet.check import measure
from budgetnet.facts import NetworkFacts
from budgetnet.summary import layer_table, wide_table
from budgetnet.zoo.blocks import Convolution

GOLDEN = Path(__file__).parent / "golden"


def stage(inputs: int, outputs: int) -> list[nn.Module]:
    return [Convolution(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.Dropout(0.2)]


def one_pool() -> NetworkFacts:
    """The network of the hand-in «mlble session 2», whose layer table is published, from torch's own layers where it has them."""
    network = nn.Sequential(
        *stage(1, 32),
        Convolution(32, 10, 1),
        *stage(10, 32),
        Convolution(32, 10, 1),
        nn.MaxPool2d(2),
        *stage(10, 16),
        Convolution(16, 10, 1),
        *stage(10, 16),
        *stage(16, 16),
        *stage(16, 16),
        nn.Conv2d(16, 10, 4, bias=False),
        nn.BatchNorm2d(10),
        nn.Flatten(),
        nn.Softmax(1),
    )
    torch.manual_seed(0)
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)  # so that the count of zeros is the same everywhere
    return measure(network, name="one-pool", input_shape=(1, 28, 28))


def test_one_pool_has_the_published_table() -> None:
    table = layer_table(one_pool())
    assert table == (GOLDEN / "one_pool_keras.txt").read_text(encoding="utf-8").removesuffix("\n")
    # From the hand-in itself: shapes and counts, row by row.
    published = [
        ((26, 26, 32), 288), ((26, 26, 32), 128), ((26, 26, 32), 0), ((26, 26, 10), 320),
        ((24, 24, 32), 2880), ((24, 24, 32), 128), ((24, 24, 32), 0), ((24, 24, 10), 320), ((12, 12, 10), 0),
        ((10, 10, 16), 1440), ((10, 10, 16), 64), ((10, 10, 16), 0), ((10, 10, 10), 160),
        ((8, 8, 16), 1440), ((8, 8, 16), 64), ((8, 8, 16), 0),
        ((6, 6, 16), 2304), ((6, 6, 16), 64), ((6, 6, 16), 0),
        ((4, 4, 16), 2304), ((4, 4, 16), 64), ((4, 4, 16), 0),
        ((1, 1, 10), 2560), ((1, 1, 10), 40), ((10,), 0), ((10,), 0),
    ]  # fmt: skip
    assert [(row.output_shape, row.parameters) for row in one_pool().layers] == [
        ((None, *shape), count) for shape, count in published
    ]
    assert table.splitlines()[-4:-1] == ["Total params: 14,568", "Trainable params: 14,292", "Non-trainable params: 276"]


def test_lines_are_cut_where_keras_cuts_them() -> None:
    lines = layer_table(one_pool()).splitlines()
    assert lines[2] == "Layer (type)                 Output Shape              Param #   "
    assert "batch_normalization_1 (Batch (None, 26, 26, 32)        128       " in lines
    assert "flatten_1 (Flatten)          (None, 10)                0         " in lines
    assert {len(line) for line in lines[1:-4]} == {65}


def test_the_wide_table_reads_as_before() -> None:
    assert wide_table(one_pool()) == (GOLDEN / "one_pool_wide.txt").read_text(encoding="utf-8").removesuffix("\n")


def test_the_parts_add_up_to_the_printed_totals() -> None:
    lines = wide_table(one_pool()).splitlines()
    rules = [place for place, line in enumerate(lines) if line.startswith("─")]
    rows = [re.sub(r".*\)  ", "", line).split() for line in lines[rules[1] + 1 : rules[2]]]
    sums = [int(text.replace(",", "")) for text in lines[rules[2] + 1].split()]
    for column, total in zip((0, 1, -1), sums, strict=True):
        assert sum(int(row[column].replace(",", "")) for row in rows) == total
    assert sums == [14_568, 14_292, 2_628_736]


def test_all_four_meanings_of_parameters_are_shown() -> None:
    text = wide_table(one_pool())
    for number in ("14,568  total", "14,292  trainable", "14,568  total with constants hidden", "14,292  not zero"):
        assert number in text


def test_a_layer_that_is_never_called_has_a_row_and_a_note() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Conv2d(1, 10, 28), nn.Conv2d(1, 1, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.used(images).flatten(1)  # type: ignore[no-any-return]

    facts = measure(Spare(), name="spare", input_shape=(1, 28, 28))
    assert "conv2d_2 (Conv2D)            –                         10        " in layer_table(facts)
    assert "Note: Declared in 'spare'" in wide_table(facts)
