"""The Python client: one core without input and output, and two shells around it.

`core` knows what to send and what the answers mean; `asynchronous` and `blocking` connect it to a
server, the one for asyncio, the other with threads. Nothing here imports the server.
"""
