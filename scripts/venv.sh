#!/bin/sh
# Makes or updates a virtual environment from exact pins:
# `scripts/venv.sh runtime|dev|parity|parity-vision`.
#
# Called at every `make run`, `make test` and so on, so the usual case has to cost milliseconds:
# a stamp in the environment holds a checksum of the pins and of the interpreter, and while it
# agrees nothing is done. An installation that was cut off (Ctrl-C, power) leaves `.unfinished`
# behind, and the next call starts from an empty environment: pip takes a package whose files are
# half unpacked for installed.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

what=${1:?usage: scripts/venv.sh runtime|dev|parity|parity-vision}
venv=.venv
case $what in
runtime) pins="requirements.txt" ;;
dev) pins="requirements.txt requirements-dev.txt" ;;
parity | parity-vision) pins="requirements-$what.txt" venv=.venv-$what ;;
*) say "scripts/venv.sh: runtime, dev, parity or parity-vision, not '$what'."; exit 2 ;;
esac
stamp=$venv/.installed-$what

wanted="$(cat $pins | cksum) $(uname -sm)"
if [ ! -e $venv/.unfinished ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] \
    && $venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

# Two makes at once (`make run` in one terminal, `make test` in another) take turns; the second
# then finds the work done. macOS has no flock, and goes without.
if [ -z "${GRAFT_VENV_LOCKED:-}" ] && command -v flock >/dev/null 2>&1; then
    flock -n "$venv.lock" true || say "Another make is installing into $venv: waiting for it."
    GRAFT_VENV_LOCKED=1 exec flock "$venv.lock" scripts/venv.sh "$what"
fi

# TensorFlow 2.21 has wheels for 3.10 to 3.13, and the portal's own code needs 3.11.
suits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

if [ -e $venv/.unfinished ]; then
    say "The last installation into $venv was cut off: starting afresh."
    rm -rf $venv
elif [ -d $venv ] && ! $venv/bin/python -c "$suits" 2>/dev/null; then
    say "The Python that $venv was made with is gone or does not suit: starting afresh."
    rm -rf $venv
fi

if [ ! -d $venv ]; then
    python=
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c "$suits" 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        say "Python 3.11, 3.12 or 3.13 is needed, and was not found as ${PYTHON:-python3}."
        say "On Debian 12: apt-get install python3 python3-venv. Or name one: make PYTHON=/path/to/python3.11"
        exit 1
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "Python's venv module is missing ($("$python" -V 2>&1))."
        say "On Debian: apt-get install python3-venv, then run make again."
        exit 1
    fi
    mkdir $venv
    : > $venv/.unfinished
    "$python" -m venv $venv
fi

: > $venv/.unfinished
rm -f $venv/.installed-*
say "Installing $(cat $pins | grep -c '==') pinned packages into $venv."
[ "$venv" != .venv ] || say "The first time this takes some minutes and about 3 GB, most of it TensorFlow."
# At a terminal pip shows its progress; in a log only what goes wrong.
quiet=--quiet
[ -t 2 ] && quiet=
args=
for file in $pins; do args="$args -r $file"; done
if ! $venv/bin/python -m pip install $quiet --no-input --disable-pip-version-check $args; then
    say "The packages could not be installed; the reason stands above. Without network? Run make again later."
    exit 1
fi
echo "$wanted" > "$stamp"
if [ $what = dev ]; then # holds the run-time pins too
    echo "$(cat requirements.txt | cksum) $(uname -sm)" > $venv/.installed-runtime
fi
rm -f $venv/.unfinished
