"""The way of one measurement: hold the network's state, trace twice, examine, count, and put the facts together."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from budgetnet.check import declared, operations
from budgetnet.check.behaviour import observe
from budgetnet.check.counting import count
from budgetnet.check.evidence import OUTSIDE, Evidence, Findings
from budgetnet.check.findings import examine
from budgetnet.check.holding import held, random_numbers_held
from budgetnet.check.passes import count_passes
from budgetnet.check.rows import number_names
from budgetnet.check.sources import is_statistic
from budgetnet.check.trace import Trace
from budgetnet.check.ways import Walker, used_while_training, ways
from budgetnet.errors import InputError
from budgetnet.facts import Finding, NetworkFacts

BATCH = 3
"""Images in the probe: more than two, so that a size of two is not taken for the batch."""
SIDES = 4_096


def measure(network: nn.Module, *, name: str, input_shape: tuple[int, int, int]) -> NetworkFacts:
    """Return the structure of `network` for images of `input_shape` (channels, height, width), float values in [0, 1).

    The network may be in training mode and on any device; it is traced in evaluation mode and left as it was, and so are torch's
    global random numbers. Raises `InputError` where the network cannot be run on such an image, in one sentence.
    """
    if not isinstance(network, nn.Module):
        raise InputError(f"{name}: is no torch.nn.Module but a {type(network).__name__}.")
    if len(input_shape) != 3 or not all(isinstance(side, int) and 0 < side <= SIDES for side in input_shape):
        raise InputError(f"{name}: an input shape is channels, height and width, each from 1 to {SIDES:,}, not {input_shape}.")
    for where, _, tensor in (*declared.parameters(network), *declared.buffers(network)):
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise InputError(f"{name}: {where!r} is a sparse, quantized or empty tensor, whose numbers cannot be counted here.")
    with random_numbers_held(network):
        with held(network):
            network = _materialised(network, name, input_shape)
            dtype = _dtype(network, input_shape)

            def probe(seed: int) -> Tensor:
                return _probe(network, input_shape, dtype, seed)

            moving = _moving_buffers(network, probe)
            walker = Walker(network, probe, moving, lambda error: f"{name}: {_cannot_run(error, input_shape)}")
            evidences, output = ways(walker)
            found = _examined(evidences)
            classes = _look_at_output(evidences[0].first, output, found)
            passes = count_passes(evidences, found)
            rows, counts = count(network, evidences[0], _used(evidences, walker))
        with held(network):
            seen = observe(network.eval(), probe)
    found.notes += [note for note in seen.notes if note not in found.notes]
    return NetworkFacts(
        name=name,
        input_shape=input_shape,
        classes=classes,
        parameters=counts,
        layers=rows,
        multiply_accumulates=sum(row.multiply_accumulates for row in rows),
        fully_connected=_unless_blind(found, "fully_connected", found.fully_connected),
        fully_connected_equivalent=_unless_blind(found, "fully_connected", found.equivalent),
        biases=_unless_blind(found, "biases", found.biases),
        normalization_shifts=tuple(found.shifts),
        forward_passes=passes,
        notes=tuple(found.notes),
        hidden=tuple(found.hidden),
        unused=tuple(found.unused),
        uncounted=found.blind.get("parameters", ""),
        peak_activation_bytes=seen.peak_activation_bytes,
        receptive_field=max((row.receptive_field for row in rows if row.receptive_field is not None), default=None),
        output=seen.output,
        depends_on_batch=seen.depends_on_batch,
        random_in_evaluation=seen.random_in_evaluation,
        depends_on_calls=seen.depends_on_calls,
    )


def _examined(evidences: list[Evidence]) -> Findings:
    """Return what all ways through the network show."""
    for evidence in evidences:
        number_names(evidence.first.rows.rows)
    found = examine(evidences[0])
    for other in evidences[1:]:
        found.take(examine(other))
    return found


def _used(evidences: list[Evidence], walker: Walker) -> frozenset[int]:
    """Return the numbers of the sources that an answer depends on, in evaluation or else in training mode."""
    used = frozenset[int]().union(*(one.first.used for one in evidences))
    if any(source.kind == "parameter" and source.number not in used for source in evidences[0].first.sources.all):
        used |= used_while_training(walker)
    return used


def _probe(network: nn.Module, input_shape: tuple[int, int, int], dtype: torch.dtype, seed: int) -> Tensor:
    like = next((tensor for _, _, tensor in declared.parameters(network)), None)
    images = torch.rand((BATCH, *input_shape), generator=torch.Generator().manual_seed(seed))
    return images.to("cpu" if like is None else like.device, dtype)


def _dtype(network: nn.Module, input_shape: tuple[int, int, int]) -> torch.dtype:
    """Return the type of numbers that the network takes images in: that of its first parameter that runs, else float32."""
    kinds = [tensor.dtype for _, _, tensor in declared.parameters(network) if tensor.is_floating_point()]
    kinds = list(dict.fromkeys([*kinds, torch.float32]))
    for kind in kinds if len(kinds) > 1 else []:
        with held(network):
            try:
                with torch.no_grad():
                    network.eval()(_probe(network, input_shape, kind, seed=2))
                return kind
            except Exception:  # noqa: S112 - the trace says why, for the first of them
                continue
    return kinds[0]


def _moving_buffers(network: nn.Module, probe: Callable[[int], Tensor]) -> frozenset[str]:
    """Return the names of the floating buffers that training changes and evaluation leaves: running statistics by behaviour."""
    own = [(name, owner, buffer) for name, owner, buffer in declared.buffers(network) if buffer.is_floating_point()]
    if all(is_statistic(owner, buffer) for _, owner, buffer in own):
        return frozenset()
    moved: list[set[str]] = []
    for training in (True, False):
        with held(network):
            try:
                with torch.no_grad():
                    before = {name: buffer.detach().clone() for name, _, buffer in own}
                    network.train(training)(probe(2))
            except Exception:
                return frozenset()  # what cannot be run shows no statistics; the trace says why
            after = {name: buffer for name, _, buffer in declared.buffers(network)}
            moved.append({name for name, value in before.items() if name in after and not torch.equal(value, after[name])})
    return frozenset(moved[0] - moved[1])


def _cannot_run(error: Exception, input_shape: tuple[int, int, int]) -> str:
    shape = "×".join(str(side) for side in input_shape)
    reason = " ".join(str(error).split())[:200].rstrip(".") or "no reason given"
    return (
        f"cannot be run on an image of {shape} (channels × height × width): {type(error).__name__}: {reason}. "
        "Give the input shape that it expects, or mend its forward."
    )


def _materialised(network: nn.Module, name: str, input_shape: tuple[int, int, int]) -> nn.Module:
    """Return the network, or a copy after a first call where that call makes parameters: lazy layers, or the network's own habit."""
    lazy = any(nn.parameter.is_lazy(tensor) for tensor in declared.tensors(network))
    count = len(declared.tensors(network))
    with held(network):
        called = network
        try:
            if lazy:
                called = copy.deepcopy(network)
            with torch.no_grad():
                called.eval()(_probe(called, input_shape, torch.float32, seed=2))
            # What the first call made is as much the network's as what its constructor made.
            return called if lazy or len(declared.tensors(network)) == count else copy.deepcopy(network)
        except Exception as error:
            if lazy:
                raise InputError(f"{name}: {_cannot_run(error, input_shape)}") from error
            return network  # the trace says why


def _look_at_output(trace: Trace, output: object, found: Findings) -> int | None:
    """Return the number of classes, and say where the output cannot be followed back to the image."""
    tensors = operations.tensors_in(output)
    if not tensors:
        found.cannot_tell("The network returns no tensor.")
        return None
    answer = tensors[0]
    if not trace.memory.content_of(answer).image:
        why = "The network's answer cannot be followed back to the image: it leaves torch on the way, or ignores it."
        found.cannot_tell(why, *OUTSIDE)
    if answer.ndim < 2 or answer.shape[0] != BATCH or prod(answer.shape[1:]) != answer.shape[1]:
        found.say(f"The answer for {BATCH} images has the shape {tuple(answer.shape)}: the number of classes is not known.")
        return None
    return int(answer.shape[1])


def _unless_blind(found: Findings, clause: str, values: list[Finding]) -> tuple[Finding, ...] | None:
    """Return what was found; None where nothing was found and something may have been missed."""
    return None if not values and clause in found.blind else tuple(values)
