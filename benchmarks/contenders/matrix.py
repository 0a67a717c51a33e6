"""The machine's own rate: float32 matrix products by `torch.mm`, the best that these threads do with data that stay in cache.

A round repeats a product of two 1024×1024 matrices (2**30 multiply-accumulates) for about half a second. The `images` of its answer
are multiply-accumulates.
"""

import time

from asked import begin, serve

task = begin()

import torch  # noqa: E402

SIDE = 1024
SECONDS = 0.5

torch.set_num_threads(task["threads"])
left, right = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
product = torch.empty(SIDE, SIDE)


def play() -> tuple[float, int]:
    """Multiply for a while; return seconds and multiply-accumulates."""
    products, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        torch.mm(left, right, out=product)
        products += 1
    return time.perf_counter() - started, products * SIDE**3


serve({"torch": torch.__version__}, play)
