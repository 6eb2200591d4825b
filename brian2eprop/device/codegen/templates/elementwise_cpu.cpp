{% extends "frame.cpp" %}
{% block entry %}
extern "C" void b2e_run(void* const* arrays, const long long* lengths, const long long* depths,
                        const double* constants, void* const* streams,
                        const long long* stream_steps, void* const* partial_sums,
                        long long first_step, long long n_steps, int instances, int workers) {
    {{ constants_and_depths() | indent(4) }}
    const long long step = first_step;
    const double t = step * dt_double;
    {% for view in arrays %}
    {{ view.type }}* {{ view.pointer }} = {{ array_base(view) }};
    {% endfor %}
    {% for _, views in sweeps %}
    {{ phases.body(views) | trim | indent(4) }}
    {% endfor %}
}
{% endblock %}
