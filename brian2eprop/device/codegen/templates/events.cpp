{# What finds, brings, hears and records events. #}
{% from "elements.cpp" import lines, for_each_element with context %}

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
b2e::ptr<int> indices = {{ slot(index_of[events]) }};
int count = 0;
{{ "if (%s) " | format(view.only_if | join(" && ")) if view.only_if }}{
    {{ find(view) | trim | indent(4) }}
}
if (B2E_LEADER) {{ slot(count_of[events]) }}[0] = count;
{% if view.lines.on_event %}
B2E_BARRIER();
{{ words.loop("event", "count") }} {
    const int element = indices[event];
    {{ lines(view.lines.on_event) | trim | indent(4) }}
}
{% endif %}
{% endmacro %}

{% macro find(view) %}
{% if not view.own_flags %}
b2e::ptr<int> flags = indices;
{% else %}
B2E_SHARED(unsigned char, flags, {{ round8(view.phase.size) }});
{% endif %}
{% if view.own_flags and view.phase.size % 8 %}
{{ words.loop("beyond", 8 - view.phase.size % 8) }} flags[{{ view.phase.size }} + beyond] = 0;
{% endif %}
{{ for_each_element(view, "flags[element] = _cond;") | trim }}
B2E_BARRIER();
count = b2e::compact(flags, {{ view.phase.size }}, indices);
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

{% set macros = [("ForEachEvent", ForEachEvent), ("Detect", Detect), ("Mark", Mark), ("Gather", Gather), ("Feed", Feed), ("Record", Record), ("Count", Count)] %}
