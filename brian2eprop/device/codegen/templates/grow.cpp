{# Synapses whose number changes, and the tables from the targets' side. #}
{% from "elements.cpp" import lines with context %}
{% import "kept_rows.cpp" as rows_of with context %}

{# The places of a row that are empty, and what is done where the body takes one. #}
{% macro each_place(view, start, kept, columns, taken_already) %}
int old = {{ start }}[source];
for (int target = 0; target < {{ columns }}; ++target) {
    if (old < {{ start }}[source + 1] && {{ kept }}[old] == target) {
        {{ taken_already }}
        ++old;
        continue;
    }
    const long long element = source * {{ columns }}ll + target;
    {{ lines(view.lines.each) | trim | indent(4) }}
    {{ caller() | trim | indent(4) }}
}
{% endmacro %}

{% macro Grow(view) %}
{% set found = program.find_connectivity(view.phase.connectivity) %}
{% set n, rows, columns = found.size, found.n_source, found.n_target %}
{% macro part(name) %}{{ pointers[view.phase.part(name)] }}{% endmacro %}
{% set row, target = pointers[found.table("row")], pointers[found.table("target")] %}
{% set marks, origin, start, kept, before = part("marks"), part("origin"), part("start"), part("kept"), part("before") %}
{% set grown, needed = part("grown"), part("needed") %}
{{ lines(view.lines.before) }}
{{ rows_of.keep_rows(found, part) | trim }}
{{ words.loop("source", rows) }} {
    int number = 0;
    {% call each_place(view, start, kept, columns, "") %}
    number += bool(_taken);
    {% endcall %}
    {{ grown }}[source] = number;
}
B2E_BARRIER();
if (B2E_LEADER) {
    long long all = {{ start }}[{{ rows }}];
    for (int source = 0; source < {{ rows }}; ++source) all += {{ grown }}[source];
    {{ needed }}[0] = all < 0x7fffffff ? int(all) : 0x7fffffff;
    if (all <= {{ n }}) {{ part("formed") }}[0] += int(all) - {{ start }}[{{ rows }}];
}
B2E_BARRIER();
if ({{ needed }}[0] <= {{ n }}) {
    {{ words.loop("source", rows) }} {{ row }}[source + 1] = {{ start }}[source + 1] - {{ start }}[source] + {{ grown }}[source];
    {{ rows_of.summed_up(row, rows) | trim | indent(4) }}
}
{{ words.loop("k", n) }} {
    {{ origin }}[k] = k;
    {{ marks }}[k] = 0;
}
B2E_BARRIER();
if ({{ needed }}[0] <= {{ n }})
    {{ words.loop("source", rows) }} {
        int k = {{ row }}[source];
        {% set stays %}
{{ target }}[k] = target;
        {{ origin }}[k++] = {{ before }}[old];
        {%- endset %}
        {% call each_place(view, start, kept, columns, stays) %}
        if (_taken) {
            {{ target }}[k] = target;
            {{ marks }}[k++] = 1;
        }
        {% endcall %}
    }
{% endmacro %}

{% macro Transpose(view) %}
{% set found = program.find_connectivity(view.phase.connectivity) %}
{% macro table(name) %}{{ pointers[found.table(name)] }}{% endmacro %}
{% set row, target, column = table("row"), table("target"), table("column") %}
{% set source_of, synapse_of, end = table("source"), table("synapse"), pointers[view.phase.end] %}
{{ words.loop("target", found.n_target + 1) }} {{ column }}[target] = 0;
B2E_BARRIER();
{{ words.loop("source", found.n_source) }}
    for (int k = {{ row }}[source]; k < {{ row }}[source + 1]; ++k) b2e::take({{ column }} + {{ target }}[k] + 1);
{{ rows_of.summed_up(column, found.n_target) | trim }}
{{ words.loop("target", found.n_target) }} {{ end }}[target] = {{ column }}[target];
B2E_BARRIER();
{{ words.loop("source", found.n_source) }}
    for (int k = {{ row }}[source]; k < {{ row }}[source + 1]; ++k) {
        const int at = b2e::take({{ end }} + {{ target }}[k]);
        {{ source_of }}[at] = source;
        {{ synapse_of }}[at] = k;
    }
B2E_BARRIER();
// Threads have filled in as they came; synapses ascend.
{{ words.loop("target", found.n_target) }}
    for (int at = {{ column }}[target] + 1; at < {{ column }}[target + 1]; ++at) {
        const int source = {{ source_of }}[at], synapse = {{ synapse_of }}[at];
        int to = at;
        for (; to > {{ column }}[target] && {{ synapse_of }}[to - 1] > synapse; --to) {
            {{ source_of }}[to] = {{ source_of }}[to - 1];
            {{ synapse_of }}[to] = {{ synapse_of }}[to - 1];
        }
        {{ source_of }}[to] = source;
        {{ synapse_of }}[to] = synapse;
    }
{% endmacro %}

{% set macros = [("Grow", Grow), ("Transpose", Transpose)] %}
