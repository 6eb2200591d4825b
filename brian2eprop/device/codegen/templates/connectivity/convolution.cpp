{# Rows of a convolution: where the other image meets the neuron, a run of neighbouring channels. #}
{% import "rows.cpp" as rows with context %}
{% macro row(view) %}
{% set found = view.row.connectivity %}
{% set sizes = (found.inputs, found.outputs) if view.row.by_source else (found.outputs, found.inputs) %}
{% set here, there = sizes %}
{% set own, run = found.per_group if view.row.by_source else found.per_group[::-1] %}
{% set outputs = found.outputs[2] %}
{% set first, end = ("own_first - run_start", "own_end - run_start") %}
const int here_y = {{ view.row.neuron }} / {{ here[1] * here[2] }};
const int here_x = {{ view.row.neuron }} / {{ here[2] }} % {{ here[1] }};
const int here_channel = {{ view.row.neuron }} % {{ here[2] }};
const int first_channel = here_channel / {{ own }} * {{ run }};
{% if view.part == view.row.other %}
const int own_first = mine.first({{ view.row.length }}), own_end = mine.last({{ view.row.length }});
{% endif %}
{{ places(view, found.axes[0], "y") | trim }}
    {% if view.part == view.row.other %}
    if ((there_y + 1) * {{ there[1] * there[2] }} <= own_first || there_y * {{ there[1] * there[2] }} >= own_end) continue;
    {% endif %}
    {{ places(view, found.axes[1], "x") | trim | indent(4) }}
        const int run_start = (there_y * {{ there[1] }} + there_x) * {{ there[2] }} + first_channel;
        {% if view.row.by_source %}
        const int kernel_start = ((element_y * {{ found.window[1] }} + element_x) * {{ own }} + here_channel % {{ own }}) * {{ outputs }} + first_channel;
        {% else %}
        const int kernel_start = (element_y * {{ found.window[1] }} + element_x) * {{ run * outputs }} + here_channel;
        {% endif %}
        {% set synapse = "kernel_start + %s" if view.row.by_source else "kernel_start + (%%s) * %d" % outputs %}
        {% if view.part == view.row.other %}
        const int skipped = {{ first }} > 0 ? {{ first }} : 0;
        const int run_length = ({{ end }} < {{ run }} ? {{ end }} : {{ run }}) - skipped;
        {{ along(view, "run_length", "skipped + position", synapse) | trim | indent(8) }}
        {% else %}
        {{ along(view, run, "position", synapse) | trim | indent(8) }}
        {% endif %}
    }
}
{% endmacro %}

{% macro along(view, n, channel, synapse) %}
{{ rows.along(view, "position", n, "const int %s = run_start + %s;\nconst int synapse = %s;"
    | format(view.row.other, channel, synapse | format(channel))) }}
{% endmacro %}

{# A loop over the places of the other image along an axis, with the kernel's element of each. #}
{% macro places(view, axis, name) %}
{% set backward = view.phase.reverse and view.lines.order.value == "serial" %}
{% set here, there, element = ("here_" ~ name, "there_" ~ name, "element_" ~ name) %}
{% if not view.row.by_source %}
{{ in_order(backward, element, 0, axis.window) }} {
    const int {{ there }} = {{ here }} * {{ axis.stride }} + {{ element }} * {{ axis.dilation }} - {{ axis.before }};
    if ({{ there }} < 0 || {{ there }} >= {{ axis.inputs }}) continue;
{% elif axis.stride == 1 %}
{# As many rounds for every neuron: loops that a compiler unrolls. #}
{{ in_order(not backward, element, 0, axis.window) }} {
    const int {{ there }} = {{ here }} + {{ axis.before }} - {{ element }} * {{ axis.dilation }};
    if ({{ there }} < 0 || {{ there }} >= {{ axis.outputs }}) continue;
{% else %}
const int last_{{ name }} = {{ here }} + {{ axis.before }};
const int first_{{ name }} = last_{{ name }} > {{ axis.reach }} ? (last_{{ name }} - {{ axis.reach - axis.stride + 1 }}) / {{ axis.stride }} : 0;
const int end_{{ name }} = last_{{ name }} / {{ axis.stride }} < {{ axis.outputs }} ? last_{{ name }} / {{ axis.stride }} + 1 : {{ axis.outputs }};
{{ in_order(backward, there, "first_" ~ name, "end_" ~ name) }} {
    {% if axis.dilation > 1 %}
    if ((last_{{ name }} - {{ there }} * {{ axis.stride }}) % {{ axis.dilation }}) continue;
    {% endif %}
    const int {{ element }} = (last_{{ name }} - {{ there }} * {{ axis.stride }}) / {{ axis.dilation }};
{% endif %}
{% endmacro %}

{% macro in_order(backward, index, first, end) -%}
{% if backward -%}
for (int {{ index }} = {{ end }} - 1; {{ index }} >= {{ first }}; --{{ index }})
{%- else -%}
for (int {{ index }} = {{ first }}; {{ index }} < {{ end }}; ++{{ index }})
{%- endif %}
{%- endmacro %}

{# A kernel is met so often that it is in a cache. #}
{% macro fetch(view) %}{% endmacro %}
