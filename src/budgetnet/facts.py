"""Facts: what was measured of a network or of a run, without any opinion.

Written by `check` (the network's structure) and `train` (what the run saw), read by `contract.judge` and `report`. A field that
could not be measured is None, and a clause that needs it is *unproven*. Plain data, JSON both ways, no torch.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Immutable, and closed: a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterCounts(Frozen):
    """The meanings of «parameters» in this field. A contract names the one it limits; all are always shown."""

    total: int = Field(ge=0)
    """Keras's total: trainable plus non-trainable."""
    trainable: int = Field(ge=0)
    """What an optimizer may change. Shared tensors count once."""
    non_trainable: int = Field(ge=0)
    """BatchNormalization's running mean and variance, and frozen weights."""
    with_hidden: int = Field(ge=0)
    """`total` plus constants hidden in buffers, attributes or code."""
    non_zero: int = Field(ge=0)
    """The entries of `total` that are not exactly zero."""
    frozen: int = Field(default=0, ge=0)
    """The part of `non_trainable` that are weights kept from the optimizer, which some counts overlook."""


class LayerRow(Frozen):
    """One row of the layer table, in the order of the traced forward pass."""

    name: str
    """Keras-like: `conv2d_1`."""
    type: str
    """Keras's word where there is one (`Conv2D`, `BatchNormalization`), else the module's class."""
    output_shape: tuple[int | None, ...]
    """Keras's order, batch first and channels last: `(None, 26, 26, 32)`."""
    parameters: int
    trainable: int
    multiply_accumulates: int
    """For one image."""
    receptive_field: int | None
    """Side in input pixels of what one output position sees; None once positions are gone."""
    jump: int | None
    """Input pixels between neighbouring output positions."""


class Finding(Frozen):
    """Something in the network that a clause asks about, with its evidence."""

    what: str
    """One sentence."""
    layer: str
    """The layer's or module's name, or the operation's where it has none."""
    numbers: int = Field(default=0, ge=0)
    """How many numbers it is made of: of a bias, a shift, a hidden constant, a layer's weights."""
    file: str | None = None
    line: int | None = None


class OutputFacts(Frozen):
    """What the network answers with, seen on random images."""

    shape: tuple[int, ...]
    """Of the answer for one image."""
    smallest: float
    largest: float
    kind: Literal["probabilities", "log-probabilities", "logits"]
    """Probabilities sum to 1 and their logarithms do so after exponentiation; all else is called logits."""


class NetworkFacts(Frozen):
    """The structure of a network, from its modules by type and from a traced forward pass."""

    name: str
    input_shape: tuple[int, int, int]
    """Channels, height, width of the probe image."""
    classes: int | None
    parameters: ParameterCounts
    layers: tuple[LayerRow, ...]
    multiply_accumulates: int
    fully_connected: tuple[Finding, ...] | None
    """Layers that are fully connected by their operation; None where the trace could not tell."""
    fully_connected_equivalent: tuple[Finding, ...] | None
    """Convolutions that see their whole input map: they compute what a fully connected layer computes."""
    biases: tuple[Finding, ...] | None
    normalization_shifts: tuple[Finding, ...] = ()
    """BatchNormalization's (and its kin's) learned shift: no bias, unless a contract says so."""
    forward_passes: int | None
    """How often one image is sent through the same first weights in one call of the network."""
    notes: tuple[str, ...] = ()
    """What was guessed, and what could not be seen."""
    hidden: tuple[Finding, ...] = ()
    """Numbers that meet the image and that no count of parameters sees: the excess of `with_hidden` over `total`, but for masks
    and plain patterns (a blur, a Sobel filter), which are counted and noted."""
    unused: tuple[Finding, ...] = ()
    """Parameters that are declared and never used; they are in the total."""
    uncounted: str = ""
    """Why numbers may take part that no count has seen; empty where all were seen."""
    peak_activation_bytes: int | None = None
    """The most bytes that activations and the image take up at one time, for one image; parameters are not in it."""
    receptive_field: int | None = None
    """Side in input pixels of what the last map sees, as the layer table has it."""
    output: OutputFacts | None = None
    depends_on_batch: bool | None = None
    """Whether an image's answer changes with its neighbours in evaluation mode; None where that could not be seen."""
    random_in_evaluation: bool | None = None
    """Whether the answer changes with the state of the random numbers, in evaluation mode."""
    depends_on_calls: bool | None = None
    """Whether the same call, with the same random numbers, gives another answer when it is made again."""


class TeacherFacts(Frozen):
    """The network that a run trained first, to learn from its answers. It is no part of what is handed in."""

    network: str
    parameters: int = Field(ge=1)
    """Its total."""
    samples_seen: int = Field(ge=0)
    """Images that went through its optimizer's steps; they are in the run's `samples_seen`."""


class TrainingFacts(Frozen):
    """What a run saw and reached. Accuracies are fractions of 1, on the test split."""

    data: str
    seed: int
    training_images: int
    """Size of the data set's whole training split: one epoch of a contract."""
    samples_seen: int
    """Images that went through an optimizer step, through every resume; a teacher's with them."""
    teacher: TeacherFacts | None = None
    """None where the network learned from labels alone."""
    complete: bool
    """False while the run has epochs left."""
    accuracy: float | None
    """Test accuracy after the last epoch; None until it was read."""
    loss: float | None
    test_images: int | None
    accuracy_by_epoch: tuple[float, ...] | None
    """Test accuracy after each epoch, for re-enacted hand-ins that watched it; None where the test split was read once."""
    forward_passes: int | None
    """Passes for each test image in the evaluation."""


class Facts(Frozen):
    """All that a verdict rests on."""

    schema_version: Literal[1] = 1
    network: NetworkFacts
    training: TrainingFacts | None = None
    """None for a network that was not trained by budgetnet."""
