#!/bin/sh
# Runs one command and keeps what is known of it: sh launch.sh DIRECTORY
#
# DIRECTORY/argv holds one argument a line, with backslash and newline written as \\ and \n. The command is read from
# there and not from our own command line, because `autosubmit stop` finds a run by scanning command lines and would
# signal this script instead of the run.
#
# Leaves: pid ("pid start-time", the start time in clock ticks since boot where /proc has it), output, exit_status.

# Signals are for the command; being caught here and not ignored, they have their default effect there.
trap : HUP INT TERM

cd "$1" || exit 125

printf '%s %s\n' "$$" "$(cut -d ' ' -f 22 "/proc/$$/stat" 2>/dev/null)" >pid.new && mv pid.new pid || exit 125

set --
while IFS= read -r line; do
    argument=$(printf '%bx' "$line") # the x keeps trailing newlines
    set -- "$@" "${argument%x}"
done <argv

"$@" </dev/null >>output 2>&1
printf '%s\n' "$?" >exit_status.new && mv exit_status.new exit_status
