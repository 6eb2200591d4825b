{# Synapses that are taken away and formed; rows are shared by the threads of a block. #}
{% from "choose.cpp" import greatest with context %}
{% from "elements.cpp" import lines with context %}
{% import "kept_rows.cpp" as rows_of with context %}

{# Candidates are drawn, those that are taken put into lists, until none is missing. #}
{% macro by_chance(view, found, part) %}
{% set n, rows, columns, start, kept = found.size, found.n_source, found.n_target, part("start"), part("kept") %}
{% set head, next, node, count = part("head"), part("next"), part("node"), part("count") %}
const long long empty = {{ rows }}ll * {{ columns }} - left;
const b2e::Draws placedraws = b2e::draws_of({{ pointers[keys] }}, {{ program.draws.index(view.phase.place) }}, step, instance);
long long drawn = 0;
for (int round = 0; missing > 0 && round < {{ view.phase.ROUNDS }}; ++round) {
    {{ words.loop("candidate", "missing") }} {
        const long long element = drawn + candidate;
        const long long drawn_rank = (long long)(b2e::uniform<double>(placedraws, element) * empty);
        const long long rank = drawn_rank < empty ? drawn_rank : empty - 1;
        const int source = b2e::row_of_empty({{ start }}, {{ rows }}, {{ columns }}, rank);
        const int target = b2e::column_of_empty({{ kept }}, {{ start }}[source], {{ start }}[source + 1],
                                                rank - (source * {{ columns }}ll - {{ start }}[source]));
        {{ lines(view.lines.each) | trim | indent(8) }}
        {{ part("i") }}[candidate] = _taken ? source : -1;
        {{ part("j") }}[candidate] = target;
    }
    B2E_BARRIER();
    // A row's list is one thread's; the numbers of its nodes do not matter.
    for (int candidate = 0; candidate < missing; ++candidate) {
        const int source = {{ part("i") }}[candidate], wanted = {{ part("j") }}[candidate];
        if (source < 0 || !B2E_MINE(source) || b2e::in_list({{ head }}, {{ next }}, {{ node }}, source, wanted)) continue;
        b2e::put_in_list({{ head }}, {{ next }}, {{ node }}, source, wanted, b2e::take({{ count }}));
    }
    B2E_BARRIER();
    drawn += missing;
    missing = {{ n }} - left - {{ count }}[0];
    B2E_BARRIER();
}
{% endmacro %}

{# Of the empty places that are taken those of the greatest scores are put into lists, each row by a thread. #}
{% macro by_score(view, found, part) %}
{% set n, rows, columns, start, kept = found.size, found.n_source, found.n_target, part("start"), part("kept") %}
{% set head, next, node, count, tied = part("head"), part("next"), part("node"), part("count"), part("tied") %}
{% set scores = pointers[view.phase.scores] %}
{% set places = rows * columns %}
{{ words.loop("source", rows) }} {
    for (int target = 0; target < {{ columns }}; ++target) {
        const int element = source * {{ columns }} + target;
        {{ lines(view.lines.each) | trim | indent(8) }}
        if (!_taken) {{ scores }}[element] = -1;
    }
    for (int k = {{ start }}[source]; k < {{ start }}[source + 1]; ++k) {{ scores }}[source * {{ columns }} + {{ kept }}[k]] = -1;
}
B2E_BARRIER();
int candidates = 0;
{{ words.reduction_loop("element", places, ["candidates"], "sum") }} candidates += {{ scores }}[element] >= 0;
candidates = b2e::block_sum(candidates);
B2E_BARRIER();
const int number = missing < candidates ? missing : candidates;
{{ greatest(scores, places, "number") | trim }}
{{ words.loop("source", rows) }} {
    int equal = 0;
    for (int target = 0; target < {{ columns }}; ++target) equal += b2e::order_of({{ scores }}[source * {{ columns }} + target]) == low;
    {{ tied }}[source + 1] = equal;
}
{{ rows_of.summed_up(tied, rows) | trim }}
{{ words.loop("source", rows) }} {
    int last = -1, equal = number - above - {{ tied }}[source];
    for (int target = 0; target < {{ columns }}; ++target) {
        const long long order = b2e::order_of({{ scores }}[source * {{ columns }} + target]);
        if (order < low || (order == low && equal-- <= 0)) continue;
        const int at = b2e::take({{ count }});
        {{ node }}[at] = target;
        {{ next }}[at] = -1;
        if (last < 0) {{ head }}[source] = at;
        else {{ next }}[last] = at;
        last = at;
    }
}
B2E_BARRIER();
missing -= {{ count }}[0];
B2E_BARRIER();
{% endmacro %}

{% macro Rewire(view) %}
{% set found = program.find_connectivity(view.phase.connectivity) %}
{% set n, rows, columns = found.size, found.n_source, found.n_target %}
{% macro part(name) %}{{ pointers[view.phase.part(name)] }}{% endmacro %}
{% set row, target = pointers[found.table("row")], pointers[found.table("target")] %}
{% set marks, origin, start, kept, before = part("marks"), part("origin"), part("start"), part("kept"), part("before") %}
{% set head, next, node, count = part("head"), part("next"), part("node"), part("count") %}
{{ lines(view.lines.before) }}
{{ words.loop("source", rows) }} {{ head }}[source] = -1;
if (B2E_LEADER) {{ count }}[0] = 0;
{{ rows_of.keep_rows(found, part) | trim }}
const int left = {{ start }}[{{ rows }}];
int missing = {{ n }} - left;
{{ (by_score if view.phase.scores else by_chance)(view, found, part) | trim }}
if (B2E_LEADER) {
    {{ part("stuck") }}[0] += missing;
    {{ part("formed") }}[0] += {{ n }} - left;
}
if (B2E_LEADER)
    for (int source = 0; source < {{ rows }} && missing > 0; ++source)
        for (int k = {{ row }}[source]; k < {{ row }}[source + 1] && missing > 0; ++k) {
            if (!{{ marks }}[k] || b2e::in_list({{ head }}, {{ next }}, {{ node }}, source, int({{ target }}[k]))) continue;
            b2e::put_in_list({{ head }}, {{ next }}, {{ node }}, source, int({{ target }}[k]), b2e::take({{ count }}));
            --missing;
        }
B2E_BARRIER();
{{ words.loop("source", rows) }} {
    int length = {{ start }}[source + 1] - {{ start }}[source];
    for (int at = {{ head }}[source]; at >= 0; at = {{ next }}[at]) ++length;
    {{ row }}[source + 1] = length;
}
{{ rows_of.summed_up(row, rows) | trim }}
{{ words.loop("source", rows) }} {
    int at = {{ head }}[source], old = {{ start }}[source];
    for (int k = {{ row }}[source]; k < {{ row }}[source + 1]; ++k) {
        const bool formed = at >= 0 && (old >= {{ start }}[source + 1] || {{ node }}[at] < {{ kept }}[old]);
        {{ target }}[k] = formed ? {{ node }}[at] : {{ kept }}[old];
        {{ origin }}[k] = formed ? k : {{ before }}[old];
        {{ marks }}[k] = formed;
        if (formed) at = {{ next }}[at];
        else ++old;
    }
}
{% endmacro %}

{% set macros = [("Rewire", Rewire)] %}
{% set headers = [("Rewire", "rewire.h")] %}
