#!/usr/bin/env bash
# Starts a container image as strictly as one can, uses it, and starts it again on the same volume.
# (grep without -q: ending early, it would break the pipe that curl writes to.)
#
#   bash packaging/docker/try-image.sh IMAGE
set -euo pipefail

image=$1
name=dunena-try-$$
trap 'docker rm --force "$name" >/dev/null 2>&1 || true; docker volume rm "$name" >/dev/null' EXIT

start() {
  docker run --detach --name "$name" --read-only --tmpfs /tmp --cap-drop ALL \
    --security-opt no-new-privileges --publish 127.0.0.1::3000 --volume "$name:/data" \
    --health-interval 1s "$image" >/dev/null
  for _ in $(seq 60); do
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$name")" != healthy ] || return 0
    sleep 0.5
  done
  docker logs "$name" >&2
  echo "try-image: the container did not become healthy" >&2
  return 1
}

address() {
  echo "http://$(docker port "$name" 3000/tcp | sed -n 1p)"
}

start
[ "$(docker exec "$name" id -u)" = 10001 ]
curl --fail --silent --show-error --data '{"key": "kept", "value": 1}' "$(address)/set"
curl --fail --silent --show-error "$(address)/test" | grep -i '<!doctype html>' >/dev/null
docker stop "$name" >/dev/null
[ "$(docker inspect --format '{{.State.ExitCode}}' "$name")" = 0 ]
docker rm "$name" >/dev/null

start
curl --fail --silent --show-error "$(address)/get/kept" | grep '"value":1' >/dev/null
echo "try-image: $image works"
