"""One code object's abstract code becomes a Body."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from brian2.core.clocks import BaseClock
from brian2.core.functions import Function
from brian2.core.variables import ArrayVariable, Constant, Subexpression
from brian2.input.timedarray import TimedArray
from brian2.units import second

from brian2eprop.device import brian
from brian2eprop.device.capture.captured import Piece
from brian2eprop.device.capture.clocks import Grid
from brian2eprop.device.capture.foreign import foreign
from brian2eprop.device.capture.places import caller, example
from brian2eprop.device.capture.random import RANDOM_FUNCTIONS, Drawing
from brian2eprop.device.program import Body, Clock, Number, Ref
from brian2eprop.device.program.foreign import Foreign
from brian2eprop.device.program.functions import PLAIN_FUNCTIONS
from brian2eprop.errors import Unsupported

CLOCK_NAMES = {"t": "t", "dt": "dt", "timestep": "step"}

# Gives the Ref of a variable that Brian2 reaches through the given index.
Locate = Callable[[Any, str], Ref]


@dataclass(frozen=True)
class Watch:
    """What the clocks of a network are to the objects of one of them.

    Parameters
    ----------
    grid : Grid
        The clocks.
    own : brian2 clock
        The one that an object is on.
    """

    grid: Grid
    own: Any

    def is_own(self, variable: Any) -> bool:
        """Whether it is that of a clock that is due when the own one is, and at no other time."""
        clock = brian.clock_that_has(variable)
        known = clock in self.grid.clocks
        return clock is self.own or (known and self.grid.same(clock, self.own))

    def foreign(self, owner: str, variable: Any) -> Clock:
        """Another clock whose variable an object reads."""
        found = self.grid.clocks.get(brian.clock_that_has(variable))
        if not isinstance(found, Clock) or variable.name not in ("t", "dt"):
            raise Unsupported(
                f"'{owner}' reads '{variable.name}' of the clock '{variable.owner.name}' while it "
                f"runs on '{self.own.name}', which eprop_cuda does not; give both the same clock."
            )
        return found


class Translator:
    """Translates one piece.

    Parameters
    ----------
    owner : BrianObject
        The object that runs it.
    piece : Piece
        What to translate.
    locate : callable
        Gives the Ref of an array variable and Brian2's index of it.
    watch : Watch
        Tells the object's own clock from others.
    drawer : str
        Who draws its random numbers.
    """

    def __init__(
        self, owner: Any, piece: Piece, locate: Locate, watch: Watch, drawer: str = ""
    ) -> None:
        self.runner = owner
        self.owner = owner.name
        self.piece = piece
        self.locate = locate
        self.watch = watch
        self.refs: dict[str, Ref] = {}
        self.constants: dict[str, Number] = {}
        self.times: dict[str, Clock] = {}
        self.drawing = Drawing(drawer, self.constants)
        self.timed: dict[str, TimedArray] = {}
        self.foreign: dict[str, Foreign] = {}

    def body(self) -> Body:
        """The piece as a Body."""
        tree = parse(self.piece.code)
        lines = [self._line(line) for line in tree.body]
        return Body(
            "\n".join(lines),
            self.refs,
            self.constants,
            self._guards(tree),
            self.drawing.draws,
            times=self.times,
        )

    def name(self, name: str) -> str:
        """The name in the body of a name in the abstract code, bound to what it stands for."""
        variable = self.piece.variables.get(name)
        if isinstance(variable, ArrayVariable):
            return self._array(name, variable)
        if isinstance(variable, Constant):
            self.constants[self._free(name)] = _number(variable)
        return self._free(name)

    def call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        """The call of a function; those that bodies do not have are refused."""
        function = self.piece.variables.get(name)
        drawn = self.drawing.call(function, arguments)
        if drawn is not None:
            return drawn
        if isinstance(function, TimedArray):
            return ast.Call(ast.Name(self._timed_name(function), ast.Load()), arguments, [])
        written = foreign(self.runner, name, function)
        if written is not None:
            self.foreign[f"_foreign_{name}"] = written
            return ast.Call(ast.Name(f"_foreign_{name}", ast.Load()), arguments, [])
        if name in PLAIN_FUNCTIONS and function in (None, brian.DEFAULT_FUNCTIONS.get(name)):
            return ast.Call(ast.Name(name, ast.Load()), arguments, [])
        there = ", ".join((*PLAIN_FUNCTIONS, *RANDOM_FUNCTIONS))
        called = caller(self.runner, name)
        if not isinstance(function, Function):
            raise Unsupported(f"{called}, which is no function that Brian2 has; use {there}.")
        raise Unsupported(
            f"{called}, which is given in Python only, and eprop_cuda runs no Python within a run; "
            f"give it in C++ too, with {example(name, function)} above it, set such values before "
            f"the run, or use {there}."
        )

    def _timed_name(self, array: TimedArray) -> str:
        for known, other in self.timed.items():
            if other is array:
                return known
        name = f"_timed_{len(self.timed)}"
        self.timed[name] = array
        return name

    def _line(self, line: ast.stmt) -> str:
        if not isinstance(line, ast.Assign | ast.AugAssign):
            raise Unsupported(
                f"'{self.owner}' has the line '{ast.unparse(line)}', which is no assignment; "
                "write one, such as 'v = 0'."
            )
        return ast.unparse(_Inliner(self).visit(line))

    def _array(self, name: str, variable: Any) -> str:
        built_in = clock_name(variable)
        if built_in is not None:
            return self._of_clock(built_in, variable)
        ref = self.locate(variable, self.piece.indices[name])
        # Two names of one element ('v' and 'v_post') must become one: bodies know no aliases.
        for known, other in self.refs.items():
            if other == ref:
                return known
        self.refs[self._free(name)] = ref
        return self._free(name)

    def _of_clock(self, built_in: str, variable: Any) -> str:
        """A variable of a clock; that of a group may be another one than that of its objects."""
        if self.watch.is_own(variable):
            return built_in
        clock = self.watch.foreign(self.owner, variable)
        name = f"_{built_in}_every_{clock.every}"
        if built_in == "t":
            self.times[name] = clock
        else:
            self.constants[name] = clock.dt
        return name

    @staticmethod
    def _free(name: str) -> str:
        return f"{name}_" if name in CLOCK_NAMES.values() else name

    def _guards(self, tree: ast.Module) -> dict[str, str]:
        guards = {}
        for name in assigned(tree):
            variable: Any = self.piece.variables.get(name)
            condition: Any = getattr(variable, "conditional_write", None)
            if condition is None or condition.name in self.piece.unconditional:
                continue
            known: Any = self.piece.variables.get(condition.name)
            if known is condition:
                guards[self.name(name)] = self.name(condition.name)
        return guards


class _Inliner(ast.NodeTransformer):
    """Puts subexpressions in place and binds every other name."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace the name."""
        variable = self.translator.piece.variables.get(node.id)
        if isinstance(variable, Subexpression):
            inner = ast.parse(" ".join(variable.expr.split()), mode="eval").body
            return self.visit(inner)  # type: ignore[no-any-return]
        return ast.copy_location(ast.Name(self.translator.name(node.id), node.ctx), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Replace the arguments and, of random numbers, the call."""
        arguments = [self.visit(argument) for argument in node.args]
        call = self.translator.call(ast.unparse(node.func), arguments)
        return ast.copy_location(call, node)


def _number(constant: Constant) -> Number:
    value: Any = constant.get_value()
    if constant.is_boolean:  # of a flag, Brian2 has made 0 or 1
        return bool(value)
    number: Number = value.item() if hasattr(value, "item") else value
    return number


def parse(code: str) -> ast.Module:
    """Abstract code as statements; as in Brian2, the lines' indentation means nothing."""
    return ast.parse("\n".join(line.strip() for line in code.splitlines()))


def without_lines(piece: Piece, names: Collection[str]) -> Piece:
    """The piece without the lines that assign some names."""
    lines = parse(piece.code).body
    kept = [
        ast.unparse(line)
        for line in lines
        if not set(names) & set(assigned(ast.Module([line], [])))
    ]
    return replace(piece, code="\n".join(kept)) if names else piece


def assigned(tree: ast.Module) -> list[str]:
    """The names that the statements assign, in order."""
    names = []
    for line in tree.body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if isinstance(target, ast.Name):
            names.append(target.id)
    return list(dict.fromkeys(names))


def time_stamped(pieces: Iterable[Piece]) -> frozenset[Any]:
    """The variables in seconds that pieces set to an expression with a time in it.

    A time is ``t``, when a neuron spiked last, such a variable, and what has one of them in it:
    a subexpression, or a local.
    """
    lines = [line for piece in pieces for line in _named_lines(piece)]
    found: frozenset[Any] = frozenset()
    while True:
        more = found | frozenset(_stamped(lines, found))
        if more == found:
            return found
        found = more


def _named_lines(piece: Piece) -> list[tuple[str, set[str], Piece]]:
    """Of each line the name that it sets, the names in its expression, and the piece."""
    return [
        (target, _names(line.value), piece)
        for line in parse(piece.code).body
        if isinstance(line, ast.Assign | ast.AugAssign)
        for target in assigned(ast.Module([line], []))
    ]


def _stamped(lines: Iterable[tuple[str, set[str], Piece]], known: Collection[Any]) -> Iterator[Any]:
    local: dict[int, set[str]] = {}
    for target, names, piece in lines:
        of_piece = local.setdefault(id(piece), set())
        if names & of_piece or _mentions_time(names, piece.variables, known):
            variable = piece.variables.get(target)
            if variable is None:
                of_piece.add(target)
            elif isinstance(variable, ArrayVariable) and variable.dim is second.dim:
                yield variable


def is_time(variable: Any, known: Collection[Any]) -> bool:
    """Whether a variable is, or is made of, a time; variables that are known to hold one are."""
    if isinstance(variable, Subexpression):
        return _mentions_time(variable.identifiers, variable.owner.variables, known)
    return clock_name(variable) == "t" or variable in known or is_last_spike(variable)


def is_last_spike(variable: Any) -> bool:
    """Whether a variable says when each neuron spiked last."""
    return isinstance(variable, ArrayVariable) and variable.name == "lastspike"


def clock_name(variable: Any) -> str | None:
    """What bodies call a variable of a clock; None for other variables."""
    of_clock = isinstance(getattr(variable, "owner", None), BaseClock)
    return CLOCK_NAMES.get(variable.name) if of_clock else None


def _names(value: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}


def _mentions_time(
    names: Collection[str], variables: Mapping[str, Any], known: Collection[Any]
) -> bool:
    found = [variables.get(name) for name in names]
    return any(
        _mentions_time(variable.identifiers, variables, known)
        if isinstance(variable, Subexpression)
        else is_time(variable, known)
        for variable in found
        if variable is not None
    )
