{# The phases of a sweep, each by the macro of its kind. #}

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
{% for view in merged(views) %}
{{ "if (mine.leads()) " if view.part == "leader" }}{ // {% for other in view.along %}{{ other.phase.label }}, {% endfor %}{{ view.phase.label }}
    {{ macros[view.kind](view) | trim | indent(4) }}
}
B2E_BARRIER();
{% endfor %}
{% endmacro %}

{% import "elements.cpp" as elements with context %}
{% import "events.cpp" as events with context %}
{% import "synapses.cpp" as synapses with context %}
{% import "choose.cpp" as choose with context %}
{% import "rewire.cpp" as rewire with context %}
{% import "grow.cpp" as grow with context %}
{% import "expand.cpp" as expand with context %}
{% set macros = dict(elements.macros + events.macros + synapses.macros + choose.macros + rewire.macros + grow.macros + expand.macros) %}
{# What goes before the kernel where there is a phase of the kind. #}
{% set headers = dict(elements.headers + choose.headers + rewire.headers + expand.headers) %}
