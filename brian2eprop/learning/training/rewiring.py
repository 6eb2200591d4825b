"""Rewires synapses in a training."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.synapses.synapses import Synapses

from brian2eprop.device.backends.base import Backend, Call, Kernel, Memory
from brian2eprop.device.backends.draws import hashed
from brian2eprop.device.codegen.storage import KEYS
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    DType,
    ForEachSynapse,
    Index,
    Phase,
    Program,
    Ref,
)
from brian2eprop.device.rewiring.expressions import check_expressions
from brian2eprop.device.rewiring.phases import Rewired
from brian2eprop.device.rewiring.rules import Rewiring, Rule
from brian2eprop.errors import Unsupported
from brian2eprop.learning.adjoint.places import Sought
from brian2eprop.learning.objective.trial import initial_of
from brian2eprop.learning.training.arguments import shown
from brian2eprop.learning.training.constraints import Constraints, Dale

Values = npt.NDArray[Any]
SHARED = Access.SHARED


class RewiredInTraining:
    """What is rewired in a training, with its kernels.

    Parameters
    ----------
    backend : Backend
        Where everything runs.
    found : mapping of str to Rewired
        The synapses by their name.
    constraints : Constraints
        What parameters are put back to.
    seed : int
        Seed of what is drawn.
    """

    def __init__(
        self, backend: Backend, found: Mapping[str, Rewired], constraints: Constraints, seed: int
    ) -> None:
        self.backend, self.found, self.seed = backend, found, seed
        self._constraints = constraints
        self._signs = {
            name: np.asarray(constraint.signs_of_sources, np.int32)
            for name, rewired in found.items()
            if isinstance(constraint := constraints.of.get(rewired.weight), Dale)
        }
        self._programs: dict[str, Program] = {}
        self._kernels: dict[str, Kernel] = {}
        self._beside: dict[str, tuple[str, ...]] = {}
        self._follows: dict[str, str] = {}
        self._own: set[str] = set()
        self._numbers: dict[str, tuple[int, int]] = {}
        for rewired in found.values():
            self._number(rewired, 0)  # a schedule that gives no share is refused at once

    def reserve(
        self, store: Memory, arrays: Mapping[str, Array], follows: Mapping[str, str]
    ) -> None:
        """Make room for what rewiring needs.

        Parameters
        ----------
        store : Memory
            Holds the arrays.
        arrays : mapping of str to Array
            All of the training's arrays.
        follows : mapping of str to str
            For each of the optimiser's arrays beside a parameter that parameter.
        """
        self._follows = dict(follows)
        numbered = tuple(d for rewired in self.found.values() for d in rewired.draws())
        for name, rewired in self.found.items():
            own = {array.name: array for array in rewired.arrays()}
            if name in self._signs:
                signs = Array(rewired.own("signs"), DType.INT, len(self._signs[name]), SHARED)
                own[signs.name] = signs
            known = {**arrays, **own}
            beside = tuple(known[each] for each in self._along(rewired, known, follows))
            self._beside[name] = tuple(array.name for array in beside)
            then = self._put_back(rewired, known)
            # What each sample has of its own is, between samples, what they start with.
            starts = {each: initial_of(each) for each in rewired.variables}
            starts = {each: start for each, start in starts.items() if start in known}
            here = rewired.with_arrays(starts)
            program = here.program(beside, known.values(), numbered, then)
            _require_memory(store, rewired)
            if program != self._programs.get(name):
                self._kernels.pop(name, None)
            self._programs[name] = program
            self._own |= {array.name for array in program.arrays} - arrays.keys()
            store.reserve(program, 0)
            store.write_keys(program, self.seed)
            for table, values in self._contents(rewired).items():
                store.write(table, values)

    def _contents(self, rewired: Rewired) -> dict[str, Values]:
        signs = self._signs.get(rewired.name)
        return rewired.contents() | ({} if signs is None else {rewired.own("signs"): signs})

    def _along(
        self, rewired: Rewired, known: Mapping[str, Array], follows: Mapping[str, str]
    ) -> list[str]:
        """The arrays that go along with synapses."""
        variables = {*rewired.variables, *rewired.tables, *rewired.ends}
        names = {*variables, *map(initial_of, variables), rewired.own("polarity")}
        names |= {name for name, leader in follows.items() if leader in rewired.variables}
        there = {name for name in names & known.keys() if known[name].access is SHARED}
        return sorted(there - set(rewired.ends))

    def _put_back(self, rewired: Rewired, known: Mapping[str, Array]) -> tuple[Phase, ...]:
        """Formed synapses have the signs of their sources, and weights within bounds."""
        if rewired.weight not in self._constraints.of:
            return ()
        bounded = self._constraints.constrained(known[rewired.weight], False)
        if rewired.name not in self._signs:
            return (bounded,)
        refs = {"of_source": Ref(rewired.own("signs"), Index.SOURCE)}
        taking = (f"constraint:sign:{rewired.weight}", rewired.own("polarity"))
        for number, name in enumerate(name for name in taking if name in known):
            refs[f"own_{number}"] = Ref(name, Index.SYNAPSE)
        code = "\n".join(f"{name} = of_source" for name in sorted(refs.keys() - {"of_source"}))
        signs = ForEachSynapse(f"signs of {rewired.name}", rewired.name, Body(code, refs))
        return signs, bounded

    @property
    def beside(self) -> dict[str, str]:
        """What goes along with synapses, each with an array that is ordered as it is."""
        return {
            array: self.found[name].ends[0]
            for name, arrays in self._beside.items()
            for array in (*arrays, *self.found[name].ends)
        }

    def arrays(self) -> dict[str, Array]:
        """The arrays that are kept beside the training's."""
        return {a.name: a for program in self._programs.values() for a in program.arrays}

    @property
    def own(self) -> set[str]:
        """The arrays that rewiring alone has."""
        return {*self._own, KEYS}

    @property
    def rows(self) -> set[str]:
        """The tables that say where the synapses are."""
        return {table for rewired in self.found.values() for table in rewired.rows}

    @property
    def given(self) -> set[str]:
        """The arrays that it changes and whose contents come from the network."""
        return {*self.beside, *self.rows} - self.own - set(self._follows)

    @property
    def counts(self) -> tuple[str, ...]:
        """What counts the synapses formed."""
        return tuple(r.own(part) for r in self.found.values() for part in ("formed", "stuck"))

    def begin(self, store: Memory) -> None:
        """Give every place the sign that it keeps."""
        for name, rewired in self.found.items():
            if rewired.polarity is None:
                continue
            i, j = rewired.connectivity.pairs({n: store.read(n) for n in rewired.rows})
            chance = np.where(hashed(rewired.seed, i, j) < rewired.polarity, 1, -1)
            before = store.read(rewired.own("polarity"))
            signs = np.where(before == 0, chance, before)
            weights = store.read(rewired.weight)
            signs = np.where(weights == 0, signs, np.sign(weights))
            if name in self._signs:
                signs = self._signs[name][i]
            store.write(rewired.own("polarity"), signs)

    def due(self, iteration: int, trained: Container[str]) -> list[Rewired]:
        """The synapses that are rewired after an update.

        Parameters
        ----------
        iteration : int
            How many updates were done, this one too.
        trained : container of str
            The weights that are updated.

        Raises
        ------
        ValueError
            If a schedule gives no share of them.
        """
        return [
            rewired
            for rewired in self.found.values()
            if rewired.weight in trained
            and not iteration % rewired.every
            and (rewired.fraction is None or self._number(rewired, iteration))
        ]

    def _number(self, rewired: Rewired, iteration: int) -> int:
        """How many go after an update, for which a schedule is asked once."""
        known = self._numbers.get(rewired.name)
        if known is None or known[0] != iteration:
            number = 0 if rewired.fraction is None else rewired.number(iteration)
            known = self._numbers[rewired.name] = iteration, number
        return known[1]

    def sought(self, trained: Container[str]) -> Iterator[Sought]:
        """What of the synapses the gradients of all places are asked for."""
        for name, rewired in self.found.items():
            everywhere = rewired.everywhere
            if everywhere is not None and rewired.weight in trained:
                yield Sought(name, rewired.weight, everywhere, rewired.own("gradient"))

    def run(self, store: Memory, iteration: int, rates: Mapping[str, float]) -> None:
        """Rewire what is due after an update.

        Parameters
        ----------
        store : Memory
            Holds the arrays.
        iteration : int
            How many updates were done.
        rates : mapping of str to float
            The learning rate of each weight that is trained.
        """
        for rewired in self.due(iteration, rates):
            name = rewired.name
            if rewired.own("rate") in store.arrays:
                store.write(rewired.own("rate"), rates[rewired.weight])
            if rewired.fraction is not None:
                store.write(rewired.own("number"), self._number(rewired, iteration))
            if name not in self._kernels:
                self._kernels[name] = self.backend.compile(self._programs[name])
            self._kernels[name].run(store, Call(iteration))

    def take_churn(self, store: Memory) -> dict[str, float]:
        """The share of synapses that was formed since this was taken last."""
        found = {}
        for name, rewired in self.found.items():
            formed = rewired.own("formed")
            found[name] = float(store.read(formed)[0] / rewired.connectivity.size)
            store.write(formed, 0)
        return found

    def take_stuck(self, store: Memory) -> dict[str, int]:
        """How many synapses were formed where others had just been, since this was taken last."""
        found = {name: int(store.read(r.own("stuck"))[0]) for name, r in self.found.items()}
        for name in found:
            store.write(self.found[name].own("stuck"), 0)
        return {name: number for name, number in found.items() if number}


def _require_memory(store: Memory, rewired: Rewired) -> None:
    """Refuse gradients of places that do not fit into the memory."""
    free, everywhere = store.free_bytes(), rewired.everywhere
    if everywhere is None or free is None or rewired.own("gradient") in store.arrays:
        return
    needed = everywhere.n_synapses * store.precision.dtype.itemsize
    if needed > free:
        raise MemoryError(
            f"Trainer: RigL keeps a gradient for each of the {everywhere.n_source} x "
            f"{everywhere.n_target} places of '{rewired.name}', which takes {needed / 2**30:.3g} "
            f"GiB of memory, and {free / 2**30:.3g} GiB are free; rewire them by DeepR or SET."
        )


def _is_of(view: Any, synapses: Synapses) -> bool:
    """Whether a view is that of a variable of some synapses."""
    name, variable = getattr(view, "name", ""), getattr(view, "variable", None)
    return variable is not None and synapses.variables.get(name) is variable


def find_rewirings(
    given: Any, parameters: Any, seed: int, namespace: Mapping[str, Any]
) -> dict[Synapses, Rewiring]:
    """What is asked for, by the synapses.

    Parameters
    ----------
    given : mapping of Synapses to Rule
        What the user gave.
    parameters : sequence of VariableView
        What is trained.
    seed : int
        Seed of the signs of places.
    namespace : mapping of str to object
        Where external names are looked up.

    Raises
    ------
    TypeError, ValueError
        If something is no synapses or no rule, not one variable of the synapses is trained, or
        some are where the rule allows none.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f"Trainer: rewiring is {shown(given)}; give a dictionary by synapses, such as "
            "{w_rec: DeepR(l1=1e-4)}."
        )
    views = parameters if isinstance(parameters, list | tuple) else ()
    found = {}
    for synapses, rule in given.items():
        if not isinstance(synapses, Synapses):
            raise TypeError(
                f"Trainer: rewiring has {shown(synapses)}; give Synapses, such as "
                "{w_rec: DeepR(l1=1e-4)}, not one of their variables."
            )
        if isinstance(rule, type) or not isinstance(rule, Rule):
            raise TypeError(
                f"Trainer: '{synapses.name}' is to be rewired by {shown(rule)}; give a rule, such "
                "as DeepR(l1=1e-4)."
            )
        names = [view.name for view in views if _is_of(view, synapses)]
        if len(names) != 1:
            what = " and ".join(names) or "none of their variables"
            raise ValueError(
                f"Trainer: '{synapses.name}' is to be rewired, and {what} is trained; train one "
                "variable of theirs, which is their weight."
            )
        recipe = rule.recipe(names[0])
        if recipe.keep == "none":
            raise Unsupported(
                f"The number of the synapses '{synapses.name}' is not kept by their rule, and a "
                "training has arrays of one size; give the rule keep='number'."
            )
        check_expressions(synapses, recipe, namespace)
        _check_places(synapses, recipe.allowed, namespace)
        found[synapses] = Rewiring(rule, names[0], seed)
    return found


def _check_places(synapses: Synapses, allowed: str, namespace: Mapping[str, Any]) -> None:
    """Refuse synapses where there may be none."""
    if allowed == "True":
        return
    outside = len(synapses) - len(synapses.i.get_item(allowed, namespace=dict(namespace)))
    if outside:
        raise ValueError(
            f"Trainer: '{synapses.name}' is to be rewired, and {outside} of its synapses are where "
            f"the rule allows none ('{allowed}'); connect them by that condition."
        )
