"""What torch's operations do, by name: the families that the clauses ask about, and the arithmetic of each.

The names are those of ATen below autograd, where `nn.Linear`, `F.linear`, `@` and `einsum` all are the same few matrix products.
An operation that joins image and weights and stands in no family here is unknown, and makes clauses *unproven* rather than met.
Source: torch's native_functions.yaml, and what a dispatch mode shows of the public layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

CONVOLUTION = frozenset({"convolution", "_convolution", "convolution_overrideable"})
RECURRENT = frozenset({"mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell"})
ATTENTION = frozenset(
    {
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_fused_attention_overrideable",
    }
)
MATRIX = (
    frozenset({"mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot", "addr", "_trilinear", "_addmm_activation"})
    | {"_sparse_addmm", "linear", "mkldnn_linear", "_int_mm", "_scaled_mm", "_weight_int8pack_mm", "_weight_int4pack_mm"}
    | RECURRENT
    | ATTENTION
)
ADDS_FIRST = frozenset({"addmm", "baddbmm", "addbmm", "addmv", "addr", "_addmm_activation", "_sparse_addmm"})
"""Matrix products whose first operand is added to the product."""
BATCH_NORMALIZATION = frozenset(
    {
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
        "cudnn_batch_norm",
        "miopen_batch_norm",
    }
    | {"_batch_norm_with_update", "_batch_norm_no_update", "batch_norm_elemt"}
)
NORMALIZATION = BATCH_NORMALIZATION | {"native_layer_norm", "native_group_norm", "_fused_rms_norm"}
ADDITION = frozenset({"add", "sub", "rsub", "lerp", "addcmul", "addcdiv", "index_add", "scatter_add", "_add_relu"})
PRODUCT = frozenset({"mul", "div"})
ACTIVATION = frozenset(
    {"_prelu_kernel", "maximum", "minimum", "fmax", "fmin", "clamp", "clamp_min", "clamp_max", "where", "pow", "masked_fill"}
    | {"gt", "lt", "ge", "le", "eq", "ne", "atan2", "logical_and", "logical_or", "bitwise_and", "bitwise_or"}
)
JOINING = frozenset({"cat", "stack", "copy", "index_put", "slice_scatter", "select_scatter", "index_copy", "scatter", "set"})
SELECTION = frozenset({"index", "index_select", "gather", "grid_sampler_2d", "take", "masked_select"})
"""Picking from their first operand by the others."""
KNOWN = CONVOLUTION | MATRIX | NORMALIZATION | ADDITION | PRODUCT | ACTIVATION | JOINING | SELECTION

POOLING = {
    "max_pool2d_with_indices": "MaxPooling2D",
    "avg_pool2d": "AveragePooling2D",
    "max_pool3d_with_indices": "MaxPooling3D",
    "avg_pool3d": "AveragePooling3D",
    "adaptive_max_pool2d": "AdaptiveMaxPool2d",
    "_adaptive_avg_pool2d": "AdaptiveAvgPool2d",
}
GLOBAL_POOLING = {"mean": "GlobalAveragePooling2D", "amax": "GlobalMaxPooling2D"}
"""Reductions that are poolings where they leave no positions."""
REDUCTION = frozenset({"mean", "amax", "amin", "sum", "var", "std", "var_mean", "linalg_vector_norm", "max", "min", "logsumexp"})
RANDOM = frozenset(
    {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "uniform", "random", "bernoulli"}
    | {"exponential", "log_normal", "cauchy", "geometric", "normal_functional", "multinomial"}
)
SHAPE_ONLY = frozenset(
    {"empty_like", "zeros_like", "ones_like", "full_like", "new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided"}
    | {"rand_like", "randn_like", "randint_like", "sym_size", "sym_numel", "sym_stride", "is_same_size", "empty_strided"}
)
"""They look at the shape of their operand and not at its values."""
COPYING = frozenset(
    {"expand", "repeat", "slice", "select", "split", "split_with_sizes", "unbind", "as_strided", "unfold", "im2col"}
) | {
    "index",
    "index_select",
    "gather",
}
"""They take a part of their operand, or repeat it."""
KEEPS_ZEROS = frozenset({"relu", "mul", "hardtanh", "gelu", "tanh", "leaky_relu", "silu", "abs", "neg", "native_dropout"})
"""They leave the zeros of padding zero."""
ROOT = frozenset({"sqrt", "rsqrt", "std", "linalg_vector_norm"})
WHOLE = frozenset(
    {
        "view",
        "_unsafe_view",
        "reshape",
        "permute",
        "transpose",
        "t",
        "clone",
        "contiguous",
        "unsqueeze",
        "squeeze",
        "alias",
        "detach",
    }
)
"""They give every element of their operand once, under another shape or none."""
REARRANGING = WHOLE | {
    "_to_copy",
    "_reshape_alias",
    "expand",
    "lift_fresh",
    "as_strided",
    "pixel_shuffle",
    "pixel_unshuffle",
    "flip",
    "roll",
}


def base_name(function: Any) -> str:
    """Return the operation's name without overload and without the underscore that marks it as in-place."""
    name = str(function._overloadpacket.__name__)
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def tensors_in(value: object) -> list[Tensor]:
    """Return the tensors in an argument: itself, or those in a list, tuple or dictionary, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in tensors_in(item)]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []


def multiply_accumulates(name: str, arguments: Sequence[Any], output: Tensor) -> int:
    """Return the products that a convolution or matrix product adds up, for the whole batch that it was given."""
    if name in CONVOLUTION:
        images, weight, transposed = arguments[0], arguments[1], bool(arguments[6])
        # A weight has shape (outputs, inputs / groups, kernel…), transposed (inputs, outputs / groups, kernel…).
        each = prod(weight.shape[1:])
        return int((images if transposed else output).numel() * each)
    if name in ATTENTION:
        query, key = arguments[0], arguments[1]
        return int(2 * query.numel() * key.shape[-2])
    if name in RECURRENT:
        steps = output.numel() // max(output.shape[-1], 1)
        return int(steps * sum(tensor.numel() for tensor in tensors_in(list(arguments[1:])) if tensor.ndim == 2))
    if name == "_trilinear":
        return int(output.numel() * arguments[0].shape[-1] * arguments[2].shape[-1])
    operands = tensors_in(list(arguments))[1 if name in ADDS_FIRST else 0 :]
    if name == "addr" or not operands:
        return int(output.numel())
    products = output.numel() * operands[0].shape[-1]
    return int(products * operands[0].shape[0]) if name == "addbmm" else int(products)


def sees_whole_map(arguments: Sequence[Any], output: Tensor, margins: Sequence[tuple[int, int]]) -> bool:
    """Return whether every output position of this convolution sees every position of its input map.

    `margins` are the zeros that earlier padding put before and after each spatial dimension: they are not part of the map.
    """
    images, weight, _, stride, padding, dilation, transposed = arguments[:7]
    spatial = weight.ndim - 2
    if transposed or images.ndim != weight.ndim:
        return False
    for dimension in range(spatial):
        before, after = margins[dimension] if dimension < len(margins) else (0, 0)
        first, last = before, images.shape[2 + dimension] - 1 - after
        step, space, gap = (values[dimension % len(values)] for values in (stride, padding, dilation))
        reach = gap * (weight.shape[2 + dimension] - 1)
        if gap > 1 and last > first:
            return False  # a dilated kernel leaves positions out
        final = (output.shape[2 + dimension] - 1) * step - space
        if -space > first or -space + reach < last or final > first or final + reach < last:
            return False
    return True


def is_floating(tensor: Tensor) -> bool:
    """Return whether the tensor's numbers can be weights rather than places or truth values."""
    return tensor.is_floating_point() or tensor.is_complex()


SINGLE_VALUES = 64
"""How many values of a tensor are compared one by one."""


def fingerprint(tensor: Tensor) -> tuple[float, ...]:
    """Return two sums over the values and some of them, enough to tell whether a tensor changed between two images.

    Sums alone would not do: shares of classes always add up to one, and hardly differ before training.
    """
    values = tensor.detach().to(torch.float64 if not tensor.is_complex() else torch.complex128)
    if values.is_complex():
        values = torch.view_as_real(values)
    flat = values.reshape(-1)
    places = torch.arange(1, flat.numel() + 1, dtype=torch.float64, device=flat.device)
    single = flat[:: max(1, flat.numel() // SINGLE_VALUES)][:SINGLE_VALUES].tolist()
    return float(flat.abs().sum()), float((flat * (places % 97 + 1)).sum()), *single


def different_values(tensor: Tensor) -> int:
    """Return how many different values the tensor holds, to four digits after the point."""
    values = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
    return int(values.to(torch.float32).mul(1e4).round().unique().numel())  # type: ignore[no-untyped-call]


def extremes(tensor: Tensor) -> tuple[float, float]:
    """Return the smallest and the largest value."""
    values = tensor.detach().to(torch.float64)
    return float(values.min()), float(values.max())
