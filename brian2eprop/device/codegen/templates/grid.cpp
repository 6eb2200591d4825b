{% import "frame.cpp" as frame with context %}
{% import "phases.cpp" as phases with context %}
{{ frame.open_part() | trim }}
    {{ frame.once() | indent(4) }}
    {% for view in arrays %}
    b2e::ptr<{{ view.type }}> {{ view.pointer }} = {{ frame.array_base(view) }};
    {% endfor %}
    {% for sweep in sweeps %}
    {{ phases.body(sweep.views) | trim | indent(4) }}
    {% endfor %}
}
