"""Convolutions computed in two dimensions equal three-dimensional ones, in results and gradients."""

from __future__ import annotations

import unittest

import torch
import torch.nn.functional as F

from alphaction.modeling.backbone.common_blocks import ConvNorm, NormOptions, ReLUPool
from alphaction.modeling.backbone.convolution import SMALL, Conv3d, conv3d

# Kernel, stride, padding, dilation: over frames, over time, in neither way.
CASES = (
    ((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1)),
    ((1, 1, 1), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    ((1, 3, 3), (1, 1, 1), (0, 2, 2), (1, 2, 2)),
    ((3, 1, 1), (1, 1, 1), (1, 0, 0), (1, 1, 1)),
    ((5, 1, 1), (4, 1, 1), (2, 0, 0), (1, 1, 1)),
    ((3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1)),
    ((1, 1, 1), (2, 1, 1), (0, 0, 0), (1, 1, 1)),
)


def random_tensors(*shapes, channels_last=False, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    if channels_last:
        tensors = [t.to(memory_format=torch.channels_last_3d) if t.ndim == 5 else t for t in tensors]
    return [t.requires_grad_() for t in tensors]


class Convolution(unittest.TestCase):
    def check(self, case, clips=2, channels=3, dtype=torch.float64, channels_last=True):
        kernel, *options = case
        x, weight, bias = random_tensors(
            (clips, channels, 8, 6, 7), (4, channels, *kernel), (4,), channels_last=channels_last, dtype=dtype
        )
        expected = F.conv3d(x, weight, bias, *options)
        (add,) = random_tensors(expected.shape, channels_last=channels_last, dtype=dtype)
        expected = F.relu(expected + add)
        found = conv3d(x, weight, bias, *options, add, relu=True)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        toward = torch.cos(torch.arange(expected.numel(), dtype=dtype)).view(expected.shape)
        inputs = (x, weight, bias, add)
        for gradients in zip(
            torch.autograd.grad(found, inputs, toward), torch.autograd.grad(expected, inputs, toward), strict=True
        ):
            torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)

    def test_results_and_gradients(self):
        for case in CASES:
            for channels_last in (True, False):
                with self.subTest(case=case, channels_last=channels_last):
                    self.check(case, channels_last=channels_last)

    def test_one_clip_in_float32(self):
        for case in CASES:
            with self.subTest(case):
                self.check(case, clips=1, dtype=torch.float32)

    def test_wide_temporal_kernels(self):
        self.check(CASES[4], clips=2, channels=64, dtype=torch.float32)
        self.check(CASES[4], clips=1, channels=1 + SMALL // 48, dtype=torch.float32)

    def test_no_clips(self):
        conv = Conv3d(2, 3, (1, 3, 3), padding=(0, 1, 1))
        self.assertEqual(conv(torch.zeros(0, 2, 4, 5, 6)).shape, (0, 3, 4, 5, 6))

    def test_layers_copy_nothing_in_channels_last_memory(self):
        x, weight = random_tensors((2, 3, 4, 6, 7), (4, 3, 3, 1, 1), channels_last=True)
        found = conv3d(x, weight, None, (1, 1, 1), (1, 0, 0), (1, 1, 1))
        self.assertTrue(found.is_contiguous(memory_format=torch.channels_last_3d))


class FixedNorm(unittest.TestCase):
    def layer(self, frozen, channels, kernel):
        torch.manual_seed(0)
        layer = ConvNorm(channels, 4, kernel, NormOptions(frozen), padding=tuple(k // 2 for k in kernel)).eval()
        for tensor in (layer.bn.weight, layer.bn.bias, layer.bn.running_mean, layer.bn.running_var):
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
        return layer

    def test_equals_convolution_then_norm(self):
        """Folded into the weights, or applied to the result where that is smaller."""
        for frozen in (True, False):
            for channels, size in ((3, 8), (40, 1)):
                with self.subTest(frozen=frozen, channels=channels):
                    layer = self.layer(frozen, channels, (1, 3, 3))
                    x = torch.randn(2, channels, 3, size, size)
                    expected = F.relu(layer.bn(F.conv3d(x, layer.conv.weight, padding=(0, 1, 1))))
                    torch.testing.assert_close(layer(x, relu=True), expected, rtol=1e-5, atol=1e-5)
                    parameters = list(layer.parameters())
                    for gradients in zip(
                        torch.autograd.grad(layer(x, relu=True).square().sum(), parameters),
                        torch.autograd.grad(expected.square().sum(), parameters),
                        strict=True,
                    ):
                        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)

    def test_live_norm_uses_the_statistics_of_the_batch(self):
        layer = self.layer(False, 3, (1, 1, 1)).train()
        layer.bn.reset_parameters()
        y = layer(torch.randn(2, 3, 3, 4, 4))
        torch.testing.assert_close(y.mean(dim=(0, 2, 3, 4)), torch.zeros(4), rtol=0, atol=1e-5)

    def test_autocast(self):
        layer, x = self.layer(True, 3, (1, 3, 3)), torch.randn(2, 3, 3, 8, 8)
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(x, relu=True)
        self.assertEqual(found.dtype, torch.bfloat16)
        torch.testing.assert_close(found.float(), layer(x, relu=True), rtol=0.05, atol=0.1)


class Pool(unittest.TestCase):
    def test_equals_relu_then_pool(self):
        (x,) = random_tensors((2, 3, 4, 9, 8))
        pool = ReLUPool((2, 3, 3), (2, 2, 2), (0, 1, 1))
        found, expected = pool(x * 1), F.max_pool3d(F.relu(x), (2, 3, 3), (2, 2, 2), (0, 1, 1))
        torch.testing.assert_close(found, expected)
        gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (found, expected)]
        torch.testing.assert_close(*gradients)


if __name__ == "__main__":
    unittest.main()
