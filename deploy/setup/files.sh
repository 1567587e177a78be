# Users, folders, configuration, and the units: what lies outside a version's own folder.
# shellcheck shell=bash

# Off until a person switches them on.
NOT_ENABLED="andon-metrics.service andon-again@.service"

make_users_and_folders() { # version
	local from=$OPT/$1/deploy/systemd
	put 644 root:root "$from/andon.sysusers" /usr/local/lib/sysusers.d/andon.conf
	put 644 root:root "$from/andon.tmpfiles" /usr/local/lib/tmpfiles.d/andon.conf
	SYSTEMD_LOG_LEVEL=warning systemd-sysusers /usr/local/lib/sysusers.d/andon.conf
	systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/andon.conf
	install -d -m 755 $ETC
	install -d -m 700 $ETC/credentials
}

# The profile that was named, that there was before, or that fits the memory.
choose_profile() { # version, name or nothing
	local name=$2
	name=${name:-$(cat $ETC/profile 2>/dev/null || true)}
	PROFILE=${name:-$("$OPT/$1/bin/python" "$OPT/$1/deploy/setup/configure.py" --choose)}
}

write_configuration() { # version, kind of node
	local work=/run/andon-setup
	mkdir -p $work
	"$OPT/$1/bin/python" "$OPT/$1/deploy/setup/configure.py" "$PROFILE" >$work/config.yaml
	put_configuration 640 root:andon $work/config.yaml $ETC/config.yaml
	put 644 root:root "$OPT/$1/deploy/profiles/$PROFILE.yaml" $ETC/profile.yaml
	echo "$PROFILE" >$work/profile
	put 644 root:root $work/profile $ETC/profile
	echo "$2" >$work/node
	put 644 root:root $work/node $ETC/node
	rm -rf $work
	local said
	said=$("$OPT/$1/bin/andon" config check 2>&1) || fail "$ETC/config.yaml cannot be used by Andon $1: $said"
}

# The broker's certificates, passwords and rights.
make_access() { # version
	local before said
	before=$(fingerprint $ETC/broker $ETC/credentials $ETC/access.json)
	said=$("$OPT/$1/bin/andon" access init 2>&1) || fail "andon access init: $said"
	[ "$before" = "$(fingerprint $ETC/broker $ETC/credentials $ETC/access.json)" ] || touched
}

# Tells whether anything in files and folders changed; some may not be there.
fingerprint() { # files and folders
	{ find "$@" -type f -exec sha256sum {} + 2>/dev/null || true; } | sort | sha256sum
}

# Copies the units of a version, takes away those it does not have, and writes this box's limits.
put_units() { # version
	local from=$OPT/$1/deploy/systemd unit
	for unit in "$from"/*.{service,target,path,timer,socket,mount}; do
		[ ! -e "$unit" ] || put 644 root:root "$unit" "$UNITS/$(basename "$unit")"
	done
	for unit in "$UNITS"/{andon,run-andon}*.{service,target,path,timer,socket,mount}; do
		[ -e "$unit" ] && [ ! -e "$from/$(basename "$unit")" ] || continue
		systemctl -q disable --now "$(basename "$unit")" 2>/dev/null || true
		rm -rf "$unit" "$unit.d"
		touched
	done
	if [ -d "$from/udev" ]; then
		for unit in "$from"/udev/*.rules; do
			put 644 root:root "$unit" "/etc/udev/rules.d/$(basename "$unit")"
		done
	fi
	local before
	before=$(fingerprint "$UNITS"/andon*.d)
	"$OPT/$1/bin/andon" limits --to "$UNITS" >/dev/null
	[ "$before" = "$(fingerprint "$UNITS"/andon*.d)" ] || touched
	systemctl daemon-reload
}

# Enables each unit once: what a person disabled later stays so.
enable_units() { # version, kind of node
	local unit known=$NOTED/enabled
	mkdir -p "$NOTED"
	touch "$known"
	for unit in "$OPT/$1"/deploy/systemd/andon*.{target,service,path,timer,socket}; do
		[ -e "$unit" ] && grep -q '^\[Install\]' "$unit" || continue
		unit=$(basename "$unit")
		case " $NOT_ENABLED " in *" $unit "*) continue ;; esac
		case $unit in
		andon-ingest.*) [ "$2" = full ] || continue ;;
		andon-llama.*) [ -x "$OPT/$1/bin/llama-server" ] || continue ;;
		esac
		if grep -qx "$unit" "$known"; then
			linked "$unit" && continue
			systemctl -q reenable "$unit"
			touched
			continue
		fi
		systemctl -q enable "$unit"
		echo "$unit" >>"$known"
		touched
	done
}

# Whether a unit that is enabled is wanted by what its [Install] says: a version may say another.
linked() { # unit
	local by
	[ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ] || return 0
	# That of the stick has the label `andon backup --units` was told, where it was called.
	[ "$1" = andon-backup-stick.service ] && [ -e "$LINKS/run-andonstick.mount.d/50-label.conf" ] && return 0
	while read -r by; do
		[ -L "$LINKS/$by.wants/$1" ] || return 1
	done < <(sed -n 's/^WantedBy=//p' "$UNITS/$1" | tr ' ' '\n')
}

# Tells a first boot what is enabled: that of a copy of this disk without a machine-id enables all
# units there are, Debian's own broker too, but for what stands here.
write_preset() {
	local unit state work=/run/andon-setup.preset
	for unit in "$UNITS"/andon*.{target,service,path,timer,socket} mosquitto.service; do
		[ -e "$unit" ] || [ "$unit" = mosquitto.service ] || continue
		unit=$(basename "$unit")
		state=$(systemctl is-enabled "$unit" 2>/dev/null || true)
		case $state in
		enabled) echo "enable $unit" ;;
		disabled) echo "disable $unit" ;;
		esac
	done >$work
	put 644 root:root $work $PRESET
	rm -f $work
}

# Makes a version the one that runs; nothing is started. To be called by `attempt`.
activate() { # version, kind of node
	make_users_and_folders "$1"
	choose_profile "$1" "${ASKED_PROFILE:-}"
	write_configuration "$1" "$2"
	make_access "$1"
	point $OPT/current "$1"
	point /usr/local/bin/andon $OPT/current/bin/andon
	put_units "$1"
	enable_units "$1" "$2"
	write_preset
}
