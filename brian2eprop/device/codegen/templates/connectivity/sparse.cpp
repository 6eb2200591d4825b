{# Rows of a sparse connectivity: compressed by source, or the tables by target that follow. #}
{% import "rows.cpp" as rows with context %}
{% macro row(view) %}
{% set found = view.row.connectivity %}
{% set starts = pointers[found.table("row" if view.row.by_source else "column")] %}
{% set others = pointers[found.table("target" if view.row.by_source else "source")] %}
{% set backward = view.phase.reverse and view.lines.order.value != "serial" %}
{% set entry = "row_start + row_length - 1 - position" if backward else "row_start + position" %}
{% if view.part == view.row.other %}
const b2e::Part part = mine.part({{ others }}, {{ starts }}[{{ view.row.neuron }}], {{ starts }}[{{ view.row.neuron }} + 1], {{ view.row.length }});
const int row_start = part.start;
const int row_length = part.length;
{% else %}
const int row_start = {{ starts }}[{{ view.row.neuron }}];
const int row_length = {{ starts }}[{{ view.row.neuron }} + 1] - row_start;
{% endif %}
{% if view.row.shared and dialect.shares_rows and not found.unique %}
{{ words.loop("position", "row_length") }} {
    const int {{ view.row.other }} = {{ others }}[row_start + position];
    // The synapses of one neighbour lie side by side and are done by one thread, in order.
    {% if view.phase.reverse %}
    if (position + 1 < row_length && {{ others }}[row_start + position + 1] == {{ view.row.other }}) continue;
    for (int entry = row_start + position; entry >= row_start && {{ others }}[entry] == {{ view.row.other }}; --entry) {
    {% else %}
    if (position > 0 && {{ others }}[row_start + position - 1] == {{ view.row.other }}) continue;
    for (int entry = row_start + position; entry < row_start + row_length && {{ others }}[entry] == {{ view.row.other }}; ++entry) {
    {% endif %}
        {{ rows.synapse(view, "const int synapse = " ~ number(view, "entry") ~ ";") | trim | indent(8) }}
    }
}
{% else %}
{{ rows.along(view, "position", "row_length",
    "const int synapse = " ~ number(view, entry) ~ ";\nconst int " ~ view.row.other ~ " = " ~ others ~ "["
    ~ ("synapse" if view.row.by_source else entry) ~ "];") }}
{% endif %}
{% endmacro %}

{% macro number(view, entry) -%}
{{ entry if view.row.by_source else pointers[view.row.connectivity.table("synapse")] ~ "[" ~ entry ~ "]" }}
{%- endmacro %}

{# Where the row of the neuron `next` lies. #}
{% macro fetch(view) %}
{% set found = view.row.connectivity %}
{% set starts = pointers[found.table("row" if view.row.by_source else "column")] %}
{% set tables = ["target"] if view.row.by_source else ["source", "synapse"] %}
{% set arrays = view.lines.by_synapse if view.row.by_source else () %}
const int start = {{ starts }}[next], length = {{ starts }}[next + 1] - start;
{% for table in tables %}
b2e::fetch({{ pointers[found.table(table)] }} + start, length);
{% endfor %}
{% for array in arrays %}
b2e::fetch({{ array }} + start, length);
{% endfor %}
{% endmacro %}
