"""Pictures of digits as people have them -> images as MNIST's were made: `opened` a file, `prepared` its pixels.

Files may be anything: each is held against bounds before it is decoded. NumPy, SciPy and Pillow; no torch. About 20 ms a picture.
"""

from budgetnet.photos.framing import Framed, fitted, prepared
from budgetnet.photos.opening import LARGEST_FILE, SUFFIXES, from_bytes, opened

__all__ = ["LARGEST_FILE", "SUFFIXES", "Framed", "fitted", "from_bytes", "opened", "prepared"]
