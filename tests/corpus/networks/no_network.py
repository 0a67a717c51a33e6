"""Only helpers: nothing in here is a network."""

import torch

CLASSES = 10


def accuracy(answers, labels):
    return (answers.argmax(1) == labels).float().mean().item()


class Average:
    def __init__(self):
        self.total, self.count = 0.0, 0

    def add(self, value):
        self.total += float(torch.as_tensor(value))
        self.count += 1
