{% import "frame.cpp" as frame with context %}
#pragma omp parallel num_threads(workers)
{
    // OpenMP may start fewer threads than it is asked for.
    const int worker = omp_get_thread_num(), started = omp_get_num_threads();
    // No store can change a thread's own: what follows from them alone is worked out once.
    double held[n_constants];
    std::memcpy(held, constants, sizeof held);
    // The first worker adds to the array itself, each other one to a copy of its own.
    {% for view in arrays if view.sum is not none %}
    {{ view.type }}* {{ view.pointer }} = {{ frame.array_base(view) }};
    if (worker > 0) {
        {{ view.pointer }} = ({{ view.type }}*)partial_sums[{{ view.sum }}] + (worker - 1LL) * {{ view.array.size }};
        std::memset({{ view.pointer }}, 0, sizeof({{ view.type }}) * {{ view.array.size }});
    }
    {% endfor %}
    #pragma omp for schedule(static)
    for (int instance = 0; instance < instances; ++instance) {
        const double* const constants = held;
        {% for view in arrays if view.sum is none %}
        {{ view.type }}* {{ view.pointer }} = {{ frame.array_base(view) }} + (long long){{ owners[view.array.access] }} * {{ view.size }};
        {% endfor %}
        {{ frame.sweeps_in_order() | indent(8) }}
    }
    {% for view in arrays if view.sum is not none %}
    if (started > 1) {
        #pragma omp for simd schedule(static) nowait
        for (int element = 0; element < {{ view.array.size }}; ++element) {
            {{ view.type }} sum = {{ frame.array_base(view) }}[element];
            for (int other = 0; other < started - 1; ++other)
                sum += (({{ view.type }}*)partial_sums[{{ view.sum }}])[(long long)other * {{ view.array.size }} + element];
            {{ frame.array_base(view) }}[element] = sum;
        }
    }
    {% endfor %}
}
