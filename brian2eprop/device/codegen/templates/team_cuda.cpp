{% import "frame.cpp" as frame with context %}
{% import "phases.cpp" as phases with context %}
{% for name, views in runs %}
{{ frame.open_kernel(name, "const long long* now") | trim }}
    const long long step = now[0];
    const double t = step * dt_double;
    const int members = gridDim.x / instances;
    const int instance = blockIdx.x / members;
    const b2e::Member mine = {int(blockIdx.x % members), members};
    {% for view in arrays %}
    b2e::ptr<{{ view.type }}> {{ view.pointer }} = b2e::slice({{ frame.array_base(view) }}, (long long){{ owners[view.array.access] }} * ({{ view.size }}), {{ view.size }});
    {% endfor %}
    {{ phases.body(views) | trim | indent(4) }}
}
{% endfor %}
{{ frame.open_kernel(entry, "long long* now") | trim }}
    if (B2E_LEADER) ++now[0];
}
