"""How fast dunena is beside other servers, and what an operation costs each of them.

    python tests/bench/speed.py [--rounds N] [--seconds S] [--only WORKLOAD...]
                                [--contender NAME...] [--variant NAME=PYTHON...]
                                [--executable NAME=PATH...] [--downloads]
    python tests/bench/speed.py --list
    python tests/bench/speed.py --profile WORKLOAD

Linux, two cores and a C compiler. Each server runs on core 0 and the load on core 1; the servers
take turns in every round, in another order each time. What it needs and is not there it installs in
a cache folder; a server that cannot be had is named in the tables with the reason.
"""

import signal
import sys

from speedkit.command import main

if __name__ == "__main__":
    # Ended from outside it still stops its servers and removes their folders.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
