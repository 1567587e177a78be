# Taking Andon away; what it has learnt stays unless it is asked to go as well.
# shellcheck shell=bash

uninstall() {
	local unit
	step "Stopping and removing Andon"
	for unit in "$UNITS"/andon*.{target,path,timer,socket,service}; do
		[ ! -e "$unit" ] || systemctl -q disable --now "$(basename "$unit")" 2>/dev/null || true
	done
	systemctl stop 'andon-*' 2>/dev/null || true
	rm -rf "$UNITS"/{andon,run-andon}* /etc/udev/rules.d/*andon*.rules
	rm -f /usr/local/lib/{sysusers,tmpfiles}.d/andon.conf $PRESET /usr/local/bin/andon
	rm -f $NOTED/enabled
	systemctl daemon-reload
	systemctl reset-failed 'andon-*' 2>/dev/null || true
	local packages
	packages=$(sort -u $OPT/.packages 2>/dev/null | tr '\n' ' ' || true)
	rm -rf --one-file-system $OPT
	[ -z "$packages" ] || say "Debian's packages stay. Those that came with Andon: $packages"
	[ "$1" = everything ] || say "Its data in $DATA and its configuration in $ETC stay."
}

purge() {
	uninstall everything
	# What `andon backup --units` and `systemctl edit` wrote.
	rm -rf /etc/systemd/system/{andon*,run-andon*}.d /etc/systemd/system/*/andon-backup-stick.service
	systemctl daemon-reload
	rm -rf --one-file-system $ETC $DATA /run/andon /run/andon-setup
	local name
	for name in andon andon-broker andon-model; do
		! getent passwd $name >/dev/null || userdel $name 2>/dev/null
	done
	for name in andon andon-broker; do
		! getent group $name >/dev/null || groupdel $name 2>/dev/null || true
	done
	say "Data, configuration and users are gone."
}
