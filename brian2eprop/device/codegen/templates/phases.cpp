{# One macro a kind of phase; `words` supplies the loops, `slot` the pointers. #}
{% macro body(views) %}
{% for clock, due in by_clock(views) %}
{% if clock is none %}
{{ each(due) | trim }}
{% else %}
{{ when_due(clock, due) | trim }}
{% endif %}
{% endfor %}
{% endmacro %}

{# What a clock's phases take for step and time hides those of the Program. #}
{% macro when_due(clock, due) %}
{% if clock.every %}
if (step % {{ clock.every }} == 0) {
    const double dt_double = constants[{{ clock.dt }}];
    const real dt = real(dt_double);
    const long long program_step = step;
    const long long step = program_step / {{ clock.every }};
    const double t = step * dt_double;
{% else %}
if (const int listed = b2e::position({{ clock.steps }}, {{ clock.size }}, step); listed >= 0) {
    const long long program_step = step;
    const long long step = listed;
    const double t = {{ clock.times }}[listed];
{% endif %}
    {{ each(due) | trim | indent(4) }}
}
{% endmacro %}

{% macro each(views) %}
{% for view in views %}
{{ "if (mine.leads()) " if view.part == "leader" }}{ // {{ view.phase.label }}
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

{# The body for each element, and what follows it; random numbers are drawn for some at once. #}
{% macro for_each_element(view, then="") %}
{% set own = view.part == "element" %}
{% if view.lines.some %}
{% set stop = "mine.last(" ~ view.phase.size ~ ")" if own else view.phase.size %}
for (int first = {{ "mine.first(" ~ view.phase.size ~ ")" if own else 0 }}; first < {{ stop }}; first += {{ at_once }}) {
    const int n = b2e::between(0, {{ stop }} - first, {{ at_once }});
    {{ lines(view.lines.some) | trim | indent(4) }}
    {{ words.simd_loop("number", "n") | indent(4) }} {
        const int element = first + number;
        {{ (lines(view.lines.each) ~ then) | trim | indent(8) }}
    }
}
{% else %}
{{ (dialect.own_loop if own else words.simd_loop)("element", view.phase.size) }} {
    {{ (lines(view.lines.each) ~ then) | trim | indent(4) }}
}
{% endif %}
{% endmacro %}

{% macro ForEach(view) %}
{{ lines(view.lines.before) }}
{{ for_each_element(view) | trim }}
{% endmacro %}

{# Those of a member's own neurons lie side by side. #}
{% macro events_at(events, offset, own) %}
b2e::ptr<int> indices = {{ slot(index_of[events], offset) }};
const int count = {{ slot(count_of[events], offset) }}[0];
{% if own %}
{% set size = program.find_events(events).size %}
const int before = b2e::first_from(indices, count, mine.first({{ size }}));
const int after = b2e::first_from(indices, count, mine.last({{ size }}));
{% endif %}
{% endmacro %}

{% macro ForEachEvent(view) %}
{% set own = view.part == "element" %}
{{ lines(view.lines.before) }}
{{ events_at(view.phase.events, -view.phase.delay, own) | trim }}
{{ words.loop("event", "after - before" if own else "count") }} {
    const int element = indices[{{ "before + event" if own else "event" }}];
    {{ lines(view.lines.each) | trim | indent(4) }}
}
{% endmacro %}

{% macro Detect(view) %}
{% set events = view.phase.events %}
{{ lines(view.lines.before) }}
{% if not view.own_flags %}
b2e::ptr<int> flags = {{ slot(index_of[events]) }};
{% else %}
B2E_SHARED(unsigned char, flags, {{ round8(view.phase.size) }});
{% endif %}
{% if view.own_flags and view.phase.size % 8 %}
{{ words.loop("beyond", 8 - view.phase.size % 8) }} flags[{{ view.phase.size }} + beyond] = 0;
{% endif %}
{{ for_each_element(view, "flags[element] = _cond;") | trim }}
B2E_BARRIER();
b2e::ptr<int> indices = {{ slot(index_of[events]) }};
const int count = b2e::compact(flags, {{ view.phase.size }}, indices);
if (B2E_LEADER) {{ slot(count_of[events]) }}[0] = count;
{% if view.lines.on_event %}
B2E_BARRIER();
{{ words.loop("event", "count") }} {
    const int element = indices[event];
    {{ lines(view.lines.on_event) | trim | indent(4) }}
}
{% endif %}
{% endmacro %}

{# The two halves of a Detect that a team shares. #}
{% macro Mark(view) %}
{% set events = view.phase.events %}
{{ lines(view.lines.before) }}
{% if dialect.meets %}
unsigned char* flags = mine.flags({{ view.phase.size }});
{% else %}
b2e::ptr<int> flags = {{ slot(index_of[events]) }};
{% endif %}
{{ for_each_element(view, "flags[element] = _cond;") | trim }}
{% if dialect.meets %}
mine.mark({{ view.number }}, {{ view.phase.size }});
{% endif %}
{% endmacro %}

{% macro Gather(view) %}
{% set events = view.phase.events %}
{{ lines(view.lines.before) }}
b2e::ptr<int> indices = {{ slot(index_of[events]) }};
{% if dialect.meets %}
const b2e::List list = mine.gather({{ view.number }}, {{ view.phase.size }}, indices);
if (mine.leads()) {{ slot(count_of[events]) }}[0] = list.length;
const int before = list.start, count = list.own;
{% else %}
const int before = 0, count = b2e::compact(indices, {{ view.phase.size }}, indices);
if (B2E_LEADER) {{ slot(count_of[events]) }}[0] = count;
B2E_BARRIER();
{% endif %}
{% if view.lines.on_event %}
{{ words.loop("event", "count") }} {
    const int element = indices[before + event];
    {{ lines(view.lines.on_event) | trim | indent(4) }}
}
{% endif %}
{% endmacro %}

{% macro chosen_events(phase) %}
b2e::ptr<int> indices = {{ slot(index_of[phase.events], -phase.delay) }};
const int first = b2e::first_from(indices, {{ slot(count_of[phase.events], -phase.delay) }}[0], {{ phase.first }});
const int last = b2e::first_from(indices, {{ slot(count_of[phase.events], -phase.delay) }}[0], {{ phase.stop }});
{% endmacro %}

{% macro Record(view) %}
{{ lines(view.lines.before) }}
{{ chosen_events(view.phase) | trim }}
const int end = {{ pointers[view.phase.end] }}[0];
{{ words.loop("event", "last - first") }} {
    const int element = indices[first + event];
    const int entry = end + event;
    {{ lines(view.lines.each) | trim | indent(4) }}
}
B2E_BARRIER();
if (B2E_LEADER) {{ pointers[view.phase.end] }}[0] = end + last - first;
{% endmacro %}

{% macro Count(view) %}
{{ chosen_events(view.phase) | trim }}
if (B2E_LEADER) {{ slot(view.phase.into) }}[0] = last - first;
{% endmacro %}

{% macro Feed(view) %}
{% set events = view.phase.events %}
b2e::ptr<int> indices = {{ slot(index_of[events]) }};
const b2e::Spikes spikes = b2e::spikes_of(streams, stream_steps, {{ streams[view.phase.stream] }}, instance, step);
{{ words.simd_loop("event", "spikes.count") }} indices[event] = spikes.index[event];
if (B2E_LEADER) {{ slot(count_of[events]) }}[0] = spikes.count;
{% endmacro %}

{% macro go_along(view) %}
{% for line in view.lines.row_before %}
{{ line }}
{% endfor %}
{% import "connectivity/" ~ view.row.connectivity.kind ~ ".cpp" as found with context %}
{{ found.row(view) | trim }}
{% for line in view.lines.row_after %}
{{ line }}
{% endfor %}
{% if view.row.shared and dialect.shares_rows %}
B2E_BARRIER();
{% endif %}
{% endmacro %}

{% macro in_order(view, index, first, end) -%}
{% if view.phase.reverse -%}
for (int {{ index }} = {{ end }} - 1; {{ index }} >= {{ first }}; --{{ index }})
{%- else -%}
for (int {{ index }} = {{ first }}; {{ index }} < {{ end }}; ++{{ index }})
{%- endif %}
{%- endmacro %}

{% macro events_of(view, offset) %}
{% set own = view.part == view.row.neuron %}
{{ events_at(view.phase.events, offset, own) | trim }}
{{ in_order(view, "event", "before" if own else "0", "after" if own else "count") }} {
    const int {{ view.row.neuron }} = indices[event];
    {{ go_along(view) | trim | indent(4) }}
}
{% endmacro %}

{% macro Propagate(view) %}
{{ lines(view.lines.before) }}
{% if view.delays is none %}
{{ events_of(view, -view.phase.delay) | trim }}
{% else %}
{% if view.phase.reverse %}
for (int delay = 0; delay <= {{ view.delays }}; ++delay) {
{% else %}
for (int delay = {{ view.delays }}; delay >= 0; --delay) {
{% endif %}
    {{ lines(view.lines.sent) | trim | indent(4) }}
    {{ events_of(view, "-delay") | trim | indent(4) }}
}
{% endif %}
{% endmacro %}

{% macro ForEachSynapse(view) %}
{{ lines(view.lines.before) }}
{% set own = view.part == view.row.neuron %}
{% set first = "mine.first(%d)" % view.row.rows if own else "0" %}
{% set end = "mine.last(%d)" % view.row.rows if own else view.row.rows %}
{{ in_order(view, view.row.neuron, first, end) }} {
    {{ go_along(view) | trim | indent(4) }}
}
{% endmacro %}

{% macro Reduce(view) %}
{% set operation = view.phase.operation.value %}
{{ lines(view.lines.before) }}
real result = {{ "0" if operation == "sum" else "-INFINITY" }};
{{ words.reduction_loop("element", view.phase.size, ["result"], operation) }} {
    {{ lines(view.lines.each) | trim | indent(4) }}
    {{ "result += _value;" if operation == "sum" else "result = _value > result ? _value : result;" }}
}
result = b2e::block_{{ operation }}(result);
if (B2E_LEADER) {{ slot(view.phase.into) }}[0] = result;
{% endmacro %}

{% macro Clear(view) %}
{% for name in view.phase.arrays %}
{{ words.clear(pointers[name], sizes[name]) }}
{% endfor %}
{% for name in view.phase.events %}
{{ words.clear(pointers[count_of[name]], sizes[count_of[name]]) }}
{% endfor %}
{% endmacro %}

{# One thread: a node waits for its children, and its parent for the node. #}
{% macro TreeSolve(view) %}
{% set phase = view.phase %}
if (B2E_LEADER)
    b2e::solve_tree({{ sizes[phase.parent] }}, {{ pointers[phase.parent] }}, {{ pointers[phase.leak] }}, {{ pointers[phase.coupling] }}, {{ pointers[phase.source] }});
{% endmacro %}

{% import "rewire.cpp" as rewire with context %}
{% set macros = {"ForEach": ForEach, "ForEachEvent": ForEachEvent, "Detect": Detect, "Mark": Mark, "Gather": Gather, "Feed": Feed, "Record": Record, "Count": Count,
                 "Propagate": Propagate, "ForEachSynapse": ForEachSynapse, "Reduce": Reduce,
                 "Clear": Clear, "TreeSolve": TreeSolve, "Choose": rewire.Choose, "Rewire": rewire.Rewire} %}
{# What goes before the kernel where there is a phase of the kind. #}
{% set headers = {"TreeSolve": "tree.h", "Choose": "rewire.h", "Rewire": "rewire.h"} %}
