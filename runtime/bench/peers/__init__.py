"""The peers by name, in the order of the table. To add one: a class as in `pytorch.py`, and an entry here."""

from __future__ import annotations

from archdsl.runtime.bench.contender import Peer
from archdsl.runtime.bench.peers.onnxruntime import OnnxRuntime
from archdsl.runtime.bench.peers.openvino import OpenVino
from archdsl.runtime.bench.peers.pytorch import Compiled, Eager
from archdsl.runtime.bench.peers.tensorrt import TensorRT

_ALL: tuple[Peer, ...] = (
    Eager("eager", channels_last=False),
    Eager("eager-channels-last", channels_last=True),
    Compiled("torch.compile", None),
    Compiled("torch.compile-reduce-overhead", "reduce-overhead"),
    Compiled("torch.compile-max-autotune", "max-autotune"),
    OnnxRuntime(),
    OpenVino(),
    TensorRT(),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
