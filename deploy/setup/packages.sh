# Debian's packages: from the bundle alone, only what is missing, and with it what must be newer.
# shellcheck shell=bash

POLICY=/usr/sbin/policy-rc.d
OURS="# Andon's installer: starts no service meanwhile"

packages_present() {
	local name
	for name in $(fact "$HERE/MANIFEST" packages); do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || return 1
	done
}

install_packages() {
	grep -qsF "$OURS" $POLICY && rm -f $POLICY # left by an installation that was cut off
	packages_present && return
	step "Debian packages"
	local work=/run/andon-setup had
	had=$(dpkg-query -W -f='${Package}\n' | sort)
	rm -rf $work
	mkdir -p $work/lists/partial $work/archives/partial
	ln -s "$HERE/debs" $work/debs # a name without the spaces that a stick's may have
	echo "deb [trusted=yes] file:$work/debs ./" >$work/sources.list
	local options=(-qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o APT::Sandbox::User=root
		-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold)
	# The broker's own service is not the one that Andon runs.
	if [ ! -e $POLICY ]; then
		printf '#!/bin/sh\n%s\nexit 101\n' "$OURS" >$POLICY
		chmod 755 $POLICY
		trap 'rm -f $POLICY' EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
	{
		dpkg --configure -a
		apt-get "${options[@]}" update
		# shellcheck disable=SC2046  # names without spaces
		apt-get "${options[@]}" install --yes --no-install-recommends --no-remove \
			$(fact "$HERE/MANIFEST" packages)
	} >$work/log 2>&1 || fail "Debian's packages could not be installed; the last words were:
$(tail -n 15 $work/log)
Nothing else was changed. Mend it (dpkg --audit tells more) and call install.sh again."
	mkdir -p $OPT
	comm -13 <(echo "$had") <(dpkg-query -W -f='${Package}\n' | sort) >>$OPT/.packages
	grep -qsF "$OURS" $POLICY && rm -f $POLICY
	rm -rf $work
}

# Debian starts a broker of its own at the next boot; it stays where somebody uses it.
quiet_other_broker() {
	systemctl -q is-enabled mosquitto.service 2>/dev/null || return 0
	if systemctl -q is-active mosquitto.service; then
		say "  Debian's own mosquitto.service runs here and was left alone; Andon has a broker of its own."
	else
		systemctl -q disable mosquitto.service 2>/dev/null
	fi
}
