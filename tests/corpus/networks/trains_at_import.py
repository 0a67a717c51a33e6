"""Trains as soon as it is imported (on noise, and briefly)."""

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, bias=False)
        self.conv2 = nn.Conv2d(8, 10, 3, bias=False)

    def forward(self, x):
        return F.log_softmax(self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2)).mean((2, 3)), dim=1)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for epoch in range(1, 3):
    images, labels = torch.rand(16, 1, 28, 28), torch.randint(10, (16,))
    optimizer.zero_grad()
    loss = F.nll_loss(model(images), labels)
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
