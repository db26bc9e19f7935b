"""From a network, a data set and a recipe to everything that a training needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from archdsl.checking import size_errors
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.ir.graph import Output
from archdsl.ir.state import layout
from archdsl.lower.module import ArchModule
from archdsl.network import Network
from archdsl.training.augment.plan import Planner
from archdsl.training.data.check import check_sizes
from archdsl.training.data.decoded import Decoded
from archdsl.training.data.feed import Asked, Feed, FileFeed, MemoryFeed, Share, fits
from archdsl.training.data.order import Order
from archdsl.training.data.sample import DataSet, Joined, Source
from archdsl.training.data.statistics import Statistics, statistics
from archdsl.training.evaluate import METRICS
from archdsl.training.losses import Criterion
from archdsl.training.processes import Processes
from archdsl.training.recipes import Recipe

Seen = Callable[[str, int, int], None]
"""Told what is being read, how much of it is done, and how much there is."""


@dataclass
class Setup:
    """A training before its first step."""

    net: Network
    source: Source
    recipe: Recipe
    among: Processes
    device: torch.device
    module: ArchModule
    criterion: Criterion
    train: DataSet
    validation: DataSet | None
    known: Statistics | None
    steps: int
    fresh: tuple[str, ...] = ()
    """Weights that start anew although there was a checkpoint to start from."""
    data_name: str = ""

    @property
    def validation_name(self) -> str:
        return self.recipe.data.validation or "val"

    @property
    def epochs(self) -> float:
        return self.steps * self.recipe.batch / len(self.train)

    def feed(self, first: int) -> Feed:
        """Batches from a step on."""
        recipe, known = self.recipe, self.known
        tiles = known.tiles if known is not None else None
        order = Order(len(self.train), recipe.batch, recipe.seed, tiles=tiles, uniform=recipe.data.class_uniform)
        donors = len(self.train) if recipe.augment.paste else 0
        asked = Asked(
            order,
            Planner(recipe.augment, recipe.seed, donors),
            round(self.steps * (1 - recipe.augment.calm)),
            Share(self.among.rank, self.among.world),
            self._rare(),
        )
        if isinstance(self.train, Decoded):
            return MemoryFeed(asked, self.train.samples, self.device)
        return FileFeed(asked, self.train, self.device, range(first, self.steps), recipe.data.workers)

    def _rare(self) -> Tensor | None:
        if not self.recipe.augment.paste or self.known is None:
            return None
        chosen = [self.source.classes.index(name) for name in self.recipe.augment.paste_classes] or self.known.rare
        rare = torch.zeros(256, dtype=torch.bool)
        rare[list(chosen)] = True
        return rare


def make_setup(
    net: Network,
    source: Source,
    recipe: Recipe,
    among: Processes,
    device: torch.device,
    *,
    weights: Mapping[str, Tensor] | None = None,
    seen: Seen = lambda what, done, of: None,
) -> Setup:
    """Checks that network, data and recipe go together, and reads what must be read before the first step.

    `weights` are a checkpoint to start from; where its shapes differ, as a classifier's do, weights start anew. Raises
    ArchError E0830 to E0833 for data and recipe, E0836 where network and data do not fit, E0810 for a checkpoint of
    another network.
    """
    _check(net, source, recipe, among)
    module = net.module(recipe.seed)
    fresh = () if weights is None else start_from(module, weights)
    train = _kept(joined(source, recipe.data.train), recipe, device, lambda d, n: seen("training images", d, n))
    validation = None
    if recipe.data.validation is not None:
        found = source.split(recipe.data.validation)
        validation = _kept(found, recipe, torch.device("cpu"), lambda d, n: seen("validation images", d, n))
    known = None
    if recipe.data.class_uniform or recipe.augment.paste or _weighs(recipe):
        known = statistics(train, len(source.classes), recipe.data.tile, lambda d, n: seen("training labels", d, n))
    criterion = _criterion(net, recipe, known, device)
    steps = recipe.steps or max(1, round(_epochs(recipe) * len(train) / recipe.batch))
    placed = module.to(device)
    if recipe.run.channels_last:
        placed = placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Setup(net, source, recipe, among, device, placed, criterion, train, validation, known, steps, fresh)


def joined(source: Source, splits: tuple[str, ...]) -> DataSet:
    """The named splits as one. Raises ArchError E0830 for one that is not there, or is empty."""
    parts = [source.split(name) for name in splits]
    for name, part in zip(splits, parts, strict=True):
        if not len(part):
            raise ArchError([Diagnostic("E0830", f"{source.name}: {name} has no samples")])
    return parts[0] if len(parts) == 1 else Joined(parts)


def _kept(data: DataSet, recipe: Recipe, device: torch.device, seen: Callable[[int, int], None]) -> DataSet:
    """A split, decoded once where the recipe or the memory says so; otherwise its files' sizes are checked."""
    if recipe.data.memory == "always" or (recipe.data.memory == "auto" and fits(data, device)):
        return Decoded(data, seen)
    check_sizes(data)
    return data


def _epochs(recipe: Recipe) -> float:
    assert recipe.epochs is not None
    return recipe.epochs


def _weighs(recipe: Recipe) -> bool:
    return any(one.class_weights for one in (recipe.loss, *recipe.loss.plus, *recipe.loss.aux.values()))


# ------------------------------------------------------------- what must agree


def _check(net: Network, source: Source, recipe: Recipe, among: Processes) -> None:
    out = main_output(net)
    channels, classes = net.ir.type_of(out.value).channels, len(source.classes)
    if channels != classes:
        message = f"{net.name} tells {channels} classes apart, and {source.name} has {classes}"
        raise _misfit(message, f"give the network a parameter `classes`, or --set classes={classes}")
    crop = dict(zip("HW", recipe.augment.crop, strict=True))
    for message, help_ in size_errors(net.ir, crop):
        raise ArchError([Diagnostic("E0311", message, help=help_ or "change augment.crop")])
    share = among.world * recipe.accumulate
    if recipe.batch % share:
        raise _wrong(f"a batch of {recipe.batch} cannot be cut into {share} equal parts ({among.world} processes)")
    names = {o.name for o in net.ir.outputs if o.aux}
    for name in recipe.loss.aux:
        if name not in names:
            raise _wrong(f"{net.name} has no auxiliary output {name!r}; it has {', '.join(sorted(names)) or 'none'}")
    for name in recipe.augment.paste_classes:
        if name not in source.classes:
            raise _wrong(f"{source.name} has no class {name!r}; it has {', '.join(source.classes)}")
    metric = recipe.validate_.metric
    if metric not in (*METRICS, *source.classes):
        raise _wrong(f"validate.metric: {metric!r} is none of {', '.join(METRICS)}, and no class of {source.name}")


def main_output(net: Network) -> Output:
    """The output that is trained and scored. Raises ArchError E0836 for a network without exactly one."""
    outputs = [out for out in net.ir.outputs if not out.aux]
    if len(outputs) != 1 or len(net.ir.inputs) != 1:
        raise _misfit(f"{net.name} has {len(net.ir.inputs)} inputs and {len(outputs)} outputs; training needs one each")
    return outputs[0]


def _criterion(net: Network, recipe: Recipe, known: Statistics | None, device: torch.device) -> Criterion:
    crop = dict(zip("HW", recipe.augment.crop, strict=True))
    aux = {out.name: _size_of(net, out, crop) for out in net.ir.outputs if out.aux}
    pixels = None if known is None else torch.from_numpy(known.pixels)
    return Criterion.of(recipe.loss, main_output(net).name, aux, pixels, device)


def _size_of(net: Network, out: Output, at: dict[str, int]) -> tuple[int, int]:
    _, height, width = net.ir.type_of(out.value).at(at).shape
    assert isinstance(height, int) and isinstance(width, int)
    return height, width


def start_from(module: ArchModule, weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Loads what fits by name and shape, and returns what does not. Raises ArchError E0810 where most does not."""
    own = module.state_dict()
    fitting = {name: weights[name] for name in own if name in weights and weights[name].shape == own[name].shape}
    fresh = tuple(name for name in own if name not in fitting)
    if 2 * len(fitting) < len(layout(module.graph)):
        message = f"of {len(own)} weights of {module.graph.name}, {len(fitting)} are in the checkpoint"
        raise ArchError([Diagnostic("E0810", message, help="is it a checkpoint of this network?")])
    module.load_state_dict(fitting, strict=False)
    return fresh


def _misfit(message: str, help_: str = "") -> ArchError:
    return ArchError([Diagnostic("E0836", message, help=help_)])


def _wrong(message: str) -> ArchError:
    return ArchError([Diagnostic("E0833", message)])
