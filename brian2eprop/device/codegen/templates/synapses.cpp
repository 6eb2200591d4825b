{# Loops over synapses, by those whose rows they are. #}
{% from "elements.cpp" import lines with context %}
{% from "events.cpp" import events_at with context %}

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

{# Which row is next nobody could foresee: it is fetched while this one is done. #}
{% macro fetch_next(view, end) %}
{% import "connectivity/" ~ view.row.connectivity.kind ~ ".cpp" as found with context %}
{% set what = found.fetch(view) | trim %}
{% if dialect.fetches and what and not view.phase.reverse %}
if (event + 1 < {{ end }}) {
    const int next = indices[event + 1];
    {{ what | indent(4) }}
}
{% endif %}
{% endmacro %}

{% macro events_of(view, offset) %}
{% set own = view.part == view.row.neuron %}
{% set end = "after" if own else "count" %}
{% set fetched = fetch_next(view, end) | trim %}
{{ events_at(view.phase.events, offset, own) | trim }}
{{ in_order(view, "event", "before" if own else "0", end) }} {
    const int {{ view.row.neuron }} = indices[event];
    {% if fetched %}
    {{ fetched | indent(4) }}
    {% endif %}
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

{% set macros = [("Propagate", Propagate), ("ForEachSynapse", ForEachSynapse)] %}
