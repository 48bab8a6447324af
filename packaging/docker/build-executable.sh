#!/usr/bin/env bash
# Builds the executable inside a container of AlmaLinux 8, for its old C library.
#
#   docker run --rm --volume "$PWD:/dunena" --workdir /dunena almalinux:8 \
#     bash packaging/docker/build-executable.sh [linux|linux-arm64]
#
# The distribution's Python: its library is shared, as PyInstaller needs it, and its OpenSSL gets the
# distribution's security updates. binutils has strip and objdump. gcc compiles the hot modules; the
# flags of that Python name files of redhat-rpm-config. glibc-static is for the launcher, and in a
# repository of what only those need who build.
#
# With PYTHON set it installs nothing and builds with that one: a rehearsal of a release without a
# container engine does so.
set -euo pipefail

if [ -z "${PYTHON:-}" ]; then
  PYTHON=python3.12
  dnf install --assumeyes --quiet python3.12 python3.12-devel binutils \
    gcc redhat-rpm-config
  dnf install --assumeyes --quiet --enablerepo=powertools glibc-static
fi
"$PYTHON" build/executable.py "$@"
# Here, and not only when all is put together: the build that broke the promise shall fail.
"$PYTHON" build/release.py glibc dist
# With the environment that it was made with, which is of no use outside.
"$PYTHON" build/release.py sbom executable dist
