"""A Keras model, from a `.keras` file or built by a hand-in's own code: its facts, and its answers.

Run in the confined child. A file's configuration is examined before Keras reads it; Keras (with torch below) then builds and
loads it in safe mode. Takes Keras's own import, two seconds.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from budgetnet.check import keras_config, keras_graph
from budgetnet.check.behaviour import observe
from budgetnet.errors import InputError
from budgetnet.facts import NetworkFacts
from budgetnet.targets.answers import answered
from budgetnet.targets.running import words_of

if TYPE_CHECKING:
    from budgetnet.targets.worker import Work

MOST_BYTES = 1024 * 2**20


def is_keras(network: Any) -> bool:
    """Return whether this is a Keras model; False without importing Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(network, keras.Model)


def facts_of_file(job: Work) -> dict[str, Any]:
    """Return facts, notes and predictions of a `.keras` file. Raises `InputError` where it is refused or broken."""
    path = Path(job.path)
    keras_config.examine(path, job.label)
    if find_spec("keras") is None:
        raise InputError(f"{job.label}: reading a .keras file needs Keras; install it with: pip install 'budgetnet[keras]'.")
    keras = importlib.import_module("keras")
    _refuse_weights(path, job.label)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise InputError(f"{job.label}: Keras {keras.__version__} cannot load it: {words_of(error)}") from error
    facts = keras_facts(model, name=path.stem, label=job.label)
    found = None
    if job.images:
        found = answered(lambda part: _Shown(model)(torch.from_numpy(part).to(torch.float32) / 255), Path(job.images), job.label)
    return {"network": facts.model_dump(mode="json"), "notes": [], "predictions": found}


def _refuse_weights(path: Path, label: str) -> None:
    """Look through the archive's HDF5 file for links to elsewhere and for arrays of absurd size."""
    import io
    import zipfile

    h5py = importlib.import_module("h5py")
    total = 0

    def visit(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += int(item.nbytes)
            if item.external or item.is_virtual:
                raise InputError(f"{label}: its weights lie in another file ({name[:80]!r}), which is not read.")
        elif isinstance(item, h5py.Group):
            for key in item:
                if isinstance(item.get(key, getlink=True), h5py.ExternalLink | h5py.SoftLink):
                    raise InputError(f"{label}: its weights link elsewhere ({name[:80]!r}), which is not followed.")

    try:
        with zipfile.ZipFile(path) as archive:
            if "model.weights.h5" not in archive.namelist():
                raise InputError(f"{label}: holds no weights.")
            content = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(content), "r") as file:
            visit("/", file)
            file.visititems(visit)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{label}: its weights cannot be read: {words_of(error)}") from None
    if total > MOST_BYTES:
        raise InputError(f"{label}: its weights take up more than {MOST_BYTES // 2**20} MiB unpacked.")


def keras_facts(model: Any, *, name: str, label: str) -> NetworkFacts:
    """Return the facts of a Keras model: its structure from its graph, its behaviour from calls."""
    shape = keras_graph.image_shape(model)
    if shape is None:
        raise InputError(f"{label}: the model does not say which images it takes; give its first layer an input shape.")
    facts = keras_graph.facts_of(model, name=name, input_shape=shape)
    shown = _Shown(model).eval()

    def probe(seed: int) -> Tensor:
        return torch.rand((3, *shape), generator=torch.Generator().manual_seed(seed))

    with torch.random.fork_rng(devices=[]):
        seen = observe(shown, probe)
    return facts.model_copy(
        update={
            "peak_activation_bytes": seen.peak_activation_bytes,
            "output": seen.output,
            "depends_on_batch": seen.depends_on_batch,
            "random_in_evaluation": seen.random_in_evaluation,
            "depends_on_calls": seen.depends_on_calls,
            "notes": (*facts.notes, *seen.notes),
        }
    )


class _Shown(nn.Module):
    """The model as torch would have it: images (N, C, H, W), in evaluation mode."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the model's answers, in evaluation mode, for images (N, C, H, W) in whatever order the model takes them."""
        inputs = tuple(self.model.inputs[0].shape) if self.model.inputs else (None,)
        if len(inputs) == 4 and keras_graph.channels_last(self.model):
            images = images.permute(0, 2, 3, 1)
        elif len(inputs) < 4:
            images = images.reshape(len(images), *[int(side) for side in inputs[1:] if side])
        answer = self.model(images.contiguous(), training=False)
        result: Tensor = answer[0] if isinstance(answer, tuple | list) else answer
        return result
