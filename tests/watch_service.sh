#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# watch_service.sh BUILD: the unit as it is installed. systemd takes it without a word, it names the program that is
# installed with it and the locks that the code takes, and it exposes no more than the sandbox did when it was made.
set -euo pipefail

# As systemd 252 figures it, in tenths; 100 is the worst.
most_exposure=16
build=$1
source=$(dirname "$0")/..

if ! command -v systemd-analyze >/dev/null; then
    echo "watch_service: systemd-analyze is not here"
    if [[ ${CI:-} == true ]]; then exit 1; fi
    exit 77
fi

failures=0
check() {  # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then echo "ok: $what"; else echo "FAILED: $what"; failures=1; fi
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root cmake --install "$build" >/dev/null
unit=$(find "$root" -name virt-macvtap-watch.service)

program=$(sed -n 's/^ExecStart=\([^ ]*\) watch$/\1/p' "$unit")
check "it starts the program that is installed with it ($program)" test -x "$root$program"
for lock in $(sed -n 's/.*LockPath = "\(.*\)";/\1/p' "$source"/lib/{lock,watcher_lock}.h); do
    check "$lock is writable for it" grep -q "^ReadWritePaths=.*-$lock\b" "$unit"    # "-": see the unit
    check "$lock is there before it" grep -q "^ExecStartPre=.*$lock\b" "$unit"
done

# verify looks at the file system as it is, so the program's path is that of the copy.
sed "s|^ExecStart=|&$root|" "$unit" >"$root/virt-macvtap-watch.service"
words=$(systemd-analyze verify --man=no "$root/virt-macvtap-watch.service" 2>&1) || failures=1
check "systemd takes every line${words:+: $words}" test -z "$words"

check "its exposure is at most $most_exposure tenths" \
    systemd-analyze security --offline=true --no-pager --threshold="$most_exposure" "$unit" >"$root/exposure"
grep Overall "$root/exposure"
exit $failures
