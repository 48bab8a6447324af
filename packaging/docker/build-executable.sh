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
set -euo pipefail

dnf install --assumeyes --quiet python3.12 python3.12-devel binutils \
  gcc redhat-rpm-config
dnf install --assumeyes --quiet --enablerepo=powertools glibc-static
python3.12 build/executable.py "$@"
# Here, and not only when all is put together: the build that broke the promise shall fail.
python3.12 build/release.py glibc dist
