"""Random numbers that can be drawn again: one generator for each (seed, epoch, purpose).

Because a generator is derived and never passed on from epoch to epoch, a resumed run needs no history: the generators of the epoch it
stands in are made anew, and only their position inside that epoch comes from the checkpoint. Nothing here draws from the global
generators of torch, NumPy and Python, but a user's own layers may, so those are seeded, kept and restored too. Costs microseconds.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import torch
from torch import Tensor

from budgetnet.errors import InputError


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """Return 63 bits from SHA-256 over the three, so that neighbouring seeds share nothing."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator_for(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """Return a fresh CPU generator for the purpose (`order`, `dropout`, …) in the epoch (from 0)."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, purpose))


def seed_global_generators(seed: int) -> None:
    """Put the global generators of torch, NumPy and Python at a place that only `seed` decides."""
    torch.manual_seed(seed)
    numpy.random.seed(seed % 2**32)
    random.seed(seed)


def global_generator_states() -> dict[str, Tensor]:
    """Return where the three global generators stand, as tensors."""
    _, keys, position, has_gauss, gauss = numpy.random.get_state()
    _, words, kept = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": torch.tensor([int(key) for key in keys] + [int(position), int(has_gauss)], dtype=torch.int64),
        "numpy_gauss": torch.tensor([float(gauss)], dtype=torch.float64),
        "python": torch.tensor(words, dtype=torch.int64),
        "python_gauss": torch.tensor([] if kept is None else [kept], dtype=torch.float64),
    }


def restore_global_generators(states: dict[str, Tensor]) -> None:
    """Put the three global generators where `global_generator_states` found them. Raises `InputError` for anything else."""
    try:
        torch.set_rng_state(states["torch"])
        *keys, position, has_gauss = states["numpy"].tolist()
        gauss = float(states["numpy_gauss"].item())
        numpy.random.set_state(("MT19937", numpy.array(keys, dtype=numpy.uint32), position, has_gauss, gauss))
        kept = states["python_gauss"].tolist()
        random.setstate((3, tuple(states["python"].tolist()), kept[0] if kept else None))
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"The checkpoint's random generators cannot be restored: {error}") from None


@contextmanager
def global_generators_restored() -> Iterator[None]:
    """Leave the caller's global generators as they were."""
    before = global_generator_states()
    try:
        yield
    finally:
        restore_global_generators(before)
