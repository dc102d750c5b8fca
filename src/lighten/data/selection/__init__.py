"""Which rows to train on: a few of many, chosen by label, by place in a space of features, or by likeness to a target.

`choose` has the methods, `step` the step of a preparation, `tables` the function for Python.
"""
