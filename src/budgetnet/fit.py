"""The epochs of one run: batches from a resident uint8 data set, steps, log rows, checkpoints on the way.

Never receives the test split as such: `watched` is what the recipe says is looked at after each epoch. There is no data loader; a batch
is one `index_select`. Every random number comes from a generator derived from (seed, epoch, purpose), so a resumed run repeats an
uninterrupted one bit for bit. Costs 0.1 to 0.45 ms an image and thread for the zoo's networks on an AVX2 core.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from budgetnet.accelerated import WholeStep, accelerated
from budgetnet.augment import augment
from budgetnet.averaging import Average
from budgetnet.datasets import Split
from budgetnet.errors import Diverged
from budgetnet.evaluate import as_input, evaluate
from budgetnet.interruption import Interrupted, StopRequest
from budgetnet.loss import smoothed_loss, taught_loss
from budgetnet.optimizer import AnyOptimizer
from budgetnet.progress import Progress
from budgetnet.randomness import (
    derived_seed,
    generator_for,
    global_generator_states,
    global_generators_restored,
    restore_global_generators,
    seed_global_generators,
)
from budgetnet.recipe import Recipe
from budgetnet.schedule import rate_of_step
from budgetnet.state import Position, all_finite
from budgetnet.zoo.blocks import Dropout

DIVERGED_FACTOR = 10
"""A mean loss this many times the loss of guessing, ln(classes), will not come back."""
STEPS_OF_MEAN_LOSS = 50


@dataclass
class Fit:
    """One training under way: what it works on, where it stands, and what it tells whom."""

    path: Path
    """The run directory, for messages."""
    recipe: Recipe
    seed: int
    network: nn.Module
    log_probabilities: Callable[[Tensor], Tensor]
    training_answers: Callable[[Tensor], list[Tensor]]
    """Images -> what the loss holds against the labels: of towers each one's log-probabilities, of any other network its own."""
    optimizer: AnyOptimizer
    average: Average | None
    training: Split
    watched: Split | None
    classes: int
    position: Position
    generator_states: dict[str, Tensor]
    """Of the epoch under way, from a checkpoint; empty at the start of an epoch."""
    capture: Callable[[Fit], Callable[[], None]]
    """Takes the present state, and returns what writes it to the disk."""
    checkpoint_seconds: float
    stop: StopRequest
    progress: Progress
    teacher: Callable[[Tensor], Tensor] | None = None
    """Images (N, C, H, W) -> the log-probabilities to learn from; only with a recipe that has a teacher, and its epochs are over then."""
    dropout_generator: torch.Generator | None = None
    augmentation_generator: torch.Generator = field(default_factory=torch.Generator)
    whole_step: WholeStep | None = None
    """Where the network is one chain for the kernels; known once training begins."""
    last_saved: float = 0.0
    pending: Callable[[], None] | None = None
    """Writes a state that was taken and not yet proven good: it is, once the next step's loss is."""

    def run(self) -> None:
        """Train up to the recipe's last epoch. Raises `Diverged`, or `Interrupted` after the state was saved."""
        self.last_saved = time.monotonic()
        before = self.recipe.epochs_in_all - self.recipe.epochs
        self.progress.start(len(self.training), len(self.watched) if self.watched else 0, before)
        with global_generators_restored(), accelerated(self.network) as self.whole_step:
            while self.position.epoch < self.recipe.epochs:
                self._epoch()

    def generators(self) -> dict[str, Tensor]:
        """Return the states of the generators that are in use inside an epoch; none at its start."""
        if self.position.step == 0 or self.dropout_generator is None:
            return {}
        own = {"dropout": self.dropout_generator.get_state(), "augmentation": self.augmentation_generator.get_state()}
        return {**own, **global_generator_states()}

    def _epoch(self) -> None:
        position, recipe = self.position, self.recipe
        order = torch.randperm(len(self.training), generator=generator_for(self.seed, position.epoch, "order"))
        self._set_generators()
        self.network.train()
        batches = torch.split(order, recipe.batch)
        rate = rate_of_step(recipe, position.epoch * len(batches), len(batches))
        self.progress.epoch_start(position.epoch + 1, recipe.epochs, rate)
        for index in range(position.step, len(batches)):
            step = position.epoch * len(batches) + index
            self._set_rate(rate_of_step(recipe, step, len(batches)))
            self._step(batches[index])
            if self.average is not None:
                self.average.after_step(step)
            if index + 1 < len(batches):
                self._save_if_due()
        self._close_epoch(rate)

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _set_generators(self) -> None:
        epoch = self.position.epoch
        self.dropout_generator = generator_for(self.seed, epoch, "dropout")
        self.augmentation_generator = generator_for(self.seed, epoch, "augmentation")
        seed_global_generators(derived_seed(self.seed, epoch, "torch"))
        if self.generator_states:
            self.dropout_generator.set_state(self.generator_states["dropout"])
            self.augmentation_generator.set_state(self.generator_states["augmentation"])
            restore_global_generators(self.generator_states)
            self.generator_states = {}
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.generator = self.dropout_generator

    def _step(self, indices: Tensor) -> None:
        started = time.monotonic()
        labels = self.training.labels.index_select(0, indices)
        images = self._moved(as_input(self.training.images.index_select(0, indices)))
        smoothing = self.recipe.label_smoothing
        found = self.whole_step(images, labels, smoothing) if self.whole_step and self.teacher is None else None
        value, correct = found or self._gradients(images, labels, smoothing)
        self._refuse_divergence(value)
        self._write_pending()
        self.optimizer.step()
        position = self.position
        position.step += 1
        position.samples_seen += len(indices)
        position.loss_sum += value * len(indices)
        position.correct += correct
        position.seconds += time.monotonic() - started
        done = min(position.step * self.recipe.batch, len(self.training))
        self.progress.step(done, len(self.training), position.seconds, position.loss_sum / done, position.correct / done)

    def _gradients(self, images: Tensor, labels: Tensor, smoothing: float) -> tuple[float, int]:
        """Return the mean loss and how many answers are right, with the gradients in the parameters' `grad`."""
        answers = self.training_answers(images)
        if self.teacher is None or self.recipe.teacher is None:
            losses = [smoothed_loss(answer, labels, smoothing) for answer in answers]
        else:
            wanted, teacher = self.teacher(images), self.recipe.teacher
            losses = [taught_loss(answer, labels, smoothing, wanted, teacher) for answer in answers]
        self.optimizer.zero_grad(set_to_none=True)
        # Of several towers each learns as if it were alone; the mean is what is told.
        of_each = torch.stack(losses)
        torch.autograd.backward(of_each.sum())
        joint = torch.stack(answers).detach().sum(0)
        return float(of_each.detach().mean()), int((joint.argmax(1) == labels).sum())

    def _moved(self, images: Tensor) -> Tensor:
        options = self.recipe.augmentation.in_epoch(self.position.epoch, self.recipe.epochs)
        return augment(images, options, self.augmentation_generator)

    def _refuse_divergence(self, loss: float) -> None:
        where = f"in epoch {self.position.epoch + 1}, step {self.position.step + 1}"
        if not math.isfinite(loss):
            raise Diverged(f"The loss became {loss} {where}. The last good state is kept; a lower --set rate=… may help.")
        self.position.recent_loss += (loss - self.position.recent_loss) / STEPS_OF_MEAN_LOSS
        if self.position.recent_loss > DIVERGED_FACTOR * math.log(max(2, self.classes)):
            raise Diverged(
                f"The loss is diverging {where}: {self.position.recent_loss:.3g} on average over the last steps, where guessing "
                f"gives {math.log(self.classes):.1f}. The last good state is kept; a lower --set rate=… may help."
            )

    def _save_if_due(self) -> None:
        if self.stop.signal is not None:
            self._take_state()
            self._stop(self.stop.signal)
        if time.monotonic() - self.last_saved >= self.checkpoint_seconds:
            self._take_state()

    def _take_state(self) -> None:
        # A single step can ruin weights that stay finite, so a state waits for the next loss before it takes the place of an older one.
        self.pending = self.capture(self)
        self.last_saved = time.monotonic()

    def _write_last(self) -> None:
        # No further loss will come to prove this state; it must at least be finite.
        if not all_finite(self.network):
            raise Diverged(f"The weights became NaN or infinite in epoch {self.position.epoch}. The last good state is kept.")
        self._write_pending()

    def _stop(self, signal: int) -> NoReturn:
        self._write_last()
        raise Interrupted(signal, self.path)

    def _write_pending(self) -> None:
        if self.pending is not None:
            self.pending()
            self.pending = None

    def _close_epoch(self, rate: float) -> None:
        started = time.monotonic()
        position, samples = self.position, len(self.training)
        with self.average.in_place() if self.average else nullcontext():
            watched = evaluate(self.network, self.log_probabilities, self.watched) if self.watched else None
        if watched and not math.isfinite(watched.loss):
            raise Diverged(f"The loss after epoch {position.epoch + 1} is {watched.loss}. The last good state is kept.")
        row = {
            "epoch": position.epoch + 1,
            "rate": rate,
            "loss": position.loss_sum / samples,
            "accuracy": position.correct / samples,
            "val_loss": watched.loss if watched else None,
            "val_accuracy": watched.accuracy if watched else None,
            "samples_seen": position.samples_seen,
            "samples": samples,
            "validated": watched.images if watched else 0,
        }
        seconds = position.seconds + time.monotonic() - started
        position.log.append(row)
        position.timing.append({"epoch": row["epoch"], "seconds": round(seconds, 3)})
        position.epoch, position.step = position.epoch + 1, 0
        position.loss_sum, position.correct, position.seconds = 0.0, 0, 0.0
        self._take_state()
        if position.epoch == self.recipe.epochs:
            self._write_last()
        self.progress.epoch_end(row, seconds)
        if self.stop.signal is not None and position.epoch < self.recipe.epochs:
            self._stop(self.stop.signal)
