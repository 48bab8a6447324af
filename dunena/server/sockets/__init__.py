"""Plain TCP connections on systems with a readiness poll, without a callback of asyncio for each.

asyncio makes a handle for every socket that is ready, queues it, and runs it in a context; a
message of a few bytes costs more in the loop than in the server. Here the poll itself lets every
ready connection read and answer, and then ends the tick. Everything else on the loop (timers,
threads, signals, other sockets) is asyncio's as before.
"""
