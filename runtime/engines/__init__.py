"""What runs a compiled network. An engine is one small class and one registration:

    from archdsl.runtime.engines import Program, Runner, register

    class Mine:
        name, own, seconds = "mine", False, 0.0

        def available(self, program: Program) -> str | None:
            return None if program.device.type == "cpu" else "it runs on CPUs only"

        def prepare(self, program: Program) -> Runner:
            return my_compiler(program.graph, program.weights)

    register(Mine())

From then on `archdsl.compile(model, engine="mine")` uses it, automatic choice measures it beside the others, and what
it computes is held against the oracle like everything else. `lower_fx(program.graph, program.weights)` gives the
program as a torch.fx module, for engines that start from one.

Several engines can share a network: `engine="native:y.relu1+mine"` gives `mine` what comes behind node y.relu1 of the
rewritten graph (`split`, `parts`), and automatic choice finds such a split where it measures that one pays.

Modules of engines here import what they stand on (a compiler, another runtime) when they are first used.
"""

from archdsl.runtime.engines.program import Program, Unavailable, check_device, check_size, place
from archdsl.runtime.engines.registry import ENGINES, Engine, Outputs, Runner, register

# each module registers its engine; the order is that in which automatic choice tries them
from archdsl.runtime.engines import eager, native, triton  # isort: skip
from archdsl.runtime.engines import cuda_graphs  # isort: skip
from archdsl.runtime.engines import onnxruntime, openvino, inductor  # isort: skip
from archdsl.runtime.engines.split import Split, named  # isort: skip

__all__ = [
    "ENGINES",
    "Engine",
    "Outputs",
    "Program",
    "Runner",
    "Split",
    "Unavailable",
    "check_device",
    "check_size",
    "cuda_graphs",
    "eager",
    "inductor",
    "named",
    "native",
    "onnxruntime",
    "openvino",
    "place",
    "register",
    "triton",
]
