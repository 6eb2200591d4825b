{# Rows of a dense connectivity: every neuron at the other end, or every one but itself. #}
{% import "rows.cpp" as rows with context %}
{% macro row(view) %}
{% set found = view.row.connectivity %}
{% set width = found.n_target - (not found.diagonal) %}
{% if not view.row.by_source %}
{{ rows.along(view, "source", found.n_source,
    ("" if found.diagonal else "if (source == target) continue;\n")
    ~ "const long long synapse = (long long)source * " ~ width
    ~ (" + target;" if found.diagonal else " + target - (target > source);")) }}
{% else %}
const long long row_start = (long long)source * {{ width }};
{% if found.diagonal %}
{{ rows.along(view, "target", found.n_target, "const long long synapse = row_start + target;") }}
{% elif dialect.splits_rows and view.part != "target" and not view.phase.reverse %}
{{ rows.along(view, "target", "source", "const long long synapse = row_start + target;") }}
{{ rows.along(view, "position", width ~ " - source",
    "const int target = source + 1 + position;\nconst long long synapse = row_start + source + position;") }}
{% else %}
{{ rows.along(view, "target", found.n_target,
    "if (target == source) continue;\nconst long long synapse = row_start + target - (target > source);") }}
{% endif %}
{% endif %}
{% endmacro %}

{# A row is long enough for the processor to find out by itself, or so short that all rows are in a cache. #}
{% macro fetch(view) %}{% endmacro %}
