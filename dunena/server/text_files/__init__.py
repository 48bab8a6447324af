"""Values as text files, for programs that read a file and nothing else (a text source of OBS).

`selection` reads which keys are meant. `follower` watches them as a client would, and hands on what
is committed. `writer` is the thread that takes it; `folder` knows which file shows what, and writes
through `Disk`; `rendering` makes the texts of a value.
"""
