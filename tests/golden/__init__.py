"""Generated sources, kept so that a change of them is seen, and the Programs they are of.

``python -m tests.golden.renew`` writes them anew.
"""
