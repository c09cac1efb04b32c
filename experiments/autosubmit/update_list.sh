# Gives jobs of a running experiment another status: update_list EXPID STATUS "NAME NAME …"
#
# The loop of a run reads status/updated_list_EXPID.txt, one "name STATUS" a line, renames it, then saves its job list.
# The file gets its name by a link: whole, and never over one that waits. If no run reads it, it is taken back.
# The command line that runs this has no comments; see `command.py`.

set -u -f
expid=$1 status=$2 patience=600 waited=0
shift 2

say() {
    printf 'update_list: %s\n' "$1"
}
lines() {
    format=$1
    shift
    for name in $*; do
        printf "$format" "$name" "$status"
    done
}
is_waiting() {
    [ "$list" -ef "$new" ]
}
# The run has renamed the file, which is when its inode changed; a job list that is newer was saved after that.
is_saved() {
    [ -n "$(find "$root/$expid/pkl/job_list_$expid.pkl" "$root/$expid/db/job_list.db" -newermc "$new" 2>/dev/null)" ]
}
give_up() {
    if is_waiting && mv "$list" "$new.back"; then
        say "No run has read the change. It was taken back, nothing was changed."
    else
        say "The run has read the change, but was not seen to save its job list. Look at its log."
    fi
    exit 6
}
pause() {
    [ "$waited" -lt "$patience" ] || give_up
    sleep 1
    waited=$((waited + 1))
}

root=$(awk '/^[ \t]*\[/ { here = ($1 == "[local]") }
    here && tolower($0) ~ /^[ \t]*path[ \t]*[=:]/ { sub(/^[^=:]*[=:][ \t]*/, ""); sub(/[ \t]+$/, ""); print; exit }
' "${AUTOSUBMIT_CONFIGURATION:-$HOME/.autosubmitrc}")
folder=$root/$expid/status
list=$folder/updated_list_$expid.txt
new=$folder/.updated_list_$expid.$$
if [ -z "$root" ] || [ ! -d "$folder" ]; then
    say "There is no folder $folder: this Autosubmit takes no changes while it runs."
    exit 3
fi

trap 'rm -f "$new" "$new.back"' EXIT
umask 022
if ! lines '%s %s\n' "$*" >"$new"; then
    say "The change could not be written into $folder."
    exit 4
fi
trap give_up HUP INT TERM
if ! ln "$new" "$list"; then
    [ -e "$list" ] && why="A previous change is still waiting to be read: $list." || why="$list cannot be written."
    say "$why Nothing was changed."
    exit 5
fi
while is_waiting; do
    pause
done
until is_saved; do
    pause
done
lines 'CHANGED: job: %s status to: %s\n' "$*"
say "The run has read the change after $waited s."
