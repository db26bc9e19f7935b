"""The networks that ship, as text: a reader of the papers finds them here, and `archdsl` when a SPEC names one of them.

`maps/` holds the name maps that `archdsl weights import` takes for checkpoints of the official code.
"""
