"""Engine `triton`: our own kernels on CUDA devices for what libraries run badly, plain PyTorch calls for the rest.

Not yet run on a GPU: its results are tested through Triton's interpreter, its speed is not known.
"""

from __future__ import annotations

from archdsl.runtime.engines.triton.engine import TritonEngine, triton_engine

__all__ = ["TritonEngine", "triton_engine"]
