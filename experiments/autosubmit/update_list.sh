# Gives jobs of a running experiment another status: update_list EXPID STATUS "NAME NAME …"
#
# The loop of a run reads status/updated_list_EXPID.txt, one "name STATUS" a line, and renames it when it has done so.
# The file gets its name by a link, whole and never over one that waits; if nobody reads it, it is taken back.
# The command line that runs this has no comments; see `command.py`.

set -u -f
expid=$1 status=$2 limit=600
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
take_back() {
    mv "$list" "$new" 2>/dev/null && rm -f "$new"
}

root=$(awk '/^[[:space:]]*\[/ { here = ($1 == "[local]") }
    here && tolower($0) ~ /^path[[:space:]]*[=:]/ { sub(/^[^=:]*[=:][[:space:]]*/, ""); sub(/[[:space:]]+$/, ""); print; exit }
' "${AUTOSUBMIT_CONFIGURATION:-$HOME/.autosubmitrc}")
folder=$root/$expid/status
list=$folder/updated_list_$expid.txt
new=$folder/.updated_list_$expid.$$
if [ -z "$root" ] || [ ! -d "$folder" ]; then
    say "There is no folder $folder: this Autosubmit takes no changes while it runs."
    exit 3
fi

umask 022
if ! lines '%s %s\n' "$*" >"$new"; then
    rm -f "$new"
    say "The change could not be written into $folder."
    exit 4
fi
ln "$new" "$list"
linked=$?
rm -f "$new"
if [ "$linked" -ne 0 ]; then
    [ -e "$list" ] && why="A previous change is still waiting to be read ($list)." || why="$list cannot be written."
    say "$why Nothing was changed."
    exit 5
fi

end() {
    take_back && say "No run has read the change. It was taken back, nothing was changed." || say "The run has read it."
    exit 143
}
trap end HUP INT TERM
waited=0
while [ -e "$list" ]; do
    if [ "$waited" -ge "$limit" ] && take_back; then
        say "No run has read the change within $limit s. It was taken back, nothing was changed."
        exit 6
    fi
    sleep 1
    waited=$((waited + 1))
done

lines 'CHANGED: job: %s status to: %s\n' "$*"
say "The run has read the change after $waited s."
