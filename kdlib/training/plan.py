"""A training as a value: everything that decides what comes out of it.

Methods make plans, `loop.run` runs them, studies vary them with `dataclasses.replace`, `stack` and `repeat`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kdlib.training import losses
from kdlib.training.batches import Together


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """How a population is trained. Arrays shared by all members have no member axis."""

    task: str  #: what is trained, for people
    weights: Sequence[np.ndarray]  #: initial, from `networks.initial_weights`
    x: np.ndarray  #: (n, features) or (member, n, features)
    targets: tuple[np.ndarray, ...]  #: each (n, outputs) or (member, n, outputs), as `loss` wants them
    loss: Callable  #: from `losses`
    batches: object  #: a specification from `batches`: row indices, one array (steps, member, batch) per epoch
    rates: np.ndarray  #: learning rate of each step of the whole training, (steps,) or (steps, member)
    settings: Mapping = field(default_factory=dict)  #: numbers for the loss, one for all or one per member
    weight_decay: float | np.ndarray = 0.0  #: decoupled, per step in units of the rate; one for all or (member,)
    watch: tuple[np.ndarray, np.ndarray] | None = None  #: points (n, features) and one-hot labels that are scored
    keep_best: bool = False  #: score `watch` every epoch, and keep each member's weights of its best one
    checkpoints: tuple[int, ...] = ()  #: epochs, counted from 1, whose weights are kept

    def __post_init__(self):
        widths, outputs = [target.shape[-1] for target in self.targets], self.weights[-1].shape[-1]
        if any(target.shape[-2] != self.x.shape[-2] for target in self.targets):
            rows = ", ".join(str(target.shape[-2]) for target in self.targets)
            raise ValueError(f"{self.task}: expected targets of {self.x.shape[-2]} points, as x has, got {rows}")
        if self.loss.__module__ == losses.__name__ and set(widths) != {outputs} and sum(widths) != outputs:
            raise ValueError(f"{self.task}: expected targets of {outputs} columns, as there are outputs, got {widths}")

    @property
    def members(self) -> int:
        return len(self.weights[0])


def stack(plans: Sequence[TrainingPlan]) -> TrainingPlan:
    """The members of several plans as one population.

    They must agree in loss, watch and the number of updates. What is the same in all stays shared.
    """
    first = plans[0]
    if len(plans) == 1:
        return first
    members = [plan.members for plan in plans]
    if len({(plan.loss, plan.batches.updates, plan.keep_best, plan.checkpoints) for plan in plans}) > 1:
        raise ValueError("plans of one population must agree in loss, updates and what is kept")

    def joined(arrays, dimensions):
        if np.ndim(arrays[0]) <= dimensions and all(_same(array, arrays[0]) for array in arrays):
            return arrays[0]
        shared = [array if np.ndim(array) > dimensions else np.broadcast_to(array, (count, *np.shape(array)))
                  for array, count in zip(arrays, members, strict=True)]  # fmt: skip
        return np.concatenate(shared)

    return replace(
        first,
        weights=[np.concatenate(layer) for layer in zip(*(plan.weights for plan in plans), strict=True)],
        x=joined([plan.x for plan in plans], 2),
        targets=tuple(joined(each, 2) for each in zip(*(plan.targets for plan in plans), strict=True)),
        batches=Together(tuple(plan.batches for plan in plans)),
        rates=joined([plan.rates.T for plan in plans], 1).T,
        settings={name: joined([np.float32(plan.settings[name]) for plan in plans], 0) for name in first.settings},
        weight_decay=joined([plan.weight_decay for plan in plans], 0),
    )


def _same(one, other) -> bool:
    return one is other or (np.ndim(one) < 2 and np.array_equal(one, other))  # large arrays are not searched


def repeat(plan: TrainingPlan, copies: int, members: int | None = None) -> TrainingPlan:
    """A plan's first members, all if not said, `copies` times over: members are (copy, member), the last fastest."""
    members = plan.members if members is None else members
    return stack([_first(plan, members)] * copies)


def _first(plan, members):
    def cut(array, dimensions):
        return array[:members] if np.ndim(array) > dimensions else array

    return replace(
        plan,
        weights=[layer[:members] for layer in plan.weights],
        x=cut(plan.x, 2),
        targets=tuple(cut(target, 2) for target in plan.targets),
        batches=replace(plan.batches, seeds=plan.batches.seeds[:members]),
        rates=plan.rates[:, :members] if plan.rates.ndim == 2 else plan.rates,
        settings={name: cut(value, 0) for name, value in plan.settings.items()},
        weight_decay=cut(plan.weight_decay, 0),
    )
