"""What each tensor of a trace depends on: the image, sources of numbers, the positions that it stems from, and its steps.

Dependence belongs to memory, so that views and writing in place keep it; geometry belongs to the single tensor, because a view may
see a part. Memory that was never seen before is a source of its own. The bookkeeping holds no activation alive.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakIdKeyDictionary

from budgetnet.check import geometry, operations, places, trails
from budgetnet.check.geometry import Geometry
from budgetnet.check.places import Places
from budgetnet.check.sources import Sources
from budgetnet.check.trails import Trail

PACKAGE = str(Path(__file__).resolve().parent.parent)
MANY_VALUES = 64
"""More different numbers than this in a kernel that the code computes are weights, wherever they come from."""
WRITES = frozenset({"copy", "index_put", "slice_scatter", "select_scatter", "index_copy", "scatter"})
"""They put their operand into memory that was there before."""
COMPRESSED = frozenset({torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})
TORCH = str(Path(torch.__file__).resolve().parent)


@dataclass
class Content:
    """What one memory depends on."""

    image: bool = False
    sources: frozenset[int] = frozenset()
    mixed: frozenset[int] = frozenset()
    """Sources that a convolution or matrix product has mixed the image with."""
    geometry: Geometry | None = None
    """Of what was last written here, for tensors that are read through another view than they were written by."""
    seal: tuple[int, int] | None = None
    """A sum over the memory as the last operation left it."""
    reference: StorageWeakRef | None = None
    """Keeps the address from being given away while the trace runs."""


class Memory:
    """The dependences of all tensors of one trace."""

    def __init__(self, sources: Sources, images: Tensor) -> None:
        self.sources, self.images = sources, images
        self.unknown: dict[str, str] = {}
        """What could not be followed, and why."""
        self._contents: dict[int, Content] = {}
        self._geometries, self._places, self._trails = WeakIdKeyDictionary(), WeakIdKeyDictionary(), WeakIdKeyDictionary()
        self._remember(images, Content(image=True))
        self._contents[images.untyped_storage()._cdata].seal = _seal(images)
        self._geometries[images], self._places[images] = geometry.of_image(images.shape), places.of_image(images)

    def content_of(self, tensor: Tensor) -> Content:
        """Return what the tensor's memory depends on; memory never seen before is a source of its own."""
        tensor = stored(tensor)
        try:
            known = self._contents.get(tensor.untyped_storage()._cdata)
        except (NotImplementedError, RuntimeError):
            self.unknown.setdefault("storage", "A sparse or otherwise opaque tensor takes part, and cannot be followed.")
            return Content()
        if known is not None or tensor.numel() == 0:
            return known or Content()
        source = self.sources.declared_at(tensor)
        if source is None:
            source = self.sources.constant(tensor)
            source.file, source.line = user_line()
        content = Content(sources=frozenset({source.number}))
        self._remember(tensor, content)
        return content

    def geometry_of(self, tensor: Tensor) -> Geometry | None:
        """Return the tensor's geometry, or None where it does not depend on the image."""
        found: Geometry | None = self._geometries.get(tensor)  # type: ignore[no-untyped-call]
        content = self.content_of(tensor)
        if found is not None or not content.image:
            return found
        # Written piece by piece into memory that was there before: as many images as fit.
        copies = 1.0 if content.mixed else max(1.0, tensor.numel() / self.images.numel())
        positions = float(prod(tensor.shape[2:]))
        if content.geometry is None:
            return Geometry(None, None, positions, copies)
        return replace(content.geometry, copies=copies, positions=max(positions, content.geometry.positions), weighted=None)

    def places_of(self, tensor: Tensor) -> Places | None:
        """Return the places that the tensor's numbers stem from, or None where that was not followed."""
        found: Places | None = self._places.get(tensor)  # type: ignore[no-untyped-call]
        return found

    def trail_of(self, tensor: Tensor) -> Trail:
        """Return what was done to the tensor's values that a later operation may ask about."""
        found: Trail = self._trails.get(tensor, trails.NONE)  # type: ignore[no-untyped-call]
        return found

    def look(self, tensors: Sequence[Tensor]) -> None:
        """Note where memory that depends on the image is not as the last operation left it: something else has written there."""
        for tensor in tensors:
            content = self.content_of(tensor)
            if content.image and content.seal is not None and content.seal != _seal(tensor):
                why = "A tensor was written into between two operations, past torch (NumPy, or plain Python)."
                self.unknown.setdefault("outside", why)

    def adopt(self, tensors: Sequence[Tensor]) -> None:
        """Make sources of those that are kernels made by a formula, of many values that differ, where one of them is the image.

        A few values again and again (a blur, the cosines of one side of a map) are structure.
        """
        contents = [self.content_of(tensor) for tensor in tensors]
        for tensor, content in zip(tensors, contents, strict=True):
            made = not content.image and not content.sources and operations.is_floating(tensor) and tensor.layout == torch.strided
            if made and any(one.image for one in contents) and operations.different_values(tensor) > MANY_VALUES:
                source = self.sources.constant(tensor)
                source.file, source.line = user_line()
                content.sources = frozenset({source.number})

    def _remember(self, tensor: Tensor, content: Content) -> None:
        storage = tensor.untyped_storage()
        content.reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        self._contents[storage._cdata] = content

    def spread(
        self,
        func: Any,
        name: str,
        args: Sequence[Any],
        before: Sequence[tuple[int, Tensor, Content]],
        outputs: list[Tensor],
        written: list[Tensor],
    ) -> None:
        """Hand on to the outputs what they depend on."""
        contents = [] if name in operations.SHAPE_ONLY else [content for _, _, content in before]
        image = any(content.image for content in contents)
        gathered = frozenset[int]().union(*(content.sources for content in contents))
        mixed = frozenset[int]().union(*(content.mixed for content in contents))
        if image and name in operations.CONVOLUTION | operations.MATRIX:
            mixed |= gathered
        if name in operations.RANDOM and not image:
            gathered |= {self.sources.constant(tensor, "random").number for tensor in outputs if tensor.numel() > 0}
        if (not image and _only_zeros(name, before)) or (image and _cancels(name, args, outputs)):
            image, gathered, mixed = False, frozenset(), frozenset()
        geometries = [(tensor, found) for _, tensor, content in before if content.image and (found := self.geometry_of(tensor))]
        every = (*outputs, *(tensor for tensor in written if all(tensor is not output for output in outputs)))
        for number, tensor in enumerate(every):
            content = self._join(tensor, Content(image, gathered, mixed))
            if image and geometries:
                found = self._weighted(name, geometry.after(name, args, geometries, tensor), before, tensor)
                self._geometries[tensor] = content.geometry = found
                self._follow(func, name, args, before, tensor, number)
            if content.image:
                content.seal = _seal(tensor)

    def _follow(
        self, func: Any, name: str, args: Sequence[Any], before: Sequence[tuple[int, Tensor, Content]], output: Tensor, number: int
    ) -> None:
        """Hand on places and trail."""
        images = [tensor for _, tensor, content in before if content.image]
        others = [(tensor, bool(content.sources)) for _, tensor, content in before if not content.image]
        known = [(tensor, self.places_of(tensor)) for tensor in images]
        if name in WRITES:
            self._places[output] = self.places_of(images[-1]) if images[-1].shape == output.shape else None
        else:
            self._places[output] = places.after(func, name, args, known, output, number)
        self._trails[output] = trails.after(name, args, [(tensor, self.trail_of(tensor)) for tensor in images], others, output)

    def _join(self, tensor: Tensor, new: Content) -> Content:
        tensor = stored(tensor)
        try:
            known = self._contents.get(tensor.untyped_storage()._cdata)
        except (NotImplementedError, RuntimeError):
            self.unknown.setdefault("storage", "A sparse or otherwise opaque tensor takes part, and cannot be followed.")
            return new
        if known is None:
            self._remember(tensor, new)
            return new
        known.image, known.sources, known.mixed = known.image or new.image, known.sources | new.sources, known.mixed | new.mixed
        return known

    def _is_running(self, tensor: Tensor) -> bool:
        return any(self.sources.all[number].kind == "statistic" for number in self.content_of(tensor).sources)

    def _weighted(self, name: str, after: Geometry, before: Sequence[tuple[int, Tensor, Content]], output: Tensor) -> Geometry:
        """Add what products with weights, and divisions by the root of a statistic, leave for later operations to see."""
        images = [(tensor, found) for _, tensor, content in before if content.image and (found := self.geometry_of(tensor))]
        weights = [tensor for _, tensor, content in before if content.sources and not content.image]
        normalized = any(found.normalized for _, found in images)
        if name in operations.PRODUCT:
            flags = [False] * output.ndim
            for tensor in weights:
                for place in range(1, tensor.ndim + 1):
                    flags[output.ndim - place] |= tensor.shape[-place] > 1
            held = next((found.weighted for tensor, found in images if tensor.ndim == output.ndim and found.weighted), None)
            flags = [flag or bool(held and held[place]) for place, flag in enumerate(flags)]
            by_root = len(images) == 2 and any(found.root for _, found in images[int(name == "div") :])
            by_root |= any(self._is_running(tensor) for tensor in weights)
            return replace(after, weighted=tuple(flags) if any(flags) else None, normalized=normalized or by_root)
        if name in operations.ADDITION | operations.REARRANGING:
            return replace(after, normalized=normalized)
        return after


def stored(tensor: Tensor) -> Tensor:
    """Return the tensor whose memory holds the numbers: of a sparse one its values, else itself."""
    if tensor.layout == torch.sparse_coo:
        return tensor._values()
    if tensor.layout in COMPRESSED:
        return tensor.values()
    return tensor


def _seal(tensor: Tensor) -> tuple[int, int] | None:
    """Return two sums over the tensor's whole memory, one of them sensitive to order; None where it cannot be looked at."""
    try:
        memory = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(stored(tensor).untyped_storage())
        words = memory.view(torch.int32) if len(memory) % 4 == 0 else memory
        return int(words.sum()), int((words[1:] ^ words[:-1]).sum())
    except (NotImplementedError, RuntimeError):
        return None


def _only_zeros(name: str, before: Sequence[tuple[int, Tensor, Content]]) -> bool:
    """Return whether this is weights times zeros that the code wrote: zeros, whatever the weights become, and no numbers of its own."""
    products = (operations.CONVOLUTION | operations.MATRIX | operations.PRODUCT) - operations.ADDS_FIRST - operations.RECURRENT
    plain = [stored(tensor) for _, tensor, content in before if not content.sources]
    return name in products and len(before) == 2 and len(plain) == 1 and not bool(plain[0].any())


def _cancels(name: str, args: Sequence[Any], outputs: Sequence[Tensor]) -> bool:
    """Return whether nothing of the image is left: times zero, less or by itself, to the power of zero."""
    if name not in {"mul", "sub", "div", "pow", "eq", "ne"} or len(args) < 2 or not outputs or not isinstance(args[0], Tensor):
        return False
    itself = args[1] is args[0] and name != "mul"
    nothing = not isinstance(args[1], Tensor) and args[1] == 0 and name in {"mul", "pow"}
    return (itself and name != "pow") or nothing


def user_line() -> tuple[str | None, int | None]:
    """Return file and line of the innermost frame of the network's call that is neither torch's nor this package's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PACKAGE) and frame.f_code.co_name == "record":
            break
        if not name.startswith((PACKAGE, TORCH, "<")):
            return name, frame.f_lineno
        frame = frame.f_back
    return None, None
