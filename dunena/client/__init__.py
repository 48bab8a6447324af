"""The Python client: protocol and calls without input and output, and two shells around them.

`protocol` knows what to send and what the answers mean, `calls` what each call does. `asynchronous`
and `blocking` connect them to a server, the one for asyncio, the other with threads. Nothing here
imports the server.
"""
