#!/bin/sh
# Asks every Exim process what it does (by a signal), then prints what they wrote.
# Usage: exiwhat [-C configuration]

bin=@BIN_DIRECTORY@
config=
case $1 in
'') ;;
-C) [ $# -eq 2 ] || { echo "Usage: exiwhat [-C configuration]" >&2; exit 1; }
    config="-C $2" ;;
*) echo "Usage: exiwhat [-C configuration]" >&2; exit 1 ;;
esac

exim=${EXIM:-$bin/exim}
# shellcheck disable=SC2086
log=$($exim $config -bP process_log_path | sed 's/^[^=]*= *//')
if [ -z "$log" ]; then
    # shellcheck disable=SC2086
    spool=$($exim $config -bP spool_directory | sed 's/^[^=]*= *//')
    [ -n "$spool" ] || { echo "exiwhat: cannot tell where the process log is" >&2; exit 1; }
    log=$spool/exim-process.info
fi

@RM_COMMAND@ -f "$log" || exit 1
multikill=@EXIWHAT_MULTIKILL_CMD@
if [ -n "$multikill" ]; then
    $multikill @EXIWHAT_KILL_SIGNAL@ @EXIWHAT_MULTIKILL_ARG@ >/dev/null 2>&1
else
    @EXIWHAT_PS_CMD@ @EXIWHAT_PS_ARG@ | grep -E @EXIWHAT_EGREP_ARG@ | grep -v grep |
        awk '{ print $1 }' | xargs kill @EXIWHAT_KILL_SIGNAL@ >/dev/null 2>&1
fi
sleep 1

if [ -s "$log" ]; then
    sort -n "$log" | uniq
else
    echo "No exim process data"
fi
