#!/bin/sh
# Renames Exim's main, reject and panic logs: mainlog -> mainlog.01 -> mainlog.02.gz and so on.
# Usage: exicyclog [-k how many to keep] [-l directory of the logs]

bin=@BIN_DIRECTORY@
keep=@EXICYCLOG_MAX@
directory=
usage() {
    echo "Usage: exicyclog [-k how many to keep] [-l directory of the logs]" >&2
    exit 1
}
while getopts k:l: option; do
    case $option in
    k) keep=$OPTARG ;;
    l) directory=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || usage
case $keep in '' | *[!0-9]* | 0) echo "exicyclog: \"$keep\" is no number of logs" >&2; exit 1 ;; esac

exim=${EXIM:-$bin/exim}
if [ -n "$directory" ]; then
    pattern=$directory/%slog
else
    pattern=$($exim -bP log_file_path | sed 's/^[^=]*= *//')
fi
# The list may name syslog too: the first item that is a file counts.
pattern=$(printf '%s\n' "$pattern" | tr ':' '\n' | sed 's/^ *//; s/ *$//' | grep '^/' | head -n 1)
if [ -z "$pattern" ]; then
    spool=$($exim -bP spool_directory | sed 's/^[^=]*= *//')
    [ -n "$spool" ] || { echo "exicyclog: cannot tell where the logs are" >&2; exit 1; }
    pattern=$spool/log/%slog
fi
case $pattern in
*%s*) ;;
*) echo "exicyclog: log_file_path has no %s: $pattern" >&2; exit 1 ;;
esac
case $pattern in
*%D* | *%M*) exit 0 ;; # Exim itself begins a new file by the date
esac

width=${#keep}
[ "$width" -ge 2 ] || width=2
numbered() { printf "%s.%0${width}d" "$1" "$2"; }

cycle() {
    log=$1
    [ -s "$log" ] || return 0
    n=$keep
    old=$(numbered "$log" "$n")
    @RM_COMMAND@ -f "$old" "$old.@COMPRESS_SUFFIX@"
    while [ "$n" -gt 1 ]; do
        from=$(numbered "$log" $((n - 1)))
        to=$(numbered "$log" "$n")
        if [ -f "$from" ]; then
            @MV_COMMAND@ "$from" "$to" && @COMPRESS_COMMAND@ "$to"
        elif [ -f "$from.@COMPRESS_SUFFIX@" ]; then
            @MV_COMMAND@ "$from.@COMPRESS_SUFFIX@" "$to.@COMPRESS_SUFFIX@"
        fi
        n=$((n - 1))
    done
    new=$(numbered "$log" 1)
    @MV_COMMAND@ "$log" "$new" || return 1
    # A new one with the old one's owner and mode, so that whoever writes next may.
    @TOUCH_COMMAND@ "$log" &&
        @CHOWN_COMMAND@ "$(stat -c %u:%g "$new")" "$log" &&
        @CHMOD_COMMAND@ "$(stat -c %a "$new")" "$log"
}

status=0
for kind in main reject panic; do
    name=$(printf '%s\n' "$pattern" | sed "s/%s/$kind/")
    cycle "$name" || status=1
done
exit $status
