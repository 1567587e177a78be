# A version's folder below /opt/andon: complete or not there at all.
# shellcheck shell=bash

# Whether this very bundle stands there, unpacked for this kind of node or a larger one.
unpacked() { # version, kind
	local has
	has=$(cat "$OPT/$1/.complete" 2>/dev/null) || return 1
	[ "$has" = "$(checksum "$HERE/SHA256SUMS") $2" ]
}

unpack() { # version, kind
	unpacked "$1" "$2" && return
	step "Andon $1 to $OPT/$1"
	local part=$OPT/.$1.part
	rm -rf "$part" "$OPT/.$1.old"
	mkdir -p "$part/bin"
	chmod 755 $OPT "$part"
	cp -r "$HERE/docs" "$HERE"/{README.md,CHANGELOG.md,LICENSE,MANIFEST,install.sh} "$part"
	cp "$HERE"/bin/* "$part/bin"
	# What `python3 -m venv` makes, which Debian has in a package of its own. Debian's other
	# Python packages are out of sight, and children find ours without being told.
	ln -s /usr/bin/python3.11 "$part/bin/python"
	printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$part/pyvenv.cfg"
	/usr/bin/python3.11 "$HERE/deploy/setup/unpack.py" "$HERE/wheels" "$2" "$part/lib/python3.11/site-packages"
	# Programs look for it beside themselves, people here.
	cp -r "$HERE/deploy/." "$part/lib/python3.11/site-packages/deploy"
	ln -s lib/python3.11/site-packages/deploy "$part/deploy"
	chown -R root:root "$part"
	chmod -R u=rwX,go=rX "$part"
	chmod 755 "$part"/bin/* "$part/install.sh"
	echo "$(checksum "$HERE/SHA256SUMS") $2" >"$part/.complete"
	sync -f "$part"
	[ ! -e "$OPT/$1" ] || mv "$OPT/$1" "$OPT/.$1.old"
	mv "$part" "$OPT/$1"
	rm -rf "$OPT/.$1.old"
	touched
}

# Removes versions that neither run nor ran before.
remove_others() {
	local folder name
	for folder in "$OPT"/[0-9]* "$OPT"/.[0-9]*; do
		name=$(basename "$folder")
		case $name in
		"$(running_version)" | "$(former_version)") ;;
		*) rm -rf "$folder" ;;
		esac
	done
	own_kept
	for folder in "$KEPT"/*; do
		[ "$(basename "$folder")" = "$(former_version)" ] || rm -rf "$folder"
	done
}
