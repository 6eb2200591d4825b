"""The Program: its vocabulary, and what is legal in it."""

from __future__ import annotations

from brian2eprop.device.program.arrays import (
    OWNED,
    Access,
    Array,
    DType,
    Events,
    Over,
    Precision,
    Slots,
    Stream,
)
from brian2eprop.device.program.assignments import fits
from brian2eprop.device.program.body import At, Body, Index, Number, Ref
from brian2eprop.device.program.clocks import AnyClock, Clock, ListedClock
from brian2eprop.device.program.connectivity import (
    Connectivity,
    Convolution,
    Dense,
    Sparse,
)
from brian2eprop.device.program.draws import Distribution, Draw
from brian2eprop.device.program.expand import Assign, Expand
from brian2eprop.device.program.foreign import Foreign
from brian2eprop.device.program.phase import Loop, Phase, Side, SynapticLoop
from brian2eprop.device.program.phases import (
    Clear,
    Delay,
    Detect,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Propagate,
    Reduce,
    Reduction,
)
from brian2eprop.device.program.program import Chunks, Direction, Program, Sweep
from brian2eprop.device.program.record import Count, Record
from brian2eprop.device.program.rewire import Choose, Forming, Grow, Rewire
from brian2eprop.device.program.timed import Timed
from brian2eprop.device.program.transpose import Transpose
from brian2eprop.device.program.tree import TreeSolve

__all__ = [
    "OWNED",
    "Access",
    "AnyClock",
    "Array",
    "Assign",
    "At",
    "Body",
    "Choose",
    "Chunks",
    "Clear",
    "Clock",
    "Connectivity",
    "Convolution",
    "Count",
    "DType",
    "Delay",
    "Dense",
    "Detect",
    "Direction",
    "Distribution",
    "Draw",
    "Events",
    "Expand",
    "Feed",
    "ForEach",
    "ForEachEvent",
    "ForEachSynapse",
    "Foreign",
    "Forming",
    "Grow",
    "Index",
    "ListedClock",
    "Loop",
    "Number",
    "Over",
    "Phase",
    "Precision",
    "Program",
    "Propagate",
    "Record",
    "Reduce",
    "Reduction",
    "Ref",
    "Rewire",
    "Side",
    "Slots",
    "Sparse",
    "Stream",
    "Sweep",
    "SynapticLoop",
    "Timed",
    "Transpose",
    "TreeSolve",
    "fits",
]
