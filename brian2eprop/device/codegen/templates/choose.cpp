{# The greatest of many values. #}

{# How many of `n` values are `above` a number. #}
{% macro count_above(values, n, number) %}
int above = 0;
{{ words.reduction_loop("element", n, ["above"], "sum") }} above += b2e::order_of({{ values }}[element]) > {{ number }};
above = b2e::block_sum(above);
B2E_BARRIER();
{% endmacro %}

{# The number `low` that the `number` greatest of the values are `above`; of those that equal it as many as are missing
   are among the greatest as well. #}
{% macro greatest(values, n, number) %}
long long low = -0x7fffffffffffffffll - 1, high = 0x7fffffffffffffffll;
while (low < high) {
    const long long middle = b2e::middle_of(low, high);
    {{ count_above(values, n, "middle") | trim | indent(4) }}
    if (above <= {{ number }}) high = middle;
    if (above >= {{ number }}) low = above == {{ number }} ? middle : middle + 1;
}
{{ count_above(values, n, "low") | trim }}
{% endmacro %}

{% macro Choose(view) %}
{% set values, marks, n = pointers[view.phase.values], pointers[view.phase.marks], sizes[view.phase.values] %}
const int number = {{ pointers[view.phase.number] }}[0];
{{ greatest(values, n, "number") | trim }}
{{ words.loop("element", n) }} {{ marks }}[element] = b2e::order_of({{ values }}[element]) > low;
B2E_BARRIER();
if (B2E_LEADER)
    for (int element = 0, left = number - above; element < {{ n }} && left > 0; ++element)
        if (b2e::order_of({{ values }}[element]) == low) {
            {{ marks }}[element] = 1;
            --left;
        }
{% endmacro %}

{% set macros = [("Choose", Choose)] %}
{% set headers = [("Choose", "rewire.h")] %}
