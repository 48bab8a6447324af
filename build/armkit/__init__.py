"""What `build/dev.py arm64` does: the executable for Linux on ARM64, made and tested on another PC.

Reading order:

beyond      what the emulator cannot do: the tests that fail for that, each with the reason
namespace   a command run where programs for ARM64 start; by itself, without the other modules
bench       the folder with a Debian for ARM64, a compiler of this machine's and the packages
executable  build/executable.py run in it
commands    pytest run on the result

pytest itself, browsers and servers of other makers are this machine's own: only what is tested is
emulated. `pytest_arm` is its plugin.
"""
