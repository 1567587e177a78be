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

# Puts back the databases that this version could not read; the others keep what came since. All
# that is needed is made ready before anything is touched: where it fails, nothing was changed. Both
# are one file each then, so that a power cut finds the one or the other, never a half.
return_databases() { # version
	local name has knows aside ready=$KEPT/returning newer=()
	aside=$DATA/aside/$(date -u +%Y%m%dT%H%M%SZ)
	rm -rf "$ready"
	mkdir -p "$ready"
	for name in "${DATABASES[@]}"; do
		knows=$(fact "$OPT/$1/MANIFEST" "schema_$name")
		has=$(schema_of "$DATA/$name.db") || return 1
		[ "$has" -gt "$knows" ] || continue
		if [ ! -e "$KEPT/$1/data/$name.db" ]; then
			warn "$name.db is of a newer form, and there is no copy from before the upgrade"
			return 1
		fi
		cp -a "$KEPT/$1/data/$name.db"* "$ready" && one_file "$ready/$name.db" && one_file "$DATA/$name.db" || return 1
		newer+=("$name")
	done
	for name in ${newer[@]+"${newer[@]}"}; do
		mkdir -p "$aside"
		# A way that was cut off within this second has put the same file there.
		ln -f "$DATA/$name.db" "$aside"
		rm -f "$DATA/$name.db-wal" "$DATA/$name.db-shm"
		mv -T "$ready/$name.db" "$DATA/$name.db"
		say "  $name.db is what it was before the upgrade; what came since lies in $aside"
	done
	rm -rf "$ready"
}

# Has a database's file hold what its WAL does: it is then put in place by one rename.
one_file() { # file
	# As whom its folder belongs to, so that the files beside it stay his.
	local folder
	folder=$(dirname "$1")
	setpriv --reuid="$(stat -c %u "$folder")" --regid="$(stat -c %g "$folder")" --clear-groups python3 - "$1" <<-'PY' || return 1
		import sqlite3, sys
		database = sqlite3.connect(sys.argv[1])
		[busy, *_] = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
		database.close()
		sys.exit(f"{sys.argv[1]} is in use" if busy else 0)
	PY
	sync "$1"
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
	[ -n "$RETURNED" ] || fail "$(stayed "$from" "$VERSION")"
	fail "Andon $from runs again, with its data and configuration. $VERSION was not kept."
}

complete_upgrade() { # version before
	point $OPT/previous "$1"
	rm -f $UNDERWAY
	remove_others
}

# Has the version before run again. RETURNED is empty where that cannot be: the new one then stays,
# as it alone can read the databases, and is started.
return_to() { # version
	local to
	to=$(fact $UNDERWAY to)
	step "Back to $1"
	stop_services
	attempt turn_back "$1"
	RETURNED=yes
	if [ "$OUTCOME" != 0 ]; then
		RETURNED=
		point $OPT/current "$to"
		touched
		attempt activate "$to" "$(cat $ETC/node)"
		start
		complete_upgrade "$1"
		return
	fi
	touched
	start
	wait_until_ready "$(cat $ETC/node)" "${before:-}" || warn "andon status and journalctl -u 'andon-*' tell more"
	rm -f $UNDERWAY
	remove_others
}

# To be called by `attempt`.
turn_back() { # version
	own_kept
	return_databases "$1"
	if [ -d "$KEPT/$1/etc" ]; then
		cp -a "$KEPT/$1/etc/." $ETC
	else
		warn "the configuration from before the upgrade is not there: that of now stays"
	fi
	# The profile and the kind of node are what the configuration of that time says.
	# shellcheck disable=SC2034  # choose_profile takes the one that is noted
	ASKED_PROFILE=''
	activate "$1" "$(cat $ETC/node)"
}

# What to do where the version before could not be returned to.
stayed() { # version before, version that stays
	cat <<-END
		There is no way back to Andon $1, for the reason above. Andon $2 was started instead.
		  1. andon status, and journalctl -u 'andon-*', say what it lacks: mend that, then
		     systemctl restart andon.target
		  2. Or go back with a backup from before the upgrade: systemctl stop andon.target;
		     andon restore BACKUP --force; $OPT/current/install.sh --rollback
	END
}

# An upgrade or a rollback that was cut off, by a power cut say, is ended first: forward if the new one is well.
settle() {
	[ -e $UNDERWAY ] || return 0
	local from to
	from=$(fact $UNDERWAY from)
	to=$(fact $UNDERWAY to)
	step "The way from $from to $to was cut off"
	if [ "$(fact $UNDERWAY stage)" = flipped ]; then
		if [ "$(running_version)" = "$to" ]; then
			touched
			attempt take "$to" # which may have been done by half
			if [ "$OUTCOME" = 0 ] && start && wait_until_ready "$(cat $ETC/node)"; then
				complete_upgrade "$from"
				say "Andon $to runs."
				return
			fi
		fi
		return_to "$from"
		[ -n "$RETURNED" ] || fail "$(stayed "$from" "$to")"
	else
		start
		rm -f $UNDERWAY
	fi
	say "Andon $from runs."
}

# Has a version run next, with databases it can read. To be called by `attempt`.
take() { # version
	activate "$1" "$(cat $ETC/node)"
	own_kept
	return_databases "$1"
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
	note_stage flipped "$from" "$to"
	touched
	# shellcheck disable=SC2034
	ASKED_PROFILE=''
	attempt take "$to"
	if [ "$OUTCOME" != 0 ]; then
		point $OPT/current "$from"
		cp -a "$KEPT/$from/etc/." $ETC
		attempt activate "$from" "$(cat $ETC/node)"
		start
		rm -f $UNDERWAY
		fail "There is no way back to Andon $to, for the reason above. Nothing was changed, Andon $from runs.
Where a database is in the way, restore a backup from before the upgrade first: systemctl stop andon.target; andon restore BACKUP --force"
	fi
	point $OPT/previous "$from"
	rm -f $UNDERWAY
	start
	wait_until_ready "$(cat $ETC/node)" "$before" || fail "andon status and journalctl -u 'andon-*' tell more"
	say "Andon $to runs. $from is kept: call --rollback again to return to it."
}
