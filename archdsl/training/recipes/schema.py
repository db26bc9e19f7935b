"""Every value of a recipe: its type, its default, its meaning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Span = tuple[Positive, Positive]
LossKind = Literal["cross_entropy", "ohem", "focal", "dice", "lovasz", "boundary"]


class Section(BaseModel):
    """A table of the recipe. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Data(Section):
    """Where samples come from and how they reach the device."""

    train: tuple[str, ...] = ("train",)
    """Splits to train on; several are joined."""
    validation: str | None = "val"
    memory: Literal["auto", "always", "never"] = "auto"
    """Whether the decoded data set is kept on the device; `auto` does so where it takes at most a quarter of it."""
    workers: int = Field(default=4, ge=0)
    """Processes that read images where the data set is not kept in memory."""
    class_uniform: Share = 0
    """Share of the samples whose crop is centred on a tile with a class drawn uniformly (Zhu et al., CVPR 2019)."""
    tile: Count = 64
    """Side in pixels of those tiles."""


class RandAugment(Section):
    """RandAugment (Cubuk et al. 2019) with the operations that leave labels where they are, and rotation."""

    ops: Count = 2
    magnitude: Share = 0.2
    choices: tuple[
        Literal["autocontrast", "equalize", "rotate", "colour", "contrast", "brightness", "sharpness"], ...
    ] = ("autocontrast", "equalize", "rotate", "colour", "contrast", "brightness", "sharpness")


class Augment(Section):
    """What happens to a sample. All of it is a function of seed, epoch and sample alone."""

    crop: tuple[Count, Count] = (256, 512)
    """Height and width in pixels that the network trains on."""
    scale: Span | None = (0.5, 2.0)
    """Range of a random scale, uniform in its logarithm."""
    short_side: Span | None = None
    """Instead of `scale`: range in pixels of the short side, uniform."""
    flip: Share = 0.5
    rotate: NotNegative = 0
    """Greatest rotation in degrees, both ways."""
    brightness: Share = 0
    contrast: Share = 0
    saturation: Share = 0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0
    """Greatest turn of the hue, as a share of the full circle."""
    gamma: Share = 0
    randaugment: RandAugment | None = None
    paste: Share = 0
    """Probability that pixels of rare classes from another sample are pasted over this one."""
    paste_classes: tuple[str, ...] = ()
    """Which those are; by default the classes with less than 2 % of all pixels."""
    calm: Share = 0
    """Last share of the training in which only scale, crop and flip remain."""

    @model_validator(mode="after")
    def _one_range(self) -> Augment:
        for name in ("scale", "short_side"):
            span = getattr(self, name)
            if span is not None and span[0] > span[1]:
                raise ValueError(f"{name} runs from the smaller to the larger value, not from {span[0]} to {span[1]}")
        return self


class ClassWeights(Section):
    kind: Literal["enet", "inverse"] = "enet"
    """`enet`: 1 / ln(1.02 + share) (Paszke et al. 2016); `inverse`: 1 / share, with mean 1."""
    cap: Positive = 5.0


class Loss(Section):
    """One loss on one output."""

    kind: LossKind = "cross_entropy"
    weight: NotNegative = 1.0
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0
    """Label smoothing, for cross_entropy, ohem and focal."""
    class_weights: ClassWeights | None = None
    boundary_weight: NotNegative = 0
    """For cross_entropy, ohem and focal: how much more a pixel at a boundary between classes weighs."""
    threshold: NotNegative = 0.3
    """ohem: a pixel is hard when its loss is above this."""
    keep: Annotated[float, Field(gt=0, le=1)] = 0.0625
    """ohem: the share of pixels that are averaged at least, the hardest first; of each process and part by itself."""
    gamma: NotNegative = 2.0
    """focal: how much easy pixels are held back."""


class AuxLoss(Loss):
    weight: NotNegative = 0.4
    resize: Literal["output", "target"] = "output"
    """What is brought to the other's size: the output (bilinear) to the labels, or the labels (nearest) to it."""


class Losses(Loss):
    """The loss of the network's output, what is added to it, and those of auxiliary outputs by name."""

    plus: tuple[Loss, ...] = ()
    aux: dict[str, AuxLoss] = Field(default_factory=dict)
    """An auxiliary output that is not named here gets the main loss at weight 0.4."""


class Group(Section):
    """Parameters of their own learning rate, by the start of their names."""

    prefix: str
    lr: NotNegative = 1.0
    """Factor on the learning rate; 0 freezes them, and the statistics of their norms."""


class Optimizer(Section):
    kind: Literal["sgd", "adamw"] = "sgd"
    lr: Positive = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: NotNegative = 1e-4
    no_decay: Literal["norms and biases", "norms", "nothing"] = "norms and biases"
    clip: Positive | None = None
    """Greatest norm of the whole gradient."""
    groups: tuple[Group, ...] = ()


class Schedule(Section):
    """The learning rate over the steps, as a factor on `optimizer.lr`."""

    kind: Literal["poly", "cosine", "one_cycle", "constant"] = "poly"
    power: Positive = 0.9
    warmup: NotNegative = 0
    """Steps of linear warm-up, or below 1 a share of all steps."""
    warmup_from: Share = 0.1
    end: Share = 0
    """The factor that the schedule ends at."""


class Norm(Section):
    freeze: bool = False
    """Batch norms use their running statistics, and keep them."""
    sync: bool = False
    """Batch statistics over all processes; on CUDA only, as torch has it."""
    precise: int = Field(default=0, ge=0)
    """Batches over which running statistics are worked out anew at the end, without strong augmentation."""


class Run(Section):
    """Precision, and how a step is run."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    channels_last: bool = True
    compile: bool = False
    """Train through torch.compile."""
    cuda_graph: bool = False
    """Replay forward and backward as a CUDA graph; on CUDA without torch.compile, one process, no accumulation."""
    deterministic: bool = False
    """Only algorithms that give the same result each time; on CUDA some are slower."""


class Validate(Section):
    every: NotNegative = 0.1
    """Steps between validations, or below 1 a share of all steps; 0 validates at the end only."""
    batch: Count = 8
    scales: tuple[Positive, ...] = (1.0,)
    """Input scales whose class probabilities are averaged."""
    flip: bool = False
    """Average with the mirrored image."""
    window: tuple[Count, Count] | None = None
    """Height and width of a sliding window; the whole image at once by default."""
    overlap: Annotated[float, Field(ge=0, lt=1)] = 1 / 3
    """Share of a window that the next one covers again."""
    boundary: NotNegative = 3
    """Pixels within which a boundary counts as found."""
    select: Literal["best", "last"] = "best"
    """Which weights `best.safetensors` has; `last` where validation data must not choose."""
    metric: str = "miou"
    """By what the best are chosen: `miou`, `pixel_accuracy`, `boundary_f1`, or the name of a class for its IoU."""


class Search(Section):
    """What `archdsl search` does beside training; steps, batch and the rest are those of the recipe."""

    judge: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Size of the batches that move the rates, as a share of a batch; two images at least."""
    keep: Count = 8
    """Neighbours of the answer that are trained in a round."""
    short: Positive = 0.05
    """Steps of the shortest of these trainings, or below 1 a share of the recipe's; survivors get twice as many."""
    rungs: Count = 2
    """How often the better half survives."""
    rounds: Count = 2
    """How often the answer may move."""
    seeds: Count = 3
    """Trainings of the answer and of the start that are compared at the end."""
    images: Count | None = None
    """Images on which trainings are scored; by default all that the rates are judged on."""


class Recipe(Section):
    """A whole recipe."""

    title: str = ""
    status: str = ""
    """How far it is known or tried."""
    data_set: str | None = None
    """The data set to use where none is given, as KIND:PATH."""
    steps: Count | None = None
    epochs: Positive | None = None
    batch: Count = 8
    """Samples per step, over all processes."""
    accumulate: Count = 1
    """Parts that a batch is cut into, one after the other, to fit into memory."""
    seed: int = Field(default=0, ge=0)
    ema: Annotated[float, Field(ge=0, lt=1)] = 0
    """Decay of the moving average of the weights, which is then what is validated and kept; 0 for none."""
    log_every: Count = 10
    save_every: Positive = 60
    """Seconds between saves of the state that `--resume` goes on from."""
    data: Data = Data()
    augment: Augment = Augment()
    loss: Losses = Losses()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    norm: Norm = Norm()
    run: Run = Run()
    validate_: Validate = Field(default=Validate(), alias="validate")
    search: Search = Search()

    @model_validator(mode="after")
    def _one_length(self) -> Recipe:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a recipe says either `steps` or `epochs`")
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} cannot be cut into {self.accumulate} equal parts")
        return self
