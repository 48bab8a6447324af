"""The Python client: protocol and calls without input and output, and two modules that connect.

`protocol` makes the messages and interprets the answers; `calls` implements each call.
`asynchronous` connects them to a server with asyncio, `blocking` with threads; comments call these
two the shells. No module here imports the server.
"""
