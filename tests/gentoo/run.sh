#!/bin/bash
# Builds Gentoo artifacts on the stand-in of make-fixture.sh with real Portage, over a local HTTP server.
# usage: tests/gentoo/run.sh small    one artifact on a small stage3 with Portage 3.0.81.3
#        tests/gentoo/run.sh boot     an artifact with a kernel on that stage3, flashed and booted
#        tests/gentoo/run.sh          both, the first with Portage 3.0.83 too, then everything on the whole stage3
# Stand-ins are made once and kept in target/gentoo (KEEP); about 2 GiB for the small form, 6 for all.
# Needs root and the programs of tools/setup.sh test; the network only while a stand-in is made.
# GENPACK names the program (default target/debug/genpack-host), which needs target/tools.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); ROOT=$(cd "$HERE/../.." && pwd)
export KEEP=${KEEP:-$ROOT/target/gentoo}
GENPACK=${GENPACK:-$ROOT/target/debug/genpack-host}
export GENPACK_TOOLS_DIR=${GENPACK_TOOLS_DIR:-$ROOT/target/tools} GENPACK_INIT_DIR=${GENPACK_INIT_DIR:-$ROOT/target/init}
fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { printf 'ok   %4ds %s\n' $((SECONDS - began)) "$*"; began=$SECONDS; }
began=$SECONDS

# A stand-in is made anew when what makes it changed.
stand_in() { # FORM PORTAGE: sets W
  local key; W=$KEEP/$1-$2
  key=$(cat "$HERE"/{make-fixture.sh,make-tree.sh,stage-rootfs.sh,binlist.txt} | sha256sum)
  [ "$(cat "$W/key" 2>/dev/null)" = "$key" ] && return
  mkdir -p "$W"
  SMALL=$([ "$1" != small ] || echo 1) PV=$2 W=$W "$HERE/make-fixture.sh" > "$W/make.log" 2>&1 \
    || { tail -30 "$W/make.log"; fail "the stand-in $1 with Portage $2"; }
  echo "$key" > "$W/key"; ok "a stand-in was made: $1, Portage $2"
}

# The mirror: index and stage3 signed by a key of our own. Sets RUN, M, A, T.
gpg() { GNUPGHOME=$RUN/keys command gpg --batch --yes --quiet --passphrase '' --pinentry-mode loopback "$@"; }
sign() { gpg --armor --output "$A/$T.asc" --detach-sign "$1"; }
mirror() {
  local stage3
  RUN=$W/run; M=$RUN/mirror; A=$M/releases/amd64/autobuilds
  stage3=$(ls "$W"/out/stage3-amd64-systemd-fixture.tar*); T=20251121T000000Z/$(basename "$stage3")
  rm -rf "$RUN"; mkdir -p "$RUN"/{a,b,c,keys,mirror/snapshots} "$A/${T%/*}"; chmod 700 "$RUN/keys"
  ln "$stage3" "$A/$T"
  cp "$W/out/portage-latest.tar.xz" "$M/snapshots/"; cp "$W/out/genpack-overlay.tar.gz" "$M/"
  gpg --quick-generate-key test@example.org ed25519 sign never
  gpg --armor --output "$RUN/keys.asc" --export
  printf '# Latest\n%s %s\n' "$T" "$(stat -c %s "$A/$T")" > "$RUN/index"
  gpg --output "$A/latest-stage3-amd64-systemd.txt" --clearsign "$RUN/index"
  sign "$A/$T"
  coproc SERVER { exec "$HERE/serve.py" "$M" "$RUN/cut" 2> "$RUN/http.log"; }
  trap 'kill "$SERVER_PID"; GNUPGHOME=$RUN/keys gpgconf --kill all' EXIT
  read -r PORT <&"${SERVER[0]}"
  export GENPACK_CACHE=$RUN/cache GENPACK_GENTOO_MIRROR=http://127.0.0.1:$PORT
  export GENPACK_OVERLAY=http://127.0.0.1:$PORT/genpack-overlay.tar.gz
}
unmirror() {
  local server=$SERVER_PID
  kill "$server"; GNUPGHOME=$RUN/keys gpgconf --kill all; trap - EXIT
  wait "$server" || true
}

build() { local d=$1; shift; "$GENPACK" -C "$RUN/$d" build "$@" > "$RUN/$d.out" 2> "$RUN/$d.err"; }
built() { build "$@" || { tail -40 "$RUN/$1.err"; fail "$TITLE"; }; }
refused() { # STATUS WORDS BUILD...: a build that must fail, with this exit status and these words
  local status=0 expected=$1 words=$2; shift 2
  "$@" || status=$?
  [ "$status" = "$expected" ] && grep -q "$words" "$RUN/a.err" && return
  cat "$RUN/a.err"; fail "$TITLE: exit status $status, expected $expected with \"$words\""
}
define() { # DIR SERVICES USE MORE-PACKAGES
  cat > "$RUN/$1/genpack.json5" <<D
{ name: "$1", base: {gentoo: {keys: "$RUN/keys.asc"}}, compression: "gzip",
  packages: ["app-misc/demo", "media-libs/libwebp", "app-misc/unstable"${4:-}],
  accept_keywords: {"app-misc/unstable": null}, license: {"app-misc/unstable": "Fixture-EULA"},
  use: {"app-misc/demo": "-hello", $3},
  users: [{name: "demo", uid: 1500}], services: [$2],
  setup_commands: ["require-installed app-misc/demo", "printf made > /etc/made"] }
D
}
log() { cat "$RUN/$1/work/x86_64/logs/lower.log"; }
inside() { "$GENPACK" -C "$RUN" run "a/a-x86_64.squashfs" -- "$@" 2>> "$RUN/inside.err"; }

nothing_left() {
  [ -z "$(find "$RUN" -path '*/work/*' -name '.*.partial' -prune -print)" ] || fail "something unfinished is left"
  ! grep -q "$RUN" /proc/self/mounts || fail "something is mounted"
}

# What every stand-in must pass.
every() {
  define a '"demo.service"' ''
  TITLE="a wrong key is refused before anything is unpacked"
  GENPACK_GENTOO_KEYS=/dev/null refused 5 'checking the signature of' build a
  [ ! -e "$RUN/a/genpack.lock" ] || fail "a source without a signature was locked"
  ok "$TITLE"

  TITLE="a download that breaks off is continued"
  touch "$RUN/cut"; refused 1 'fetching http' build a; rm "$RUN/cut"
  # The stage3 comes whole now, and is not what the signature is of.
  sign "$RUN/index"; refused 5 'checking the signature of' build a
  grep -q '"GET /releases.*tar.* 206' "$RUN/http.log" || fail "nothing was continued"
  [ ! -e "$RUN/a/genpack.lock" ] || fail "a stage3 with a wrong signature was locked"
  sign "$A/$T"
  ok "$TITLE, and a wrong signature is refused"

  TITLE="the first build, with a dependency cycle"
  built a; cp "$RUN/a.err" "$RUN/first.err"
  log a | grep -q 'circular dependencies' || fail "Portage met no cycle"
  grep -q 'opening a dependency cycle: .*media-libs/' "$RUN/a.err" || fail "no cycle was opened"
  unsquashfs -l "$RUN/a/a-x86_64.squashfs" | sed 's,^squashfs-root,,' > "$RUN/a.list"
  local path
  for path in /usr/bin/demo /usr/bin/unstable /etc/demo-script-ran /etc/made /etc/passwd /.genpack/packages \
    /.genpack/files /.genpack/timestamp.commit /etc/systemd/system/multi-user.target.wants/demo.service; do
    grep -qx -- "$path" "$RUN/a.list" || fail "$path is not in the image"
  done
  for path in /var/db/pkg /var/db/repos /usr/bin/gcc /usr/bin/emerge /etc/portage /usr/lib/genpack /etc/shadow- \
    /usr/bin/maskme /usr/bin/fixture-buildtool /etc/resolv.conf /mnt/host; do
    ! grep -qx -- "$path" "$RUN/a.list" || fail "$path is in the image"
  done
  ok "$TITLE"

  TITLE="programs of the image run from it"
  [ "$(inside /usr/bin/demo)" = 'demo 2' ] || fail "$TITLE: demo"
  [ "$(inside id -u demo)" = 1500 ] || fail "$TITLE: id"
  [ "$(inside cat /etc/demo-script-ran)" = "$(printf 'uid=0(root) gid=0(root) groups=0(root)')" ] || fail "$TITLE: script"
  ok "$TITLE"

  TITLE="a changed service costs no emerge"
  built a; grep -q 'lower: unchanged' "$RUN/a.err" || fail "an unchanged definition made a lower image"
  define a '' ''; built a
  grep -q 'lower: unchanged' "$RUN/a.err" || fail "$TITLE"
  ! unsquashfs -l "$RUN/a/a-x86_64.squashfs" | grep -q wants/demo.service || fail "the service is still enabled"
  ok "$TITLE"

  TITLE="the lock is obeyed, offline too"
  built a --locked --offline
  cp "$RUN/a/genpack.lock" "$RUN/lock"
  sed -i '/"stage3"/,$ s/"sha256": "..../"sha256": "0000/' "$RUN/a/genpack.lock"
  refused 1 'but genpack.lock says' build a --locked
  cp "$RUN/lock" "$RUN/a/genpack.lock"
  ok "$TITLE"
}

# What takes long.
more() {
  grep -q 'lower: masked: .*app-misc/maskme' "$RUN/first.err" || fail "the masked package was not taken away"
  ! compgen -G "$RUN/a/work/x86_64/lower/var/db/pkg/app-misc/maskme-*" || fail "the masked package is still there"

  TITLE="a changed flag builds only what has it"
  define a '' '"media-libs/tiff": "static-libs"'; built a
  local merged
  merged=$(log a | sed -n 's/^>>> Emerging ([0-9]* of [0-9]*) \([^:]*\).*/\1/p' | sort -u | tr '\n' ' ')
  [ "$merged" = "media-libs/tiff-4.7 " ] || fail "the flag of tiff built: $merged"
  ok "$TITLE"

  TITLE="an interrupted build leaves nothing behind"
  define b '' ''
  : > "$RUN/b.err" # tail may come first
  "$GENPACK" -C "$RUN/b" build > "$RUN/b.out" 2> "$RUN/b.err" &
  local building=$! status=0
  grep -qm1 'package 1 of' <(tail -n +1 -f --pid="$building" "$RUN/b.err") || fail "$TITLE: no package was begun"
  kill -TERM "$building"; wait "$building" || status=$?
  [ "$status" = 4 ] || { cat "$RUN/b.err"; fail "$TITLE: exit status $status"; }
  nothing_left; ! pgrep -f -- "--machine=genpack-$building" > /dev/null || fail "$TITLE: its container runs"
  ok "$TITLE"

  TITLE="a second artifact is taken up again and takes binary packages"
  built b
  log b | grep -q '>>> Emerging binary (' || fail "$TITLE: none"
  merged=$(log b | sed -n 's/^>>> Emerging ([0-9]* of [0-9]*) \([^:]*\).*/\1/p' | sort -u | tr '\n' ' ')
  echo "     built and not taken: ${merged:-nothing}"
  ok "$TITLE"
}

# A machine starts from the image of a disk: the image passes the checks of flash, and its own service says so.
boots() {
  TITLE="an image with a kernel is built"
  define c '"said.service"' '' ', "genpack/systemimg"'
  mkdir -p "$RUN/c/files/usr/lib/systemd/system"
  cat > "$RUN/c/files/usr/lib/systemd/system/said.service" <<'U'
[Unit]
Description=Speaks on every console and ends the machine
[Service]
Type=oneshot
ExecStart=/bin/bash -c 'echo "said: $(/usr/bin/demo) on $(cat /.genpack/artifact)" > /dev/kmsg'
ExecStart=/usr/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
U
  built c; ok "$TITLE"

  TITLE="the image boots from a disk"
  "$GENPACK" -C "$RUN" flash c/c-x86_64.squashfs disk.img --yes > "$RUN/flash.out" 2>&1 || { cat "$RUN/flash.out"; fail "flash"; }
  timeout "${BOOT_SECONDS:-900}" "$GENPACK" -C "$RUN" vm run disk.img --bios --no-kvm -m 1G \
    < /dev/null > "$RUN/console" 2>&1 || { tail -40 "$RUN/console"; fail "$TITLE"; }
  grep -q 'said: demo 2 on c' "$RUN/console" || { tail -40 "$RUN/console"; fail "$TITLE: its service said nothing"; }
  ok "$TITLE"
}

finish() {
  nothing_left
  unmirror
  rm -rf --one-file-system "$RUN"
}

[ "$(id -u)" = 0 ] || { echo "error: tests/gentoo/run.sh needs root" >&2; exit 1; }
case "${1:-}" in
  small) stand_in small 3.0.81.3; mirror; every; finish ;;
  boot) stand_in small 3.0.81.3; mirror; boots; finish ;;
  "") stand_in small 3.0.81.3; mirror; every; boots; finish
      stand_in small 3.0.83; mirror; every; finish
      stand_in whole 3.0.81.3; mirror; every; more; finish ;;
  *) sed -n 2,8p "$0" >&2; exit 2 ;;
esac
echo "all of it holds"
