"""What `tests/bench/speed.py` is made of.

`workloads` says what is measured and `phrases` how it is said in each protocol; `contenders` starts
the servers, with programs that `programs` finds and the dunenas of `builds`; `load` drives them,
after `past` has stored what a client missed; `rounds` lets them take turns; `medians` and `report`
make figures and tables of it.
"""
