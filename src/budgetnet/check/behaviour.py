"""What a network does beyond its structure: the form of its answers, and what they depend on besides the image.

Seen from outside, by calls in evaluation mode: the same call again, with other random numbers, with other neighbours in the
batch, alone. The operations of one more call are watched for how many bytes of activations are alive at one time. About ten
forward passes of at most four images. What fails in such a call is left open (None), never taken for an answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from budgetnet.check import declared, operations
from budgetnet.facts import OutputFacts

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""Kernels may round differently for another size of the batch; a neighbour that matters moves an answer further than that."""
CALLS = 4
SUM = 1e-3


@dataclass
class Behaviour:
    """The fields of `NetworkFacts` of the same names, None where they could not be seen."""

    peak_activation_bytes: int | None = None
    output: OutputFacts | None = None
    depends_on_batch: bool | None = None
    random_in_evaluation: bool | None = None
    depends_on_calls: bool | None = None
    notes: list[str] = field(default_factory=list)


def observe(network: nn.Module, probe: Callable[[int], Tensor]) -> Behaviour:
    """Return what calls of `network` (in evaluation mode) show; `probe` gives random images (N, C, H, W) for a seed.

    Attributes and buffers may change on the way: the caller puts them back. Global random numbers are put back here.
    """
    seen = Behaviour()
    with _generators_held(), torch.no_grad():
        images = torch.cat([probe(3), probe(4)])[:4]
        answers = [_answer(network, images, seed=0) for _ in range(CALLS)]
        first = answers[0]
        if first is None or any(answer is None for answer in answers):
            return seen
        seen.output = _output(first, len(images))
        seen.depends_on_calls = not all(_alike(first, answer) for answer in answers)
        if not seen.depends_on_calls:
            seen.random_in_evaluation = not _alike(first, _answer(network, images, seed=1))
        if not seen.depends_on_calls and not seen.random_in_evaluation:
            seen.depends_on_batch = _looks_at_neighbours(network, images, probe(5), first)
        seen.peak_activation_bytes = _peak(network, images[:1].clone())
    if seen.depends_on_batch is None and seen.output is not None and not (seen.depends_on_calls or seen.random_in_evaluation):
        seen.notes.append("Whether an image's answer depends on its neighbours in the batch could not be seen.")
    return seen


def _answer(network: nn.Module, images: Tensor, *, seed: int) -> Tensor | None:
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed)
    try:
        tensors = operations.tensors_in(network(images.clone()))
    except Exception:
        return None  # a size of the batch that it cannot take; the trace has judged the rest
    return tensors[0].detach().clone().to(torch.float64) if tensors and not tensors[0].is_complex() else None


def _alike(one: Tensor, other: Tensor | None) -> bool:
    if other is None or one.shape != other.shape:
        return other is None  # a failed call says nothing
    finite = one[one.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE + RELATIVE * scale, equal_nan=True)


def _looks_at_neighbours(network: nn.Module, images: Tensor, others: Tensor, first: Tensor) -> bool | None:
    if first.ndim == 0 or first.shape[0] != len(images):
        return None
    elsewhere = _answer(network, torch.cat([images[:2], others])[:4], seed=0)
    turned = _answer(network, images.flip(0), seed=0)
    alone = _answer(network, images[:1], seed=0)
    if elsewhere is None or turned is None or elsewhere.shape != first.shape or turned.shape != first.shape:
        return None
    if alone is not None and (alone.ndim != first.ndim or alone.shape[0] != 1):
        alone = None  # a squeezed batch of one: another form of the same answer
    pairs = [(first[:2], elsewhere[:2]), (first, turned.flip(0))] + ([] if alone is None else [(first[:1], alone)])
    return not all(_alike(one, other) for one, other in pairs)


def _output(answer: Tensor, images: int) -> OutputFacts | None:
    if answer.ndim == 0 or answer.shape[0] != images or answer.numel() == 0 or not bool(answer.isfinite().all()):
        return None
    each = answer.reshape(images, -1)
    kind: Literal["probabilities", "log-probabilities", "logits"] = "logits"
    if bool((each >= 0).all()) and bool((each.sum(1) - 1).abs().max() < SUM) and each.shape[1] > 1:
        kind = "probabilities"
    elif bool((each <= 0).all()) and bool((each.exp().sum(1) - 1).abs().max() < SUM) and each.shape[1] > 1:
        kind = "log-probabilities"
    shape = tuple(int(side) for side in answer.shape[1:])
    return OutputFacts(shape=shape, smallest=float(each.min()), largest=float(each.max()), kind=kind)


def _peak(network: nn.Module, image: Tensor) -> int | None:
    watch = _Alive(network, image)
    try:
        with watch:
            network(image)
    except Exception:
        return None
    return watch.peak


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums, after each operation, the bytes of all memory that operations made and that is still held by someone."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._own = {tensor.untyped_storage()._cdata for tensor in declared.tensors(network)}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._image = image  # the image stays alive through the call, in the caller's hands
        self.peak = image.numel() * image.element_size()
        self._keep([image])

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def _keep(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._own:
                self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run the operation, then count what is alive."""
        result = func(*args, **(kwargs or {}))
        self._keep(operations.tensors_in(result))
        self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result


@contextmanager
def _generators_held() -> Iterator[None]:
    """Put Python's and NumPy's global random numbers back; torch's are held by the caller."""
    python, array = random.getstate(), numpy.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(array)
