#!/bin/sh
# Runs one command and keeps what is known of it: sh launch.sh DIRECTORY
#
# DIRECTORY/argv holds one argument a line, with backslash and newline written as \\ and \n. The command is read from
# there and not from our own command line, because `autosubmit stop` finds a run by scanning command lines and would
# signal this script instead of the run.
#
# Leaves: pid ("pid start-time", the start time in clock ticks since boot where /proc has it), output, exit_status.

# Only the command has the umask that we were given.
mask=$(umask)
umask 077

# Signals are for the command; being caught here and not ignored, they have their default effect there.
trap : HUP INT TERM

cd "$1" || exit 125

# A link is made only where there is nothing yet: either we make `pid` and start, or somebody gave us up and did.
printf '%s %s\n' "$$" "$(cut -d ' ' -f 22 "/proc/$$/stat" 2>/dev/null)" >pid.new && ln pid.new pid || exit 125
rm pid.new

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
