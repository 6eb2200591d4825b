import re
from dataclasses import replace

import pytest

from brian2eprop.device.program import (
    Access,
    Array,
    At,
    Body,
    Clear,
    Count,
    Dense,
    Detect,
    Direction,
    DType,
    Events,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Over,
    Program,
    Propagate,
    Record,
    Reduce,
    Reduction,
    Ref,
    Side,
    Slots,
    Sparse,
    Stream,
    Sweep,
)
from brian2eprop.device.program.verify import ProgramError, Stage, verify

OWN = Access.PER_INSTANCE
ELEMENT, SOURCE, TARGET = Index.ELEMENT, Index.SOURCE, Index.TARGET
SYNAPSE, SCALAR = Index.SYNAPSE, Index.SCALAR

ARRAYS = (
    Array("v", DType.REAL, 3, OWN, Slots(2)),
    Array("free", DType.BOOL, 3, OWN),
    Array("kind", DType.INT, 3, Access.SHARED),
    Array("own_kind", DType.INT, 3, OWN),
    Array("w", DType.REAL, 6, Access.SHARED),
    Array("x", DType.REAL, 2, OWN),
    Array("g", DType.REAL, 6, Access.SHARED),
    Array("late", DType.INT, 6, Access.SHARED),
    Array("m", DType.REAL, 1, OWN),
    Array("last", DType.DOUBLE, 3, OWN),
    Array("column", DType.REAL, 2, OWN, Slots(kept=True)),
    Array("end", DType.INT, 1, OWN),
    Array("number", DType.INT, 1, OWN, Slots(kept=True)),
)
EVENTS = (Events("spikes", 3, OWN, Slots(1)), Events("inputs", 2, OWN, Slots()))
CONNECTIVITIES = (
    Dense("syn", 2, 3),
    Sparse("back", 3, 2, 6),
)
STREAMS = (Stream("source", 2), Stream("wide", 3))


def body(code, constants=None, guards=None, **refs):
    return Body(code, refs, constants or {}, guards or {})


V, FREE, LAST = Ref("v", ELEMENT), Ref("free", ELEMENT), Ref("last", ELEMENT)

LEGAL = (
    ForEach(
        "update",
        3,
        body("_v = v*exp(-dt/tau)\nv = _v", {"tau": 0.02}, {"v": "free"}, v=V, free=FREE),
    ),
    ForEach("look", 3, body("v = old + m", v=V, old=Ref("v", ELEMENT, -2), m=Ref("m", SCALAR))),
    ForEach("map", 3, body("v = x", v=V, x=Ref("x", ELEMENT, via="kind"))),
    Detect(
        "threshold", 3, "spikes", body("_cond = v > 1", v=V, free=FREE, last=LAST), ("free", "last")
    ),
    Feed("feed", "source", "inputs"),
    Propagate("send", "inputs", "syn", body("v += w", v=Ref("v", TARGET), w=Ref("w", SYNAPSE))),
    Propagate("late", "spikes", "back", body("x += w", x=Ref("x", TARGET), w=Ref("w", SYNAPSE)), 1),
    ForEachEvent("reset", "spikes", body("v -= 1", v=V)),
    Record("log", "spikes", 1, 3, body("c = v", v=V, c=Ref("column", Index.ENTRY)), "end"),
    Count("number", "spikes", 0, 1, "number"),
    ForEachSynapse("learn", "syn", body("g += y", g=Ref("g", SYNAPSE), y=Ref("x", SOURCE))),
    Propagate(
        "each", "spikes", "back", body("x += w", x=Ref("x", TARGET), w=Ref("w", SYNAPSE)), "late"
    ),
    Propagate("young", "spikes", "back", body("x += 1", x=Ref("x", TARGET)), 1, formed="late"),
    Propagate("old", "spikes", "back", body("x += 1", x=Ref("x", TARGET)), 1, until="late"),
    Propagate("post", "inputs", "back", body("v += 1", v=Ref("v", SOURCE)), 0, Side.TARGET),
    ForEachSynapse("row", "syn", body("x += y", x=Ref("x", SOURCE), y=Ref("v", TARGET))),
    Propagate(
        "then",
        "spikes",
        "back",
        body("x += y", x=Ref("x", TARGET), y=Ref("v", SOURCE, At.SENT)),
        "late",
    ),
)
REDUCE = Reduce("all", 3, Reduction.SUM, body("_value = v", v=V), "m")
CLEAR = Clear("clear", ("v", "m"), ("spikes",))


def program(*phases, directions=(Direction.FORWARD,), **parts):
    known = {"events": EVENTS, "connectivities": CONNECTIVITIES, "streams": STREAMS}
    sweeps = tuple(Sweep(direction, phases) for direction in directions)
    arrays = parts.pop("arrays", ARRAYS)
    return Program("net", parts.pop("dt", 1e-3), arrays, sweeps, **{**known, **parts})


def sentence(network, stage=Stage.GENERATION):
    with pytest.raises(ProgramError) as caught:
        verify(network, stage)
    return str(caught.value)


def shared(*phases, directions=(Direction.ONCE,)):
    arrays = tuple(Array(name, DType.REAL, 6, Access.SHARED) for name in "wg")
    sweeps = tuple(Sweep(direction, phases, Over.SHARED) for direction in directions)
    return Program("net", 1e-3, (*arrays, Array("norm", DType.REAL, 1, Access.SHARED)), sweeps)


STEP = ForEach("step", 6, body("w -= g", w=Ref("w", ELEMENT), g=Ref("g", ELEMENT)))
NORM = Reduce("norm", 6, Reduction.SUM, body("_value = w*w", w=Ref("w", ELEMENT)), "norm")


# What is legal


@pytest.mark.parametrize("stage", Stage)
def test_a_simulation_is_legal_everywhere(stage):
    verify(program(*LEGAL), stage)


@pytest.mark.parametrize("stage", [Stage.ADJOINT, Stage.GENERATION])
def test_any_sweeps_are_legal_after_the_adjoint(stage):
    verify(program(CLEAR, *LEGAL, REDUCE, directions=Direction), stage)
    verify(shared(STEP, NORM, Clear("clear", ("g",))), stage)


def test_a_dense_connectivity_without_its_diagonal_is_legal():
    square = Dense("square", 3, 3, diagonal=False)
    verify(program(*LEGAL, connectivities=(*CONNECTIVITIES, square)), Stage.CAPTURED)


# What is not legal in a program

PROGRAM_FAULTS = [
    (program(dt=0.0), "its time step is 0.0; give a positive number of seconds"),
    (program(dt=float("nan")), "its time step is nan; give a positive number of seconds"),
    (
        program(arrays=(*ARRAYS, ARRAYS[0])),
        "2 array declarations have the name 'v'; rename all but one",
    ),
    (
        program(arrays=(*ARRAYS, Array("back:row", DType.INT, 4, Access.SHARED))),
        "2 array declarations have the name 'back:row'; rename all but one",
    ),
    (
        program(connectivities=(*CONNECTIVITIES, CONNECTIVITIES[0])),
        "2 connectivity declarations have the name 'syn'; rename all but one",
    ),
    (
        program(streams=(*STREAMS, STREAMS[0])),
        "2 stream declarations have the name 'source'; rename all but one",
    ),
    (
        program(arrays=(Array("u", DType.REAL, -1, OWN),)),
        "array 'u' has the size -1; give a size from 0 up",
    ),
    (
        program(arrays=(Array("u", DType.REAL, 2, Access.SHARED, Slots()),)),
        "array 'u' is shared and has slots; make it per instance or scratch",
    ),
    (
        program(connectivities=(Dense("c", 2, 3, diagonal=False),)),
        "connectivity 'c' leaves out a diagonal and is not square; "
        "give it as many sources as targets",
    ),
    (
        program(connectivities=(Sparse("c", 2, 3, 2**31),)),
        "connectivity 'c' has 2147483648 synapses, more than 32-bit indices can count; divide it "
        "into several",
    ),
    (
        shared(STEP, directions=(Direction.FORWARD,)),
        "a sweep over shared has no direction forward; legal is: once",
    ),
]


@pytest.mark.parametrize(("network", "fault"), PROGRAM_FAULTS)
def test_faults_of_programs(network, fault):
    assert sentence(network) == f"Program 'net': {fault}."


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        (program(directions=()), "it has 0 sweeps; a captured program must have 1"),
        (program(directions=Direction), "it has 3 sweeps; a captured program must have 1"),
        (
            program(directions=(Direction.BACKWARD,)),
            "a captured program has no direction backward; legal is: forward",
        ),
        (
            replace(program(), sweeps=(Sweep(Direction.ONCE, (), Over.SHARED),)),
            "a captured program has no sweep over shared; use one over instances",
        ),
        (
            program(REDUCE),
            "a captured program has no Reduce; leave out phase 'all'",
        ),
    ],
)
def test_faults_of_captured_programs(network, fault):
    assert sentence(network, Stage.CAPTURED) == f"Program 'net': {fault}."
    verify(network, Stage.ADJOINT)


# What is not legal in a phase

EMPTY = body("u = 0")

PHASE_FAULTS = [
    (ForEachEvent("p", "no", EMPTY), "there is no event buffer 'no'; declare it in the program"),
    (
        Propagate("p", "no", "syn", EMPTY),
        "there is no event buffer 'no'; declare it in the program",
    ),
    (
        Propagate("p", "inputs", "no", EMPTY),
        "there is no connectivity 'no'; declare it in the program",
    ),
    (ForEachSynapse("p", "no", EMPTY), "there is no connectivity 'no'; declare it in the program"),
    (Feed("p", "no", "inputs"), "there is no stream 'no'; declare it in the program"),
    (Clear("p", ("no",)), "there is no array 'no'; declare it in the program"),
    (replace(REDUCE, label="p", into="no"), "there is no array 'no'; declare it in the program"),
    (
        Detect("p", 2, "spikes", body("_cond = True")),
        "it has 2 elements, its event buffer 'spikes' 3; make them equal",
    ),
    (
        Detect("p", 3, "spikes", body("_cond = True"), ("free",)),
        "'free' in on_event is no ref; add it to the body's refs",
    ),
    (
        Detect("p", 3, "spikes", body("_cond = True", k=Ref("own_kind", ELEMENT)), ("k",)),
        "'k' in on_event must be an ELEMENT ref of type BOOL, REAL or DOUBLE",
    ),
    (
        Detect("p", 3, "spikes", body("_cond = True", m=Ref("m", SCALAR)), ("m",)),
        "'m' in on_event must be an ELEMENT ref of type BOOL, REAL or DOUBLE",
    ),
    (
        Record("p", "spikes", 1, 4, EMPTY, "end"),
        "it is for the neurons from 1 to 4 of event buffer 'spikes', which has 3; give first and "
        "stop among them",
    ),
    (
        Count("p", "spikes", 2, 2, "number"),
        "it is for the neurons from 2 to 2 of event buffer 'spikes', which has 3; give first and "
        "stop among them",
    ),
    (Record("p", "spikes", 0, 3, EMPTY, "no"), "there is no array 'no'; declare it in the program"),
    (
        Record("p", "spikes", 0, 3, EMPTY, "number"),
        "array 'number' cannot hold a number of events; make it INT, of size 1, without slots and "
        "per instance or scratch",
    ),
    (
        Count("p", "spikes", 0, 3, "late"),
        "array 'late' cannot hold a number of events; make it INT, of size 1, without slots and "
        "per instance or scratch",
    ),
    (
        Record("p", "spikes", 0, 2, body("x = 1", x=Ref("x", Index.ENTRY)), "end"),
        "'x' is no column of a log; keep every step of array 'x'",
    ),
    (
        Record("p", "spikes", 0, 2, body("free = True", free=FREE), "end"),
        "'free' is written and no entry of a log; write it in a ForEachEvent",
    ),
    (
        Record("p", "spikes", 0, 3, body("c = 1", c=Ref("column", Index.ENTRY)), "end"),
        "'c' stands for array 'column' of size 2, where ENTRY needs 3; make them equal",
    ),
    (
        ForEachEvent("p", "spikes", body("c = 1", c=Ref("column", Index.ENTRY))),
        "'c' has the index ENTRY; legal are here: SCALAR, ELEMENT",
    ),
    (
        Feed("p", "wide", "inputs"),
        "stream 'wide' has 3 neurons, event buffer 'inputs' 2; make them equal",
    ),
    (
        Propagate("p", "inputs", "back", EMPTY),
        "event buffer 'inputs' has 2 neurons, connectivity 'back' 3 sources; make them equal",
    ),
    (
        Propagate("p", "inputs", "back", EMPTY, side=Side.SOURCE),
        "event buffer 'inputs' has 2 neurons, connectivity 'back' 3 sources; make them equal",
    ),
    (
        Propagate("p", "spikes", "back", EMPTY, side=Side.TARGET),
        "event buffer 'spikes' has 3 neurons, connectivity 'back' 2 targets; make them equal",
    ),
    (
        Propagate("p", "spikes", "back", EMPTY, 2),
        "offset -2 is out of event buffer 'spikes', whose slots keep 1 other steps; "
        "lengthen their history",
    ),
    (
        Propagate(
            "p",
            "spikes",
            "back",
            body("x += int(y)", x=Ref("x", TARGET), y=Ref("free", SOURCE, At.SENT)),
        ),
        "offset -1 is out of array 'free', whose slots keep 0 other steps; lengthen their history",
    ),
    (Propagate("p", "spikes", "back", EMPTY, -1), "its delay is -1 steps; give one from 0 up"),
    (
        Propagate("p", "spikes", "back", EMPTY, "no"),
        "there is no array 'no'; declare it in the program",
    ),
    (
        Propagate("p", "spikes", "back", EMPTY, "kind"),
        "array 'kind' cannot hold a step for each synapse; make it INT, shared and of size 6",
    ),
    (
        Propagate("p", "spikes", "back", EMPTY, until="w"),
        "array 'w' cannot hold a step for each synapse; make it INT, shared and of size 6",
    ),
    *(
        (
            replace(REDUCE, label="p", into=into),
            f"array '{into}' cannot hold the result; "
            f"make it REAL, of size 1 and per instance or scratch",
        )
        for into in ("v", "free", "g")
    ),
    (
        Clear("p", ("v", "w")),
        "array 'w' is shared; clear it in a sweep over what is shared",
    ),
    (Clear("p", (), ("no",)), "there is no event buffer 'no'; declare it in the program"),
]

BODY_FAULTS = [
    # Code
    (body("u ="), "line 1 is no abstract code (invalid syntax); write one assignment a line"),
    (
        body("if True: u = 1"),
        "'if True:\n    u = 1' is no assignment to a name; write 'name = ...'",
    ),
    (body("u[0] = 1"), "'u[0] = 1' is no assignment to a name; write 'name = ...'"),
    (body("u = 1 if True else 0"), "bodies have no IfExp; use arithmetic and functions"),
    (body("u = 0 < dt < 1"), "'0 < dt < 1' compares twice; join two comparisons by 'and'"),
    (body("u = 'a'"), "'a' is no number; use numbers and names only"),
    (body("u = exp(1, 2)"), "'exp(1, 2)' should have 1 arguments; give as many"),
    # Names
    (
        body("u = v", {"v": 1.0}, v=V),
        "'v' is both a ref and a constant; rename one",
    ),
    (
        body("u = t", {"t": 1.0}),
        "'t' is a name of every body; rename the ref, constant, draw or time",
    ),
    (body("u = 1", exp=V), "'exp' is a name of every body; rename the ref, constant, draw or time"),
    (body("a = 1", {"a": 1.0}), "'a' is assigned and is no ref or local; rename it"),
    (body("dt = 1"), "'dt' is assigned and is no ref or local; rename it"),
    (
        body("u = nowhere"),
        "'nowhere' has no value; make it a ref or a constant, or assign it before",
    ),
    (body("u = w\nw = 1"), "'w' has no value; make it a ref or a constant, or assign it before"),
    (body("u += 1"), "'u' has no value; make it a ref or a constant, or assign it before"),
    # Refs
    (
        body("u = a", a=Ref("no", ELEMENT)),
        "'a' stands for array 'no', which is not there; declare it",
    ),
    (
        body("u = v", v=Ref("v", ELEMENT, via="no")),
        "'v' stands for array 'no', which is not there; declare it",
    ),
    *(
        (
            body("u = v", v=Ref("v", index)),
            f"'v' has the index {index.name}; legal are here: SCALAR, ELEMENT",
        )
        for index in (SOURCE, TARGET, SYNAPSE)
    ),
    (
        body("u = v", v=Ref("v", ELEMENT, -3)),
        "offset -3 is out of array 'v', whose slots keep 2 other steps; lengthen their history",
    ),
    (
        body("u = free", free=Ref("free", ELEMENT, 1)),
        "offset 1 is out of array 'free', whose slots keep 0 other steps; lengthen their history",
    ),
    (
        body("u = x", x=Ref("x", ELEMENT)),
        "'x' stands for array 'x' of size 2, where ELEMENT needs 3; make them equal",
    ),
    (
        body("u = v", v=Ref("v", ELEMENT, via="w")),
        "'v' goes via array 'w', which is not INT and shared; make it both",
    ),
    (
        body("u = v", v=Ref("v", ELEMENT, via="own_kind")),
        "'v' goes via array 'own_kind', which is not INT and shared; make it both",
    ),
    # Guards
    (
        body("u = 1", guards={"u": "free"}, free=FREE),
        "'u' is guarded and no ref; guard refs only",
    ),
    (
        body("v = 1", guards={"v": "last"}, v=V, last=LAST),
        "'v' is guarded by 'last', which is no BOOL ref; make it one",
    ),
    (
        body("v = 1", guards={"v": "u"}, v=V),
        "'v' is guarded by 'u', which is no BOOL ref; make it one",
    ),
    # Writes and reads
    (
        body("k = 1", k=Ref("kind", ELEMENT)),
        "'k' sets array 'kind', which all instances share; add to it by '+=', or make it per "
        "instance or scratch",
    ),
    (
        body("x = 1", x=Ref("x", ELEMENT, via="kind")),
        "'x' is written via array 'kind'; write it without",
    ),
    (
        body("m = 1", m=Ref("m", SCALAR)),
        "'m' is written as a SCALAR; use a Reduce, or a loop of size 1",
    ),
    (
        body("v = y", v=V, y=Ref("v", ELEMENT, At.SENT)),
        "'y' is taken where its event was sent, and there is no event; use Propagate",
    ),
    (
        body("u = 9223372036854775808"),
        "9223372036854775808 does not fit into 64 bits; write it as a real number",
    ),
    (
        body("u = a", {"a": 2**63}),
        "constant 'a' is 9223372036854775808, which does not fit into 64 bits; make it real",
    ),
    (
        body("u = x\nk += 1", k=Ref("kind", ELEMENT), x=Ref("kind", ELEMENT)),
        "'x' reads array 'kind' before its sum is complete; read it in a sweep over what is shared",
    ),
]

SYNAPSE_FAULTS = [
    (
        body("x = 1", x=Ref("x", ELEMENT)),
        "'x' has the index ELEMENT; legal are here: SCALAR, SOURCE, TARGET, SYNAPSE",
    ),
    (
        body("u = v", v=Ref("v", SOURCE)),
        "'v' stands for array 'v' of size 3, where SOURCE needs 2; make them equal",
    ),
    (
        body("u = x", x=Ref("x", TARGET)),
        "'x' stands for array 'x' of size 2, where TARGET needs 3; make them equal",
    ),
    (
        body("u = x", x=Ref("x", SYNAPSE)),
        "'x' stands for array 'x' of size 2, where SYNAPSE needs 6; make them equal",
    ),
    (
        body("u = w", w=Ref("w", SYNAPSE, via="kind")),
        "'w' stands for array 'kind' of size 3, where SYNAPSE needs 6; make them equal",
    ),
]


@pytest.mark.parametrize(("phase", "fault"), PHASE_FAULTS)
def test_faults_of_phases(phase, fault):
    assert sentence(program(phase)) == f"Program 'net', phase 'p': {fault}."


@pytest.mark.parametrize(("code", "fault"), BODY_FAULTS)
def test_faults_of_bodies(code, fault):
    assert sentence(program(ForEach("p", 3, code))) == f"Program 'net', phase 'p': {fault}."


@pytest.mark.parametrize(("code", "fault"), SYNAPSE_FAULTS)
@pytest.mark.parametrize(
    "phase", [Propagate("p", "inputs", "syn", EMPTY), ForEachSynapse("p", "syn", EMPTY)]
)
def test_faults_of_bodies_of_synapses(phase, code, fault):
    network = program(replace(phase, body=code))
    assert sentence(network) == f"Program 'net', phase 'p': {fault}."


def test_an_unknown_function_is_named_with_the_known_ones():
    text = sentence(program(ForEach("p", 3, body("u = rand()"))))
    assert re.fullmatch(
        r"Program 'net', phase 'p': there is no function 'rand'; there are abs, .*, timestep\.",
        text,
    )


@pytest.mark.parametrize(
    ("phase", "local"),
    [
        (Detect("p", 3, "spikes", EMPTY), "_cond"),
        (Detect("p", 3, "spikes", body("_cond = v > 0", _cond=FREE, v=V)), "_cond"),
        (replace(REDUCE, label="p", body=EMPTY), "_value"),
    ],
)
def test_a_missing_result_is_named(phase, local):
    fault = f"its body does not assign the local '{local}'; assign it"
    assert sentence(program(phase)) == f"Program 'net', phase 'p': {fault}."


def test_a_sweep_over_what_is_shared_may_set_and_read_it():
    verify(shared(STEP), Stage.GENERATION)
    network = shared(ForEach("p", 3, body("v = 1", v=Ref("v", ELEMENT))))
    own = replace(network, arrays=(*network.arrays, Array("v", DType.REAL, 3, OWN)))
    assert sentence(own) == (
        "Program 'net', phase 'p': array 'v' is per instance, and a sweep over what is shared has "
        "no instances; make it shared."
    )
    spikes = replace(shared(Clear("p", (), ("spikes",))), events=EVENTS)
    assert sentence(spikes) == (
        "Program 'net', phase 'p': event buffer 'spikes' is an instance's, and a sweep over what "
        "is shared has no instances; make the sweep one over instances."
    )


@pytest.mark.parametrize("other", [Ref("v", ELEMENT, via="kind"), Ref("v", SCALAR)])
def test_generated_loops_do_not_read_at_other_elements_what_they_write(other):
    code = body("v = x", v=V, x=other)
    network = program(ForEach("p", 3, code))
    verify(network, Stage.CAPTURED)
    assert sentence(network) == (
        "Program 'net', phase 'p': 'x' reads array 'v' at another element than the one it writes; "
        "copy the array in a phase of its own."
    )


SCRATCH = (Array("s", DType.REAL, 3, Access.SCRATCH), Array("v", DType.REAL, 3, OWN))
GRADIENT = Array("gradient", DType.REAL, 3, Access.SHARED)


def training(*phases, clear=True):
    sweeps = [Sweep(Direction.ONCE, (Clear("no gradient", ("gradient",)),), Over.SHARED)] * clear
    sweeps.append(Sweep(Direction.FORWARD, phases))
    return Program("net", 1e-3, (*SCRATCH, GRADIENT), tuple(sweeps))


SET = ForEach("set", 3, body("s = 1", s=Ref("s", ELEMENT)))
ADD = ForEach("add", 3, body("g += s", g=Ref("gradient", ELEMENT), s=Ref("s", ELEMENT)))


def training_sentence(network, gradients):
    with pytest.raises(ProgramError) as caught:
        verify(network, Stage.ADJOINT, gradients)
    return str(caught.value)


def test_a_training_program_adds_to_every_gradient_what_an_instance_has_set():
    known = {"w": "gradient"}
    verify(training(SET, ADD), Stage.ADJOINT, known)
    assert training_sentence(training(SET), known) == (
        "Program 'net': nothing is added to 'gradient', the gradient of 'w'; follow it back."
    )
    assert training_sentence(training(SET, ADD, clear=False), known) == (
        "Program 'net': 'gradient', the gradient of 'w', is never cleared; clear it first."
    )
    assert training_sentence(training(ADD, SET), known) == (
        "Program 'net': phase 'add' sees what another instance left in scratch array 's'; set or "
        "clear it before."
    )
    flag = replace(training(SET, ADD), arrays=(*SCRATCH, GRADIENT, Array("w", DType.BOOL, 3, OWN)))
    assert training_sentence(flag, known) == (
        "Program 'net': parameter 'w' is bool; train real numbers."
    )


FLAG = Array("free", DType.BOOL, 3, OWN)
FIRES = Events("spikes", 3, OWN, Slots())


@pytest.mark.parametrize(
    ("phase", "sees"),
    [
        (ForEachEvent("set", "spikes", SET.body), "add"),
        (
            replace(SET, body=body("s = 1", s=Ref("s", ELEMENT), free=FREE, guards={"s": "free"})),
            "set",
        ),
        (ForEach("set", 3, body("s += 1", s=Ref("s", ELEMENT))), "set"),
    ],
    ids=["events", "guarded", "added"],
)
def test_an_array_is_set_where_every_element_of_it_is(phase, sees):
    network = training(phase, ADD)
    network = replace(network, arrays=(*network.arrays, FLAG), events=(FIRES,))
    assert training_sentence(network, {}) == (
        f"Program 'net': phase '{sees}' sees what another instance left in scratch array 's'; set "
        "or clear it before."
    )


def test_what_is_set_at_events_may_be_read_at_the_same_ones():
    first = ForEachEvent("set", "spikes", SET.body)
    own, late = ForEachEvent("add", "spikes", ADD.body), ForEachEvent("add", "spikes", ADD.body, 1)
    network = replace(training(first, own), events=(replace(FIRES, slots=Slots(1)),))
    verify(network, Stage.ADJOINT, {})
    for phases in ((first, late), (own, first)):
        other = replace(training(*phases), events=(replace(FIRES, slots=Slots(1)),))
        assert "'add' sees what another instance left" in training_sentence(other, {})


def test_what_an_instance_has_set_is_gone_after_a_sweep_over_what_is_shared():
    """Between the two the other instances have had their turn."""
    network = training(SET)
    pause = Sweep(Direction.ONCE, (Clear("clear", ("gradient",)),), Over.SHARED)
    later = Sweep(Direction.FORWARD, (ADD,))
    verify(replace(network, sweeps=(*network.sweeps, later)), Stage.ADJOINT, {})
    assert training_sentence(replace(network, sweeps=(*network.sweeps, pause, later)), {}) == (
        "Program 'net': phase 'add' sees what another instance left in scratch array 's'; set or "
        "clear it before."
    )


def test_event_buffers_with_one_name_are_refused():
    network = program(events=(*EVENTS, EVENTS[0]))
    assert "declarations have the name 'spikes" in sentence(network)
