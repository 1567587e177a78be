# What all parts of the installer use. Sourced, never run.
# shellcheck shell=bash disable=SC2034

OPT=/opt/andon
ETC=/etc/andon
DATA=/var/lib/andon
UNITS=/usr/local/lib/systemd/system
LINKS=/etc/systemd/system     # where systemctl notes what is enabled, and people change units
PRESET=/usr/local/lib/systemd/system-preset/50-andon.preset
NOTED=$ETC/.installed         # what we wrote last, to know what people changed
KEPT=$DATA/before             # databases and configuration as they were before an upgrade
UNDERWAY=$OPT/.upgrade        # stands as long as an upgrade is under way: its stage and versions
DATABASES=(ledger corpus library)
TOUCHED=/run/andon-setup.touched # stands from a change to the restart that makes it effective

say() { printf '%s\n' "$*"; }
step() { printf '%s\n' "- $*"; }
warn() { printf 'andon: %s\n' "$*" >&2; }
fail() {
	warn "$@"
	exit 1
}

touched() { touch $TOUCHED; }

# Runs a function, each of whose steps must succeed; its exit code is then in OUTCOME. (As the
# condition of an `if` it would go on after a step that failed: bash has it so.)
attempt() {
	set +e
	(
		set -e
		"$@"
	)
	OUTCOME=$?
	set -e
}

# The value of a key in a version's MANIFEST.
fact() { # file, key
	sed -n "s/^$2=//p" "$1" | head -n 1
}

# The version that runs, or the one before it; nothing where there is none.
running_version() { basename "$(readlink "$OPT/current" 2>/dev/null)" 2>/dev/null || true; }
former_version() { basename "$(readlink "$OPT/previous" 2>/dev/null)" 2>/dev/null || true; }

# A link that is the old one or the new one at every moment.
point() { # link, target
	[ "$(readlink "$1" 2>/dev/null)" = "$2" ] && return
	ln -sfn "$2" "$1.new"
	mv -T "$1.new" "$1"
	touched
}

# Whether the first version is newer than the second.
newer() { dpkg --compare-versions "$1" gt "$2"; }

checksum() { sha256sum "$1" | cut -d ' ' -f 1; }

# Writes a file whole or not at all, and only if it is another one.
put() { # mode, owner, source, target
	if cmp -s "$3" "$4"; then
		chown "$2" "$4"
		chmod "$1" "$4"
		return
	fi
	install -D -m "$1" -o "${2%:*}" -g "${2#*:}" "$3" "$4.part"
	mv -T "$4.part" "$4"
	touched
}

# As put, but a file that people changed stays, and the new one goes beside it.
put_configuration() { # mode, owner, source, target
	local note now
	note=$NOTED/$(basename "$4").sha256
	now=
	[ ! -e "$4" ] || now=$(checksum "$4")
	mkdir -p "$NOTED"
	if [ -n "$now" ] && [ "$now" != "$(checksum "$3")" ] && [ "$now" != "$(cat "$note" 2>/dev/null)" ]; then
		# Told once: not again for the same new one.
		cmp -s "$3" "$4.new" && return
		install -m "$1" -o "${2%:*}" -g "${2#*:}" "$3" "$4.new"
		step "$4 was changed by hand and stays; what would have been there is $4.new"
		return
	fi
	put "$@"
	rm -f "$4.new"
	checksum "$3" >"$note"
}
