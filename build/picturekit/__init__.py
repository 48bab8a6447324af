"""The pictures in docs/images, made from the running program: `python3 build/dev.py pictures`."""
