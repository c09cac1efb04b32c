# Gives jobs of a running experiment another status: update_list EXPID STATUS "NAME NAME …"
#
# The loop of a run reads status/updated_list_EXPID.txt, one "name STATUS" a line, renames it, then saves its job list.
# The file gets its name by a link: whole, and never over one that waits. If no run reads it, it is taken back.
# Others may write in the folder, so nothing is written through a link: the folder is entered, then looked at, and the
# file is made anew (O_EXCL), whatever lies there.
# The command line that runs this has no comments; see `scripts.py`.

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
exists() {
    [ -e "$1" ] || [ -L "$1" ]
}
# The run has renamed the file, which is when its inode changed; a job list that is newer was saved after that.
is_saved() {
    [ -n "$(find "../pkl/job_list_$expid.pkl" ../db/job_list.db -newermc "$new" 2>/dev/null)" ]
}
give_up() {
    if is_waiting && mv -T "$list" "$new.back"; then
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
if [ -z "$root" ] || [ ! -d "$folder" ]; then
    say "There is no folder $folder: this Autosubmit takes no changes while it runs."
    exit 3
fi
if ! cd -P "$folder" || [ "$(pwd -P)" != "$(cd -P "$root" && pwd -P)/$expid/status" ]; then
    say "$folder is a link, or below one: nothing is written there. Nothing was changed."
    exit 4
fi

list=updated_list_$expid.txt
new=.updated_list_$expid.$$
umask 022
if exists "$new"; then
    say "$folder/$new is in the way. Remove it. Nothing was changed."
    exit 4
fi
trap 'rm -f "$new" "$new.back"' EXIT
if ! lines '%s %s\n' "$*" | dd of="$new" conv=excl status=none; then
    say "The change could not be written into $folder."
    exit 4
fi
trap give_up HUP INT TERM
if ! ln -T "$new" "$list"; then
    exists "$list" && why="A previous change is still waiting to be read: $folder/$list." || why="$folder/$list cannot be written."
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
