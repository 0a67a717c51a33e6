"""The way of one measurement: hold the network's state, trace twice, examine, count, and put the facts together."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from budgetnet.check import operations
from budgetnet.check.behaviour import observe
from budgetnet.check.counting import count
from budgetnet.check.evidence import Evidence, Findings
from budgetnet.check.findings import examine
from budgetnet.check.passes import count_passes
from budgetnet.check.rows import number_names
from budgetnet.check.sources import Sources
from budgetnet.check.trace import Trace
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
    for where, tensor in (*network.named_parameters(), *network.named_buffers()):
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise InputError(f"{name}: {where!r} is a sparse, quantized or empty tensor, whose numbers cannot be counted here.")
    with _held(network), _random_numbers_held(network):
        network = _materialised(network, name, input_shape)
        moving = _moving_buffers(network, input_shape)
        network.eval()
        first, output = _trace(network, name, input_shape, moving, seed=0)
        second, _ = _trace(network, name, input_shape, moving, seed=1)
        number_names(first.rows.rows)
        evidence = Evidence(first, second, BATCH)
        found = examine(evidence)
        classes = _look_at_output(first, output, found)
        passes = count_passes(evidence)
        rows, counts = count(network, evidence)
        seen = observe(network, lambda seed: _probe(network, input_shape, seed))
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
        peak_activation_bytes=seen.peak_activation_bytes,
        receptive_field=max((row.receptive_field for row in rows if row.receptive_field is not None), default=None),
        output=seen.output,
        depends_on_batch=seen.depends_on_batch,
        random_in_evaluation=seen.random_in_evaluation,
        depends_on_calls=seen.depends_on_calls,
    )


def _probe(network: nn.Module, input_shape: tuple[int, int, int], seed: int) -> Tensor:
    like = next((tensor for tensor in network.parameters() if tensor.is_floating_point()), None)
    images = torch.rand((BATCH, *input_shape), generator=torch.Generator().manual_seed(seed))
    return images if like is None else images.to(like.device, like.dtype)


def _moving_buffers(network: nn.Module, input_shape: tuple[int, int, int]) -> frozenset[str]:
    """Return the names of the floating buffers that a forward pass in training mode changes: running statistics by behaviour."""
    buffers = {name: buffer for name, buffer in network.named_buffers() if buffer.is_floating_point()}
    torchs_own = {
        id(b) for m in network.modules() if isinstance(m, nn.modules.batchnorm._NormBase) for b in m.buffers(recurse=False)
    }
    if all(id(buffer) in torchs_own for buffer in buffers.values()):
        return frozenset()
    before = {name: buffer.detach().clone() for name, buffer in buffers.items()}
    with _held(network):
        try:
            with torch.no_grad():
                network.train()(_probe(network, input_shape, seed=2))
        except Exception:
            return frozenset()  # what cannot be run in training mode shows no statistics; evaluation mode is judged below
        after = dict(network.named_buffers())
        return frozenset(name for name, value in before.items() if name in after and not torch.equal(value, after[name]))


def _trace(
    network: nn.Module, name: str, input_shape: tuple[int, int, int], moving: frozenset[str], *, seed: int
) -> tuple[Trace, object]:
    """Run the network once on random images, watched; raise `InputError` where it cannot be run."""
    images = _probe(network, input_shape, seed)
    torch.default_generator.manual_seed(seed)
    trace = Trace(network, Sources(network, moving), images)
    fast = torch.backends.mha.get_fastpath_enabled()
    # The fast path computes a whole transformer layer in one operation that nothing can look into.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            return trace, trace.record(network)
    except Exception as error:
        if _is_ours(error):
            raise
        raise InputError(f"{name}: {_cannot_run(error, input_shape)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


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
        and innermost.co_name not in {"record", "_run", "__torch_dispatch__"}
    )


def _cannot_run(error: Exception, input_shape: tuple[int, int, int]) -> str:
    shape = "×".join(str(side) for side in input_shape)
    reason = " ".join(str(error).split())[:200].rstrip(".") or "no reason given"
    return (
        f"cannot be run on an image of {shape} (channels × height × width): {type(error).__name__}: {reason}. "
        "Give the input shape that it expects, or mend its forward."
    )


def _materialised(network: nn.Module, name: str, input_shape: tuple[int, int, int]) -> nn.Module:
    """Return the network, or, where it has lazy layers, a copy of it whose layers have got their shapes."""
    if not any(nn.parameter.is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers())):
        return network
    try:
        network = copy.deepcopy(network).eval()
        with torch.no_grad():
            network(torch.rand((BATCH, *input_shape)))
    except Exception as error:
        raise InputError(f"{name}: {_cannot_run(error, input_shape)}") from error
    return network


def _look_at_output(trace: Trace, output: object, found: Findings) -> int | None:
    """Return the number of classes, and say where the output cannot be followed back to the image."""
    tensors = operations.tensors_in(output)
    if not tensors:
        found.cannot_tell("The network returns no tensor.")
        return None
    answer = tensors[0]
    if not trace.memory.content_of(answer).image:
        found.cannot_tell("The network's answer cannot be followed back to the image: it leaves torch on the way, or ignores it.")
    if answer.ndim < 2 or answer.shape[0] != BATCH or prod(answer.shape[1:]) != answer.shape[1]:
        found.say(f"The answer for {BATCH} images has the shape {tuple(answer.shape)}: the number of classes is not known.")
        return None
    return int(answer.shape[1])


def _unless_blind(found: Findings, clause: str, values: list[Finding]) -> tuple[Finding, ...] | None:
    """Return what was found; None where nothing was found and something may have been missed."""
    return None if not values and clause in found.blind else tuple(values)


@contextmanager
def _held(network: nn.Module) -> Iterator[None]:
    """Put back whatever a forward pass changes: modes, attributes, and the values of parameters and buffers."""
    attributes = [(module, dict(module.__dict__)) for module in network.modules()]
    tables = [dict(table) for module, _ in attributes for table in (module._parameters, module._buffers, module._modules)]
    tensors = [tensor for tensor in (*network.parameters(), *network.buffers()) if not nn.parameter.is_lazy(tensor)]
    values = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        contents = iter(tables)
        for module, before in attributes:
            module.__dict__.clear()
            module.__dict__.update(before)
            for table in (module._parameters, module._buffers, module._modules):
                table.clear()
                table.update(next(contents))  # type: ignore[arg-type]
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                if not torch.equal(tensor, value):
                    tensor.copy_(value)


@contextmanager
def _random_numbers_held(network: nn.Module) -> Iterator[None]:
    devices = {parameter.device.index or 0 for parameter in network.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices=sorted(devices)):
        yield
