"""What `tests/bench/pauses.py` measures with: a prober, a load, and what a server did meanwhile."""
