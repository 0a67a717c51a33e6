"""Random numbers that can be drawn again: one generator for each (seed, epoch, purpose).

Because a generator is derived and never passed on from epoch to epoch, a resumed run needs no history: the generators of the
epoch it stands in are made anew, and only their position inside that epoch comes from the checkpoint. Nothing draws from torch's
global generator but the user's own layers, and `global_seed` ties that one too. Level 1; costs microseconds.
"""

import hashlib

import torch


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """Return 63 bits from SHA-256 over the three, so that neighbouring seeds share nothing."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator_for(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """Return a fresh CPU generator for the purpose (`order`, `dropout`, …) in the epoch (from 0)."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, purpose))
