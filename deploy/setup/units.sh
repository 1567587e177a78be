# Starting, stopping, and whether all is well.
# shellcheck shell=bash

STOPPED=                      # not empty from the stop of the services to their start
READY_S=${ANDON_READY_S:-300} # a large database takes its time to be migrated

# The services of this node, as they are called on the bus.
services_of() { # kind of node
	echo orchestrator retriever llm_bridge
	[ "$1" = answering ] || echo ingest
}

unit_of() { echo "andon-${1//_/-}.service"; }

stop_services() {
	local name units=()
	# Whatever goes wrong from here on: the box does not stay down.
	STOPPED=yes
	trap revive EXIT
	for name in $(services_of full); do units+=("$(unit_of "$name")"); done
	# First what would start one of them meanwhile.
	systemctl stop andon-ingest.{socket,path,timer} 'andon-again@*' 2>/dev/null || true
	systemctl stop "${units[@]}" 2>/dev/null || true
}

# Starts what there is where the installer ends early.
revive() {
	[ -n "$STOPPED" ] || return 0
	warn "this was cut short: the services are started as they are now, see andon status; call install.sh again"
	start
}

# What each service that is not well says; nothing when all are ready.
troubles() { # kind of node
	local states name unit state reason
	states=$("$OPT/current/bin/andon" status --json 2>/dev/null | "$OPT/current/bin/python" -c '
import json, sys
for name, status in json.load(sys.stdin).items():
    if status and "state" in status:
        rests = status["facts"].get("resting")  # ends when idle, and starts when there is work
        print(name, "resting" if rests else status["state"], status["reason"] or "-")
' 2>/dev/null || true)
	for name in $(services_of "$1"); do
		unit=$(unit_of "$name")
		read -r _ state reason < <(grep "^$name " <<<"$states") || state=silent reason=-
		case $state in
		resting) continue ;;
		ready) systemctl -q is-active "$unit" && continue ;;
		esac
		if systemctl -q is-active "$unit"; then
			echo "$name is $state: $reason"
		else
			echo "$unit is $(systemctl show -P ActiveState "$unit")"
		fi
	done
}

# Waits until all services are ready. Those that were degraded before may be so again.
wait_until_ready() { # kind of node, troubles there were before
	local until=$((SECONDS + READY_S)) left name
	while :; do
		left=$(troubles "$1" | grep -vxF -e "${2:-nothing}" || true)
		[ -n "$left" ] || return 0
		[ "$SECONDS" -lt "$until" ] || break
		for name in broker $(services_of "$1"); do
			hopeless "$(unit_of "$name")" && break 2
		done
		sleep 0.5
	done
	warn "not ready:
$left"
	return 1
}

# Whether a unit has given up, or begun anew so often that it will not come.
hopeless() { # unit
	[ "$(systemctl show -P ActiveState "$1")" = failed ] || [ "$(systemctl show -P NRestarts "$1")" -ge 5 ]
}

# What the units that are not well said last, without what systemd says of them.
last_words() { # since when
	local name unit
	for name in broker $(services_of full); do
		unit=$(unit_of "$name")
		[ "$(systemctl show -P NRestarts "$unit")" != 0 ] || ! systemctl -q is-active "$unit" || continue
		journalctl --quiet --no-pager --output=cat --since "$1" --lines=30 "_SYSTEMD_UNIT=$unit" \
			2>/dev/null | sed "s/^/  $name: /"
	done
}

# Starts everything, or again what is not what it was.
start() {
	systemctl reset-failed 'andon-*' 2>/dev/null || true
	if [ -e $TOUCHED ]; then
		systemctl restart andon.target
	else
		systemctl start andon.target
	fi
	rm -f $TOUCHED
	STOPPED=
}
