# Loads environment modules and becomes a command:
# sh -c SCRIPT modules MODULECMD MODULEPATH NAME… -- COMMAND…
#
# The program of the modules prints what a shell is to do. Only this shell does it, and after it is the command: as
# `module` does it in a terminal. The file of the site names program, path and modules; nothing of a request is evaluated.
program=$1 MODULEPATH=$2
export MODULEPATH
shift 2
while [ "$1" != -- ]; do
    code=$("$program" sh load "$1") || exit 127
    eval "$code" || exit 127
    shift
done
shift
exec "$@"
