{# Loops over elements; `words` supplies them, `slot` the pointers. #}

{% macro lines(parts) %}
{% for line in parts %}
{{ line }}
{% endfor %}
{% endmacro %}

{# The body for each of some elements whose random numbers are drawn at once. #}
{% macro for_each_of_some(view, then) %}
{{ lines(view.lines.some) | trim }}
{{ words.simd_loop("number", "n") }} {
    const int element = first + number;
    {% if view.lines.rough %}
    bool doubt = false;
    {% endif %}
    {{ (lines(view.lines.each) ~ then) | trim | indent(4) }}
    {% if view.lines.rough %}
    doubts[number] = doubt;
    {% endif %}
}
{% endmacro %}

{# What the same loop does before, as functions of the element: bodies use the same names. #}
{% macro loops_before(view) %}
{% for other in view.along %}
const auto before_{{ loop.index }} = [&] {
    {{ lines(other.lines.before) | trim | indent(4) }}
    return [=](int element) {
        {{ lines(other.lines.each) | trim | indent(8) }}
    };
}();
{% endfor %}
{% endmacro %}

{# The body for each element, and what follows it; random numbers are drawn for some at once. #}
{% macro for_each_element(view, then="") %}
{% set own = view.part == "element" %}
{% if view.lines.some %}
{% set stop = "mine.last(" ~ view.phase.size ~ ")" if own else view.phase.size %}
for (int first = {{ "mine.first(" ~ view.phase.size ~ ")" if own else 0 }}; first < {{ stop }}; first += {{ at_once }}) {
    const int n = b2e::between(0, {{ stop }} - first, {{ at_once }});
    {% if view.lines.rough %}
    // Once without the numbers' finer words; again with them where they count.
    double unknown = b2e::OF_FINER_WORDS;
    for (bool doubtful = true; doubtful; unknown = 0) {
        alignas(64) unsigned char doubts[{{ at_once }}] = {};
        {{ for_each_of_some(view, then) | trim | indent(8) }}
        doubtful = b2e::any(doubts);
    }
    {% else %}
    {{ for_each_of_some(view, then) | trim | indent(4) }}
    {% endif %}
}
{% else %}
{{ loops_before(view) | trim }}
{{ (dialect.own_loop if own else words.simd_loop)("element", view.phase.size) }} {
    {% for other in view.along %}
    before_{{ loop.index }}(element);
    {% endfor %}
    {{ (lines(view.lines.each) ~ then) | trim | indent(4) }}
}
{% endif %}
{% endmacro %}

{% macro ForEach(view) %}
{{ lines(view.lines.before) }}
{{ for_each_element(view) | trim }}
{% endmacro %}

{% macro Reduce(view) %}
{% set operation = view.phase.operation.value %}
{{ lines(view.lines.before) }}
real result = {{ "0" if operation == "sum" else "-INFINITY" }};
{{ words.reduction_loop("element", view.phase.size, ["result"], operation) }} {
    {{ lines(view.lines.each) | trim | indent(4) }}
    {{ "result += _value;" if operation == "sum" else "result = _value > result ? _value : result;" }}
}
result = b2e::block_{{ operation }}(result);
if (B2E_LEADER) {{ slot(view.phase.into) }}[0] = result;
{% endmacro %}

{% macro Clear(view) %}
{% for name in view.phase.arrays %}
{{ words.clear(pointers[name], sizes[name]) }}
{% endfor %}
{% for name in view.phase.events %}
{{ words.clear(pointers[count_of[name]], sizes[count_of[name]]) }}
{% endfor %}
{% endmacro %}

{# One thread: a node waits for its children, and its parent for the node. #}
{% macro TreeSolve(view) %}
{% set phase = view.phase %}
if (B2E_LEADER)
    b2e::solve_tree({{ sizes[phase.parent] }}, {{ pointers[phase.parent] }}, {{ pointers[phase.leak] }}, {{ pointers[phase.coupling] }}, {{ pointers[phase.source] }});
{% endmacro %}

{% set macros = [("ForEach", ForEach), ("Reduce", Reduce), ("Clear", Clear), ("TreeSolve", TreeSolve)] %}
{% set headers = [("TreeSolve", "tree.h")] %}
