"""The loop that PyTorch's beginners' tutorials teach: `DataLoader`, `nn.Dropout`, `torch.optim.Adam`, one batch after the other, NCHW.

Kinder than most of them: the images are float32 tensors already, so the loader only collates and no image is transformed on the way.
"""

import time

from asked import begin, serve

task = begin()

import numpy  # noqa: E402
import torch  # noqa: E402
from plain_torch import Described  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

torch.set_num_threads(task["threads"])
torch.manual_seed(0)
with numpy.load(task["data"]) as arrays:
    images = torch.from_numpy(arrays["x_train"]).float().div(255).unsqueeze(1)
    labels = torch.from_numpy(arrays["y_train"]).long()
loader = DataLoader(TensorDataset(images, labels), batch_size=task["batch"], shuffle=True)
network = Described(task["network"])
optimizer = torch.optim.Adam(network.parameters(), lr=0.003)


def play() -> tuple[float, int]:
    """Train for one epoch."""
    started = time.perf_counter()
    network.train()
    running_loss = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        running_loss += loss.item()
    return time.perf_counter() - started, len(images)


serve({"torch": torch.__version__}, play)
