"""A Brian2 Network becomes a Program."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from brian2.core.base import weakproxy_with_fallback
from brian2.core.network import Network

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Before, Builder
from brian2eprop.device.capture.captured import Captured, Piece
from brian2eprop.device.capture.clocks import grid_of
from brian2eprop.device.capture.objects import add_phases
from brian2eprop.device.capture.random import find_drawers, find_rewirers
from brian2eprop.device.capture.rewired import refuse_kernel, rewired
from brian2eprop.device.capture.rewired_in_run import rewire_in_run, room_for
from brian2eprop.device.capture.support import check_network
from brian2eprop.device.capture.unchanged import Memo
from brian2eprop.device.capture.updates import kept_updates
from brian2eprop.device.monitors import is_batched
from brian2eprop.device.program.verify import Stage, verify
from brian2eprop.device.rewiring.rules import Rewiring
from brian2eprop.errors import Unsupported


class Inert:
    """Stands for a code object that is not run on its own: it only keeps its piece.

    ``alone``, if there is one, makes a code object that does the same outside of a run.
    """

    def __init__(
        self, owner: Any, name: str, piece: Piece, alone: Callable[[], Any] | None = None
    ) -> None:
        self.owner_name = owner.name
        self.piece = piece
        self.name = name
        self.alone = alone

    def before_run(self) -> None:
        """Nothing to do."""

    def after_run(self) -> None:
        """Nothing to do."""

    def __call__(self, **kwds: Any) -> Any:
        """Do what it does once more, outside a run, or refuse to."""
        if self.alone is not None:
            return self.alone()()
        raise Unsupported(
            f"'{self.owner_name}' was run on eprop_cuda as a part of its network and cannot be "
            "called on its own; call run() for one more time step instead."
        )


def make_inert(
    owner: Any,
    name: str,
    abstract_code: str | Mapping[str | None, str],
    variables: Mapping[str, Any],
    template: str,
    variable_indices: Mapping[str, str],
    template_kwds: Mapping[str, Any] | None,
    override_conditional_write: Collection[str] | None,
    code_object: Callable[..., Any],
) -> Inert:
    """The code object for what Brian2 asks a device to compile.

    What a StateMonitor without instances does may be asked for outside of a run, too, where
    ``code_object`` makes Brian2's own code of it.
    """
    blocks = abstract_code if isinstance(abstract_code, Mapping) else {None: abstract_code}
    piece = Piece(
        "\n".join(blocks.values()),
        dict(variables),
        dict(variable_indices),
        dict(template_kwds or {}),
        frozenset(override_conditional_write or ()),
    )
    alone = None
    if template == "statemonitor" and not is_batched(owner):
        alone = partial(
            code_object, weakproxy_with_fallback(owner), name, {None: piece.code}, variables,
            template, variable_indices, NumpyCodeObject, template_kwds,
        )  # fmt: skip
    return Inert(owner, name, piece, alone)


def capture(
    network: Network,
    namespace: Mapping[str, Any],
    memo: Memo,
    before: Before,
    varying: Container[Any] = (),
    trained: Mapping[Any, float] = MappingProxyType({}),
    rewirings: Mapping[Any, Rewiring] = MappingProxyType({}),
) -> Captured:
    """Turn a network into a Program without compiling any of Brian2's code objects.

    The device must be capturing: it has to hand out :class:`Inert` code objects.

    Parameters
    ----------
    network : Network
        The network.
    namespace : mapping of str to object
        Where external names are looked up.
    memo : Memo
        What was made of connections in earlier captures.
    before : Before
        What is to be known of the runs before.
    varying : container of brian2 Variable
        Variables that differ between instances although the run does not write them.
    trained : mapping of brian2 Variable to float
        The delays that a training changes, with the longest that each may become, in seconds.
    rewirings : mapping of Synapses to Rewiring
        The synapses that are rewired.

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
    clocks = list(dict.fromkeys(found.clock for found in objects))
    brian.set_clocks(network, clocks)
    with kept_updates(objects):
        network.before_run(namespace)
    pieces = _pieces(objects)
    drawers = find_drawers(pieces) | find_rewirers(found.name for found in rewirings)
    for found in rewirings:
        refuse_kernel(found)
    in_run = {found: asked for found, asked in rewirings.items() if asked.dt is not None}
    rooms = {found.name: room_for(found, asked) for found, asked in in_run.items()}
    builder = Builder(
        grid_of(clocks), pieces, memo, before, network.t_, drawers, trained, varying, rooms
    )
    add_phases(builder, objects)
    for synapses, asked in rewirings.items():
        if asked.dt is None:
            builder.rewired[synapses.name] = rewired(builder, synapses, asked, namespace)
    rewire_in_run(builder, objects, in_run, namespace)
    captured = builder.finish(network.name)
    verify(captured.program, Stage.CAPTURED)
    return captured


def _pieces(objects: Collection[Any]) -> dict[str, Piece]:
    pieces = {}
    for found in objects:
        code_object = getattr(found, "codeobj", None)
        if isinstance(code_object, Inert):
            pieces[found.name] = code_object.piece
    return pieces
