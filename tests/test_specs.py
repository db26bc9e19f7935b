"""The shipped specs and the standard library: sizes, costs and fields of view that the papers and their code state."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers import REGSEG_PAGE

import archdsl
from archdsl.checking import check_network
from archdsl.diagnostics import Severity, Source
from archdsl.elaborate.files import AliasDef, BlockDef, ConstantDef
from archdsl.ir.dims import value_at
from archdsl.ir.graph import MapType
from archdsl.ir.state import layout
from archdsl.lang.format import format_source
from archdsl.lower.oracle import run
from archdsl.lower.weights import initial_weights
from archdsl.network import Network
from archdsl.spec import Spec

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.arch"))
LIBRARY = sorted((ROOT / "archdsl" / "std").glob("*.arch"))

BODIES = ["exp48", "exp43", "exp50", "exp46", "exp49", "exp52", "exp47", "exp30", "exp51", "regnety600mf"]
DECODERS = {
    "decoder26": (3_334_951, 38.353, 12.641),
    "decoder14": (3_368_023, 35.203, 11.603),
    "decoder10": (3_295_039, 32.452, 10.696),
    "decoder4": (3_392_407, 36.009, 11.868),
    "decoder12": (3_236_951, 30.908, 10.187),
    "SFNetDecoder": (3_405_079, 33.776, 11.133),
    "BisenetDecoder": (3_926_007, 43.256, 14.257),
}


def net(file: str, name: str | None = None, **parameters: Any) -> Network:
    return archdsl.load(str(ROOT / "specs" / f"{file}.arch"), network=name, **parameters)


def values_of(of: MapType, at: dict[str, int]) -> int:
    return of.channels * value_at(of.height, at) * value_at(of.width, at)


def giga(network: Network, height: int, width: int) -> float:
    return round(network.macs(height, width) / 1e9, 3)


# ------------------------------------------------------------ every network


def shipped() -> list[tuple[str, str]]:
    return [(path.stem, name) for path in SPECS for name in Spec.read(str(path)).networks]


@pytest.mark.parametrize(("file", "name"), shipped())
def test_shipped_networks_are_clean(file: str, name: str) -> None:
    """Every shipped network keeps its asserts without any remark, and takes every size from 2 on."""
    checked = check_network(Spec.read(str(ROOT / "specs" / f"{file}.arch")), name)
    assert checked.diagnostics == () and checked.facts is not None
    assert all(rule["modulus"] == 1 and rule["min"] <= 2 for rule in checked.facts["size_rule"].values())


@pytest.mark.parametrize("path", [*SPECS, *LIBRARY], ids=lambda path: path.stem)
def test_shipped_text_is_canonical(path: Path) -> None:
    """What ships is laid out as `archdsl fmt` lays it out."""
    text = path.read_text(encoding="utf-8")
    assert format_source(Source(str(path), text)) == text


@pytest.mark.parametrize("path", [*SPECS, *LIBRARY], ids=lambda path: path.stem)
def test_every_block_and_network_is_documented(path: Path) -> None:
    """Every block and network that ships has a `##` comment."""
    spec = Spec.read(str(path))
    assert spec.file is not None
    own = [d for d in spec.file.names.values() if isinstance(d, BlockDef | AliasDef) and d.file is spec.file]
    assert [d.tree.name.text for d in own if not d.tree.doc] == []


# ------------------------------------------------------------------- RegSeg


def test_regseg_counts() -> None:
    """3,334,951 parameters with 19 classes, 3,334,431 with 11; 38.353 GMACs at 1024 x 2048 (official code, counted)."""
    assert net("regseg").params == 3_334_951
    assert net("regseg", "RegSegCamVid").params == 3_334_431
    assert giga(net("regseg"), 1024, 2048) == 38.353
    assert giga(net("regseg", "RegSegCamVid"), 720, 960) == 12.619


def test_regseg_large_counts() -> None:
    """exp53_decoder29: 6,131,579 parameters and 86.456 GMACs at 1024 x 2048 (official code, counted)."""
    large = net("regseg", "RegSegLarge")
    assert large.params == 6_131_579
    assert (giga(large, 1024, 2048), giga(large, 720, 960)) == (86.456, 28.496)


def test_regseg_fvcore_total() -> None:
    """The paper's 39.1 GFLOPs is fvcore's total, with 2 per normalised, 4 per resized and 1 per pooled value."""
    network = net("regseg")
    at = {"H": 1024, "W": 2048}
    total = network.macs(1024, 2048)
    for node in network.ir.nodes:
        read = node.types[0] if node.op not in ("global_pool", "avg_pool") else network.ir.input_types(node)[0]
        total += {"bn": 2, "resize": 4, "global_pool": 1}.get(node.op, 0) * values_of(read, at)
    assert round(total / 1e9, 1) == 39.1


def test_regseg_has_18_d_blocks_and_7_searchable_rates() -> None:
    """Table 1 has 18 D blocks; the seven rates of 14 may be searched, each for itself."""
    network = net("regseg")
    blocks = {node.name.rpartition(".")[0] for node in network.ir.nodes if node.name.endswith(".project")}
    assert len(blocks) == 18
    variables = network.elaboration.variables
    assert [(v.start, v.domain) for v in variables] == 7 * [(14, tuple(range(1, 19)))]


@pytest.mark.parametrize("body", BODIES)
def test_regseg_bodies(body: str) -> None:
    """A rate costs nothing: nine bodies with decoder14 have one size and one cost, RegNetY-600MF its own."""
    network = net("regseg", "RegSegAblation", body=body)
    counts = (network.params, giga(network, 1024, 2048), giga(network, 720, 960))
    assert counts == ((5_688_995, 50.093, 16.511) if body == "regnety600mf" else (3_368_023, 35.203, 11.603))


@pytest.mark.parametrize("body", BODIES)
def test_ablations_raise_no_warning(body: str) -> None:
    """Only exp30 is remarked on: its first rate breaks the bound, and the branch beside it fills the hole."""
    found = net("regseg", "RegSegAblation", body=body).warnings
    assert {d.severity for d in found} <= {Severity.NOTE}
    assert bool(found) == (body == "exp30")


@pytest.mark.parametrize(("decoder", "counts"), DECODERS.items())
def test_regseg_decoders(decoder: str, counts: tuple[int, float, float]) -> None:
    """Sizes and costs of the decoders on exp48, as counted from the official code."""
    network = net("regseg", "RegSegAblation", decoder=decoder)
    assert (network.params, giga(network, 1024, 2048), giga(network, 720, 960)) == counts


@pytest.mark.parametrize(
    ("decoder", "params"), [("decoder29", 3_740_279), ("lraspp", 3_247_082), ("FaPNDecoder", 3_699_119)]
)
def test_regseg_decoders_without_a_published_count(decoder: str, params: int) -> None:
    """The decoders that no table lists have the official code's size, and give one score per class and pixel too."""
    assert net("regseg", "RegSegAblation", decoder=decoder).params == params
    network = net("regseg", "RegSegAblation", decoder=decoder, classes=7)
    assert network.facts(97, 161)["shapes"] == {"logits": [7, 97, 161]}


@pytest.mark.parametrize(
    ("decoder", "params"), [("decoder29", 6_131_579), ("decoder14", 5_752_155), ("BisenetDecoder", 6_383_867)]
)
def test_the_larger_body_takes_every_decoder(decoder: str, params: int) -> None:
    """exp53 with other decoders has the official code's size; with its own it is RegSegLarge."""
    assert net("regseg", "RegSegAblation", body="exp53", decoder=decoder).params == params


FIELDS = {
    "exp48": 3807,
    "exp43": 3743,
    "exp50": 3743,
    "exp46": 3295,
    "exp49": 3807,
    "exp52": 2207,
    "exp47": 4127,
    "exp30": 3263,
    "exp51": 3743,
}


@pytest.mark.parametrize(("body", "extent"), FIELDS.items())
def test_regseg_field_of_view(body: str, extent: int) -> None:
    """Rows 1 to 9 of the paper's table of fields of view, exactly."""
    assert net("regseg", "RegSegAblation", body=body).field_of_view("s16") == (extent, extent)


def test_row_10_is_a_conflict() -> None:
    """Row 10, RegNetY-600MF, is published as 607; the released code, which the spec follows, has 479."""
    assert net("regseg", "RegSegAblation", body="regnety600mf").field_of_view("s16") == (479, 479)


def test_thirteen_pairs() -> None:
    """The pairs that look like the third version's search result: 63 + 32 times the sum of the larger rates is 2399."""
    searched = net("regseg", "RegSegSearched")
    assert searched.field_of_view("s16") == (2399, 2399)
    assert searched.params == 3_334_951


# ------------------------------------------------------- DWRSeg, DRN and GUN


@pytest.mark.parametrize(
    ("name", "params", "published"),
    [
        ("DWRSeg", 2_537_059, 2.54),
        ("DWRSegLarge", 3_534_819, 3.53),
        ("DWRSegR1", 2_535_059, 2.54),
        ("DWRSegR1Large", 3_530_323, 3.53),
    ],
)
def test_dwrseg_sizes(name: str, params: int, published: float) -> None:
    """Both reconstructions meet the published sizes as printed (2.54 and 3.53 M); neither is the official network."""
    network = net("dwrseg", name)
    assert network.params == params
    assert round(params / 1e6, 2) == published


def test_dwrseg_block_sizes() -> None:
    """Without biases SIR(64) has 123,264 parameters, DWR(128) 174,400 with two branches and 257,152 with three."""
    base = net("dwrseg", "DWRSegR1").params
    grown = [net("dwrseg", "DWRSegR1", repeats=r).params - base for r in ([8, 3, 3], [7, 4, 3], [7, 3, 4])]
    assert grown == [123_264, 174_400, 257_152]


def test_dwrseg_costs() -> None:
    """12.25 and 15.04 GMACs at 512 x 1024 for Base and Large in reading R2 (calculated from its layers)."""
    found = [round(net("dwrseg", name).macs(512, 1024) / 1e9, 2) for name in ("DWRSeg", "DWRSegLarge")]
    assert found == [12.25, 15.04]


DRN_LAYERS = [2_384, 4_720, 9_392, 141_104, 666_672, 2_766_384, 11_160_112, 13_520_432, 15_880_752]


def test_drn_layers() -> None:
    """Parameters of DRN-D-22 up to and including each layer (official code, counted)."""
    network = net("drn", "DRND22")
    shapes = layout(network.ir)

    def until(layer: int) -> int:
        names = tuple(f"l{i}." for i in range(layer + 1))
        return sum(prod(w.shape) for key, w in shapes.items() if key.startswith(names) and not w.buffer)

    assert [until(layer) for layer in range(9)] == DRN_LAYERS


def test_drn_counts() -> None:
    """16,393,752 parameters with the 1000-way head (published: 16.4 M), 15,895,363 and 545.234 GMACs as DRNSeg."""
    assert net("drn", "DRND22").params == 16_393_752
    segmentation = net("drn")
    assert segmentation.params == 15_895_363
    assert (giga(segmentation, 1024, 2048), giga(segmentation, 360, 480)) == (545.234, 44.926)


def branch(network: Network, value: str) -> tuple[int, int]:
    """Parameters and MACs of what one value is computed from."""
    graph = network.ir
    nodes = [node for node in graph.nodes if node.name in graph.reaching(dict(graph.names)[value])]
    params = sum(prod(w.shape) for w in layout(graph, nodes).values() if not w.buffer)
    macs = sum(
        prod(w.shape[1:]) * values_of(node.types[0], {"H": 512, "W": 1024})
        for node in nodes
        for w in layout(graph, [node]).values()
        if node.op == "conv"
    )
    return params, macs


def test_gun_encoder() -> None:
    """The encoder has DRN-D-22's first seven layers; this hypothesis gives 24.38 and 11.63 GMACs at 512 x 1024."""
    network = net("gun")
    params, macs = branch(network, "low")
    assert (params, round(macs / 1e9, 2)) == (DRN_LAYERS[6], 24.38)
    assert round(branch(network, "medium")[1] / 1e9, 2) == 11.63


def test_gun_shares_its_branches() -> None:
    """Without sharing, the early layers are there twice; the cost is the same."""
    tied, untied = net("gun"), net("gun", "GUNUntied")
    assert untied.params - tied.params == DRN_LAYERS[4]
    assert untied.macs(512, 1024) == tied.macs(512, 1024)


@pytest.mark.parametrize("guidance", ["large_rf", "high_res", "fusion"])
def test_gun_starts_as_its_baseline(guidance: str) -> None:
    """Offsets start at zero, and the guided network then gives what bilinear upsampling gives."""
    guided, plain = net("gun", guidance=guidance, classes=3), net("gun", "GUNBilinear", classes=3)
    image = torch.randn(1, 3, 45, 62, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    results = [run(n.ir, initial_weights(n.ir, 0, torch.float64), image)["logits"] for n in (guided, plain)]
    torch.testing.assert_close(results[0], results[1])


# ------------------------------------------------------------ the library

TINY = """arch 1
use std.{module}: {block}
network Tiny {{
  in image [3, H, W]
{maps}  out y = {use}
}}
"""
MAPS = {
    "a": "  a = image -> conv(32, 3, stride=2)\n",
    "b": "  b = a -> conv(48, 3, stride=2)\n",
    "c": "  c = b -> conv(64, 3, stride=2)\n",
}

BLOCKS = {
    "conv.ConvBn": "a -> ConvBn(16, 3)",
    "conv.ConvBnAct": "a -> ConvBnAct(16, (1, 3), stride=2, act=silu, norm=bn(eps=1e-3), bias=true)",
    "conv.ConvAct": "a -> ConvAct(16, 3, padding=0, act=elu)",
    "conv.BnActConv": "a -> BnActConv(16, 3, groups=4, bias=true)",
    "conv.SeparableConv": "a -> SeparableConv(16, 5, dilation=2, project_act=identity)",
    "attention.SE": "a -> SE(8)",
    "attention.ImageGate": "a -> ImageGate(8)",
    "attention.NormGate": "a -> NormGate",
    "attention.ARM": "a -> ARM(16)",
    "attention.FeatureSelection": "a -> FeatureSelection(16)",
    "residual.BasicBlock": "a -> BasicBlock(64, stride=2, dilation=2, act=identity, first_dilation=1)",
    "residual.InvertedResidual": "a -> InvertedResidual(64, kernel=5, stride=2, act=hswish, gate=identity)",
    "residual.Bottleneck": "a -> Bottleneck(16, stride=2)",
    "dilated.Shortcut": "a -> Shortcut(48, 2)",
    "dilated.DBlock": "a -> DBlock(64, [1, 4], stride=2)",
    "dilated.YBlock": "a -> YBlock(48, stride=2)",
    "dilated.StridedShortcut": "a -> StridedShortcut(48, 2)",
    "dilated.DWR": "a -> 2 * DWR([1, 3]) -> DWR",
    "dilated.SIR": "a -> SIR",
    "dwrseg.Stem": "image -> Stem",
    "dwrseg.SegHead": "a -> SegHead(11)",
    "pyramid.PyramidPooling": "a -> PyramidPooling(16)",
    "pyramid.WINDOWS": "concat([a -> window -> resize(like=a) for window in WINDOWS])",
    "pyramid.DAPPM": "a -> DAPPM(32, 8)",
    "pyramid.PAPPM": "a -> PAPPM(32, 8)",
    "pyramid.ASPP": "a -> ASPP(16)",
    "upsample.GUM": "(image, a -> conv(5)) -> GUM(like=image)",
    "upsample.CascadeFusion": "(b, a) -> CascadeFusion(16)",
    "upsample.Climb": "b -> Climb([16, 8])",
    "upsample.LargeRF": "c -> LargeRF(image)",
    "upsample.HighRes": "a -> HighRes",
    "upsample.Fusion": "(c, a) -> Fusion",
    "upsample.Ramp": "a -> Ramp",
    "upsample.FlowAlign": "(a, b -> conv(32)) -> FlowAlign(8)",
    "decoders.Decoder26": "(a, b, c) -> Decoder26(11)",
    "decoders.Decoder29": "(a, b, c) -> Decoder29(11)",
    "decoders.Decoder14": "(b, c) -> Decoder14(11)",
    "decoders.Decoder12": "(b, c) -> Decoder12(11)",
    "decoders.Decoder4": "(b, c) -> Decoder4(11)",
    "crf.MeanField": "a -> MeanField(a, image -> resize(like=a))",
    "decoders.Decoder10": "(b, c) -> Decoder10(11)",
    "decoders.LRASPP": "(b, c) -> LRASPP(11)",
    "decoders.FeatureFusion": "(a, a) -> FeatureFusion(16)",
    "decoders.ContextPath": "concat((a, a, b) -> ContextPath(8))",
    "decoders.PreActHead": "a -> PreActHead(11, 16)",
    "decoders.ConvHead": "a -> ConvHead(11, 16)",
    "decoders.DeepLabDecoder": "(a, c) -> DeepLabDecoder(11)",
    "decoders.BiSeNetDecoder": "(b, c) -> BiSeNetDecoder(11)",
    "decoders.SFNetDecoder": "(b, c) -> SFNetDecoder(11)",
    "decoders.FeatureAlign": "concat((b, c -> conv(128)) -> FeatureAlign)",
    "decoders.FaPNDecoder": "(b, c) -> FaPNDecoder(11)",
}


def test_every_library_block_is_tried() -> None:
    """No block of the standard library is left out below."""
    own = []
    for path in LIBRARY:
        file = Spec.read(str(path)).file
        assert file is not None
        own += [
            f"{path.stem}.{name}"
            for name, found in file.names.items()
            if isinstance(found, BlockDef | ConstantDef) and found.file is file
        ]
    assert sorted(own) == sorted(BLOCKS)


@pytest.mark.parametrize("block", BLOCKS)
def test_library_blocks_run(block: str) -> None:
    """Every library block elaborates in a small network, remarked on for holes at most, and runs at an odd size."""
    module, name = block.split(".")
    deepest = max(re.findall(r"\b[abc]\b", BLOCKS[block]), default="")
    maps = "".join(text for map_, text in MAPS.items() if map_ <= deepest)
    network = archdsl.loads(TINY.format(module=module, block=name, maps=maps, use=BLOCKS[block]))
    assert {d.code for d in network.warnings if d.severity is not Severity.NOTE} <= {"W0701"}
    result = run(network.ir, initial_weights(network.ir), torch.zeros(1, 3, 75, 90))["y"]
    assert list(result.shape[1:]) == network.facts(75, 90)["shapes"]["y"]


def test_gum_takes_a_table_or_features() -> None:
    """`(guide, coarse) -> GUM(scale=4)`: the guide is the offset table, or a map that the table is made from."""
    text = """arch 1
use std.upsample: GUM
network Net {
  in image [3, H, W]
  coarse = image -> conv(8, 3, stride=4)
  out a = (image -> conv(2), coarse) -> GUM(scale=4)
  out b = (image, coarse) -> GUM(scale=4)
  out c = coarse -> resize(scale=4)
}
"""
    network = archdsl.loads(text)
    assert [key for key in layout(network.ir) if "GUM" in key] == ["b.GUM1.offsets.weight", "b.GUM1.offsets.bias"]
    results = run(network.ir, initial_weights(network.ir), torch.randn(1, 3, 32, 40))
    torch.testing.assert_close(results["b"], results["c"])
    assert not torch.allclose(results["a"], results["c"])


def test_flow_alignment_is_the_official_warp() -> None:
    """FlowAlign samples where RegSeg's copy of SFNet does: an aligned grid, given to `grid_sample` as not aligned."""
    text = """arch 1
use std.upsample: Ramp
network Net {
  in coarse [4, H, W]
  in flow [2, 2 * H + 1, 3 * W]
  out y = (coarse, flow * 0.5 + (flow -> Ramp)) -> guided_upsample(like=flow, padding="zeros")
}
"""
    coarse, flow = torch.randn(1, 4, 5, 7, dtype=torch.float64), 3 * torch.randn(1, 2, 11, 21, dtype=torch.float64)
    rows, columns = (torch.linspace(-1, 1, n, dtype=torch.float64) for n in (11, 21))
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    moved = grid + flow.permute(0, 2, 3, 1) / torch.tensor([21.0, 11.0], dtype=torch.float64)
    expected = F.grid_sample(coarse, moved, align_corners=False)
    found = run(archdsl.loads(text).ir, {}, {"coarse": coarse, "flow": flow})["y"]
    torch.testing.assert_close(found, expected)


def test_the_page_of_the_language_description() -> None:
    """RegSeg written out on one page, as the language's description has it, is the shipped network."""
    page = archdsl.loads(REGSEG_PAGE)
    assert (page.params, archdsl.loads(REGSEG_PAGE, network="RegSegCamVid").params) == (3_334_951, 3_334_431)
    assert page.macs(1024, 2048) == net("regseg").macs(1024, 2048)
    assert page.field_of_view("s16") == (3807, 3807)
