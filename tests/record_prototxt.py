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

import drawn
import numpy as np
import torch
import torch.nn.functional as F
from record_parity import commit
from torch import Tensor

# record -> file, sizes, gain of what is drawn for convolutions
FILES = {"dilation10": ("models/dilation10_cityscapes_deploy.prototxt", ((396, 420), (403, 429)), 1.3)}
PASSED_OVER = ("Dropout", "Softmax")


@dataclass(frozen=True)
class Layer:
    """One layer of a Caffe file, with one input and one output."""

    name: str
    type: str
    bottom: str
    top: str
    numbers: dict[str, int]
    bias: bool

    @classmethod
    def read(cls, text: str) -> Layer:
        word = dict(re.findall(r'\b(name|type|bottom|top): "(\w+)"', text))
        return cls(**word, numbers=dict(_numbers(text)), bias="bias_term: false" not in text)

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Its tensors, as PyTorch has them."""
        out, groups, kernel = self.numbers["num_output"], self.numbers["group"], self.numbers["kernel_size"]
        first = (out, channels // groups) if self.type == "Convolution" else (channels, out // groups)
        weight = {f"{self.name}.weight": (*first, kernel, kernel)}
        return weight | ({f"{self.name}.bias": (out,)} if self.bias else {})

    def run(self, x: Tensor, state: dict[str, Tensor]) -> Tensor:
        """Raises KeyError for a layer of another type."""
        n = self.numbers
        weight, bias = state.get(f"{self.name}.weight"), state.get(f"{self.name}.bias")
        rules = {
            "Convolution": lambda: F.conv2d(x, weight, bias, n["stride"], n["pad"], n["dilation"], n["group"]),
            "Deconvolution": lambda: F.conv_transpose2d(x, weight, bias, n["stride"], n["pad"], 0, n["group"]),
            "ReLU": lambda: F.relu(x),
            "Pooling": lambda: F.max_pool2d(x, n["kernel_size"], n["stride"], n["pad"], ceil_mode=True),
        }
        found: Tensor = rules[self.type]()
        return found


def _numbers(text: str) -> dict[str, int]:
    given = {key: int(value) for key, value in re.findall(r"\b(\w+): (\d+)\b", text)}
    return {"stride": 1, "pad": 0, "dilation": 1, "group": 1} | given


def rows(layers: list[Layer]) -> list[list[object]]:
    """[name, shape, kind, fan] of each tensor."""
    found: list[list[object]] = []
    channels = {"data": 3}
    for layer in layers:
        channels[layer.top] = channels[layer.bottom]
        if "num_output" in layer.numbers:
            for name, shape in layer.shapes(channels[layer.bottom]).items():
                kind = "weight" if name.endswith("weight") else "bias"
                found.append([name, list(shape), kind, int(np.prod(shape[1:]))])
            channels[layer.top] = layer.numbers["num_output"]
    return found


@torch.no_grad()
def run(layers: list[Layer], state: dict[str, Tensor], image: Tensor) -> Tensor:
    values = {"data": image}
    for layer in layers:
        values[layer.top] = layer.run(values[layer.bottom], state)
    return values[layers[-1].top]


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
