"""What build/release.py does. Commands that look into files or at the workflow need packages.

Reading order:

errors      what ends a command
targets     the files that a release consists of
changelog   the sections of CHANGELOG.md
version     version, tag and changelog say the same
preparation what a release changes in the sources
packages    the Python package, made and tried
sameness    two builds compared
archives    the archives hold what lies beside them, ready to run
bundle      everything inside a file: archives, and what PyInstaller packs
glibc       the oldest Linux that all of it runs on
checksums   SHA2-256SUMS and SHA2-512SUMS
licenses    the licences of what is bundled
parts       what an artefact consists of
contents    what really lies in an executable
sbom        a bill of materials in CycloneDX
bills       the bill of each artefact, and what must hold for them
signatures  whether a file is signed
signing     signing on macOS and Windows, when there are keys
notes       the text of the release
manifests   for winget, Homebrew and Scoop
commands    the commands themselves

A rehearsal of them all is in rehearsalkit/.
"""
