"""Watches: following the state of keys, from a position on; no I/O.

Theory of operation. A watch is a set of *pending keys*, and an update is a *cut*: it takes its
reader from the state at one position to the state at a later one. A *feed* is what all watches with
the same selector, form and rights have in common; those that keep up share its frames (`feed`). Of
one that does not keep up, or wants fewer updates, only the keys are remembered that it was not told
of (`pending`). `watch_table` knows which feeds a change belongs to.
"""
