#!/bin/sh
# make run and make test on a Debian that has Python, make, git and certificates, and nothing else.
#
#     tests/deploy/bare_debian.sh [options of mmdebstrap]
#
# It takes mmdebstrap and tries what is committed; nothing of it stays. SUITE is the Debian, bookworm by default; ARGS,
# PROCESSES and COVERAGE_MIN mean what they mean to make test. The rest of the environment is passed on too: where pip
# and npm need an index or a certificate of their own, that is the way, and a file of it comes with
# --customize-hook="copy-in FILE FOLDER".
set -eu

checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

git clone --quiet --no-hardlinks "$checkout" "$folder/relay"
mmdebstrap --variant=minbase --include=python3,python3-venv,make,git,ca-certificates "$@" \
    --customize-hook="copy-in $folder/relay /root" \
    --customize-hook='chroot "$1" env HOME=/root make -C /root/relay run ARGS=--once' \
    --customize-hook='chroot "$1" env HOME=/root make -C /root/relay test' \
    "${SUITE:-bookworm}" /dev/null
