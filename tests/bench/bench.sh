#!/bin/sh
# bench.sh [OPTION...] - measure beside Debian's l2tpns 2.4.1 and a relay that
# looks nothing up; see bench.py --help.  `make bench` passes $BENCH on.

case " ${BENCH:-} $* " in
*" -h "* | *" --help "*) ;;
*) "$(dirname "$0")/../install-deps.sh" --bench || exit 1 ;;
esac
# shellcheck disable=SC2086  # a list of options
exec /usr/bin/python3 -B "$(dirname "$0")/bench.py" ${BENCH:-} "$@"
