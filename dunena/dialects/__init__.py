"""The two client protocols and the cache API: a message in, replies out. No I/O."""
