"""`silian bench chaos`: seven nodes and four gateways while everything that can fail does.

`nodes` plays the agents and writes down what their sensors were promised, `faults` kills, pauses, cuts, fills and steps
by chance of a seed, `verdict` compares sets. The verdict knows three sources only: what was promised, what each tier
shows through its public API, and nothing of the code in between.
"""
