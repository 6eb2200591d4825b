{% import "frame.cpp" as frame with context %}
{{ frame.open_part() | trim }}
    B2E_DYNAMIC_SHARED(resident, {{ resident_bytes }});
    {% for view in arrays if view.resident_at is not none %}
    b2e::ptr<{{ view.type }}> {{ view.pointer }} = b2e::reside<{{ view.type }}>(resident, {{ view.resident_at }}, {{ view.size }});
    b2e::clear({{ view.pointer }}, {{ view.size }});
    {% endfor %}
    B2E_BARRIER();
    for (int instance = blockIdx.x; instance < instances; instance += gridDim.x) {
        {% for view in arrays %}
        {% set own = "b2e::slice(" ~ frame.array_base(view) ~ ", (long long)" ~ owners[view.array.access] ~ " * (" ~ view.size ~ "), " ~ view.size ~ ")" %}
        {% if view.resident_at is none %}
        b2e::ptr<{{ view.type }}> {{ view.pointer }} = {{ own }};
        {% elif view.is_kept %}
        b2e::ptr<{{ view.type }}> {{ view.pointer }}_home = {{ own }};
        B2E_FOR(element, {{ view.size }}) {{ view.pointer }}[element] = {{ view.pointer }}_home[element];
        {% endif %}
        {% endfor %}
        B2E_BARRIER();
        {{ frame.sweeps_in_order() | indent(8) }}
        {% for view in arrays if view.resident_at is not none and view.is_kept %}
        B2E_FOR(element, {{ view.size }}) {{ view.pointer }}_home[element] = {{ view.pointer }}[element];
        {% endfor %}
        B2E_BARRIER();
    }
}
