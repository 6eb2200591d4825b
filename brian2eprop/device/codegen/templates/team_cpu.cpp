{% import "frame.cpp" as frame with context %}
{% import "phases.cpp" as phases with context %}
b2e::Team team(workers, {{ program.events | length }});
#pragma omp parallel num_threads(workers) if (workers > 1)
{
    b2e::Teammate mine(team, omp_get_thread_num(), omp_get_num_threads());
    // No store can change a thread's own: what follows from them alone is worked out once.
    double held[n_constants];
    std::memcpy(held, constants, sizeof held);
    for (int instance = 0; instance < instances; ++instance) {
        const double* const constants = held;
        {% for view in arrays %}
        {{ view.type }}* {{ view.pointer }} = {{ frame.array_base(view) }} + (long long){{ owners[view.array.access] }} * {{ view.size }};
        {% endfor %}
        for (long long step = first_step; step < first_step + n_steps; ++step) {
            const double t = step * dt_double;
            {% for _, views in runs %}
            {{ phases.body(views) | trim | indent(12) }}
            {% if not (loop.last and goes_on) %}
            mine.meet();
            {% endif %}
            {% endfor %}
        }
        mine.meet();
    }
}
