#!/bin/bash
# Installs Andon on a Debian 12, from the folder it lies in and without a network.
set -euo pipefail

HERE=$(dirname "$(readlink -f "$0")")
# shellcheck disable=SC2034  # check_machine tells it
ARGUMENTS=$*
VERSION=$(sed -n 's/^version=//p' "$HERE/MANIFEST")
for part in common checks packages tree files units upgrade remove; do
	# shellcheck source=/dev/null
	. "$HERE/deploy/setup/$part.sh"
done

usage() {
	cat <<-END
		Andon $VERSION
		  install.sh [--full|--answering] [--profile NAME]   install, or mend an installation
		  install.sh --upgrade                               to this version, keeping everything
		  install.sh --rollback                              to the version before
		  install.sh --settle                                end an upgrade that was cut off, as each boot does
		  install.sh --uninstall                             remove it; data and configuration stay
		  install.sh --purge                                 remove it with all data
		--full takes documents in (the default), --answering only answers from what it is given.
		Profiles: $(cd "$HERE/deploy/profiles" && echo *.yaml | sed 's/\.yaml//g'); by default what fits the memory.
	END
}

parse() {
	ACTION=install KIND='' ASKED_PROFILE=''
	while [ $# -gt 0 ]; do
		case $1 in
		--full) KIND=full ;;
		--answering) KIND=answering ;;
		--profile)
			ASKED_PROFILE=${2:-}
			[ -e "$HERE/deploy/profiles/$ASKED_PROFILE.yaml" ] || { usage >&2; exit 2; }
			shift
			;;
		--upgrade | --rollback | --settle | --uninstall | --purge) ACTION=${1#--} ;;
		-h | --help) usage; exit 0 ;;
		*) usage >&2; exit 2 ;;
		esac
		shift
	done
	KIND=${KIND:-$(cat $ETC/node 2>/dev/null || echo full)}
}

check() {
	local now
	now=$(running_version)
	check_machine
	case $ACTION in
	install | upgrade)
		check_bundle
		check_room "$KIND"
		check_data "$HERE/MANIFEST"
		if [ -n "$now" ] && newer "$now" "$VERSION"; then
			wrong "Andon $now is installed and newer: to return to the version before call $OPT/current/install.sh --rollback"
		elif [ $ACTION = install ] && [ -n "$now" ] && [ "$now" != "$VERSION" ]; then
			wrong "Andon $now is installed: call $0 --upgrade"
		fi
		;;
	rollback) [ -n "$now" ] || wrong "Andon is not installed" ;;
	esac
	tell_wrong
}

install_all() {
	install_packages
	quiet_other_broker
	unpack "$VERSION" "$KIND"
}

next_steps() {
	local address manual
	manual="Add manuals: put them into $DATA/inbox; andon documents   shows how far they are"
	[ "$KIND" = full ] || manual="It has no manuals yet: this node answers from what another one gives it"
	address=$(ip -4 -o addr show scope global 2>/dev/null | awk '{sub("/.*", "", $4); print $4; exit}' || true)
	cat <<-END

		Andon $VERSION is ready ($KIND node, profile $(cat $ETC/profile), configuration $ETC/config.yaml).
		1. Let a PLC, a scanner or a dashboard in:  andon access add plc1 --role plc
		2. It connects to this box${address:+, $address,} with that name and password; the broker's ports: andon doctor
		3. $manual
		4. See how it is:  andon status   journalctl -u 'andon-*'
		5. More, and how to upgrade or remove it:  $OPT/current/docs/box.md
	END
}

main() {
	parse "$@"
	check
	exec 9>/run/andon-install.lock
	flock -n 9 || fail "another installation is at work"
	[ ! -d $OPT ] || settle
	case $ACTION in
	upgrade)
		[ -n "$(running_version)" ] || fail "Andon is not installed here: call $0"
		if [ "$(running_version)" = "$VERSION" ]; then
			say "Andon $VERSION is what runs: nothing to upgrade."
			exit 0
		fi
		install_all
		upgrade
		say "Andon $VERSION runs. $(former_version) is kept: $OPT/current/install.sh --rollback returns to it."
		;;
	rollback) rollback ;;
	settle) ;; # done
	uninstall) uninstall keep ;;
	purge) purge ;;
	install)
		install_all
		attempt activate "$VERSION" "$KIND"
		[ "$OUTCOME" = 0 ] || fail "Mend this and call install.sh again: it goes on where it stopped."
		local news=
		[ ! -e $TOUCHED ] || news=yes
		[ -z "$news" ] || step "Starting"
		start
		wait_until_ready "$KIND" || fail "Installed, but not all is well:
$(last_words '-5min')
andon status and journalctl -u 'andon-*' tell more; install.sh may be called again."
		[ -n "$news" ] || say "Nothing had to be changed."
		next_steps
		;;
	esac
}

main "$@"
exit
