"""Records what a network in a Caffe file computes, for tests/test_parity.py: `record_prototxt.py NAME FOLDER`.

FOLDER is a checkout of the repository that the spec's first comment names. The file is read as text and run layer by
layer in PyTorch with Caffe's rules (pools round up), apart from archdsl; the softmax at the end is left out.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drawn
import numpy as np
import torch
import torch.nn.functional as F
from record_parity import commit
from torch import Tensor

# record -> file, sizes, gain of what is drawn for convolutions
FILES = {
    "dilation10": ("models/dilation10_cityscapes_deploy.prototxt", ((396, 420), (403, 429)), 1.3),
    "segnet_caffe": ("Models/segnet_inference.prototxt", ((64, 96), (90, 120)), 1.4),
}
PASSED_OVER = ("DenseImageData", "Dropout", "Softmax")


@dataclass(frozen=True)
class Layer:
    """One layer of a Caffe file. A pool's `mask` is written by it and read by the upsampling that undoes it."""

    name: str
    type: str
    bottom: str
    top: str
    mask: str
    numbers: dict[str, int]
    bias: bool

    @classmethod
    def read(cls, text: str) -> Layer:
        first = {key: re.findall(rf'\b{key}: "(\w+)"', text) for key in ("name", "type", "bottom", "top")}
        mask = "".join(first["top"][1:] if first["type"][0] == "Pooling" else first["bottom"][1:])
        numbers = dict(_numbers(text))
        bias = "bias_term: false" not in text
        return cls(first["name"][0], first["type"][0], _one(first["bottom"]), first["top"][0], mask, numbers, bias)

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Its tensors, as PyTorch has them."""
        if self.type == "BN":
            return {f"{self.name}.weight": (channels,), f"{self.name}.bias": (channels,)}
        out, groups, kernel = self.numbers["num_output"], self.numbers["group"], self.numbers["kernel_size"]
        first = (out, channels // groups) if self.type == "Convolution" else (channels, out // groups)
        weight = {f"{self.name}.weight": (*first, kernel, kernel)}
        return weight | ({f"{self.name}.bias": (out,)} if self.bias else {})

    def run(self, values: dict[str, Any], state: dict[str, Tensor]) -> None:
        """Works out what the layer writes. Raises KeyError for a layer of another type."""
        x = values[self.bottom]
        if self.type == "Pooling" and self.mask:
            n = self.numbers
            pooled = F.max_pool2d(x, n["kernel_size"], n["stride"], n["pad"], ceil_mode=True, return_indices=True)
            values[self.top], values[self.mask] = pooled[0], (pooled[1], x.shape[-2:])
        elif self.type == "Upsample":
            places, size = values[self.mask]
            assert [self.numbers.get(f"upsample_{axis}") for axis in "hw"] in ([None, None], KNOWN.get(self.name))
            stride = self.numbers["scale"]
            values[self.top] = F.max_unpool2d(x, places, stride, stride, output_size=size)
        else:
            values[self.top] = self._plain(x, state)

    def _plain(self, x: Tensor, state: dict[str, Tensor]) -> Tensor:
        n = self.numbers
        weight, bias = state.get(f"{self.name}.weight"), state.get(f"{self.name}.bias")
        rules = {
            "Convolution": lambda: F.conv2d(x, weight, bias, n["stride"], n["pad"], n["dilation"], n["group"]),
            "Deconvolution": lambda: F.conv_transpose2d(x, weight, bias, n["stride"], n["pad"], 0, n["group"]),
            "BN": lambda: x * weight[:, None, None] + bias[:, None, None],  # type: ignore[index]
            "ReLU": lambda: F.relu(x),
            "Pooling": lambda: F.max_pool2d(x, n["kernel_size"], n["stride"], n["pad"], ceil_mode=True),
        }
        found: Tensor = rules[self.type]()
        return found


KNOWN = {"upsample5": [23, 30], "upsample4": [45, 60]}
"""What is written of sizes that Caffe cannot work out: those of the pools' inputs at 360x480, taken from there here."""


def _one(names: list[str]) -> str:
    return names[0] if names else ""


def _numbers(text: str) -> dict[str, int]:
    given = {key: int(value) for key, value in re.findall(r"\b(\w+): (\d+)\b", text)}
    return {"stride": 1, "pad": 0, "dilation": 1, "group": 1} | given


def rows(layers: list[Layer]) -> list[list[object]]:
    """[name, shape, kind, fan] of each tensor."""
    found: list[list[object]] = []
    channels = {"data": 3}
    for layer in layers:
        channels[layer.top] = channels[layer.bottom]
        kinds = ("scale", "shift") if layer.type == "BN" else ("weight", "bias")
        if layer.type == "BN" or "num_output" in layer.numbers:
            for (name, shape), kind in zip(layer.shapes(channels[layer.bottom]).items(), kinds, strict=False):
                found.append([name, list(shape), kind, int(np.prod(shape[1:]))])
        if "num_output" in layer.numbers:
            channels[layer.top] = layer.numbers["num_output"]
    return found


@torch.no_grad()
def run(layers: list[Layer], state: dict[str, Tensor], image: Tensor) -> Tensor:
    values: dict[str, Any] = {"data": image}
    for layer in layers:
        layer.run(values, state)
    found: Tensor = values[layers[-1].top]
    return found


def record(name: str, folder: Path) -> None:
    file, sizes, gain = FILES[name]
    texts = re.findall(r"layer \{\n(.*?)\n\}", (folder / file).read_text(), re.DOTALL)
    layers = [layer for layer in map(Layer.read, texts) if layer.type not in PASSED_OVER]
    state = rows(layers)
    weights = drawn.state(state, gain)  # type: ignore[arg-type]
    outputs, samples = {}, {}
    for height, width in sizes:
        image = torch.from_numpy(drawn.image(height, width))
        single = run(layers, weights, image).double()
        exact = run(layers, {key: tensor.double() for key, tensor in weights.items()}, image.double())
        rms = exact.square().mean().sqrt().item()
        noise = (single - exact).abs().max().item() / rms
        size = f"{height}x{width}"
        outputs[size] = {"shape": list(exact.shape), "rms": rms, "noise": noise}
        samples[size] = exact.flatten()[drawn.places(exact.numel())].numpy()
        print(f"{name} {size} {list(exact.shape)} rms {rms:.3g} noise {noise:.1e}")
    meta = {"commit": commit(folder), "gain": gain, "state": state, "outputs": outputs}
    text = np.frombuffer(json.dumps(meta, separators=(",", ":")).encode(), np.uint8)
    np.savez_compressed(drawn.FOLDER / f"{name}.npz", meta=text, **samples)


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]))
