"""Converted networks in files: the stages and the algorithm that a network is built of.

An archive (``archives``): its state has every dataclass as its kind and its fields, and every
array as the number of a member and the shape that it is spread to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from brian2eprop import archives
from brian2eprop.device.convolution.shapes import find_convolution
from brian2eprop.errors import CheckpointError
from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.building import Scaled, begin_of
from brian2eprop.ml.graph import Values
from brian2eprop.ml.ports import Ports
from brian2eprop.ml.stages import Kind, Projection, Stage

FORMAT = archives.Format(
    "converted network", "brian2eprop converted network", 1, "ConvertedNetwork.save"
)
_KINDS: dict[str, type[Any]] = {each.__name__: each for each in (Scaled, Stage, Projection)}


def write(path: Any, stages: tuple[Scaled, ...], algorithm: Algorithm, ports: Ports) -> None:
    """Write what a network is built of.

    Parameters
    ----------
    path : path
        The file; an earlier one is replaced only by a complete one.
    stages : tuple of Scaled
        The stages.
    algorithm : Algorithm
        The algorithm, whose attributes are what it is made with.
    ports : Ports
        The inputs and outputs.

    Raises
    ------
    TypeError, ValueError
        If the path names no file.
    OSError
        If it cannot be written.
    """
    archives.check_path("save", path)
    members: dict[str, Values] = {}
    state = {
        "algorithm": algorithm.name,
        "settings": _encoded(vars(algorithm), members),
        "stages": _encoded(stages, members),
        "inputs": ports.inputs,
        "outputs": ports.outputs,
    }
    archives.write(path, archives.state_text(FORMAT, state), members)


def read(
    path: str | os.PathLike[str], algorithms: Mapping[str, type[Algorithm]]
) -> tuple[tuple[Scaled, ...], Algorithm, Ports]:
    """Read what a network is built of.

    Parameters
    ----------
    path : path
        The file.
    algorithms : mapping of str to type
        The algorithms there are, by name.

    Returns
    -------
    tuple of Scaled, Algorithm, Ports
        What :func:`write` was given.

    Raises
    ------
    TypeError, ValueError
        If the path names no file.
    CheckpointError
        If the file is damaged, or another kind or version of file.
    OSError
        If it cannot be opened.
    """
    path = archives.check_path("load", path)
    with archives.opened(path, FORMAT) as archive:
        most = Path(path).expanduser().stat().st_size
        members = {name: archive.member(name, most) for name in archive.names}
        for values in members.values():
            if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
                raise ValueError("numbers")
        stages = _decoded(archive.state["stages"], members)
        _check(stages)
        name, settings = archive.state["algorithm"], archive.state["settings"]
        if name not in algorithms:
            raise CheckpointError(
                f"'{path}' was converted by the algorithm {name!r}, which this brian2eprop does "
                "not have; install the version that wrote it."
            )
        chosen = _algorithm(algorithms[name], settings, members)
        ports = Ports(_names(archive.state["inputs"]), _names(archive.state["outputs"]))
        _check_course(stages, chosen, ports)
        return stages, chosen, ports


def _encoded(value: Any, members: dict[str, Values]) -> Any:
    if is_dataclass(value):
        inner = {each.name: getattr(value, each.name) for each in fields(value)}
        return {"kind": type(value).__name__, "fields": _encoded(inner, members)}
    if isinstance(value, dict):
        return {name: _encoded(each, members) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_encoded(each, members) for each in value]
    if isinstance(value, Kind):
        return value.value
    if isinstance(value, np.ndarray):
        # What is the same along an axis is kept once.
        kept = tuple(slice(None) if stride else slice(0, 1) for stride in value.strides)
        number = str(len(members))
        members[number] = value[kept]
        return {"array": number, "shape": list(value.shape)}
    return value.item() if isinstance(value, np.generic) else value


def _decoded(value: Any, members: Mapping[str, Values]) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(each, members) for each in value)
    if isinstance(value, float) and np.isnan(value):
        raise ValueError("NaN")
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.broadcast_to(members[value["array"]], tuple(value["shape"]))
    if "fields" not in value:
        return {name: _decoded(each, members) for name, each in value.items()}
    given = _decoded(value["fields"], members)
    if value["kind"] == Stage.__name__:
        given["kind"] = Kind(given["kind"])
    return _KINDS[value["kind"]](**given)


def _algorithm(
    kind: type[Algorithm], settings: dict[str, Any], members: Mapping[str, Values]
) -> Algorithm:
    found = kind(**_decoded(settings, members))
    if type(found.timesteps) is not int or found.timesteps < 1:
        raise ValueError("timesteps")
    return found


def _check(stages: Any) -> None:
    """Raise a ValueError where stages do not go together."""
    if not isinstance(stages, tuple) or len(stages) < 2:
        raise ValueError("stages")
    for each in stages:
        if not (isinstance(each, Scaled) and isinstance(each.stage, Stage)):
            raise ValueError("kinds")
    shapes: dict[str, tuple[int, ...]] = {}
    for each in stages:
        stage = each.stage
        if np.shape(each.scale) != stage.shape[-1:] or not np.all(each.scale > 0):
            raise ValueError("scale")
        if np.broadcast_shapes(np.shape(stage.bias), stage.shape) != stage.shape:
            raise ValueError("bias")
        led_to = len(stage.projections)
        most = {Kind.INPUT: 0, Kind.MAXIMUM: 1}.get(stage.kind, led_to)
        if led_to > most or (stage.kind is not Kind.INPUT and not led_to) or stage.name in shapes:
            raise ValueError("order")
        for projection in stage.projections:
            _check_projection(projection, prod(shapes[projection.source]), stage.size)
        shapes[stage.name] = stage.shape


def _check_projection(projection: Projection, sent: int, received: int) -> None:
    find_convolution(
        projection.source, np.shape(projection.kernel), projection.input_shape, projection.strides,
        projection.padding, projection.dilation, projection.groups,
    )  # fmt: skip
    if (prod(projection.input_shape), prod(projection.output_shape)) != (sent, received):
        raise ValueError("projection")
    made, gain = projection.output_shape, projection.gain
    if gain is not None and np.broadcast_shapes(np.shape(gain), made) != made:
        raise ValueError("gain")


def _names(names: Any) -> Any:
    """Names as a Graph has them."""
    inner = list(names.values()) if isinstance(names, dict) else names
    inner = inner if isinstance(inner, list) else [inner]
    if not inner or not all(isinstance(name, str) for name in inner):
        raise ValueError("names")
    return names


def _check_course(stages: tuple[Scaled, ...], algorithm: Algorithm, ports: Ports) -> None:
    """Raise a ValueError where stages begin at other steps, or others enter and come out."""
    known: dict[str, Scaled] = {}
    for each in stages:
        if each.begin != begin_of(each.stage, known, algorithm):
            raise ValueError("begin")
        known[each.stage.name] = each
    for kind, names in ((Kind.INPUT, ports.input_names), (Kind.OUTPUT, ports.output_names)):
        there = {each.stage.name for each in stages if each.stage.kind is kind}
        if set(names) != there:
            raise ValueError("ports")
