{% extends "frame.cpp" %}
{% block entry %}
extern "C" void b2e_run(void* const* arrays, const long long* lengths, const long long* depths,
                        const double* constants, void* const* streams,
                        const long long* stream_steps, void* const* partial_sums,
                        long long first_step, long long n_steps, int instances, int workers) {
    {{ constants_and_depths() | indent(4) }}
    #pragma omp parallel num_threads(workers)
    {
        const int worker = omp_get_thread_num();
        {% for view in arrays if view.array.access.value == "accumulated" %}
        {{ view.type }}* {{ view.pointer }} = ({{ view.type }}*)partial_sums[{{ loop.index0 }}] + (long long)worker * {{ view.array.size }};
        std::memset({{ view.pointer }}, 0, sizeof({{ view.type }}) * {{ view.array.size }});
        {% endfor %}
        #pragma omp for schedule(static)
        for (int instance = 0; instance < instances; ++instance) {
            {% for view in arrays if view.array.access.value != "accumulated" %}
            {% set owner = {"per instance": "instance", "scratch": "worker", "shared": "0"}[view.array.access.value] %}
            {{ view.type }}* {{ view.pointer }} = {{ array_base(view) }} + (long long){{ owner }} * {{ view.size }};
            {% endfor %}
            {{ instance_sweeps() | indent(12) }}
        }
        {% for view in arrays if view.array.access.value == "accumulated" %}
        #pragma omp for simd schedule(static) nowait
        for (int element = 0; element < {{ view.array.size }}; ++element) {
            {{ view.type }} sum = 0;
            for (int other = 0; other < workers; ++other)
                sum += (({{ view.type }}*)partial_sums[{{ loop.index0 }}])[(long long)other * {{ view.array.size }} + element];
            {{ array_base(view) }}[element] = sum;
        }
        {% endfor %}
    }
}
{% endblock %}
