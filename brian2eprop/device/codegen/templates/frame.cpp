{# What both dialects share: the arrays in order, and the sweeps of one instance. #}
{% import "phases.cpp" as phases with context %}
{% macro array_base(view) %}
b2e::array<{{ view.type }}>(arrays, lengths, {{ view.number }})
{%- endmacro %}
{% macro constants_and_depths() %}
{% for depth in depths %}
const int {{ depth }} = int(depths[{{ loop.index0 }}]);
{% endfor %}
const double dt_double = constants[0];
const real dt = real(dt_double);
{%- endmacro %}
{% macro instance_sweeps() %}
{% for direction, views in sweeps %}
{% if direction == "once" %}
{
    const long long step = first_step;
    const double t = step * dt_double;
    {{ phases.body(views) | trim | indent(4) }}
}
{% elif direction == "forward" %}
for (long long step = first_step; step < first_step + n_steps; ++step) {
    const double t = step * dt_double;
    {{ phases.body(views) | trim | indent(4) }}
}
{% else %}
for (long long step = first_step + n_steps - 1; step >= first_step; --step) {
    const double t = step * dt_double;
    {{ phases.body(views) | trim | indent(4) }}
}
{% endif %}
{% endfor %}
{%- endmacro %}
// {{ program.name }}
{% for view in arrays %}
// {{ view.pointer }}: {{ view.array.name }} ({{ view.array.access.value }})
{% endfor %}
typedef {{ real }} real;
{% for header in headers %}
{{ header }}
{% endfor %}
{% block entry %}{% endblock %}
