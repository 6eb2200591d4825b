{# One macro a kind of phase; `dialect` supplies the loops, `slot` the pointers. #}
{% macro body(views) %}
{% for view in views %}
{ // {{ view.phase.label }}
    {{ macros[view.kind](view) | trim | indent(4) }}
}
B2E_BARRIER();
{% endfor %}
{% endmacro %}

{% macro lines(parts) %}
{% for line in parts %}
{{ line }}
{% endfor %}
{% endmacro %}

{% macro ForEach(view) %}
{{ lines(view.lines.before) }}
{{ dialect.simd_loop("element", view.phase.size) }} {
    {{ lines(view.lines.each) | trim | indent(4) }}
}
{% endmacro %}

{% macro ForEachEvent(view) %}
{% set events = events[view.phase.events] %}
{{ lines(view.lines.before) }}
b2e::ptr<int> indices = {{ slot(events.index) }};
const int count = {{ slot(events.count) }}[0];
{{ dialect.loop("event", "count") }} {
    const int element = indices[event];
    {{ lines(view.lines.each) | trim | indent(4) }}
}
{% endmacro %}

{% macro Detect(view) %}
{% set events = events[view.phase.events] %}
{{ lines(view.lines.before) }}
{% if not view.own_flags %}
b2e::ptr<int> flags = {{ slot(events.index) }};
{% else %}
B2E_SHARED(unsigned char, flags, {{ round8(view.phase.size) }});
{% endif %}
{% if view.own_flags and view.phase.size % 8 %}
{{ dialect.loop("beyond", 8 - view.phase.size % 8) }} flags[{{ view.phase.size }} + beyond] = 0;
{% endif %}
{{ dialect.simd_loop("element", view.phase.size) }} {
    {{ lines(view.lines.each) | trim | indent(4) }}
    flags[element] = _cond;
}
B2E_BARRIER();
const int count = b2e::compact(flags, {{ view.phase.size }}, {{ slot(events.index) }});
if (B2E_LEADER) {{ slot(events.count) }}[0] = count;
{% endmacro %}

{% macro Feed(view) %}
{% set events = events[view.phase.events] %}
b2e::ptr<int> indices = {{ slot(events.index) }};
const b2e::Spikes spikes = b2e::spikes_of(streams, stream_steps, {{ streams[view.phase.stream] }}, instance, step);
{{ dialect.simd_loop("event", "spikes.count") }} indices[event] = spikes.index[event];
if (B2E_LEADER) {{ slot(events.count) }}[0] = spikes.count;
{% endmacro %}

{% macro synapse_loop(view, index, n, inner) %}
{% if view.lines.order.value == "serial" %}
if (B2E_LEADER) for (int {{ index }} = 0; {{ index }} < {{ n }}; ++{{ index }}) {
{% elif view.lines.order.value == "free" or view.connectivity.unique %}
{{ dialect.simd_loop(index, n) }} {
{% else %}
{{ dialect.loop(index, n) }} {
{% endif %}
    {{ inner | trim | indent(4) }}
    {{ lines(view.lines.each) | trim | indent(4) }}
}
{% endmacro %}

{% macro synapses_of_source(view) %}
{% set connectivity = view.connectivity %}
{% if connectivity.kind.value == "sparse" %}
const int row_start = {{ pointers[connectivity.row] }}[source];
const int row_length = {{ pointers[connectivity.row] }}[source + 1] - row_start;
{{ synapse_loop(view, "position", "row_length",
    "const int synapse = row_start + position;\nconst int target = " ~ pointers[connectivity.target] ~ "[synapse];") }}
{% elif connectivity.diagonal %}
const long long row_start = (long long)source * {{ connectivity.n_target }};
{{ synapse_loop(view, "target", connectivity.n_target, "const long long synapse = row_start + target;") }}
{% elif dialect.splits_rows %}
const long long row_start = (long long)source * {{ connectivity.n_target - 1 }};
{{ synapse_loop(view, "target", "source", "const long long synapse = row_start + target;") }}
{{ synapse_loop(view, "position", (connectivity.n_target - 1) ~ " - source",
    "const int target = source + 1 + position;\nconst long long synapse = row_start + source + position;") }}
{% else %}
const long long row_start = (long long)source * {{ connectivity.n_target - 1 }};
{{ synapse_loop(view, "target", connectivity.n_target,
    "if (target == source) continue;\nconst long long synapse = row_start + target - (target > source);") }}
{% endif %}
{% endmacro %}

{% macro Propagate(view) %}
{% set events = events[view.phase.events] %}
{{ lines(view.lines.before) }}
b2e::ptr<int> indices = {{ slot(events.index, view.phase.offset) }};
const int count = {{ slot(events.count, view.phase.offset) }}[0];
for (int event = 0; event < count; ++event) {
    const int source = indices[event];
    {{ synapses_of_source(view) | trim | indent(4) }}
}
{% endmacro %}

{% macro ForEachSynapse(view) %}
{{ lines(view.lines.before) }}
for (int source = 0; source < {{ view.connectivity.n_source }}; ++source) {
    {{ synapses_of_source(view) | trim | indent(4) }}
}
{% endmacro %}

{% macro Reduce(view) %}
{% set operation = view.phase.operation.value %}
{{ lines(view.lines.before) }}
real result = {{ "0" if operation == "sum" else "-INFINITY" }};
{{ dialect.reduction_loop("element", view.phase.size, "result", operation) }} {
    {{ lines(view.lines.each) | trim | indent(4) }}
    {{ "result += _value;" if operation == "sum" else "result = _value > result ? _value : result;" }}
}
result = b2e::block_{{ operation }}(result);
if (B2E_LEADER) {{ slot(view.phase.into) }}[0] = result;
{% endmacro %}

{% macro Clear(view) %}
{% for name in view.phase.arrays %}
b2e::clear({{ pointers[name] }}, {{ sizes[name] }});
{% endfor %}
{% endmacro %}

{% set macros = {"ForEach": ForEach, "ForEachEvent": ForEachEvent, "Detect": Detect, "Feed": Feed,
                 "Propagate": Propagate, "ForEachSynapse": ForEachSynapse, "Reduce": Reduce,
                 "Clear": Clear} %}
