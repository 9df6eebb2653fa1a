#!/bin/sh
# docs-check.sh - what the documents say of files, functions, tests and keys
# is there.  Says what is not, and exits 1.

cd "$(dirname "$0")/.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

wrong()
{
	echo "$*" >&2
	bad=1
}

# The pages that come from the source.
make -s build/gendoc build/l2tpns || exit 1
for page in config:config.md counters:counters.md man:startup-config.5 \
    l2tpns:l2tpns.8 plugins:PLUGINS.md; do
	build/gendoc "${page%%:*}" | cmp - "Docs/${page#*:}" ||
	    wrong "Docs/${page#*:} is old: make docs"
done

# Every source file has its place on the map.
for f in *.c; do
	grep -q "\`$f\`" Docs/DESIGN.md || wrong "Docs/DESIGN.md: no $f"
done

# Files by name, and where links lead.
grep -oh '`[a-z_/0-9-][a-z_/0-9-]*\.\([ch]\|sh\|py\|mk\|md\)`' README.md Docs/*.md |
    tr -d '`' | sort -u >"$tmp/files"
while read -r f; do
	[ -e "$f" ] || [ -e "Docs/$f" ] || wrong "documents: no file $f"
done <"$tmp/files"
grep -oh '](\([A-Za-z_./-]*\)[)#]' README.md | tr -d '](#)' >"$tmp/links"
while read -r f; do
	[ -e "$f" ] || wrong "README.md: link to $f"
done <"$tmp/links"
grep -oh '](\([A-Za-z_./-]*\)[)#]' Docs/*.md | tr -d '](#)' >"$tmp/links"
while read -r f; do
	[ -e "Docs/$f" ] || wrong "Docs/*.md: link to $f"
done <"$tmp/links"

# Headings that links lead to, by the names that are made of them.
slugs()
{
	sed -n 's/^##* //p' "$1" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-'
}
for f in README.md Docs/*.md; do
	grep -o ']([A-Za-z_./-]*#[a-z0-9_-]*)' "$f" | sed 's/^](//; s/)$//' |
	    sort -u >"$tmp/links"
	while IFS='#' read -r to name; do
		case $to in
		'')	to=$f ;;
		*)	to=$(dirname "$f")/$to ;;
		esac
		slugs "$to" | grep -qx "$name" || wrong "$f: no heading $to#$name"
	done <"$tmp/links"
done

# Functions and tables by name.
grep -oh '`[A-Za-z_0-9]*()`' Docs/RFC.md Docs/DESIGN.md Docs/HACKING.md |
    tr -d '`()' | sort -u >"$tmp/functions"
while read -r f; do
	grep -q "\(^\|[^a-zA-Z_0-9]\)$f(" ./*.c ./*.h ||
	    wrong "documents: no function $f()"
done <"$tmp/functions"
grep -oh '`[a-z_]*\[[a-z]*\]' Docs/*.md | sed 's/`//; s/\[.*//' | sort -u \
    >"$tmp/tables"
while read -r f; do
	grep -q "$f\[" ./*.c || wrong "documents: no table ${f}[]"
done <"$tmp/tables"

# Tests by name; names in brackets are in the test before them.
grep '^|' Docs/RFC.md | sed 's/.*| \(.*\) |$/\1/' | tr ',' '\n' |
    sed 's/^ *//' >"$tmp/tests"
inside=
while read -r t rest; do
	case $t in
	*.replay)	f=tests/replay/$t ;;
	test_*)		f=tests/system/$t.py
			[ -e "$f" ] || f= ;;
	*_test)		f=tests/unit/$t.c inside=$f ;;
	*)		continue ;;
	esac
	case $t in
	test_*\)|test_*)
		if [ -z "$f" ]; then
			grep -q "^${t%)}(" "$inside" ||
			    wrong "Docs/RFC.md: no ${t%)} in $inside"
			continue
		fi ;;
	esac
	[ -e "$f" ] || wrong "Docs/RFC.md: no test $f"
	case $rest in
	\(*)	t=${rest#\(}
		grep -q "^${t%)}(" "$inside" ||
		    wrong "Docs/RFC.md: no ${t%)} in $inside" ;;
	esac
done <"$tmp/tests"

# What README.md and the manual set is taken.
mkdir "$tmp/etc"
cp etc/ip_pool.default "$tmp/etc/ip_pool"
for f in README.md Docs/manual.md; do
	sed -n 's/^    \(set [a-z_0-9]* .*\)/\1/p' "$f" |
	    grep -v '^set access ' >"$tmp/etc/startup-config"
	build/l2tpns -t -c "$tmp/etc/startup-config" >"$tmp/faults" ||
	    wrong "$f: $(cat "$tmp/faults")"
	[ -s "$tmp/etc/startup-config" ] || wrong "$f sets nothing"
done

# Every key that does something has its task in the manual.
sed -n '/^## Keys$/,/^## Keys of/s/^| `\([a-z_0-9]*\)` |.*| at [a-z]* |.*/\1/p' \
    Docs/config.md >"$tmp/keys"
[ -s "$tmp/keys" ] || wrong "Docs/config.md has no keys"
while read -r key; do
	grep -q "^|.*\`$key\`" Docs/manual.md || wrong "Docs/manual.md: no $key"
done <"$tmp/keys"

# Manual pages without complaints, by whatever is there to complain.
for m in Docs/l2tpns.8 Docs/nsctl.8 Docs/startup-config.5; do
	if command -v groff >/dev/null; then
		groff -man -mdoc -ww -z "$m" 2>"$tmp/roff"
		[ ! -s "$tmp/roff" ] || wrong "$(cat "$tmp/roff")"
	fi
done

exit $bad
