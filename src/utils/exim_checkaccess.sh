#!/bin/sh
# May this host send to this address? Plays the host up to RCPT with -bh and says what the answer is.
# Usage: exim_checkaccess <IP address> <email address> [options for exim]

bin=@BIN_DIRECTORY@
if [ $# -lt 2 ]; then
    echo "Usage: exim_checkaccess <IP address> <email address> [options for exim]" >&2
    exit 2
fi
host=$1 address=$2
shift 2
sender=
if [ "$1" = -f ]; then
    [ $# -gt 1 ] || { echo "exim_checkaccess: -f needs an address" >&2; exit 2; }
    sender=$2
    shift 2
fi

exim=${EXIM:-$bin/exim}
replies=$(printf 'HELO [%s]\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nQUIT\r\n' "$host" "$sender" "$address" |
    $exim "$@" -bh "$host" 2>/dev/null | tr -d '\r')
# Last lines of the replies: banner, HELO, MAIL, RCPT. The first that is no 2xx decides.
verdict=$(printf '%s\n' "$replies" | awk '
    /^[0-9][0-9][0-9]-/ { before = before $0 "\n"; next }
    /^[0-9][0-9][0-9]( |$)/ { if ($0 !~ /^2/) { print before $0; exit } n++; before = "" }
    n == 4 { print "accepted"; exit }')
case $verdict in
accepted) echo "Accepted"; exit 0 ;;
'') echo "exim_checkaccess: no answer from $exim -bh" >&2; exit 2 ;;
*) echo "Rejected:"; echo "$verdict"; exit 1 ;;
esac
