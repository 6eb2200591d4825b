"""Pathways that no spike takes: by them a learning signal comes straight to some neurons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from brian2eprop.device.program import Body, Dense, Index, Propagate, Ref
from brian2eprop.learning.model.linearise import Effect
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.symbolic import symbol


def with_broadcasts(model: Model, events: Iterable[str], outputs: Iterable[str]) -> Model:
    """The model with a pathway from each of some populations straight to each output.

    Through it a spike would add a weight to the output at the end of its step. It is followed
    back as others are, and not run on the way there.

    Parameters
    ----------
    model : Model
        The model.
    events : iterable of str
        The spikes of the populations.
    outputs : iterable of str
        Arrays of the outputs.
    """
    outputs = tuple(outputs)
    for name in events:
        for output in outputs:
            model = _with_pathway(model, name, output)
    return model


def _with_pathway(model: Model, events: str, output: str) -> Model:
    label = f"{events}:{output}"
    pathway = Dense(label, model.events[events].size, model.arrays[output].size)
    refs = {"output": Ref(output, Index.TARGET), "weight": Ref(label, Index.SYNAPSE)}
    body = Body("output += weight", refs)
    return replace(
        model,
        phases=(*model.phases, Propagate(label, events, label, body)),
        effects={
            **model.effects,
            len(model.phases): Effect(body, {"output": symbol("weight")}),
        },
        connectivities={**model.connectivities, label: pathway},
        n_imagined=model.n_imagined + 1,
    )
