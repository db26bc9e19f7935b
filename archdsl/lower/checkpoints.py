"""Files of weights: foreign ones read, ours written and read. Nothing in a file is ever executed."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from archdsl.atomic import write_bytes
from archdsl.diagnostics import ArchError, Diagnostic

MODEL = "model."
"""What a module that holds a network puts before every name, and some networks do themselves."""

METADATA_KEY = "archdsl"
"""Under this key the header of our files holds JSON: network, parameters, preprocessing, classes, palette."""

_AVERAGED = ("state_dict_ema", "ema_state_dict", "model_ema", "ema")
_NESTED = (*_AVERAGED, "state_dict", "model", "model_state_dict", "net", "module")
"""Under which keys training scripts keep a state dict. Averaged weights are those that their authors score with."""

_DEEPEST = 4
"""So many dicts within each other are looked through; a pickle may hold one that holds itself."""

_WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

_AVERAGES = ("ema.", "ema_model.", "model_ema.", "averaged_model.", "swa_model.")
"""Before names of averaged weights that stand beside those they are averages of."""

_COUNT_OF_AVERAGED = "n_averaged"

_FOREIGN = re.compile(r"[Uu]nsupported (?:global|class|GLOBAL)\W+(?:GLOBAL )?([\w.]+)")
"""How torch names what it refuses to unpickle."""

_CONVERT = (
    "where its author is trusted, load it with `torch.load(…, weights_only=False)` and save its state dict again with "
    "`safetensors.torch.save_file(state, …)`"
)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of a .safetensors, .pth or .pt file by name, in the order of the file.

    A state dict may lie under "state_dict" or "model", and its names may begin with "module."; where averaged weights
    (EMA) are there too, they are taken. Raises ArchError E0812 for a file that cannot be read, or only by running code
    that is in it.
    """
    path = Path(path)
    tensors = _read_safetensors(path) if is_safetensors(path) else _state_dict(_read_pickle(path))
    if not tensors:
        raise _unreadable(f"{path} holds no tensors by name", "give a state dict: what `model.state_dict()` returns")
    return _averaged(_unwrapped(_dense(tensors, path)))


def _dense(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """All values in full, also of quantised and of sparse tensors. Raises ArchError E0812 where there are none."""
    if bare := [name for name, tensor in tensors.items() if tensor.is_meta]:
        message = f"{path} holds shapes without values, of {bare[0]} for one"
        raise _unreadable(message, "save the state dict from a device that holds values, not from `meta`")
    return {name: (t.dequantize() if t.is_quantized else t).to_dense() for name, t in tensors.items()}


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what wraps every name."""
    inner = {name: tensor for name, tensor in tensors.items() if name != _COUNT_OF_AVERAGED}
    for wrapper in _WRAPPERS:
        if inner and all(name.startswith(wrapper) for name in inner):
            return _unwrapped(without(inner, wrapper))
    return tensors


def _averaged(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The averages alone, where the same names stand with and without a mark of averaging."""
    for mark in _AVERAGES:
        averages = _unwrapped(without({n: t for n, t in tensors.items() if n.startswith(mark)}, mark))
        others = {name for name in tensors if not name.startswith(mark)}
        if averages and any(
            averages.keys() <= {name.removeprefix(prefix) for name in others} for prefix in ("", MODEL)
        ):
            return averages
    return tensors


def without(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors by their names without a prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def is_safetensors(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _unreadable(message: str, help: str = "") -> ArchError:
    return ArchError([Diagnostic("E0812", message, help=help)])


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb"):  # of a folder, or of nothing, the system says more than safetensors does
            return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise _unreadable(f"{path} is no whole safetensors file: {error}") from error
    except OSError as error:
        raise _unreadable(f"{path} cannot be read: {error.strerror or error}") from error


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on old formats; what matters to the user is said below
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise _unreadable(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged archive fails in as many ways as there are bytes in it
        if foreign := _FOREIGN.search(str(error)):
            raise _unreadable(f"{path} holds {foreign[1]}: reading that would run code", _CONVERT) from error
        raise _unreadable(f"{path} is no checkpoint that torch can read, or is damaged") from error


def _state_dict(loaded: Any, depth: int = 0) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping) or depth > _DEEPEST:
        return {}
    for key in _NESTED:
        if inner := _state_dict(loaded.get(key), depth + 1):
            return inner
    return {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}


def write_weights(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Writes our weights as safetensors, whole or not at all, with `metadata` as JSON in the header.

    Raises ArchError E0803 when the file cannot be written.
    """
    # tensors that share storage are refused by the format, and a view would drag its whole storage along
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    header = {METADATA_KEY: json.dumps(metadata, sort_keys=True, ensure_ascii=False)}
    write_bytes(Path(path), safetensors.torch.save(plain, header))


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the metadata of a file that `write_weights` made; no metadata where another program made it.

    Raises ArchError E0812.
    """
    path = Path(path)
    state = _read_safetensors(path)
    with safe_open(path, "pt") as file:
        header = file.metadata() or {}
    try:
        return state, dict(json.loads(header.get(METADATA_KEY, "{}")))
    except ValueError as error:
        raise _unreadable(f"the header of {path} is damaged: {error}") from error
