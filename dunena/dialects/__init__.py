"""The two client protocols and the cache API, without I/O: they turn messages into replies."""
