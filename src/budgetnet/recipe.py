"""Recipe: everything that decides one run, as one frozen and closed value.

A recipe is data: JSON both ways, variants by copy (`varied`). The zoo gives each network the recipe its author used; `--set
field=value` and Python callers change fields by name, and a misspelt field is refused with the closest name. No torch.
"""

from __future__ import annotations

import json
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from budgetnet.errors import InputError, did_you_mean
from budgetnet.facts import Frozen

Scalar = bool | int | float | str


MOVES = ("rotation", "scale", "shear", "shift", "elastic")
"""The fields of an augmentation that say how far an image is moved."""


class Augmentation(Frozen):
    """How far each training image is moved at random; the bounds of uniform draws, but for `elastic`. Zeros: not at all."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rotation: float = Field(default=0.0, ge=0, le=180)
    """Degrees."""
    scale: float = Field(default=0.0, ge=0, lt=1)
    """Of each axis, as a share."""
    shear: float = Field(default=0.0, ge=0, le=2)
    """Pixels sideways for each pixel down."""
    shift: float = Field(default=0.0, ge=0)
    """Pixels along each axis."""
    elastic: float = Field(default=0.0, ge=0)
    """Standard deviation, in pixels, of the displacements on a coarse grid."""
    last_plain: int = Field(default=0, ge=0)
    """The last epochs train on the images as they are."""
    fading: bool = False
    """From epoch to epoch images are moved less, in a straight line down to nothing where the plain epochs begin."""

    def in_epoch(self, epoch: int, epochs: int) -> Augmentation:
        """Return how far images are moved in `epoch`, counted from 0, of `epochs`.

        >>> [Augmentation(shift=2, last_plain=1, fading=True).in_epoch(epoch, 5).shift for epoch in range(5)]
        [2.0, 1.5, 1.0, 0.5, 0.0]
        """
        left = epochs - self.last_plain - epoch
        share = max(0, left) / max(1, epochs - self.last_plain) if self.fading else float(left > 0)
        if share == 1:
            return self
        moved = {name: getattr(self, name) * share for name in MOVES}
        return self.model_copy(update=moved)

    @property
    def any(self) -> bool:
        """Whether anything is moved."""
        return any(getattr(self, name) for name in MOVES)


class Teacher(Frozen):
    """A network that is trained first, and whose answers the recipe's own network then learns beside the labels.

    Its samples are samples of the run. What does not stand here is as in the recipe. Source: Hinton, Vinyals and Dean, arXiv:1503.02531.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    network: str
    """Zoo name, or `path/to/file.py:Class`; built without arguments."""
    epochs: int = Field(default=8, ge=1, le=10_000)
    """Passes over the images before the recipe's own epochs begin."""
    rate: float = Field(default=0.01, gt=0)
    """Learning rate at the start, or the highest of a cycle."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """In the teacher's own loss; the recipe's is of its own network."""
    last_plain: int = Field(default=2, ge=0)
    """The teacher's last epochs train on the images as they are."""
    temperature: float = Field(default=2.0, ge=0.1, le=100)
    """By which both networks' logits are divided where they are compared; higher ones show more of the classes that are not the answer."""
    share: float = Field(default=0.9, gt=0, le=1)
    """Of the loss that follows the teacher; the rest follows the labels."""


class Recipe(Frozen):
    """Every decision of a run but its seed and its data folder. Units stand under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    name: str = Field(pattern=r"^\w[\w.+-]*$")
    """The zoo's name, or the class's name for a network of the user's own."""
    network: str
    """Zoo name, or `path/to/file.py:Class`."""
    network_arguments: dict[str, Scalar] = Field(default_factory=dict)
    """Keyword arguments of the network's constructor; on the command line `--set network.dropout=0.2`."""
    data: str = "mnist"
    """A data set's name, or the path of an `.npz` file or of a folder of images by class."""
    epochs: int = Field(default=20, ge=1, le=10_000)
    """Passes over the images that are trained on."""
    batch: int = Field(default=128, ge=1, le=65_536)
    """Images an optimizer step; the last batch of an epoch is smaller where they do not divide."""
    optimizer: Literal["adam", "sgd", "adamw"] = "adam"
    """`adam` as Keras 3 computes it; `sgd` with Keras's momentum; `adamw` torch's."""
    rate: float = Field(default=0.003, gt=0)
    """Learning rate at the start."""
    schedule: Literal["constant", "inverse-time", "one-cycle"] = "inverse-time"
    """`inverse-time`: rate / (1 + decay × epoch), a value for each epoch. `one-cycle`: a value for each step, up to `rate` and down to zero."""
    decay: float = Field(default=0.319, ge=0)
    """Of the inverse-time schedule, for each epoch."""
    warm_up: float = Field(default=0.15, ge=0, lt=1)
    """Share of all steps in which `one-cycle` rises."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Of `sgd`."""
    nesterov: bool = False
    """Of `sgd`."""
    beta_1: float = Field(default=0.9, ge=0, lt=1)
    """Of `adam` and `adamw`."""
    beta_2: float = Field(default=0.999, ge=0, lt=1)
    """Of `adam` and `adamw`."""
    epsilon: float = Field(default=1e-7, gt=0)
    """Of `adam` and `adamw`; Keras's default (torch's is 1e-8)."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of `adamw`: decoupled, times the rate; on kernels, not on BatchNormalization's scales and shifts."""
    averaging: float = Field(default=0.0, ge=0, lt=1)
    """Decay, for each step, of an average of weights and statistics that takes their place at the end; 0 keeps the last weights."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the answer that is spread over all classes in the training loss."""
    augmentation: Augmentation = Augmentation()
    """How training images are moved at random."""
    teacher: Teacher | None = None
    """What is trained before, to learn from; on the command line `--set teacher=NETWORK`, or `none`."""
    validation: int = Field(default=0, ge=0)
    """Images taken from the end of the training split and not trained on."""
    watch: Literal["nothing", "validation", "test"] = "nothing"
    """What is evaluated after each epoch. `test` only re-enacts a published hand-in that watched it; nothing is chosen by it."""
    strategy: str = ""
    """Why this recipe is as it is, in words for the hand-in."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.watch == "validation" and self.validation == 0:
            raise ValueError("watch=validation needs validation images: set validation, 5000 for instance")
        return self

    @property
    def epochs_in_all(self) -> int:
        """The epochs that a contract counts: the network's own and its teacher's."""
        return self.epochs + (self.teacher.epochs if self.teacher else 0)

    def of_teacher(self) -> Recipe:
        """Return the recipe by which the teacher is trained: this one, but for what `teacher` says. Only where there is one."""
        if self.teacher is None:
            raise ValueError(f"the recipe {self.name!r} has no teacher")
        told = self.teacher
        return self.varied(
            name=f"{self.name}.teacher",
            network=told.network,
            network_arguments={},
            epochs=told.epochs,
            rate=told.rate,
            label_smoothing=told.label_smoothing,
            augmentation={**self.augmentation.model_dump(), "last_plain": told.last_plain},
            teacher=None,
            watch="nothing",
            strategy="",
        )

    def varied(self, **changes: Any) -> Recipe:
        """Return a checked copy with `changes`. Raises `InputError` for an unknown field or a value it cannot take."""
        for field in changes:
            if field not in type(self).model_fields:
                raise InputError(f"A recipe has no field {field!r}.{did_you_mean(field, type(self).model_fields)}")
        try:
            return Recipe(**{**self.model_dump(), **changes})
        except ValidationError as error:
            raise InputError(f"Recipe {self.name!r}: {explain(error)}") from None

    def with_settings(self, settings: list[str]) -> Recipe:
        """Return a copy with `field=value` settings as the command line takes them.

        `network.NAME=value` reaches the constructor, `augmentation.NAME=value` the augmentation, `teacher.NAME=value` the teacher;
        `teacher=NETWORK` is its network, `teacher=none` takes it away.
        """
        changes: dict[str, Any] = {}
        arguments = dict(self.network_arguments)
        parts: dict[str, dict[str, Any]] = {"augmentation": {}, "teacher": {}}
        for setting in settings:
            field, separator, text = setting.partition("=")
            if not separator or not field:
                raise InputError(f"--set takes field=value, not {setting!r}.")
            part, _, name = field.partition(".")
            if part == "network" and name:
                arguments[name] = parse_scalar(text)
            elif part in parts and name:
                parts[part][name] = parse_scalar(text)
            elif field == "teacher" and text == "none":
                changes["teacher"] = None
                parts["teacher"].pop("network", None)
            elif field == "teacher":
                changes.pop("teacher", None)
                parts["teacher"]["network"] = text
            else:
                changes[field] = parse_scalar(text)
        if arguments != self.network_arguments:
            changes["network_arguments"] = arguments
        if "teacher" in changes and parts["teacher"]:
            raise InputError(f"teacher=none and teacher.{next(iter(parts['teacher']))}=… contradict each other.")
        for part, given in parts.items():
            if given:
                changes[part] = self._part_with(part, given)
        return self.varied(**changes)

    def _part_with(self, part: str, given: dict[str, Any]) -> dict[str, Any]:
        fields = (Augmentation if part == "augmentation" else Teacher).model_fields
        for name in given:
            if name not in fields:
                raise InputError(f"{'An' if part[0] in 'aeiou' else 'A'} {part} has no {name!r}.{did_you_mean(name, fields)}")
        present = getattr(self, part)
        if present is None and "network" not in given:
            raise InputError("This recipe has no teacher; name its network too: --set teacher=NETWORK")
        return {**(present.model_dump() if present else {}), **given}


def parse_scalar(text: str) -> Scalar:
    """Read `text` as JSON where it is a number or a truth value, else as the string that it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def explain(error: ValidationError) -> str:
    """Return pydantic's findings in one line: where, what, and the value that was given."""
    parts = []
    for item in error.errors():
        where = ".".join(str(step) for step in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        given = "" if item["type"] in {"missing", "value_error"} else f" (given: {item['input']!r})"
        parts.append(f"{where}: {message}{given}" if where else message)
    return "; ".join(parts)
