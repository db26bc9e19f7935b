"""Records what a reference implementation computes, for tests/test_parity.py: `record_parity.py NAME FOLDER`.

FOLDER is a checkout of the reference at the commit that the spec's first comment names. Its code runs here and stays
where it is: what is written is the list of its tensors, the commit, and samples of its outputs in float64. Packages
that it imports and that its networks do not need are replaced by empty modules.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drawn
import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

EVEN, ANY, TINY = ((64, 128), (256, 512)), ((64, 128), (97, 161), (353, 449)), ((64, 128), (161, 289))


@dataclass(frozen=True)
class Reference:
    """How a reference is built: its module, what to call in it, the sizes to run, and packages to leave out.

    `gain` scales what is drawn for convolutions, so that neither the outputs nor the noise of float32 explode.
    Tensors whose names hold `own` keep their values; `spread` is the standard deviation of the image.
    """

    module: str
    build: Callable[[Any], nn.Module]
    sizes: tuple[tuple[int, int], ...] = ANY
    gain: float = 1.0
    absent: tuple[str, ...] = ()
    path: str = "."
    own: str | None = None
    spread: float = 1.0


def bisenetv1(module: Any) -> nn.Module:
    resnet = sys.modules["lib.models.resnet"]
    resnet.Resnet18.init_weight = lambda self: None  # type: ignore[attr-defined]
    net: nn.Module = module.BiSeNetV1(19, aux_mode="eval")
    return net


def stdc(encoder: str) -> Callable[[Any], nn.Module]:
    return lambda module: module.BiSeNet(encoder, 19, use_boundary_8=True)


def sfnet(module: Any) -> nn.Module:
    make = module.Resnet_Deep.resnet18
    module.Resnet_Deep.resnet18 = lambda: make(pretrained=False)
    net: nn.Module = module.DeepR18_SF_deeply(19, None)
    return net


class Bare(nn.Module):
    """SwiftNet without its own normalisation, which changes the image that it is given, and the sizes it is told."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        resnet = importlib.import_module("models.resnet.resnet_single_scale")
        encoder = resnet.resnet18(pretrained=False, efficient=False, mean=[0.0] * 3, std=[1.0] * 3, scale=1)
        self.model = module.SemsegModel(encoder, 19)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x.clone(), None, x.shape[-2:])[0]
        return logits


def deeplab(encoder: str) -> Callable[[Any], nn.Module]:
    def build(module: Any) -> nn.Module:
        for name, kind in (("resnet", "ResNet"), ("xception", "AlignedXception"), ("mobilenet", "MobileNetV2")):
            encoder_module = importlib.import_module(f"modeling.backbone.{name}")
            getattr(encoder_module, kind)._load_pretrained_model = lambda self: None
        net: nn.Module = module.DeepLab(encoder, 16, 19, sync_bn=False)
        return net

    return build


def linknet(module: Any) -> nn.Module:
    """The authors' network. The ResNet-18 that it takes from torchvision is put together from its own block."""
    widths = [(64, 64), (64, 128), (128, 256), (256, 512)]
    stages = {
        f"layer{i}": nn.Sequential(
            module.BasicBlock(wide_in, wide, 3, 1 if i == 1 else 2, 1), module.BasicBlock(wide, wide, 3, 1, 1)
        )
        for i, (wide_in, wide) in enumerate(widths, 1)
    }
    stem = {"conv1": nn.Conv2d(3, 64, 7, 2, 3, bias=False), "bn1": nn.BatchNorm2d(64), "relu": nn.ReLU()}
    base = types.SimpleNamespace(**stem, maxpool=nn.MaxPool2d(3, 2, 1), **stages)
    module.resnet.resnet18 = lambda pretrained: base
    net: nn.Module = module.LinkNet(19)
    return net


def lraspp(module: Any) -> nn.Module:
    net: nn.Module = module.lraspp_mobilenet_v3_large(num_classes=19, weights=None, weights_backbone=None)
    return net


class PlainNorm(nn.BatchNorm2d):
    """In place of STDC's in-place activated normalisation, which needs CUDA."""

    def __init__(self, channels: int, activation: str = "none") -> None:
        super().__init__(channels)


REFERENCES = {
    "bisenetv1": Reference("lib.models.bisenetv1", bisenetv1, ((64, 128), (256, 512)), 1.2, ("torchvision",)),
    # needs its own extension, `permuto_cpp`, which computes in float32 alone. Colours that lie far apart would leave
    # corners of the lattice to one pixel each, and whether such a corner exists can turn on rounding
    "crf_rnn": Reference("crfasrnn.crfasrnn_model", lambda m: m.CrfRnnNet(), ((64, 128), (97, 161)), 1.0, spread=8.0),
    "ddrnet23": Reference("DDRNet_23", lambda m: m.DualResNet_imagenet(), EVEN, 0.9, path="segmentation"),
    "pidnet_s": Reference("models.pidnet", lambda m: m.get_pred_model("pidnet_s", 19), EVEN, 0.9),
    "pidnet_m": Reference("models.pidnet", lambda m: m.get_pred_model("pidnet_m", 19), EVEN, 0.9),
    "fast_scnn": Reference("models.fast_scnn", lambda m: m.FastSCNN(19), ((64, 128), (97, 161), (256, 512)), 1.1),
    "stdc1": Reference("models.model_stages", stdc("STDCNet813"), ANY, 1.1, ("torchvision", "modules.bn")),
    "stdc2": Reference("models.model_stages", stdc("STDCNet1446"), ANY, 1.1, ("torchvision", "modules.bn")),
    "swiftnet": Reference("models.semseg", Bare, EVEN, 1.2, ("evaluation.evaluate",), own=".img_"),
    "sfnet": Reference("network.sfnet_resnet", sfnet, ANY, 1.0, ("apex", "config")),
    "fc_hardnet": Reference("ptsemseg.models.hardnet", lambda m: m.hardnet(19), ANY, 1.1, ("CatConv2d.catconv2d",)),
    "deeplabv3plus_mobilenet": Reference("modeling.deeplab", deeplab("mobilenet"), ANY, 1.2),
    "deeplabv3plus_resnet": Reference("modeling.deeplab", deeplab("resnet"), ANY, 0.8),
    "deeplabv3plus_xception": Reference("modeling.deeplab", deeplab("xception"), ANY, 0.8),
    # `pip download torchvision` and unpack it: beside a build of torch that it was not made for it does not load whole
    "mobilenetv3": Reference(
        "torchvision.models.segmentation.lraspp", lraspp, ANY, 1.2, ("torchvision.transforms._presets",)
    ),
    "regnety": Reference("model", lambda m: m.RegSeg("regnety600mf_decoder14", 19), ANY, 1.1, ("torchvision.ops",)),
    "drn_d_22": Reference("drn", lambda m: m.drn_d_22(), ((224, 224),), 1.1),
    "fcn8s": Reference("torchfcn.models.fcn8s", lambda m: m.FCN8s(21), TINY, 1.3, ("fcn",)),
    "linknet": Reference("models.linknet", linknet, EVEN, 1.0, ("torchvision.models.resnet",)),
    "sqnet": Reference("model.SQNet", lambda m: m.SQNet(19), ((64, 128), (128, 256)), 1.2, ("torchsummary",)),
    "unet": Reference("unet.unet_model", lambda m: m.UNet(3, 19), ((64, 128), (97, 161)), 1.2),
    "espnet_cityscapes": Reference("Model", lambda m: m.ESPNet(20, 2, 8), ((64, 128), (160, 288)), 0.8, path="test"),
    "espnetv2": Reference("cnn.SegmentationModel", lambda m: m.EESPNet_Seg(19, s=2.0), EVEN, 1.0, path="segmentation"),
}

STUBS: dict[str, dict[str, Any]] = {
    "torchvision.transforms._presets": {"ImageClassification": dict, "SemanticSegmentation": dict},
    "torchvision.ops": {"DeformConv2d": nn.Conv2d},
    "modules.bn": {"InPlaceABNSync": PlainNorm},
    "evaluation.evaluate": {"mt": None},
    "apex": {"amp": types.SimpleNamespace(float_function=lambda function: function)},
    "config": {"cfg": types.SimpleNamespace(MODEL=types.SimpleNamespace(BNFUNC=nn.BatchNorm2d))},
    "CatConv2d.catconv2d": {"CatConv2d": None},
    "torchsummary": {"summary": None},
}


def stub(name: str) -> None:
    """An empty module under a name, and under those of its packages."""
    parent = None
    for end in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:end])
        module = sys.modules.setdefault(part, types.ModuleType(part))
        if parent is not None:
            setattr(parent, part.rpartition(".")[2], module)
        parent = module
    for key, value in STUBS.get(name, {}).items():
        setattr(parent, key, value)


def import_without_packages(name: str, folder: Path) -> Any:
    """A module by its path alone: the `__init__` files on the way often import what is not there."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        package = types.ModuleType(".".join(parts[:end]))
        package.__path__ = [str(folder.joinpath(*parts[:end]))]
        sys.modules[package.__name__] = package
    sys.path.insert(0, str(folder))
    return importlib.import_module(name)


NORM = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}


def rows(model: nn.Module) -> list[list[Any]]:
    """[name, shape, kind, fan] of each tensor; a last field names the earlier one that it is another name of."""
    modules = dict(model.named_modules(remove_duplicate=False))
    first: dict[int, str] = {}
    found = []
    for name, tensor in model.state_dict(keep_vars=True).items():
        path, _, short = name.rpartition(".")
        shape, kind = list(tensor.shape), "weight" if tensor.dim() > 1 else "bias"
        if short == "num_batches_tracked":
            kind = "count"
        elif isinstance(modules[path], nn.PReLU):
            kind = "slope"
        elif isinstance(modules[path], nn.modules.batchnorm._BatchNorm):
            kind = NORM[short]
        known = first.setdefault(id(tensor), name)
        fan = tensor.numel() // shape[0] if tensor.dim() > 1 else 1
        found.append([name, shape, kind, fan] + ([] if known == name else [known]))
    return found


def record(name: str, folder: Path) -> None:
    reference = REFERENCES[name]
    for package in reference.absent:
        stub(package)
    module = import_without_packages(reference.module, folder / reference.path)
    model = reference.build(module).eval()
    inner = model.model if isinstance(model, Bare) else model
    state = [row for row in rows(inner) if reference.own is None or reference.own not in row[0]]
    inner.load_state_dict(drawn.state(state, reference.gain), strict=reference.own is None)
    outputs, samples = {}, {}
    for height, width in reference.sizes:
        double, single = (
            run(model.to(dtype), height, width, reference.spread) for dtype in (torch.float64, torch.float32)
        )
        rms = double.square().mean().sqrt().item()
        noise = (single - double).abs().max().item() / rms
        size = f"{height}x{width}"
        outputs[size] = {"shape": list(double.shape), "rms": rms, "noise": noise}
        samples[size] = double.flatten()[drawn.places(double.numel())].numpy()
        print(f"{name} {size} {list(double.shape)} rms {rms:.3g} noise {noise:.1e}")
    print(name, counts(model.float(), 1024, 2048))
    meta = {
        "commit": commit(folder),
        "gain": reference.gain,
        "spread": reference.spread,
        "state": state,
        "outputs": outputs,
    }
    text = np.frombuffer(json.dumps(meta, separators=(",", ":")).encode(), np.uint8)
    np.savez_compressed(drawn.FOLDER / f"{name}.npz", meta=text, **samples)


@torch.no_grad()
def counts(model: nn.Module, height: int, width: int) -> str:
    """Parameters, and multiply-accumulates of convolutions and matrix products, of all that a call runs."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, height, width))
    return f"{parameters:,} parameters, {counter.get_total_flops() / 2e9:.3f} GMACs at {height}x{width}"


def commit(folder: Path) -> str:
    """What git says of the checkout, or a package of itself; empty where neither does."""
    for version in folder.glob("*/version.py"):
        if stated := re.search(r"git_version = '(\w{7})", version.read_text(encoding="utf-8")):
            return stated[1]
    found = subprocess.run(["git", "-C", folder, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip()


@torch.no_grad()
def run(model: nn.Module, height: int, width: int, spread: float) -> Tensor:
    """The first output, in float64."""
    dtype = next(model.parameters()).dtype
    result: Any = model(torch.from_numpy(drawn.image(height, width, spread)).to(dtype))
    if isinstance(result, dict):
        result = next(iter(result.values()))
    first: Tensor = result if isinstance(result, Tensor) else result[0]
    return first.double()


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]))
