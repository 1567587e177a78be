# What must be true before anything is touched. All that is wrong is told at once.
# shellcheck shell=bash

WRONG=()
wrong() { WRONG+=("$*"); }

# For every action: who calls it, and where.
check_machine() {
	[ "$(id -u)" = 0 ] || wrong "this needs root: call $0 $ARGUMENTS as root"
	[ -d /run/systemd/system ] || wrong "systemd does not run this machine: Andon is made of its units"
}

check_bundle() {
	local id version arch
	id=$(. /etc/os-release && echo "${ID:-}")
	version=$(. /etc/os-release && echo "${VERSION_ID:-}")
	[ "$id $version" = "debian 12" ] ||
		wrong "this is $(. /etc/os-release && echo "$PRETTY_NAME"): the bundle is for Debian 12"
	arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
	[ "$arch" = "$(fact "$HERE/MANIFEST" arch)" ] ||
		wrong "this machine is $arch: the bundle is for $(fact "$HERE/MANIFEST" arch)"
	for program in apt-get systemd-sysusers systemd-tmpfiles flock; do
		command -v $program >/dev/null || wrong "$program is missing"
	done
	if [ ! -d "$HERE/wheels" ]; then
		wrong "call install.sh from the unpacked bundle: here are no packages to install"
	elif ! damaged=$(cd "$HERE" && sha256sum --quiet --check SHA256SUMS 2>&1); then
		wrong "the bundle is damaged, copy it anew: $(head -n 3 <<<"$damaged" | tr '\n' ' ')"
	fi
}

check_room() { # kind of node
	local have need place mount
	have=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
	need=$([ "$1" = full ] && echo 1200 || echo 600)
	[ "$have" -ge "$need" ] ||
		wrong "$have MB of memory, a node of this kind needs $need$([ "$1" = full ] && echo ': --answering needs less')"
	declare -A wanted=()
	want() { # folder, MB
		place=$1
		until [ -e "$place" ]; do place=$(dirname "$place"); done
		mount=$(findmnt -n -o TARGET -T "$place")
		wanted[$mount]=$((${wanted[$mount]:-0} + $2))
		case ,$(findmnt -n -o OPTIONS -T "$place"), in
		*,ro,*) wrong "$mount is mounted read-only: mount -o remount,rw $mount, and ro again afterwards" ;;
		esac
	}
	unpacked "$VERSION" "$1" || want $OPT $(($(fact "$HERE/MANIFEST" "mb_$1") + 10))
	packages_present || want /usr "$(fact "$HERE/MANIFEST" mb_packages)"
	want /etc 1
	# The copy of the databases that an upgrade makes, and room to work.
	want $DATA $(($(databases_mb) + 100))
	for mount in "${!wanted[@]}"; do
		have=$(($(df --output=avail -k "$mount" | tail -n 1) / 1024))
		[ "$have" -ge "${wanted[$mount]}" ] ||
			wrong "$have MB are free on $mount, ${wanted[$mount]} MB are needed"
	done
}

databases_mb() {
	find $DATA -maxdepth 1 -name '*.db*' -printf '%s\n' 2>/dev/null | awk '{n += $1} END {print int(n / 1048576)}' || true
}

# Data of a newer Andon cannot be read by an older one.
check_data() { # MANIFEST of the version that is to read it
	local name has knows
	for name in "${DATABASES[@]}"; do
		has=$(schema_of "$DATA/$name.db")
		knows=$(fact "$1" "schema_$name")
		[ "$has" -le "$knows" ] ||
			wrong "$DATA/$name.db was written by a newer Andon (its form is number $has, this one knows $knows): install that one, or restore a backup of this version"
	done
}

# The form of a database: a number in its head, which Andon writes; 0 where there is none.
schema_of() { # file
	if [ -s "$1" ] && command -v python3 >/dev/null; then
		# As its owner, so that the files beside it stay his; it is what the WAL says.
		setpriv --reuid="$(stat -c %u "$1")" --regid="$(stat -c %g "$1")" --clear-groups python3 - "$1" <<-'PY'
			import sqlite3, sys
			try:
			    print(sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version").fetchone()[0])
			except sqlite3.DatabaseError:  # damaged: the service sets it aside
			    print(0)
		PY
	elif [ -s "$1" ]; then
		od -An -t u4 --endian=big -j 60 -N 4 "$1" | tr -d ' '
	else
		echo 0
	fi
}

tell_wrong() {
	[ ${#WRONG[@]} -eq 0 ] && return
	warn "nothing was changed. What is in the way:"
	printf '  - %s\n' "${WRONG[@]}" >&2
	exit 1
}
