"""What build/executable.py does, in the standard library alone.

Reading order:

choice    which executables are asked for, and which of them this machine can make
archives  the archives beside them, the same bytes every time
launcher  the single file on Linux and macOS, made from PyInstaller's folder
builder   PyInstaller run on packaging/dunena.spec
commands  the command itself

How a command speaks and how environments are made is devkit's; what the files are called is
releasekit's; what goes into the executable is decided in packaging/.
"""
