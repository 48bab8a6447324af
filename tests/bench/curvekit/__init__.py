"""What `tests/bench/curves.py` is made of.

`curves` says what grows and what is measured on the way; `starting` measures starts, and
speedkit's `rounds` all else. `results` keeps and merges what was measured; `tables` and `charts`
tell it, the latter as SVG with the axes of `axes`.
"""
