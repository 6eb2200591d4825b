{# The loop along a row, however a kind of connectivity finds its synapses. #}
{% macro synapse(view, inner) %}
{{ inner | trim }}
{% for condition in view.row.skips %}
if ({{ condition }}) continue;
{% endfor %}
{% for line in view.lines.each %}
{{ line }}
{% endfor %}
{% endmacro %}

{% macro along(view, index, n, inner) %}
{% if view.lines.order.value == "serial" and view.phase.reverse %}
if (B2E_LEADER) for (int {{ index }} = {{ n }} - 1; {{ index }} >= 0; --{{ index }}) {
{% elif view.lines.order.value == "serial" %}
if (B2E_LEADER) for (int {{ index }} = 0; {{ index }} < {{ n }}; ++{{ index }}) {
{% elif view.part == view.row.other and index == view.row.other %}
{{ dialect.own_loop(index, n) }} {
{% elif view.row.shared and not view.row.connectivity.unique %}
{{ words.loop(index, n) }} {
{% elif view.lines.sums %}
{{ words.reduction_loop(index, n, view.lines.sums, "sum") }} {
{% else %}
{{ words.simd_loop(index, n) }} {
{% endif %}
    {{ synapse(view, inner) | trim | indent(4) }}
}
{% endmacro %}
