{% extends "program.cpp" %}
{% block entry %}
{% import "frame.cpp" as frame with context %}
{% for line in vector_functions %}
{{ line }}
{% endfor %}
extern "C" void b2e_run(void* const* arrays, const long long* lengths, const long long* depths,
                        const double* constants, void* const* streams,
                        const long long* stream_steps, void* const* partial_sums,
                        long long first_step, long long n_steps, int instances, int workers) {
    constexpr int n_constants = {{ n_constants }};
    {{ frame.constants_and_depths() | indent(4) }}
    {% for part in parts %}
    {{ part | trim | indent(4) }}
    {% endfor %}
}
{% endblock %}
