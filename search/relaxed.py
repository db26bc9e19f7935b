"""A network with some of its rates relaxed, as a trainable module with the weights and names of the plain one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from archdsl.search.methods import METHODS, Mixture, Relaxation
from archdsl.search.mixed_conv import mixed_conv
from archdsl.search.space import Rate
from torch import Tensor

from archdsl.lower.module import ArchModule
from archdsl.lower.registry import Applied, Lowering
from archdsl.lower.weights import initial_weights
from archdsl.network import Network


class RelaxedModule(ArchModule):
    """Runs the governed convolutions at their rates' mixtures; everything else as the plain module does.

    `progress` says where the search stands, 0 to 1; with `chosen` rates it runs at these alone. Rates get gradients
    while `judged` is set. The relaxations are no part of the module: its `state_dict` is that of the plain network.
    """

    def __init__(
        self, network: Network, rates: Sequence[Rate], relaxations: Mapping[str, Relaxation], seed: int
    ) -> None:
        super().__init__(network.ir, initial_weights(network.ir, seed), network)
        self.progress = 0.0
        self.judged = True
        self.chosen: Sequence[int] | None = None
        self._relaxations = list(relaxations.values())
        self._now: list[Mixture] = []
        self._lowerings = {name: self._mixed(index) for index, rate in enumerate(rates) for name in rate.nodes}

    def forward(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        # once a step: all nodes that a rate governs apply the same mixture, sampled ones too
        if self.chosen is not None:
            self._now = [Mixture((rate,), torch.ones(1, device=inputs[0].device)) for rate in self.chosen]
        else:
            with torch.set_grad_enabled(self.judged and torch.is_grad_enabled()):
                self._now = [relaxation.mixture(self.progress) for relaxation in self._relaxations]
        return super().forward(*inputs)

    def _mixed(self, index: int) -> Lowering:
        def convolve(call: Applied) -> Tensor:
            mixture, weight = self._now[index], call.weights["weight"]
            groups = call.x.shape[1] // weight.shape[1]
            y = mixed_conv(call.x, weight, mixture.weights, mixture.rates, stride=call["stride"], groups=groups)
            return y if call.bias is None else y + call.bias.view(1, -1, 1, 1)

        return convolve


def relax(rates: Sequence[Rate], method: str) -> dict[str, Relaxation]:
    """A relaxation per rate, by a name that is the rate's place in the network.

    Raises ValueError for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; there are {', '.join(METHODS)} and random")
    return {str(index): METHODS[method](rate.candidates, rate.start) for index, rate in enumerate(rates)}
