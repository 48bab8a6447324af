"""What `build/dev.py windows` does: the tests, with a Windows CPython under Wine on Debian.

Reading order:

beyond      what Wine cannot do: the tests that fail for that, each with the reason
bench       the folder with Wine's drive, a CPython for Windows and the packages
executable  PyInstaller run in it
commands    pytest run in it

Two modules run under Wine: `pytest_wine`, a plugin of pytest, and `at_start`, which each Python
there runs first. The C files are the parts of a CPython for Windows that no package brings.
"""
