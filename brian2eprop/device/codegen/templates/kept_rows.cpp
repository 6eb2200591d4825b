{# The rows of synapses that are taken away and formed, each met by one thread of a block. #}

{# How many synapses each row has become the numbers from which on they lie. #}
{% macro summed_up(starts, rows) %}
B2E_BARRIER();
if (B2E_LEADER) {
    {{ starts }}[0] = 0;
    for (int row = 0; row < {{ rows }}; ++row) {{ starts }}[row + 1] += {{ starts }}[row];
}
B2E_BARRIER();
{% endmacro %}

{# Lists, row by row, of the synapses that stay: their targets, and where they were. #}
{% macro keep_rows(found, part) %}
{% set rows, row, target = found.n_source, pointers[found.table("row")], pointers[found.table("target")] %}
{% set marks, start = part("marks"), part("start") %}
{{ words.loop("source", rows) }} {
    int left = 0;
    for (int k = {{ row }}[source]; k < {{ row }}[source + 1]; ++k) left += !{{ marks }}[k];
    {{ start }}[source + 1] = left;
}
{{ summed_up(start, rows) | trim }}
{{ words.loop("source", rows) }} {
    int at = {{ start }}[source];
    for (int k = {{ row }}[source]; k < {{ row }}[source + 1]; ++k) {
        if ({{ marks }}[k]) continue;
        {{ part("kept") }}[at] = {{ target }}[k];
        {{ part("before") }}[at++] = k;
    }
}
B2E_BARRIER();
{% endmacro %}
