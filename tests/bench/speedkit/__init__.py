"""What `tests/bench/speed.py` is made of.

`workloads` says what is measured and `phrases` how it is said in each protocol; `contenders` starts
the servers, as `processes`, with programs that `programs` finds, the dunenas of `builds` and those
that `downloads` makes; `choice` has the options that choose among them; `load` drives them, after
`past` has stored what a client missed; `rounds` lets them take turns; `medians` and `report` make
figures and tables of it.
"""
