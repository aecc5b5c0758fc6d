"""The state of a run in one safetensors file, written so that a killed process leaves the old or the new one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cellixir.exceptions import BundleError
from cellixir.files import whole

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from torch.optim import Optimizer

State = dict[str, "Tensor"]


def write_checkpoint(path: Path, tensors: State, facts: dict[str, Any]) -> None:
    """Replace ``path`` by ``tensors`` and ``facts`` (anything JSON holds) in one step."""
    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with whole(path) as partial:
        save_file(contiguous, partial, metadata={"facts": json.dumps(facts)})


def read_checkpoint(path: Path) -> tuple[State, dict[str, Any]] | None:
    """Tensors and facts, or None if there is no file.

    Raises
    ------
    BundleError
        If the file is not a checkpoint.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        message = f"{path} is not a checkpoint of cellixir ({error}); delete the folder {path.parent} to start anew"
        raise BundleError(message) from error


def nested(prefix: str, state: State) -> State:
    """Names with a prefix: ``{'a': t}`` becomes ``{'prefix/a': t}``."""
    return {f"{prefix}/{name}": tensor for name, tensor in state.items()}


def unnested(prefix: str, state: State) -> State:
    """What ``nested`` put under ``prefix``."""
    return {name[len(prefix) + 1 :]: t for name, t in state.items() if name.startswith(f"{prefix}/")}


def optimiser_tensors(optimiser: Optimizer) -> State:
    """Moments and step counts, named ``<parameter>.<what>``."""
    state = optimiser.state_dict()["state"]
    return {f"{index}.{what}": tensor for index, values in state.items() for what, tensor in values.items()}


def load_optimiser(optimiser: Optimizer, tensors: State) -> None:
    """Put back what ``optimiser_tensors`` took.

    Raises
    ------
    ValueError
        If a moment is not of its parameter's shape: fused optimisers would read beyond its end.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, State] = {}
    for name, tensor in tensors.items():
        index, what = name.split(".", 1)
        if int(index) >= len(parameters) or tensor.shape not in {parameters[int(index)].shape, ()}:
            message = f"{name} of the optimiser has shape {tuple(tensor.shape)}, which no parameter of the network has"
            raise ValueError(message)
        state.setdefault(int(index), {})[what] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
