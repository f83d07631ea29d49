#!/usr/bin/env bash
# Base images for systems where none can be pulled, from Debian's packages alone (as root; needs debootstrap):
#   cryptocdc/base:bookworm    Debian 12 with Python 3.11: the programs' BASE_IMAGE
#   cryptocdc/build:bookworm   the same with pip and Maven, and this machine's CA certificates and settings for them:
#                              BUILD_IMAGE, which is never shipped
set -euo pipefail
docker=${DOCKER:-docker}
suite=bookworm
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
label=io.cryptocdc.contents
# made_of IMAGE CONTENTS: whether the image exists and was built from these contents; otherwise it is rebuilt.
made_of() { [ "$($docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null)" = "$2" ]; }

packages=ca-certificates,python3,tzdata
contents=$suite:$packages
if ! made_of cryptocdc/base:$suite "$contents"; then
  command -v debootstrap >/dev/null || apt-get install -y -q --no-install-recommends debootstrap >/dev/null
  # The mirror that this machine itself uses, in either format of apt's sources.
  mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
    sed -n -e 's/^URIs: *//p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' | grep '/debian/*$' | sed -n 1p)
  debootstrap --variant=minbase --include=$packages $suite "$work/root" $mirror >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
  rm -rf "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/* "$work"/root/var/log/*.log
  find "$work"/root/usr/share/{doc,man,locale} ! -type d -delete  # Java's package wants the folders
  tar -C "$work/root" -c . | $docker import --change 'ENV LANG=C.UTF-8' --change "LABEL $label=$contents" - cryptocdc/base:$suite >/dev/null
fi

context=$work/build
mkdir -p "$context/ca" "$context/m2"
cp /usr/local/share/ca-certificates/*.crt "$context/ca/" 2>/dev/null || true
cp "${HOME}/.m2/settings.xml" "$context/m2/" 2>/dev/null || true
# pip's configuration from files and the environment, except for a local folder of wheels.
{ echo '[global]'; python3 -m pip config list 2>/dev/null |
  sed -n "s/^\(global\|:env:\)[.]*\([a-z-]*\)='\(.*\)'$/\2 = \3/p" | grep -v ^find-links | sort -u; } >"$context/pip.conf"
cat >"$context/Dockerfile" <<EOF
FROM cryptocdc/base:$suite
RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \\
    python3-venv maven openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
COPY ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates
COPY pip.conf /etc/pip.conf
COPY m2/ /root/.m2/
EOF
contents=$({ $docker image inspect --format '{{.Id}}' cryptocdc/base:$suite
  cd "$context"; find . -type f | LC_ALL=C sort | xargs sha256sum; } | sha256sum | cut -c1-16)
if ! made_of cryptocdc/build:$suite "$contents"; then
  DOCKER_BUILDKIT=0 $docker build --quiet --force-rm --network host --label "$label=$contents" \
    --tag cryptocdc/build:$suite "$context" >"$work/log" 2>&1 || { tail -50 "$work/log" >&2; exit 1; }
fi
