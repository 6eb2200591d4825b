"""Every phase of a model becomes its local derivatives.

A network on a grid is a map made of phases. Four kinds carry state, and each has a local
linear form, found by differentiating the phase's own equations:

dynamics          h <- F(h, p)              dF/dh, dF/dp           (ForEach)
spike condition   z  = [g(h, p) > 0]        dg/dh, dg/dp           (Detect)
input spike       h_j <- h_j + e(h_j, w_ji, p)   de/dh, de/dw      (Propagate)
reset             h <- R(h) where z         dR/dh, jump R(h) - h   (ForEachEvent)
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sympy

from brian2eprop.device.program import (
    Array,
    Body,
    Detect,
    DType,
    Index,
    Loop,
    Program,
    Propagate,
)
from brian2eprop.device.program.assignments import assignments
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.derivative import derivative
from brian2eprop.learning.model.symbolic import (
    Expression,
    multiplied_out,
    names,
    parse,
    symbol,
    values_after,
)


@dataclass(frozen=True)
class Map:
    """What a dynamics or reset body does to the real state variables it writes.

    Attributes
    ----------
    body : Body
        The body; the names below are its own.
    state : tuple of str
        Its refs that are real state variables, written or only read.
    values : mapping of str to Expression
        Value afterwards of each written one, in terms of values before.
    """

    body: Body
    state: tuple[str, ...]
    values: Mapping[str, Expression]

    def slope(self, of: str, by: str) -> Expression:
        """Derivative of one name's value afterwards by another name's value before."""
        if of not in self.values:
            return sympy.Integer(int(of == by))
        return multiplied_out(derivative(self.values[of], by))

    def jump(self, of: str) -> Expression:
        """Value afterwards minus value before."""
        return multiplied_out(self.values[of] - symbol(of))


@dataclass(frozen=True)
class Condition:
    """When a neuron spikes: where ``distance > 0`` and every mask holds.

    Attributes
    ----------
    label, text : str
        The phase that finds the spikes, and the condition as it is written.
    body : Body
        What names mean: those of the condition, and others that the neuron's equations use.
    state : tuple of str
        The names of state variables in the condition.
    distance : Expression
        Positive where the threshold is passed.
    masks : tuple of str
        Booleans that must hold.
    """

    label: str
    text: str
    body: Body
    state: tuple[str, ...]
    distance: Expression
    masks: tuple[str, ...]

    def slope(self, by: str) -> Expression:
        """Derivative of the distance to threshold."""
        return derivative(self.distance, by)


@dataclass(frozen=True)
class Effect:
    """What a spike adds to the variables of a target, and of the synapse.

    Attributes
    ----------
    body : Body
        The pathway's body; the names below are its own.
    increments : mapping of str to Expression
        What is added to each written variable, in terms of values before.
    state : tuple of str
        The real state variables that increments depend on: of the target, of the synapse, or of
        the source.
    others : tuple of str
        What else increments depend on that changes in a run and that no gradient flows through:
        whole numbers, booleans, times.
    """

    body: Body
    increments: Mapping[str, Expression]
    state: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def chained(self) -> tuple[str, ...]:
        """The target's variables by which a spike acts on what the next one adds."""
        found = (name for name in self.state if name in self.increments)
        return tuple(name for name in found if self.body.refs[name].index is Index.TARGET)

    @property
    def kept(self) -> tuple[str, ...]:
        """The variables of the synapse that spikes change."""
        refs = self.body.refs
        return tuple(n for n in sorted(self.body.written) if refs[n].index is Index.SYNAPSE)

    @property
    def of_source(self) -> tuple[str, ...]:
        """The variables of the source that increments depend on."""
        return tuple(n for n in self.state if self.body.refs[n].index is Index.SOURCE)

    @property
    def depends(self) -> bool:
        """Whether what a spike adds depends on the state, or on what spikes change of synapses."""
        synaptic = any(self.body.refs[name].index is Index.SYNAPSE for name in self.others)
        return bool(self.state or self.kept or synaptic)

    def slope(self, of: str, by: str) -> Expression:
        """Derivative of the increment of a variable by another one."""
        return derivative(self.increments[of], by)


def state_arrays(program: Program) -> dict[str, Array]:
    """Real arrays that the model's phases change: what a gradient can flow through."""
    changed = frozenset().union(*(phase.writes() for phase in program.phases()))
    return {
        name: array
        for name, array in program.all_arrays().items()
        if name in changed and array.dtype is DType.REAL and array.slots is None
    }


def linear_map(phase: Loop, arrays: Mapping[str, Array], state: Mapping[str, Array]) -> Map:
    """The map of a dynamics or reset phase; conditional writes keep the old value elsewhere.

    Raises
    ------
    LearningError
        If it reads a whole number or a time after it has changed it.
    """
    body = phase.body
    opaque = opaque_names(body, arrays)
    _refuse_changed(
        phase, {n for n in opaque if arrays[body.refs[n].array].dtype is not DType.BOOL}
    )
    after = values_after(body.code, opaque, body.guards)
    values = {name: value for name, value in after.items() if name in body.refs}
    return Map(body, state_names(body, state), values)


def state_names(body: Body, state: Mapping[str, Array]) -> tuple[str, ...]:
    """The refs of a body that are state variables."""
    return tuple(sorted(name for name, ref in body.refs.items() if ref.array in state))


def opaque_names(body: Body, arrays: Mapping[str, Array]) -> frozenset[str]:
    """The refs of a body that no gradient flows through: booleans, times, indices."""
    return frozenset(n for n, ref in body.refs.items() if arrays[ref.array].dtype is not DType.REAL)


def spike_condition(phase: Detect, state: Mapping[str, Array]) -> Condition:
    """The distance to threshold of a condition such as ``v > v_th and not_refractory``.

    Raises
    ------
    LearningError
        If the condition is not one comparison, with or without booleans that must hold.
    """
    line = next(a for a in assignments(phase.body.code) if a.target == Detect.CONDITION)
    terms = _conjunction(line.expression)
    comparisons = [term for term in terms if isinstance(term, ast.Compare)]
    masks = [term.id for term in terms if isinstance(term, ast.Name)]
    if len(comparisons) != 1 or len(masks) + 1 != len(terms):
        raise LearningError(
            f"The threshold '{ast.unparse(line.expression)}' of {phase.label} cannot be "
            "differentiated. Write it as one comparison, such as 'v > v_th', and booleans "
            "joined to it by 'and'."
        )
    distance = _distance(comparisons[0], phase.label)
    return Condition(
        label=phase.label,
        text=ast.unparse(line.expression),
        body=phase.body,
        state=state_names(phase.body, state),
        distance=distance,
        masks=tuple(masks),
    )


def _conjunction(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [term for value in node.values for term in _conjunction(value)]
    return [node]


def _distance(comparison: ast.Compare, label: str) -> Expression:
    left, right = parse(comparison.left), parse(comparison.comparators[0])
    if isinstance(comparison.ops[0], ast.Gt | ast.GtE):
        return left - right
    if isinstance(comparison.ops[0], ast.Lt | ast.LtE):
        return right - left
    raise LearningError(
        f"The threshold '{ast.unparse(comparison)}' of {label} cannot be differentiated. "
        "Compare by '>', '>=', '<' or '<='."
    )


def common_delay(phase: Propagate) -> int:
    """The delay in steps of all synapses of a pathway.

    Raises
    ------
    LearningError
        If each synapse has its own.
    """
    if isinstance(phase.delay, str):
        raise LearningError(
            f"The synapses of {phase.label} have delays of their own, which the forward "
            "form does not follow. Give all of them the same delay, or use EProp(form='adjoint')."
        )
    return phase.delay


def input_spike(
    phase: Propagate,
    arrays: Mapping[str, Array],
    state: Mapping[str, Array],
    changed: Collection[str],
) -> Effect:
    """What a spike adds to its targets, and to the synapse itself.

    ``changed`` are the arrays that change in a run.

    Raises
    ------
    LearningError
        If it writes a variable of the source, or reads one of the source that it writes at its
        targets; or a whole number, boolean or time that it changes, at its targets or before.
    """
    body = phase.body
    opaque = opaque_names(body, arrays)
    _refuse_changed(phase, opaque)
    values = values_after(body.code, opaque, body.guards)
    increments = {n: sympy.expand(v - symbol(n)) for n, v in values.items() if n in body.refs}
    for name in sorted(body.written):
        if body.refs[name].index not in (Index.TARGET, Index.SYNAPSE):
            raise LearningError(
                f"{phase.label} changes '{name}' at a spike, which is no variable of the target "
                "or of the synapse, and the learning rules do not follow that. Let the reset of "
                "the source change it."
            )
    read = frozenset().union(*map(names, increments.values())) if increments else frozenset()
    depends = tuple(name for name in state_names(body, state) if name in read)
    written = {body.refs[name].array for name in increments}
    for name in depends:
        if body.refs[name].index is Index.SOURCE and body.refs[name].array in written:
            raise LearningError(
                f"What {phase.label} adds depends on '{name}' of the source, which it changes at "
                "its targets: the learning rules do not follow spikes of one step from neuron to "
                "neuron. Let it depend on a variable that on_pre does not change."
            )
    others = tuple(name for name in sorted(read & opaque) if body.refs[name].array in changed)
    for name in others:
        own = body.refs[name]
        if own.index is not Index.SYNAPSE and own.array in phase.writes():
            raise LearningError(
                f"What {phase.label} adds depends on '{name}', a whole number, boolean or time "
                "that it changes at its targets: the learning rules do not follow from spike to "
                "spike what no gradient flows through. Let the reset of the target change it."
            )
    return Effect(body, increments, depends, others)


def _refuse_changed(phase: Loop, opaque: Collection[str]) -> None:
    """Names that no gradient flows through mean what was there before the phase."""
    changed: set[str] = set()
    for line in assignments(phase.body.code):
        if line.target in opaque:
            changed.add(line.target)
            continue
        for name in sorted(changed & names(parse(line.expression))):
            raise LearningError(
                f"{phase.label} changes '{name}' and reads it afterwards, which the learning "
                "rules do not follow for whole numbers, booleans and times. Let it change "
                f"'{name}' at its end."
            )
