"""The kernels as differentiable operations on torch tensors, float32, shape (N, C, H, W) with channels last in memory.

Each equals a composition of torch's own operations (named under it) to float32's rounding; tests hold values and gradients. They are
differentiable once. Callers ask `library()` first.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from budgetnet.kernels.build import library

CHANNELS_LAST = torch.channels_last
MOST_CHANNELS = 512
"""As MAX_CHANNELS in kernels.c."""


def convolution(images: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Equal `F.conv2d(images, kernel, padding=padding)`: square kernel, stride 1, padding below the kernel's side."""
    return _Convolution.apply(images, kernel, padding)  # type: ignore[no-any-return, no-untyped-call]


def depthwise_convolution(images: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Equal `F.conv2d(images, kernel, padding=padding, groups=channels)`: a square kernel (C, 1, K, K), stride 1."""
    return _Depthwise.apply(images, kernel, padding)  # type: ignore[no-any-return, no-untyped-call]


def stage(
    images: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    epsilon: float,
    relu_first: bool = False,
    relu_last: bool = False,
    threshold: int = 0,
    key: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Equal ReLU (`relu_first`), `F.batch_norm` by the batch's statistics, ReLU (`relu_last`), dropout of threshold / 256, in this order.

    Returns the result, and the batch's mean and biased variance for each channel, shape (C,), of what went into the normalisation.
    The mask depends on `key` (64 bits) and the place alone.
    """
    options = (epsilon, relu_first, relu_last, threshold, key)
    return _Stage.apply(images, weight, bias, options)  # type: ignore[no-any-return, no-untyped-call]


def max_pooling(images: Tensor, size: int) -> Tensor:
    """Equal `F.max_pool2d(images, size)`."""
    return _MaxPooling.apply(images, size)  # type: ignore[no-any-return, no-untyped-call]


def _address(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def _kernels() -> ctypes.CDLL:
    kernels = library()
    if kernels is None:
        raise RuntimeError("the compiled kernels are not available here; ask kernels.library() first")
    return kernels


def _checked(failed: int) -> None:
    if failed:
        raise MemoryError("the training kernels could not get their working memory")


def _new_images(count: int, channels: int, height: int, width: int) -> Tensor:
    return torch.empty((count, channels, height, width), memory_format=CHANNELS_LAST)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, kernel: Tensor, padding: int) -> Tensor:
        images, kernel = images.contiguous(memory_format=CHANNELS_LAST), kernel.contiguous(memory_format=CHANNELS_LAST)
        (count, channels, height, width), (outputs, _, size, _) = images.shape, kernel.shape
        result = _new_images(count, outputs, height + 2 * padding - size + 1, width + 2 * padding - size + 1)
        sizes = (count, height, width, channels, outputs, size, padding, torch.get_num_threads())
        _checked(_kernels().convolution_forward(_address(images), _address(kernel), _address(result), *sizes))
        context.save_for_backward(images, kernel)
        context.sizes = sizes
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        images, kernel = context.saved_tensors
        gradient = gradient.contiguous(memory_format=CHANNELS_LAST)
        image_gradient = torch.empty_like(images) if context.needs_input_grad[0] else None
        kernel_gradient = torch.empty_like(kernel)
        addresses = [_address(tensor) for tensor in (images, kernel, gradient, image_gradient, kernel_gradient)]
        _checked(_kernels().convolution_backward(*addresses, *context.sizes))
        return image_gradient, kernel_gradient, None


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, kernel: Tensor, padding: int) -> Tensor:
        images, kernel = images.contiguous(memory_format=CHANNELS_LAST), kernel.contiguous()
        (count, channels, height, width), size = images.shape, kernel.shape[2]
        result = _new_images(count, channels, height + 2 * padding - size + 1, width + 2 * padding - size + 1)
        sizes = (count, height, width, channels, size, padding, torch.get_num_threads())
        _checked(_kernels().depthwise_forward(_address(images), _address(kernel), _address(result), *sizes))
        context.save_for_backward(images, kernel)
        context.sizes = sizes
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        images, kernel = context.saved_tensors
        gradient = gradient.contiguous(memory_format=CHANNELS_LAST)
        image_gradient = torch.empty_like(images) if context.needs_input_grad[0] else None
        kernel_gradient = torch.empty_like(kernel)
        addresses = [_address(tensor) for tensor in (images, kernel, gradient, image_gradient, kernel_gradient)]
        _checked(_kernels().depthwise_backward(*addresses, *context.sizes))
        return image_gradient, kernel_gradient, None


class _Stage(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, images: Tensor, weight: Tensor | None, bias: Tensor | None, options: tuple[float, bool, bool, int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        images = images.contiguous(memory_format=CHANNELS_LAST)
        epsilon, relu_first, relu_last, threshold, key = options
        channels = images.shape[1]
        result = torch.empty_like(images)
        mean, variance, scale, shift = torch.empty(4, channels).unbind()
        _checked(
            _kernels().stage_forward(
                _address(images),
                _address(result),
                ctypes.c_int64(images.numel() // channels),
                channels,
                _address(weight),
                _address(bias),
                ctypes.c_float(epsilon),
                relu_first,
                relu_last,
                threshold,
                ctypes.c_uint64(key),
                _address(mean),
                _address(variance),
                _address(scale),
                _address(shift),
                torch.get_num_threads(),
            )
        )
        context.save_for_backward(images, mean, variance, scale, shift)
        context.options = options
        context.mark_non_differentiable(mean, variance)
        context.set_materialize_grads(False)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(
        context: Any, gradient: Tensor | None, _mean: None, _variance: None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        if gradient is None:
            return None, None, None, None
        images, mean, variance, scale, shift = context.saved_tensors
        epsilon, relu_first, relu_last, threshold, key = context.options
        gradient = gradient.contiguous(memory_format=CHANNELS_LAST)
        channels = images.shape[1]
        image_gradient = torch.empty_like(images)
        weight_gradient, bias_gradient = torch.empty(2, channels).unbind()
        _checked(
            _kernels().stage_backward(
                _address(images),
                _address(gradient),
                _address(image_gradient),
                ctypes.c_int64(images.numel() // channels),
                channels,
                ctypes.c_float(epsilon),
                relu_first,
                relu_last,
                threshold,
                ctypes.c_uint64(key),
                _address(mean),
                _address(variance),
                _address(scale),
                _address(shift),
                _address(weight_gradient),
                _address(bias_gradient),
                torch.get_num_threads(),
            )
        )
        needs = context.needs_input_grad
        return image_gradient, weight_gradient if needs[1] else None, bias_gradient if needs[2] else None, None


class _MaxPooling(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, size: int) -> Tensor:
        images = images.contiguous(memory_format=CHANNELS_LAST)
        count, channels, height, width = images.shape
        result = _new_images(count, channels, height // size, width // size)
        sizes = (count, height, width, channels, size, torch.get_num_threads())
        _kernels().pooling_forward(_address(images), _address(result), *sizes)
        context.save_for_backward(images, result)
        context.sizes = sizes
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        images, maxima = context.saved_tensors
        gradient = gradient.contiguous(memory_format=CHANNELS_LAST)
        image_gradient = torch.empty_like(images)
        addresses = [_address(tensor) for tensor in (images, maxima, gradient, image_gradient)]
        _kernels().pooling_backward(*addresses, *context.sizes)
        return image_gradient, None
