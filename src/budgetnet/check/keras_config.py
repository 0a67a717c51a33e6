"""A `.keras` file held against what may be in one, before Keras sees it: an archive of three files, and known classes alone.

Keras builds what a configuration names, and older versions ran code that it brought along (CVE-2025-1550 and its kin). So every
class in it must be one of Keras's own layers, initializers and so on, named here; Lambda layers, custom and registered classes
are refused by name, and sizes are bounded before anything is unpacked. Works on the archive's bytes; without Keras.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from budgetnet.errors import InputError

FILES = {"config.json", "metadata.json", "model.weights.h5"}
LARGEST = {"config.json": 16 * 2**20, "metadata.json": 2**20, "model.weights.h5": 512 * 2**20}
MOST_NUMBERS = 128 * 2**20
"""Weights that a configuration may ask for before anything is built."""
MOST_DEPTH = 60
LAYER_WORDS = (
    "InputLayer Dense EinsumDense Embedding Identity Masking Activation ELU LeakyReLU PReLU ReLU Softmax Conv1D Conv2D Conv3D "
    "Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D MaxPooling1D "
    "MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D GlobalAveragePooling1D GlobalAveragePooling2D "
    "GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D AdaptiveAveragePooling2D AdaptiveMaxPooling2D "
    "BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization Dropout SpatialDropout1D "
    "SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise ActivityRegularization Add Average Concatenate "
    "Dot Maximum Minimum Multiply Subtract Flatten Reshape Permute RepeatVector Cropping1D Cropping2D Cropping3D UpSampling1D "
    "UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D Attention AdditiveAttention MultiHeadAttention "
    "GroupedQueryAttention LSTM GRU SimpleRNN Bidirectional TimeDistributed RNN LSTMCell GRUCell SimpleRNNCell Rescaling "
    "RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness CenterCrop Resizing RandomCrop"
)
LAYERS = frozenset(LAYER_WORDS.split())
OPERATION_WORDS = (
    "Add Subtract Multiply Divide TrueDivide Negative Abs Absolute Square Sqrt Rsqrt Exp Log Mean Max Min Sum Amax Amin Maximum "
    "Minimum Clip Concatenate Stack Reshape Transpose Squeeze ExpandDims Flip Relu Relu6 Sigmoid Tanh Softmax LogSoftmax Gelu Silu "
    "Softplus Matmul Einsum Tensordot Dot GetItem"
)
OPERATIONS = frozenset(OPERATION_WORDS.split())
MODELS = frozenset({"Sequential", "Functional", "Model"})
HELPERS = {
    "keras.initializers": None,
    "keras.regularizers": None,
    "keras.constraints": None,
    "keras.dtype_policies": None,
    "keras.activations": None,
}
"""Modules of Keras whose classes only say how numbers begin or are held."""
MAY_BE_FUNCTIONS = {"__keras_tensor__", "__tuple__", "__slice__", "__dtype__", "__ellipsis__"}


def examine(path: Path, label: str) -> dict[str, Any]:
    """Return the configuration of `path`, once every class in it is known. Raises `InputError` naming what is refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_contents(archive, label)
            content = archive.read("config.json")
    except (zipfile.BadZipFile, OSError, KeyError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"{label}: is no sound .keras file ({' '.join(str(error).split())[:120]}).") from None
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{label}: its configuration is no valid JSON.") from None
    if not isinstance(config, dict) or config.get("class_name") not in MODELS:
        named = config.get("class_name") if isinstance(config, dict) else None
        raise InputError(
            f"{label}: {str(named)[:80]!r} is custom code, and none is run; Sequential and Functional models are read."
        )
    config.pop("compile_config", None)  # optimizer, loss and metrics are not looked at, nor built
    numbers = 0
    for part in _parts(config, 0, label):
        numbers += _refuse_class(part, label)
        if numbers > MOST_NUMBERS:
            raise InputError(f"{label}: its configuration asks for more than {MOST_NUMBERS:,} weights, and is not built.")
    return config


def _refuse_contents(archive: zipfile.ZipFile, label: str) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    other = sorted(set(names) - FILES)
    if other:
        raise InputError(
            f"{label}: brings {other[0][:80]!r} along, and a .keras file of a plain model holds {', '.join(sorted(FILES))}."
        )
    if len(set(names)) != len(names) or "config.json" not in names:
        raise InputError(f"{label}: is no sound .keras file (it has no single config.json).")
    for entry in entries:
        if entry.file_size > LARGEST[entry.filename]:
            raise InputError(f"{label}: {entry.filename} in it is larger than {LARGEST[entry.filename] // 2**20} MiB.")


def _parts(value: Any, depth: int, label: str) -> Iterator[dict[str, Any]]:
    """Give every object of the configuration that names a class."""
    if depth > MOST_DEPTH:
        raise InputError(f"{label}: its configuration is nested too deeply.")
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for item in value.values():
            yield from _parts(item, depth + 1, label)
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item, depth + 1, label)


def _refuse_class(part: dict[str, Any], label: str) -> int:
    """Raise `InputError` where the class is not one that is known; return how many weights it asks for at least."""
    name, module, registered = (part.get(key) for key in ("class_name", "module", "registered_name"))
    shown = str(name)[:80]
    if name in MAY_BE_FUNCTIONS:
        return 0
    if name in {"__lambda__", "Lambda"} or (name == "function" and module == "builtins"):
        raise InputError(f"{label}: holds a Lambda layer or a function of its own, which is code and is not run.")
    if registered not in {None, name}:
        raise InputError(f"{label}: holds the registered class {str(registered)[:80]!r}, which is custom code and is not run.")
    if name in {"__tensor__", "__numpy__"}:
        raise InputError(f"{label}: its configuration holds an array of numbers outside of any layer, which is not read.")
    known = (
        (module == "keras.layers" and name in LAYERS)
        or (module in {"keras", "keras.models", "keras.src.models.functional", "keras.src.models.sequential"} and name in MODELS)
        or (module == "keras" and name in {"DTypePolicy", "FloatDTypePolicy"})
        or module in HELPERS
        or (isinstance(module, str) and module.startswith("keras.src.ops.") and name in OPERATIONS)
    )
    if not known:
        place = f"{str(module)[:80]}." if module else ""
        raise InputError(
            f"{label}: holds {place}{shown}, which is none of Keras's own plain layers; nothing of it is built or run."
        )
    config = part.get("config")
    return _asked(config) if isinstance(config, dict) and module == "keras.layers" else 0


def _asked(config: dict[str, Any]) -> int:
    """Return a lower bound for the weights of a layer: enough to stop a bomb of shapes."""
    product = 1
    for key in ("filters", "units", "input_dim", "output_dim"):
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 0 or value > MOST_NUMBERS:
                return MOST_NUMBERS + 1
            product *= max(value, 1)
    kernel = config.get("kernel_size")
    for side in kernel if isinstance(kernel, list) else [kernel]:
        if isinstance(side, int) and side > 0:
            product *= side
    return product if product > 1 else 0
