#!/usr/bin/env bash
# Starts the executable on a system with nothing on it but a shell: asks it for a page, stops it.
#
#   bash clean-room.sh FILE
#
# Made for containers without a network, where no test suite can be installed. bash itself speaks
# TCP, and the other programs are of coreutils, grep and sed, which the smallest images have.
set -euo pipefail

program=$1
folder=$(mktemp -d)
# Places of its own to unpack into and for temporary files, of which nothing may be left.
mkdir "$folder/temporary"
export XDG_CACHE_HOME=$folder/cache TMPDIR=$folder/temporary
server=
trap 'if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT

fail() {
  echo "clean-room: $1" >&2
  cat "$folder/output" >&2 || true
  exit 1
}

ask() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf '%s %s HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' \
    "$1" "$2" "$port" "${#3}" "$3" >&3
  answer=$(timeout 10 cat <&3 | tr -d '\0')
  exec 3>&-
  grep -q "$4" <<<"$answer" || fail "$1 $2 did not answer with $4 but with: $answer"
}

"$program" version

: >"$folder/output"
"$program" serve --port 0 --cache-dir "$folder/values" >"$folder/output" 2>&1 &
server=$!
port=
for _ in $(seq 150); do
  port=$(sed -n 's#.*http://localhost:\([0-9]*\)/test.*#\1#p' "$folder/output")
  [ -z "$port" ] || break
  kill -0 "$server" 2>/dev/null || fail "the server ended"
  sleep 0.1
done
[ -n "$port" ] || fail "the server did not start"

ask GET /health '' ' 200 OK'
ask GET /test '' '<!doctype html>'
ask POST /set '{"key": "room", "value": "clean"}' ' 20[01] '
ask GET /get/room '' '"clean"'

kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
[ "$code" -eq 0 ] || fail "it stopped with $code"
grep -q clean "$folder/values/room.json" || fail "the value was not kept"
for left in "$TMPDIR"/*; do
  [ ! -e "$left" ] || fail "$left was left behind"
done
echo "clean-room: $program runs here ($(ldd --version 2>&1 | sed -n 1p))"
