// {{ program.name }}
{% for view in arrays %}
// {{ view.pointer }}: {{ view.array.name }} ({{ view.array.access.value }})
{% endfor %}
typedef {{ real }} real;
{% for header in headers %}
{{ header }}
{% endfor %}
{% block entry %}{% endblock %}
