"""Sessions: what a client is across lost connections; no input or output."""
