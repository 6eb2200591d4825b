{% import "frame.cpp" as frame with context %}
{% import "phases.cpp" as phases with context %}
B2E_KERNEL {{ entry }}(void* const* arrays, const long long* lengths, const long long* depths,
                   const double* constants, void* const* streams, const long long* stream_steps,
                   long long first_step, long long n_steps, int instances) {
    {{ frame.constants_and_depths() | indent(4) }}
    {{ frame.once() | indent(4) }}
    {% for view in arrays %}
    b2e::ptr<{{ view.type }}> {{ view.pointer }} = {{ frame.array_base(view) }};
    {% endfor %}
    {% for _, views in sweeps %}
    {{ phases.body(views) | trim | indent(4) }}
    {% endfor %}
}
