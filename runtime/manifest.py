"""What `manifest.json` says of an artifact."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from archdsl.lower.verify import Verification

KIND: Literal["archdsl artifact"] = "archdsl artifact"
FORMAT: Literal[1] = 1

DType = Literal["float32", "bfloat16", "float16"]
WeightsKind = Literal["given", "partial", "random"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class FileRecord(_Record):
    """A file of the artifact: its length in bytes and the hash of its content, in hexadecimal."""

    bytes: int
    sha256: str


class Choice(_Record):
    """The engine that runs the network, what each candidate took, and why others were not tried.

    `part` is "all" in the first of a manifest; where several engines share the network, one for each part follows,
    with its first and last node. `own` tells engines of archdsl from those of others.
    """

    part: str
    engine: str
    own: bool = True
    milliseconds: dict[str, float] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)


class PassRecord(_Record):
    """Where a pass fired, and where it did not and why, by node name."""

    name: str
    fired: list[str]
    declined: list[tuple[str, str]]


class Manifest(_Record):
    """The whole of it. Sizes are (height, width), `batch` the images of a call that engines were prepared for;
    `weights` is "random" for weights as they were drawn.

    `files` is filled in when the artifact is written.
    """

    kind: Literal["archdsl artifact"] = KIND
    format: Literal[1] = FORMAT
    network: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    sizes: list[tuple[int, int]] = Field(default_factory=list)
    batch: int = 1
    dtype: DType
    device: str
    output: Literal["logits", "labels"]
    engines: list[Choice]
    passes: list[PassRecord] = Field(default_factory=list)
    verification: Verification | None = None
    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    weights: WeightsKind = "given"
    versions: dict[str, str] = Field(default_factory=dict)
    files: dict[str, FileRecord] = Field(default_factory=dict)
