"""Brian2's random functions become draws, each call one of its own."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping
from re import findall, sub
from typing import Any

from brian2.input.binomial import BinomialFunction

from brian2eprop.device import brian
from brian2eprop.device.capture.captured import Piece
from brian2eprop.device.program import Distribution, Draw, DType, Number

RANDOM_FUNCTIONS = ("rand", "randn", "poisson", "BinomialFunction")
# The very functions: another one may be put in the place of one of their names.
_RAND, _RANDN, _POISSON = (brian.DEFAULT_FUNCTIONS[name] for name in ("rand", "randn", "poisson"))


class Drawing:
    """The random numbers of one object's code.

    Parameters
    ----------
    owner : str
        Who draws them.
    constants : dict of str to number
        The constants of the code; parameters of distributions are added.
    """

    def __init__(self, owner: str, constants: dict[str, Number]) -> None:
        self.owner = owner
        self.constants = constants
        self.draws: dict[str, Draw] = {}

    def call(self, function: Any, arguments: list[ast.expr]) -> ast.expr | None:
        """What stands for the call of a random function; None for any other function."""
        if isinstance(function, BinomialFunction):
            return self._binomial(function)
        if function is _RAND:
            return self._draw(Distribution.UNIFORM)
        if function is _RANDN:
            return self._draw(Distribution.NORMAL)
        if function is _POISSON:
            return _called("_poisson", *arguments, self._fine())
        return None

    def _binomial(self, function: BinomialFunction) -> ast.expr:
        found = brian.binomial_parameters(function)
        if "n" in found:
            n, p = self._constant(int(found["n"])), self._constant(float(found["p"]))
            return _called("_binomial", n, p, self._fine())
        # Brian2 takes a normal distribution in its place where there are many.
        mean, deviation = self._constant(float(found["loc"])), self._constant(float(found["scale"]))
        noise = ast.BinOp(deviation, ast.Mult(), self._draw(Distribution.NORMAL))
        return ast.BinOp(mean, ast.Add(), noise)

    def _fine(self) -> ast.Name:
        # Rare numbers are told apart by the last digits of a uniform one.
        return self._draw(Distribution.UNIFORM, DType.DOUBLE)

    def _draw(self, distribution: Distribution, dtype: DType = DType.REAL) -> ast.Name:
        call = len(self.draws)
        self.draws[f"_draw_{call}"] = Draw(distribution, self.owner, call, dtype)
        return ast.Name(f"_draw_{call}", ast.Load())

    def _constant(self, value: Number) -> ast.Name:
        name = f"_parameter_{len(self.constants)}"
        self.constants[name] = value
        return ast.Name(name, ast.Load())


def _called(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def is_random(function: Any) -> bool:
    """Whether a function of Brian2 draws random numbers."""
    known = any(function is found for found in (_RAND, _RANDN, _POISSON))
    return known or isinstance(function, BinomialFunction)


def find_drawers(pieces: Mapping[str, Piece]) -> dict[str, str]:
    """Who draws the random numbers of each object that draws some.

    That is its name without the numbers that Brian2 puts into names, counted: a network that is
    made once more, with higher numbers, draws the same.

    Parameters
    ----------
    pieces : mapping of str to Piece
        What Brian2 wants done, by name of the object.

    Returns
    -------
    dict of str to str
        The drawer of each, by name.
    """
    times: Counter[str] = Counter()
    found = {}
    for name in sorted(filter(lambda name: _draws(pieces[name]), pieces), key=_natural):
        kind, _ = _natural(name)
        found[name] = f"{kind} {times[kind]}"
        times[kind] += 1
    return found


def find_rewirers(names: Iterable[str]) -> dict[str, str]:
    """Who draws the random numbers of rewiring, by the name of the synapses.

    As for other objects the numbers that Brian2 puts into names do not count; a name that has
    none, and is the first, is what it is.
    """
    times: Counter[str] = Counter()
    found = {}
    for name in sorted(names, key=_natural):
        kind, _ = _natural(name)
        found[name] = f"{kind} {times[kind]}" if times[kind] else kind
        times[kind] += 1
    return found


def _natural(name: str) -> tuple[str, list[int]]:
    """The order in which Brian2 gives names."""
    return sub(r"_\d+", "", name), [int(number) for number in findall(r"_(\d+)", name)]


def _draws(piece: Piece) -> bool:
    return any(map(is_random, piece.variables.values()))
