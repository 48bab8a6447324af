"""What dunena promises to those who build on it, as data: `docs/stability.md` in a form for tests.

The modules here derive it from the tables that the program itself works with, `comparison` says
what of it has gone since it was recorded in `tests/surface`, and `recording` records it anew.
"""
