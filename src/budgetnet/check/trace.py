"""One forward pass, seen from below: which operations join the image with weights, in which layer, in which order.

A dispatch mode sees every operation below autograd, and hooks on all modules tell in which layer it happens. `memory` keeps what
each tensor depends on. Names and attributes are not looked at. Costs a forward pass of three images, some milliseconds more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from budgetnet.check import operations, trails
from budgetnet.check.details import details_of
from budgetnet.check.geometry import Geometry
from budgetnet.check.memory import Content, Memory, user_line
from budgetnet.check.rows import Row, Rows
from budgetnet.check.sources import Source, Sources
from budgetnet.check.trails import Trail


@dataclass
class Operand:
    """A tensor as an operation met it."""

    shape: tuple[int, ...]
    content: Content
    geometry: Geometry | None
    numbers: int
    floating: bool
    values: tuple[float, ...] | None = None
    """Of operands that depend on the image where a weight may stand: to be compared between two images."""
    trail: Trail = trails.NONE
    view: tuple[int, ...] = ()
    """Of numbers of the network: address, shape and strides, which tell two parts of one tensor apart."""


@dataclass
class Event:
    """One operation on the image that a clause may ask about."""

    name: str
    operands: list[Operand]
    roles: list[int]
    """For each operand its place among the operation's arguments."""
    output_shape: tuple[int, ...]
    row: Row | None
    multiply_accumulates: int = 0
    whole_map: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    file: str | None = None
    line: int | None = None


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The mode; use `record`. Afterwards `events`, `rows`, `output_depends_on_image` and the sources hold what was seen."""

    def __init__(self, network: nn.Module, sources: Sources, images: Tensor, turned: frozenset[int] = frozenset()) -> None:
        """`turned` are the numbers of the truth values, as the network reads them of the image, that it is told the opposite of."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.sources, self.images = sources, images
        self.memory = Memory(sources, images)
        self.rows = Rows(network)
        self.events: list[Event] = []
        self.scalars: set[float] = set()
        self.shifted_parts: dict[float, tuple[str | None, int | None]] = {}
        """Python numbers that were added to a part of what a layer gave, and where."""
        self.weight_reads = 0
        self.image_reads = 0
        self.questions = 0
        """How many truth values that the image decides were read into Python."""
        self.used: frozenset[int] = frozenset()
        """Sources that the answer depends on, or that were read into Python."""
        self._turned = turned

    def record(self, network: nn.Module) -> object:
        """Run `network` on the images under the mode, and return its output."""
        handles = [
            module_hooks.register_module_forward_pre_hook(lambda module, _: self.rows.enter(module)),
            module_hooks.register_module_forward_hook(self._leave, always_call=True),
        ]
        try:
            with self:
                output = network(self.images)
            self.memory.look(operations.tensors_in(output))
            contents = [self.memory.content_of(tensor) for tensor in operations.tensors_in(output)]
            if any(content.image for content in contents):
                met = (source.number for source in self.sources.all if source.met)
                self.used = self.used.union(*(content.sources for content in contents), met)
            else:
                self.used = frozenset(range(len(self.sources.all)))  # it left torch on the way: nothing can be called unused
            return output
        finally:
            for handle in handles:
                handle.remove()

    def _leave(self, module: nn.Module, _: object, output: object) -> None:
        tensors = operations.tensors_in(output)
        # Inside vmap the module hands out a wrapper of what the operations below it computed.
        known = bool(tensors) and not torch._C._functorch.is_functorch_wrapped_tensor(tensors[0])
        self.rows.leave(module, tuple(tensors[0].shape) if tensors else (), self.memory.geometry_of(tensors[0]) if known else None)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch wraps this mode so that it loads its whole compiler, which takes longer than all the rest.
        return False

    # --- the mode -----------------------------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Decompose composite operations; run the others and note what they did."""
        kwargs = kwargs or {}
        with self:
            # Under inference mode composite operations arrive whole; elsewhere this never applies.
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        return self._run(func, args, kwargs)

    def _run(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> object:
        name = operations.base_name(func)
        if func.namespace not in {"aten", "prims"}:
            name = f"{func.namespace}.{name}"
        inputs = [(place, tensor) for place, value in enumerate(args) for tensor in operations.tensors_in(value)]
        inputs += [(len(args), tensor) for tensor in operations.tensors_in(kwargs)]
        self.memory.look([tensor for _, tensor in inputs])
        if name in operations.CONVOLUTION | operations.MATRIX:
            self.memory.adopt([tensor for _, tensor in inputs])
        before = [(place, tensor, self.memory.content_of(tensor)) for place, tensor in inputs]
        operands = self._operands(name, before) if any(content.image for _, _, content in before) else []
        written = [] if not func._schema.is_mutable else _written(func, args, kwargs)
        result = func(*args, **kwargs)
        outputs = operations.tensors_in(result) or written
        if name == "_local_scalar_dense":
            return self._read(before[0][2], result)
        row = None
        if name not in operations.SHAPE_ONLY and operands and outputs:
            row = self._note(name, args, operands, before, outputs[0])
        self.memory.spread(func, name, args, before, outputs, written)
        if row is not None and row.module is None:
            row.output_shape, row.geometry = tuple(outputs[0].shape), self.memory.geometry_of(outputs[0])
        return result

    def _operands(self, name: str, before: Sequence[tuple[int, Tensor, Content]]) -> list[Operand]:
        joining = name in operations.CONVOLUTION | operations.MATRIX | operations.ADDITION
        operands = []
        for place, tensor, content in before:
            # Only where a weight may stand can a constant in disguise matter: not the first operand of a convolution.
            compared = joining and content.image and not (name in operations.CONVOLUTION and place == 0)
            appended = name == "cat" and not content.image and tensor.numel() > 0
            values = operations.fingerprint(tensor) if compared else operations.extremes(tensor) if appended else None
            floating = operations.is_floating(tensor)
            held = Content(content.image, content.sources, content.mixed)  # later writes must not reach back
            one = Operand(tuple(tensor.shape), held, self.memory.geometry_of(tensor), tensor.numel(), floating, values)
            one.trail = self.memory.trail_of(tensor)
            one.view = (
                () if content.image or tensor.layout != torch.strided else (tensor.data_ptr(), *tensor.shape, *tensor.stride())
            )
            operands.append(one)
        return operands

    def _read(self, content: Content, value: object) -> object:
        """Note that a number goes into Python; return it, or the opposite of a truth value where that way is to be seen."""
        self.weight_reads += bool(content.sources) and not content.image
        self.used |= content.sources
        if not content.image:
            return value
        if not isinstance(value, bool):
            self.image_reads += 1
            return value
        self.questions += 1
        return not value if self.questions - 1 in self._turned else value

    def _note(
        self,
        name: str,
        args: Sequence[Any],
        operands: list[Operand],
        before: Sequence[tuple[int, Tensor, Content]],
        output: Tensor,
    ) -> Row | None:
        roles = [place for place, _, _ in before]
        joined = [operand for operand in operands if operand.content.sources and not operand.content.image]
        shaped = name in operations.CONVOLUTION | operations.MATRIX | operations.NORMALIZATION
        shaped = shaped or name in operations.POOLING or name in operations.REDUCTION
        self.scalars.update(
            value for value in args if isinstance(value, float) and name in operations.PRODUCT | operations.ADDITION
        )
        if name in {"add", "sub", "rsub"} and operands[0].content.mixed and _is_part(before[0][1]):
            for value in args:
                if isinstance(value, int | float) and value:
                    self.shifted_parts.setdefault(float(value), user_line())
        interesting = shaped or joined or name in operations.ADDITION | {"cat", "constant_pad_nd"}
        lifted = name in trails.LOGARITHM and any(operand.trail.lifted for operand in operands)
        if not interesting and not lifted:
            return None
        used = [self.sources.all[number] for operand in joined for number in sorted(operand.content.sources)]
        for source in used:
            self._meet(source, name, joined)
        for operand in joined:
            sources = [self.sources.all[number] for number in operand.content.sources]
            if all(source.kind != "parameter" for source in sources):
                for source in sources:
                    source.alone = True
                    source.kernel |= len(sources) == 1 and name in operations.CONVOLUTION | operations.MATRIX
        if name in operations.BATCH_NORMALIZATION:
            self._mark_statistics(operands, roles)
        row = self.rows.for_operation(name, args, used, operands[0].shape, output)
        event = Event(name, operands, roles, tuple(output.shape), row, details=details_of(name, args, before, self.memory))
        if name in operations.CONVOLUTION | operations.MATRIX:
            event.multiply_accumulates = operations.multiply_accumulates(name, args, output)
            if row is not None:
                row.multiply_accumulates += event.multiply_accumulates
        if name in operations.CONVOLUTION:
            margins = operands[0].geometry.margins if operands[0].geometry else ()
            event.whole_map = operations.sees_whole_map(args, output, margins)
        event.file, event.line = user_line()
        self.events.append(event)
        return row

    def _mark_statistics(self, operands: list[Operand], roles: list[int]) -> None:
        """A buffer that serves as running mean or variance is one, whatever module holds it."""
        for operand, place in zip(operands, roles, strict=True):
            for number in operand.content.sources if place in {3, 4} else ():
                if self.sources.all[number].kind == "buffer":
                    self.sources.all[number].kind = "statistic"

    def _meet(self, source: Source, name: str, joined: list[Operand]) -> None:
        indexing = name in operations.SELECTION | {"masked_fill", "where", "index_put", "scatter", "embedding", "index_copy"}
        floating = any(operand.floating for operand in joined if source.number in operand.content.sources)
        # Places and truth values that only pick are structure; numbers that are computed with are weights, of whatever type.
        source.met = source.met or floating or not indexing
        if source.value is None and source.kind in {"constant", "random"}:
            source.value = source.tensor.clone()


def _is_part(tensor: Tensor) -> bool:
    """Return whether the tensor sees only a part of its memory."""
    return tensor.layout == torch.strided and tensor.numel() * tensor.element_size() < tensor.untyped_storage().nbytes()


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """Return the tensors that the operation writes into."""
    names = func._schema.arguments
    found: list[Tensor] = []
    for place, argument in enumerate(names):
        value = args[place] if place < len(args) else kwargs.get(argument.name)
        if argument.alias_info is not None and argument.alias_info.is_write:
            found += operations.tensors_in(value)
    return found
