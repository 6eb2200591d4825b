{# Synapses that are taken away and formed; rows are shared by the threads of a block. #}
{% macro Choose(view) %}
{% set values, marks, n, number = pointers[view.phase.values], pointers[view.phase.marks], sizes[view.phase.values], view.phase.number %}
// The least number that no more than {{ number }} are above.
long long low = -0x7fffffffffffffffll - 1, high = 0x7fffffffffffffffll;
while (low < high) {
    const long long middle = b2e::middle_of(low, high);
    int above = 0;
    {{ words.reduction_loop("element", n, ["above"], "sum") | indent(4) }} above += b2e::order_of({{ values }}[element]) > middle;
    above = b2e::block_sum(above);
    B2E_BARRIER();
    if (above <= {{ number }}) high = middle;
    else low = middle + 1;
}
int above = 0;
{{ words.reduction_loop("element", n, ["above"], "sum") }} above += b2e::order_of({{ values }}[element]) > low;
above = b2e::block_sum(above);
{{ words.loop("element", n) }} {{ marks }}[element] = b2e::order_of({{ values }}[element]) > low;
B2E_BARRIER();
if (B2E_LEADER)
    for (int element = 0, left = {{ number }} - above; element < {{ n }} && left > 0; ++element)
        if (b2e::order_of({{ values }}[element]) == low) {
            {{ marks }}[element] = 1;
            --left;
        }
{% endmacro %}

{# How many synapses each row has become the numbers from which on they lie. #}
{% macro summed_up(starts, rows) %}
B2E_BARRIER();
if (B2E_LEADER) {
    {{ starts }}[0] = 0;
    for (int row = 0; row < {{ rows }}; ++row) {{ starts }}[row + 1] += {{ starts }}[row];
}
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
{{ words.loop("source", rows) }} {
    int left = 0;
    for (int k = {{ row }}[source]; k < {{ row }}[source + 1]; ++k) left += !{{ marks }}[k];
    {{ start }}[source + 1] = left;
    {{ head }}[source] = -1;
}
if (B2E_LEADER) {{ count }}[0] = 0;
{{ summed_up(start, rows) | trim }}
{{ words.loop("source", rows) }} {
    int at = {{ start }}[source];
    for (int k = {{ row }}[source]; k < {{ row }}[source + 1]; ++k) {
        if ({{ marks }}[k]) continue;
        {{ kept }}[at] = {{ target }}[k];
        {{ before }}[at++] = k;
    }
}
B2E_BARRIER();
const int left = {{ start }}[{{ rows }}];
const long long empty = {{ rows }}ll * {{ columns }} - left;
const b2e::Draws placedraws = b2e::draws_of({{ pointers[keys] }}, {{ program.draws.index(view.phase.place) }}, step, instance);
int missing = {{ n }} - left;
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
{{ summed_up(row, rows) | trim }}
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
