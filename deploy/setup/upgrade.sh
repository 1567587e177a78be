# From one version to another and back.
# shellcheck shell=bash

note_stage() { # stage, from, to
	printf 'stage=%s\nfrom=%s\nto=%s\n' "$1" "$2" "$3" >$UNDERWAY.part
	sync $UNDERWAY.part
	mv $UNDERWAY.part $UNDERWAY
}

# What is kept lies in a folder of the services' user: what is no folder of root's there is his,
# and may lead anywhere.
own_kept() {
	if [ -L $KEPT ] || { [ -e $KEPT ] && [ "$(stat -c '%u %a' $KEPT)" != '0 700' ]; }; then
		warn "$KEPT is not what an upgrade made: it is set aside"
		mv -T $KEPT "$(mktemp -u "$KEPT.strange-XXXXXXXX")"
	fi
	[ -e $KEPT ] || mkdir -m 700 $KEPT
}

# A copy of what an upgrade changes: the services are stopped, the copy is whole.
keep_databases() { # version they are of
	local folder=$KEPT/$1 name
	rm -rf "$folder/data"
	mkdir -p "$folder/data"
	for name in "${DATABASES[@]}"; do
		for file in "$DATA/$name.db" "$DATA/$name.db-wal"; do
			[ ! -e "$file" ] || cp -a --reflink=auto "$file" "$folder/data"
		done
	done
	sync -f "$folder/data"
}

keep_configuration() { # version
	own_kept
	rm -rf "${KEPT:?}/$1/etc"
	mkdir -p "$KEPT/$1"
	cp -a $ETC "$KEPT/$1/etc"
}

# Puts back the databases that this version could not read; the others keep what came since.
return_databases() { # version
	local name knows aside
	aside=$DATA/aside/$(date -u +%Y%m%dT%H%M%SZ)
	for name in "${DATABASES[@]}"; do
		knows=$(fact "$OPT/$1/MANIFEST" "schema_$name")
		[ "$(schema_of "$DATA/$name.db")" -gt "$knows" ] || continue
		if [ ! -e "$KEPT/$1/data/$name.db" ]; then
			warn "$name.db is of a newer form and there is no copy from before: it stays"
			return 1
		fi
		mkdir -p "$aside"
		mv "$DATA/$name.db"* "$aside"
		cp -a "$KEPT/$1/data/$name.db"* $DATA
		say "  $name.db is what it was before the upgrade; what came since lies in $aside"
	done
}

upgrade() {
	local from kind before since
	from=$(running_version)
	kind=$KIND
	before=$(troubles "$(cat $ETC/node)")
	since=$(date '+%Y-%m-%d %H:%M:%S')
	step "From $from to $VERSION"
	note_stage prepared "$from" "$VERSION"
	keep_configuration "$from"
	stop_services
	keep_databases "$from"
	note_stage flipped "$from" "$VERSION"
	touched
	attempt activate "$VERSION" "$kind"
	if [ "$OUTCOME" = 0 ] && start && wait_until_ready "$kind" "$before"; then
		complete_upgrade "$from"
		return
	fi
	warn "Andon $VERSION does not become ready. Its last words:
$(last_words "$since")"
	return_to "$from"
	fail "Andon $from runs again, with its data and configuration. $VERSION was not kept."
}

complete_upgrade() { # version before
	point $OPT/previous "$1"
	rm -f $UNDERWAY
	remove_others
}

return_to() { # version
	step "Back to $1"
	own_kept
	stop_services
	return_databases "$1"
	cp -a "$KEPT/$1/etc/." $ETC
	touched
	# The profile and the kind of node are what the configuration of that time says.
	# shellcheck disable=SC2034  # choose_profile takes the one that is noted
	ASKED_PROFILE=''
	activate "$1" "$(cat $ETC/node)"
	start
	wait_until_ready "$(cat $ETC/node)" "${before:-}" || warn "andon status and journalctl -u 'andon-*' tell more"
	rm -f $UNDERWAY
	remove_others
}

# An upgrade that was cut off, by a power cut say, is ended first: forward if the new one is well.
settle() {
	[ -e $UNDERWAY ] || return 0
	local from to
	from=$(fact $UNDERWAY from)
	to=$(fact $UNDERWAY to)
	step "The upgrade from $from to $to was cut off"
	if [ "$(fact $UNDERWAY stage)" = flipped ]; then
		if [ "$(running_version)" = "$to" ] && start && wait_until_ready "$(cat $ETC/node)"; then
			complete_upgrade "$from"
			return
		fi
		return_to "$from"
	else
		start
		rm -f $UNDERWAY
	fi
}

rollback() {
	local to before since from
	from=$(running_version)
	to=$(former_version)
	[ -n "$to" ] && [ -e "$OPT/$to/.complete" ] || fail "there is no version before $from to return to"
	before=$(troubles "$(cat $ETC/node)")
	step "From $from to $to"
	# The way forward again needs what is there now.
	keep_configuration "$from"
	stop_services
	keep_databases "$from"
	return_databases "$to" || fail "nothing was changed but that the services are stopped: systemctl start andon.target"
	touched
	# shellcheck disable=SC2034
	ASKED_PROFILE=''
	activate "$to" "$(cat $ETC/node)"
	point $OPT/previous "$from"
	start
	wait_until_ready "$(cat $ETC/node)" "$before" || fail "andon status and journalctl -u 'andon-*' tell more"
	say "Andon $to runs. $from is kept: call --rollback again to return to it."
}
