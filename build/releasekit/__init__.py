"""What build/release.py does. Only `glibc` and `licenses` need packages.

Reading order:

errors      what ends a command
targets     the files that a release consists of
changelog   the sections of CHANGELOG.md
version     version, tag and changelog say the same
archives    the archives hold what lies beside them, ready to run
bundle      everything inside a file: archives, and what PyInstaller packs
glibc       the oldest Linux that all of it runs on
checksums   SHA2-256SUMS and SHA2-512SUMS
licenses    the licences of what is bundled
signatures  whether a file is signed
signing     signing on macOS and Windows, when there are keys
notes       the text of the release
manifests   for winget, Homebrew and Scoop
commands    the commands themselves
"""
