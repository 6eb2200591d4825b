"""A Brian2 Network becomes a Program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from brian2.core.clocks import Clock
from brian2.core.network import Network

from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.captured import Captured, Piece
from brian2eprop.device.capture.objects import add_phases
from brian2eprop.device.capture.support import check_network
from brian2eprop.device.program.verify import Stage, verify


class Interceptor(Protocol):
    """A device that can hand out :class:`Inert` code objects."""

    capturing: bool


class Inert:
    """Stands for a code object that is not run on its own: it only keeps its piece."""

    def __init__(self, owner: Any, name: str, piece: Piece) -> None:
        self.owner_name = owner.name
        self.piece = piece
        self.name = name

    def before_run(self) -> None:
        """Nothing to do."""

    def after_run(self) -> None:
        """Nothing to do."""

    def __call__(self, **kwds: Any) -> Any:
        """Refuse to run outside a run."""
        raise NotImplementedError(
            f"'{self.owner_name}' was run on eprop_cuda as a part of its network and cannot be "
            "called on its own; call run() for one more time step instead."
        )


def make_inert(
    owner: Any,
    name: str,
    abstract_code: str | Mapping[str | None, str],
    variables: Mapping[str, Any],
    variable_indices: Mapping[str, str],
    template_kwds: Mapping[str, Any] | None,
    override_conditional_write: Collection[str] | None,
) -> Inert:
    """The code object for what Brian2 asks a device to compile."""
    blocks = abstract_code if isinstance(abstract_code, Mapping) else {None: abstract_code}
    piece = Piece(
        "\n".join(blocks.values()),
        dict(variables),
        dict(variable_indices),
        dict(template_kwds or {}),
        frozenset(override_conditional_write or ()),
    )
    return Inert(owner, name, piece)


def capture(
    network: Network,
    namespace: Mapping[str, Any],
    device: Interceptor,
    promoted: Collection[str] = (),
) -> Captured:
    """Turn a network into a Program without compiling any of Brian2's code objects.

    Parameters
    ----------
    network : Network
        The network.
    namespace : mapping of str to object
        Where external names are looked up.
    device : Interceptor
        The active device.
    promoted : collection of str
        Arrays that differ between instances although the run does not write them.

    Returns
    -------
    Captured
        The Program, and what ties it to Brian2's objects.

    Raises
    ------
    Unsupported
        If the device does not run an object of the network, or something that it does.
    """
    objects = check_network(network)
    clocks = [found.clock for found in objects if isinstance(found.clock, Clock)]
    network._clocks = set(clocks)
    device.capturing = True
    try:
        network.before_run(namespace)
    finally:
        device.capturing = False
    builder = Builder(clocks[0], _pieces(objects))
    add_phases(builder, objects)
    captured = builder.finish(network.name, clocks[0].dt_, promoted)
    verify(captured.program, Stage.CAPTURED)
    return captured


def _pieces(objects: Collection[Any]) -> dict[str, Piece]:
    pieces = {}
    for found in objects:
        code_object = getattr(found, "codeobj", None)
        if isinstance(code_object, Inert):
            pieces[found.name] = code_object.piece
    return pieces
