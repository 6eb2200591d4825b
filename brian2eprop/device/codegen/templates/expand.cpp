{# Synapses that are made of a rule; a row is one thread's. #}
{% from "elements.cpp" import lines with context %}

{# The loop along the candidates of a row, by kind of rule; `place` is each one's. #}
{% macro places(view) %}
for (long long place = -1;;) {
    const double skip = scale == 0 ? 0.0 : floor(drawn.exponential() * scale);
    if (!(skip < double(range.targets - 1 - place))) break;
    place += 1 + (long long)skip;
    {{ caller() | trim | indent(4) }}
}
{% endmacro %}

{% macro onetoone(view) %}
for (int place = row; place < range.targets && place <= row; ++place) {
    {{ caller() | trim | indent(4) }}
}
{% endmacro %}

{# Among how many places a row chooses, and which one it leaves out. #}
{% macro choices(view) %}
const int wanted = {{ pointers[view.phase.part("row")] }}[source + 1] - start;
const long long out = {{ "-1" if view.phase.rule.own else "source - range.first_target" }};
const int choices = range.targets - (out >= 0 && out < range.targets);
{% endmacro %}

{% macro withreplacement(view) %}
{{ choices(view) | trim }}
double total = 0, sum = 0;
for (int k = 0; k <= wanted; ++k) total += drawn.exponential();
drawn.begin(draws, row);
for (int k = 0; k < wanted; ++k) {
    sum += drawn.exponential();
    const int chosen = int(floor(sum / total * choices));
    int place = chosen < choices ? chosen : choices - 1;
    place += out >= 0 && place >= out;
    {{ caller() | trim | indent(4) }}
}
{% endmacro %}

{% macro withoutreplacement(view) %}
{{ choices(view) | trim }}
int left = choices, next = 0;
for (int k = wanted; k > 0; --k, ++next, --left) {
    const double uniform = drawn.uniform();
    int top = left - k;
    for (double beyond = double(top) / left; uniform <= beyond; ++next) {
        --top;
        --left;
        beyond *= double(top) / left;
    }
    const int place = next + (out >= 0 && next >= out);
    {{ caller() | trim | indent(4) }}
}
{% endmacro %}

{% set kinds = {"places": places, "onetoone": onetoone, "withreplacement": withreplacement, "withoutreplacement": withoutreplacement} %}

{% macro Expand(view) %}
{% set phase = view.phase %}
{% macro part(name) %}{{ pointers[phase.part(name)] }}{% endmacro %}
{{ lines(view.lines.before) }}
const b2e::Ranges range = b2e::ranges_of({{ part("ranges") }});
[[maybe_unused]] const double scale = {{ part("scale") }}[0];
const b2e::Draws draws = b2e::draws_of({{ pointers[keys] }}, {{ program.draws.index(phase.numbers) }}, 0, 0);
{{ words.long_loop("row", "range.sources") }} {
    const int source = range.first_source + int(row);
    b2e::RowNumbers<{{ 32 if dialect.draws_in_groups else 2 }}> drawn;
    drawn.begin(draws, row);
    {% if not phase.counting %}
    const int start = {{ part("row") }}[source];
    {% endif %}
    int number = 0;
    {% call kinds[phase.rule.kind](view) %}
    const int target = range.first_target + int(place);
    [[maybe_unused]] const long long element = row * (long long)range.targets + place;
    {{ lines(view.lines.each) | trim }}
    {% if not phase.counting %}
    if (_taken) {{ part("target") }}[start + number] = target;
    {% endif %}
    number += bool(_taken);
    {% endcall %}
    {% if phase.counting %}
    {{ part("number") }}[source] = number;
    {% endif %}
}
{% endmacro %}

{% macro Assign(view) %}
{% set phase = view.phase %}
{% macro part(name) %}{{ pointers[phase.part(name)] }}{% endmacro %}
{{ lines(view.lines.before) }}
const int first = {{ part("ranges") }}[0], sources = {{ part("ranges") }}[1];
{{ words.long_loop("row", "sources") }} {
    const int source = first + int(row);
    const int end = {{ part("row") }}[source + 1];
    for (int synapse = {{ part("row") }}[source]; synapse < end; ++synapse) {
        [[maybe_unused]] const int target = {{ part("target") }}[synapse];
        [[maybe_unused]] const int element = synapse;
        {{ lines(view.lines.each) | trim | indent(8) }}
    }
}
{% endmacro %}

{% set macros = [("Expand", Expand), ("Assign", Assign)] %}
{% set headers = [("Expand", "expand.h")] %}
