"""Which synapses are rewired: the expressions of their rules become bodies."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from brian2.core.variables import ArrayVariable
from brian2.input.timedarray import TimedArray
from brian2.synapses.synapses import Synapses
from brian2.utils.stringtools import get_identifiers

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.captured import Piece
from brian2eprop.device.capture.connections import SYNAPTIC, connectivity
from brian2eprop.device.capture.translate import Translator, Watch, clock_name
from brian2eprop.device.program import (
    Body,
    Forming,
    Grow,
    Index,
    Propagate,
    Ref,
    Rewire,
    Sparse,
)
from brian2eprop.device.rewiring.expressions import expanded, is_own
from brian2eprop.device.rewiring.phases import MARKS, SCORE, Rewired
from brian2eprop.device.rewiring.rules import POLARITY, RATE, Recipe, Rewiring
from brian2eprop.errors import Unsupported


def rewired(
    builder: Builder, synapses: Synapses, asked: Rewiring, namespace: Mapping[str, Any]
) -> Rewired:
    """Synapses that are rewired.

    Parameters
    ----------
    builder : Builder
        The parts of the Program; the synapses' variables are added to its arrays.
    synapses : Synapses
        The synapses.
    asked : Rewiring
        What is asked for.
    namespace : mapping of str to object
        Where external names are looked up.

    Raises
    ------
    ValueError
        If they cannot be rewired.
    Unsupported
        If an expression uses what cannot be known.
    """
    simulated = asked.dt is not None
    recipe = expanded(synapses, asked.rule.recipe(asked.weight))
    found = _connectivity(builder, synapses, recipe.keep == "none")
    if recipe.by_gradient:
        _check_places(found)
    writer = _Writer(builder, synapses, found, asked, namespace)
    pre, post = (writer.along(variable) for variable in brian.ends(synapses))
    delays = [path.variables["delay"] for path in synapses._pathways]
    others = [v for v in _variables(synapses) if v not in delays]
    tables = _delay_table(builder, synapses)
    moving = [v for v in delays if not v.scalar and (tables or simulated)]
    result = MARKS if recipe.fraction is None else SCORE
    mark = writer.body(f"{recipe.update}\n{result} = {recipe.eliminate}", f"{writer.drawer}:mark")
    place = f"({recipe.form}) > {_chance(recipe)} and ({recipe.allowed})"
    initial = dict(recipe.initial)
    if recipe.polarity is not None:
        initial[POLARITY] = f"2*int(_hashed(_seed, i, j) < {recipe.polarity!r}) - 1"
    given = "\n".join(f"{name} = {value}" for name, value in initial.items())
    weight = synapses.variables.get(asked.weight)
    form = replace(writer.form, body=writer.body(f"_taken = {place}", writer.form.owner, form=True))
    return Rewired(
        found,
        "" if weight is None else builder.array_of(weight),
        (pre, post),
        tuple(writer.along(variable) for variable in (*others, *moving)),
        tables,
        mark,
        recipe.fraction,
        form,
        writer.fresh(given, initial),
        recipe.polarity,
        asked.seed,
        asked.rule.every,
    )


def refuse_kernel(synapses: Synapses) -> None:
    """Refuse to rewire synapses that share a kernel."""
    if brian.convolution_of(synapses) is not None:
        raise Unsupported(
            f"'{synapses.name}' is to be rewired, but its synapses share a kernel that says which "
            "there are; rewire synapses that are connected each for itself."
        )


def _check_places(found: Sparse) -> None:
    """Refuse more places than are counted."""
    places = found.n_source * found.n_target
    if places > np.iinfo(np.int32).max:
        raise ValueError(
            f"The synapses '{found.name}' are to be formed by their gradients, and they have "
            f"{places} places, which is more than 32 bits count; rewire them by DeepR or SET."
        )


def _chance(recipe: Recipe) -> str:
    return "0" if recipe.form == "1" else "rand()"


def _delay_table(builder: Builder, synapses: Synapses) -> tuple[str, ...]:
    """The tables that hold something for each of the synapses."""
    found = (
        name
        for phase in builder.phases
        if isinstance(phase, Propagate) and phase.connectivity == synapses.name
        for name in phase.per_synapse
    )
    return tuple(dict.fromkeys(found))


def _variables(synapses: Synapses) -> list[ArrayVariable]:
    """The variables that each of the synapses has."""
    found = dict.fromkeys(synapses.variables.values())
    return [variable for variable in found if is_own(variable, synapses)]


def _connectivity(builder: Builder, synapses: Synapses, grows: bool) -> Sparse:
    """Where the synapses are, if there is something to be rewired."""
    fault = None
    if any(brian.whole(end) is not end for end in (synapses.source, synapses.target)):
        fault = "are those of a part of a group, whose places are not all; connect whole groups"
    elif any(map(brian.is_synapses, (synapses.source, synapses.target))):
        fault = "end at synapses, which eprop_cuda does not rewire"
    elif not builder.room_of(synapses):
        fault = "are none; connect some first, for their number stays"
    if fault is None:
        found = connectivity(builder, synapses).connectivity
        full = found.n_source * found.n_target == len(synapses) and not grows
        if isinstance(found, Sparse) and not found.repeats and not full:
            return found
        fault = (
            "connect a pair more than once, and a place takes one synapse; connect each once"
            if isinstance(found, Sparse) and found.repeats
            else "take every place there is, so that none could be formed; connect fewer of them, "
            f"such as {synapses.name}.connect(p=0.1)"
        )
    raise ValueError(f"The synapses '{synapses.name}' cannot be rewired: they {fault}.")


class _Translator(Translator):
    """Translates code that knows a few names more."""

    def call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        """See :meth:`Translator.call`."""
        if name == "_hashed":
            return ast.Call(ast.Name(name, ast.Load()), arguments, [])
        return super().call(name, arguments)


class _Writer:
    """Writes the bodies of one rule."""

    def __init__(
        self,
        builder: Builder,
        synapses: Synapses,
        found: Sparse,
        asked: Rewiring,
        namespace: Mapping[str, Any],
    ) -> None:
        self.builder, self.synapses, self.found = builder, synapses, found
        self.asked, self.namespace = asked, namespace
        self.drawer = builder.drawers.get(synapses.name, synapses.name)
        self.form = self._form(asked.rule.recipe(asked.weight))

    def _form(self, recipe: Recipe) -> Forming:
        """How synapses are formed, without the places yet."""
        name = self.synapses.name
        given = (f"form {name}", name, Body(""), f"{self.drawer}:form")
        if recipe.keep == "none":
            return Grow(*given)
        form = Rewire(*given)
        return replace(form, scores=form.part("gradient")) if recipe.by_gradient else form

    def along(self, variable: Any) -> str:
        """The array of a variable that each synapse has."""
        name = self.builder.array_of(variable)
        order = connectivity(self.builder, self.synapses).order
        if order is not None:
            self.builder.orders[name] = order
        return name

    def fresh(self, code: str, given: Collection[str]) -> Body:
        """What formed synapses are given."""
        body = self.body(code, f"{self.drawer}:fresh")
        return replace(body, guards=dict.fromkeys(given, MARKS))

    def body(self, code: str, drawer: str, form: bool = False) -> Body:
        """Some code, of each synapse or, to ``form`` some, of places without one."""
        own = self._own(form)
        names = get_identifiers(code) - own.keys() - {"_hashed", "_seed", Forming.TAKEN, "True"}
        variables = self.synapses.resolve_all(names, self.namespace)
        if not form:
            variables = {name: v for name, v in variables.items() if name not in ("i", "j")}
        indices = {
            name: self.synapses.variables.indices[name]
            for name in variables
            if name in self.synapses.variables
        }

        def locate(variable: Any, index: str) -> Ref:
            return self._ref(variable, index, form)

        watch = Watch(self.builder.grid, self.synapses.clock)
        own_names = {name: ref for name, ref in own.items() if name in get_identifiers(code)}
        known = {name: v for name, v in variables.items() if name not in own_names}
        piece = Piece(code.strip(), known, indices)
        translator = _Translator(self.synapses, piece, locate, watch, drawer)
        body = replace(translator.body(), foreign=translator.foreign)
        self._refuse_time(variables.values())
        self._refuse_state(body)
        constants = dict(body.constants)
        if "_seed" in get_identifiers(code):
            constants["_seed"] = self.asked.seed
        return replace(body, refs={**body.refs, **own_names}, constants=constants)

    def _refuse_time(self, variables: Iterable[Any]) -> None:
        """Refuse what depends on the time, of which a training's samples have one each."""
        for found in variables:
            if self.asked.dt is not None:
                if isinstance(found, TimedArray) or clock_name(found) not in (None, "t"):
                    raise Unsupported(
                        f"The rule of '{self.synapses.name}' asks for '{found.name}', which rules "
                        "do not know; have the neurons keep its value in a variable."
                    )
            elif clock_name(found) is not None or isinstance(found, TimedArray):
                raise Unsupported(
                    f"The rule of '{self.synapses.name}' asks for '{found.name}', and between the "
                    "samples of a training there is no time; leave it out."
                )

    def _refuse_state(self, body: Body) -> None:
        """Refuse what differs between instances, which have the same synapses."""
        if self.asked.dt is None or self.asked.reads_state:
            return
        for name in sorted(body.read):
            if self._changes(body.refs[name].array):
                raise Unsupported(
                    f"The rule of '{self.synapses.name}' reads '{body.refs[name].array}', which a "
                    "run changes in each instance in another way, and all instances have the same "
                    "connections; call set_device without batch_size."
                )

    def _changes(self, array: str) -> bool:
        """Whether a run changes an array, or it differs between instances."""
        if any(array in phase.writes() for phase in self.builder.phases):
            return True
        return self.builder.variables[array] in self.builder.varying

    def _own(self, form: bool) -> dict[str, Ref]:
        """The names of a rule that are no variables of the synapses."""
        part = self.form.part
        ends = {"i": Ref(part("source"), Index.SOURCE), "j": Ref(part("target"), Index.TARGET)}
        if form:
            return ends
        return ends | {
            MARKS: Ref(part("marks"), Index.SYNAPSE),
            SCORE: Ref(part("score"), Index.SYNAPSE),
            POLARITY: Ref(part("polarity"), Index.SYNAPSE),
            RATE: Ref(part("rate"), Index.SCALAR),
        }

    def _ref(self, variable: Any, index: str, form: bool) -> Ref:
        which = Index.SCALAR if variable.scalar else SYNAPTIC.get(index)
        name = variable.name
        if which is None or (form and which is Index.SYNAPSE):
            raise Unsupported(
                f"The rule of '{self.synapses.name}' asks for '{name}' of a place without a "
                "synapse, which only synapses have; use variables of the neurons at its ends."
            )
        array = self.along(variable) if which is Index.SYNAPSE else self.builder.array_of(variable)
        if self.asked.dt is None and which is not Index.SYNAPSE and self._changes(array):
            raise Unsupported(
                f"The rule of '{self.synapses.name}' reads '{name}', which a run changes, so that "
                "it is another thing in every sample; use what a run does not change."
            )
        return Ref(array, which)
