"""PyTorch: one network in a loop, and a population stacked into batched products."""

import numpy as np
import torch
from torch import nn

from benchmarks import task

torch.set_num_threads(1)


def _data():
    x, y, _ = task.data()
    return torch.from_numpy(x), torch.from_numpy(y).long()


def loop():
    """The textbook's loop."""
    x, y = _data()
    sizes = (task.FEATURES, *task.HIDDEN)
    hidden = [part for i in range(len(task.HIDDEN)) for part in (nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU())]
    model = nn.Sequential(*hidden, nn.Linear(sizes[-1], task.CLASSES))
    adam = torch.optim.Adam(model.parameters(), task.RATE)

    def run(epochs: int) -> int:
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(task.BATCH):
                adam.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                adam.step()
        return epochs

    return run


def stacked(members: int = 30):
    """Weights with a leading member axis, `torch.baddbmm`, and the fused Adam."""
    x, y = _data()
    rng = np.random.default_rng(0)
    weights = [torch.from_numpy(weight).requires_grad_() for weight in task.glorot(rng, members)]
    adam = torch.optim.Adam(weights, task.RATE, fused=True)

    def run(epochs: int) -> int:
        for _ in range(epochs):
            for rows in torch.from_numpy(task.batches(rng, members)):
                hidden = x[rows]  # (member, batch, feature)
                for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                    hidden = torch.relu(torch.baddbmm(bias, hidden, kernel))
                logits = torch.baddbmm(weights[-1], hidden, weights[-2])
                loss = nn.functional.cross_entropy(logits.flatten(0, 1), y[rows].flatten(), reduction="sum")
                adam.zero_grad()
                (loss / task.BATCH).backward()
                adam.step()
        return epochs

    return run
