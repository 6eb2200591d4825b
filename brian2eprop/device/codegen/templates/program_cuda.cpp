{% extends "program.cpp" %}
{% block entry %}
{% for part in parts %}
{{ part | trim }}
{% endfor %}
{% endblock %}
