{# What every part has: the bases of its arrays, its constants, and its sweeps step by step. #}
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
{% macro open_kernel(name, step) %}
B2E_KERNEL {{ name }}(void* const* arrays, const long long* lengths, const long long* depths,
                   const double* constants, void* const* streams, const long long* stream_steps,
                   {{ step }}, long long n_steps, int instances) {
    {{ constants_and_depths() | indent(4) }}
{%- endmacro %}
{% macro open_part() %}
{% if dialect.name == "cuda" %}
{{ open_kernel(entry, "long long first_step") }}
{% else %}
{
{% endif %}
{%- endmacro %}
{% macro once() %}
[[maybe_unused]] const int instance = 0;  // of what is shared there is one
const long long step = first_step;
const double t = step * dt_double;
{%- endmacro %}
{% macro sweeps_in_order(found=sweeps, first="first_step") %}
{% for sweep in found %}
{% if sweep.kind == "chunks" %}
for (long long chunk = {{ first }}; chunk < {{ first }} + {{ sweep.steps }}; chunk += {{ sweep.length }}) {
    const long long chunk_steps = b2e::between(0, {{ first }} + {{ sweep.steps }} - chunk, {{ sweep.length }});
    {{ sweeps_in_order(sweep.sweeps, "chunk") | trim | indent(4) }}
}
{% elif sweep.kind == "once" %}
{
    const long long step = {{ first }};
    const double t = step * dt_double;
    {{ phases.body(sweep.views) | trim | indent(4) }}
}
{% elif sweep.kind == "forward" %}
for (long long step = {{ first }}; step < {{ first }} + {{ sweep.steps }}; ++step) {
    const double t = step * dt_double;
    {{ phases.body(sweep.views) | trim | indent(4) }}
}
{% else %}
for (long long step = {{ first }} + {{ sweep.steps }} - 1; step >= {{ first }}; --step) {
    const double t = step * dt_double;
    {{ phases.body(sweep.views) | trim | indent(4) }}
}
{% endif %}
{% endfor %}
{%- endmacro %}
