"""Adam and SGD as Keras 3 computes them, a test holds one step of each against Keras itself; and torch's AdamW.

Keras's Adam adds epsilon to the root of the *uncorrected* second moment, torch's to the corrected one; early in a run that is a
factor of thirty on epsilon. Keras's momentum keeps the learning rate inside the velocity, so a falling rate acts at once in
torch and slowly in Keras. Source: Keras 3's documented formulas. From its second step on Adam runs on a kernel of our own, where there
is one (`kernels/adam.h`), else on torch's fused one.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from budgetnet import kernels
from budgetnet.recipe import Recipe


class Moments:
    """The state of an optimizer of Adam's family, by name, for checkpoints."""

    steps: int
    param_groups: list[dict[str, Any]]
    state: Any
    _kernel: kernels.AdamStep | None = None
    """Made once there is a state to work on."""

    def state_tensors(self) -> dict[str, Tensor]:
        """Return what the next step depends on, by name: moments and the count of steps."""
        tensors = {"steps": torch.tensor([self.steps])}
        for index, parameter in enumerate(self._parameters()):
            for key, value in self.state[parameter].items():
                tensors[f"{index}.{key}"] = value
        return tensors

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state_tensors` gave."""
        self.steps = int(tensors["steps"].item())
        for index, parameter in enumerate(self._parameters()):
            own = {name.partition(".")[2]: value for name, value in tensors.items() if name.startswith(f"{index}.")}
            self.state[parameter] = {key: value.clone() for key, value in own.items()}
        self._kernel = None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take up more parameters."""
        super().add_param_group(param_group)  # type: ignore[misc]
        self._kernel = None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state as torch keeps it."""
        super().load_state_dict(state_dict)  # type: ignore[misc]
        self._kernel = None

    def _step_on_kernels(self) -> bool:
        """Take one step on the compiled kernel; return False, and change nothing, where it cannot: at the first step, for example."""
        if self._kernel is None:
            self._kernel = self._prepared()
        group = self.param_groups[0]
        beta_1, beta_2 = group["betas"]
        return self._kernel is not None and self._kernel(rate=group["lr"], beta_1=beta_1, beta_2=beta_2, epsilon=group["eps"])

    def _prepared(self) -> kernels.AdamStep | None:
        if kernels.library() is None:
            return None
        moments = []
        for group in self.param_groups:
            for parameter in group["params"]:
                state, decay = self.state.get(parameter), group["weight_decay"]
                if not state:
                    return None
                moments.append(kernels.Moment(parameter, state["exp_avg"], state["exp_avg_sq"], state["step"], decay))
        return kernels.AdamStep(moments) if all(moment.fits() for moment in moments) else None

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]


class KerasAdam(Moments, Adam):
    """torch's fused Adam, its epsilon rescaled before each step so that the step is Keras's."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
        super().__init__(parameters, lr=rate, betas=(beta_1, beta_2), eps=epsilon, fused=True)
        self.epsilon = epsilon
        self.steps = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step along the gradients."""
        self.steps += 1
        for group in self.param_groups:
            group["eps"] = self.epsilon / (1 - group["betas"][1] ** self.steps) ** 0.5
        return None if closure is None and self._step_on_kernels() else super().step(closure)


class DecoupledAdam(Moments, AdamW):
    """torch's fused AdamW; kernels are decayed, tensors of one dimension (BatchNormalization's) are not."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, rate: float, beta_1: float, beta_2: float, epsilon: float, weight_decay: float
    ) -> None:
        held = list(parameters)
        groups = [
            {"params": [parameter for parameter in held if parameter.dim() > 1], "weight_decay": weight_decay},
            {"params": [parameter for parameter in held if parameter.dim() <= 1], "weight_decay": 0.0},
        ]
        filled = [group for group in groups if group["params"]]
        super().__init__(filled, lr=rate, betas=(beta_1, beta_2), eps=epsilon, fused=True)
        self.steps = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step along the gradients."""
        return None if closure is None and self._step_on_kernels() else super().step(closure)


class KerasSGD(Optimizer):
    """Gradient descent with Keras's momentum: velocity = momentum × velocity − rate × gradient."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, rate: float, momentum: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Take one step along the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)

    def _move(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, rate, momentum = parameter.grad, group["lr"], group["momentum"]
        assert gradient is not None  # noqa: S101  (for the type checker: `step` has looked)
        if momentum == 0:
            parameter.add_(gradient, alpha=-rate)
            return
        velocity = self.state[parameter].setdefault("velocity", torch.zeros_like(parameter))
        velocity.mul_(momentum).add_(gradient, alpha=-rate)
        if group["nesterov"]:
            parameter.add_(velocity, alpha=momentum).add_(gradient, alpha=-rate)
        else:
            parameter.add_(velocity)

    def state_tensors(self) -> dict[str, Tensor]:
        """Return what the next step depends on, by name."""
        return {
            f"{index}.velocity": self.state[parameter]["velocity"]
            for index, parameter in enumerate(self.param_groups[0]["params"])
            if "velocity" in self.state[parameter]
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state_tensors` gave."""
        for index, parameter in enumerate(self.param_groups[0]["params"]):
            if f"{index}.velocity" in tensors:
                self.state[parameter]["velocity"] = tensors[f"{index}.velocity"].clone()


AnyOptimizer = KerasAdam | DecoupledAdam | KerasSGD


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> AnyOptimizer:
    """Return the recipe's optimizer over `parameters`."""
    if recipe.optimizer == "adam":
        return KerasAdam(parameters, rate=recipe.rate, beta_1=recipe.beta_1, beta_2=recipe.beta_2, epsilon=recipe.epsilon)
    if recipe.optimizer == "adamw":
        return DecoupledAdam(
            parameters,
            rate=recipe.rate,
            beta_1=recipe.beta_1,
            beta_2=recipe.beta_2,
            epsilon=recipe.epsilon,
            weight_decay=recipe.weight_decay,
        )
    return KerasSGD(parameters, rate=recipe.rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
