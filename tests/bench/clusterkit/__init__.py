"""What `tests/bench/cluster.py` is made of.

`servers` starts the processes of dunena and `world` all that is measured; `paced`, `writing`,
`reading`, `catching_up` and `leader_death` each measure one thing, `raw_kv` the same of NATS
without dunena; `figures` has the rows and makes medians, ratios and the table of them.
"""
