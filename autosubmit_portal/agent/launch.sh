#!/bin/sh
# Runs one command and keeps what is known of it: sh DIRECTORY/launch.sh DIRECTORY UMASK
#
# It is a copy in its own run directory: a shell reads a script while it runs, so another version must not replace it.
#
# DIRECTORY/argv holds one argument a line, with backslash and newline written as \\ and \n. The command is read from
# there and not from our own command line, because `autosubmit stop` finds a run by scanning command lines and would
# signal this script instead of the run.
#
# DIRECTORY/request holds the digest of the request and the identity of the host.
#
# Leaves: pid ("pid start-time identity", the start time in clock ticks since boot), output, exit_status.

# Only the command has this umask.
mask=$2
umask 077

# Signals are for the command; being caught here and not ignored, they have their default effect there.
trap : HUP INT TERM

cd "$1" || exit 125

# A link is made only where there is nothing yet: one launcher makes `pid` and goes on, unless somebody gave us up.
read -r digest identity <request || exit 125
set -C # no other launcher's file is taken
printf '%s %s %s\n' "$$" "$(cut -d ' ' -f 22 "/proc/$$/stat")" "$identity" >"pid.$$" || exit 125
set +C
ln "pid.$$" pid || { rm "pid.$$"; exit 125; }
rm "pid.$$"

set --
while IFS= read -r line; do
    argument=$(printf '%bx' "$line") # the x keeps trailing newlines
    set -- "$@" "${argument%x}"
done <argv

umask "$mask"
"$@" </dev/null >>output 2>&1
status=$?
umask 077

# A disk that is full must not lose it: wait for room, for as long as somebody may still ask.
until printf '%s\n' "$status" >exit_status.new && mv exit_status.new exit_status; do
    [ -e argv ] || exit 125
    sleep 1
done
