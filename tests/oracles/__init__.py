"""References that share no code with brian2eprop."""
