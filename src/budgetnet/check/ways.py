"""The ways that images can take through a network, each traced twice: as it comes, with each decision turned, and when called again.

A network may ask «is this corner empty?» and answer otherwise for real images than for the check's. Where it reads a truth value
that the image decides, the pass is made again with that answer turned; a refusal (an assertion, an error) is no way. Two more
passes for each such question, one more to see whether a second call goes another way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from budgetnet.check.evidence import MOST_QUESTIONS, Evidence
from budgetnet.check.holding import held, stir
from budgetnet.check.sources import Sources
from budgetnet.check.trace import Trace
from budgetnet.errors import InputError


@dataclass
class Walker:
    """Sends images through a network, watched, and leaves it as it was."""

    network: nn.Module
    probe: Callable[[int], Tensor]
    """Random images (N, C, H, W) for a seed."""
    moving: frozenset[str]
    """Buffers that training changes."""
    refuse: Callable[[Exception], str]
    """The sentence for a network that cannot be run."""

    def trace(
        self, seed: int, *, turned: frozenset[int] = frozenset(), calls: int = 0, training: bool = False
    ) -> tuple[Trace, object]:
        """Run the network once on random images, watched, after `calls` other calls; raise `InputError` where it cannot be run."""
        images = self.probe(seed)
        fast = torch.backends.mha.get_fastpath_enabled()
        # The fast path computes a whole transformer layer in one operation that nothing can look into.
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with held(self.network), torch.no_grad():
                stir(self.network)
                self.network.train(training)
                for _ in range(calls):
                    self.network(images.clone())
                torch.default_generator.manual_seed(seed)
                trace = Trace(self.network, Sources(self.network, self.moving), images, turned)
                return trace, trace.record(self.network)
        except Exception as error:
            if _is_ours(error):
                raise
            raise InputError(self.refuse(error)) from error
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


def ways(walker: Walker) -> tuple[list[Evidence], object]:
    """Return the evidence of each way, the plain one first, and what the plain call returned. Raises `InputError`."""
    first, output = walker.trace(0)
    second, _ = walker.trace(1)
    batch = len(first.images)
    found = [Evidence(first, second, batch)]
    known = {_steps(first)}
    for turned in _questions(max(first.questions, second.questions)):
        try:
            one, other = (walker.trace(seed, turned=turned)[0] for seed in (0, 1))
        except InputError:
            continue  # an image for which it is so is refused: there is no such way
        if _steps(one) not in known:
            known.add(_steps(one))
            found.append(Evidence(one, other, batch))
    try:
        again, _ = walker.trace(0, calls=1)
        if _steps(again) not in known and found[0].comparable:
            found.append(Evidence(again, walker.trace(1, calls=1)[0], batch))
    except InputError:
        pass  # that a second call fails is for `behaviour` to say
    if len(found) > 1:
        found[0].findings.say(f"Images can take {len(found)} ways through the network, and all were followed.")
    return found, output


def used_while_training(walker: Walker) -> frozenset[int]:
    """Return the numbers of the declared sources that a forward pass in training mode uses; none where it cannot be run."""
    try:
        trace, _ = walker.trace(2, training=True)
    except InputError:
        return frozenset()
    return trace.used


def _questions(count: int) -> list[frozenset[int]]:
    """Return which answers to turn: each alone, then all together."""
    if count == 0 or count > MOST_QUESTIONS:
        return []
    each = [frozenset({number}) for number in range(count)]
    return each if count == 1 else [*each, frozenset(range(count))]


def _steps(trace: Trace) -> tuple[tuple[str, str], ...]:
    return tuple((event.name, event.row.path if event.row else "") for event in trace.events)


def _is_ours(error: Exception) -> bool:
    """Return whether the error arose in this folder's own code: a fault of the check must not be laid on the network."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    here = str(Path(__file__).parent)
    innermost = frame.tb_frame.f_code if frame is not None else None
    return (
        innermost is not None
        and innermost.co_filename.startswith(here)
        and innermost.co_name not in {"record", "_run", "__torch_dispatch__", "trace"}
    )
