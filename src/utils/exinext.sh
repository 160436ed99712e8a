#!/bin/sh
# When will Exim try again? Prints the retry hints of hosts or addresses that contain one of the words.
# Usage: exinext [-C configuration] [-D macro]... word...

bin=@BIN_DIRECTORY@
options=
while [ $# -gt 0 ]; do
    case $1 in
    -C | -D) [ $# -gt 1 ] || { echo "exinext: $1 needs a value" >&2; exit 1; }
        options="$options $1$2"; shift 2 ;;
    -C?* | -D?*) options="$options $1"; shift ;;
    --) shift; break ;;
    -*) echo "exinext: unknown option $1" >&2; exit 1 ;;
    *) break ;;
    esac
done
if [ $# -eq 0 ]; then
    echo "Usage: exinext [-C configuration] [-D macro] word..." >&2
    exit 1
fi

exim=${EXIM:-$bin/exim}
# shellcheck disable=SC2086 # options without blanks
spool=$($exim $options -bP spool_directory | sed 's/.*= *//')
if [ -z "$spool" ]; then
    echo "exinext: cannot tell where the spool directory is" >&2
    exit 1
fi

status=1
for word in "$@"; do
    # An address: its own key, then that of its domain, and the hosts which have its domain's name.
    case $word in
    *@*) also=${word#*@} ;;
    *) also=$word ;;
    esac
    found=$("$bin/exim_dumpdb" "$spool" retry | WORD=$word ALSO=$also awk '
        function show(which) { return which == "R" ? "Route" : which == "T" ? "Transport" : "Deliver" }
        NR % 2 == 1 {
            line = $0; sub(/^ +/, "", line); key = line; sub(/ .*/, "", key)
            text = line; sub(/^[^ ]+ +[^ ]+ +[^ ]+ */, "", text); next
        }
        index(tolower(key), tolower(ENVIRON["WORD"])) || index(tolower(key), tolower(ENVIRON["ALSO"])) {
            split($0, at, /  +/)
            printf "%s: %s", show(substr(key, 1, 1)), substr(key, 3)
            if (text != "") printf " error: %s", text
            past = sub(/ *\*$/, "", at[3]) ? "\n  past final cutoff time" : ""
            printf "\n  first failed: %s\n  last tried:   %s\n  next try at:  %s%s\n", at[1], at[2], at[3], past
        }')
    if [ -n "$found" ]; then
        printf '%s\n' "$found"
        status=0
    else
        echo "No retry data found for $word"
    fi
done
exit $status
