{% extends "frame.cpp" %}
{% block entry %}
B2E_KERNEL b2e_run(void* const* arrays, const long long* lengths, const long long* depths,
                   const double* constants, void* const* streams, const long long* stream_steps,
                   long long first_step, long long n_steps, int instances) {
    {{ constants_and_depths() | indent(4) }}
    const long long step = first_step;
    const double t = step * dt_double;
    {% for view in arrays %}
    b2e::ptr<{{ view.type }}> {{ view.pointer }} = {{ array_base(view) }};
    {% endfor %}
    {% for _, views in sweeps %}
    {{ phases.body(views) | trim | indent(4) }}
    {% endfor %}
}
{% endblock %}
