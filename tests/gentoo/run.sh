#!/bin/bash
# Builds Gentoo artifacts on the stand-in of make-fixture.sh with real Portage, over a local HTTP server.
# usage: W=DIR tests/gentoo/run.sh          DIR/out has the products; DIR/run is the work folder
# Needs root, curl, gpg, python3, systemd-nspawn, unsquashfs. GENPACK names the program (default target/debug/genpack-host).
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); ROOT=$(cd "$HERE/../.." && pwd)
W=${W:?work folder}; OUT=$W/out; RUN=$W/run
GENPACK=${GENPACK:-$ROOT/target/debug/genpack-host}
STAGE3=$(ls "$OUT"/stage3-amd64-systemd-fixture.tar*)
rm -rf "$RUN"; mkdir -p "$RUN"/{a,b,keys,home,mirror/releases/amd64/autobuilds/20251121T000000Z,mirror/snapshots}
fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { printf 'ok   %4ds %s\n' $((SECONDS - began)) "$*"; began=$SECONDS; }
began=$SECONDS

# The mirror: index and stage3 signed by a key of our own.
M=$RUN/mirror; A=$M/releases/amd64/autobuilds; T=20251121T000000Z/$(basename "$STAGE3")
ln "$STAGE3" "$A/$T" 2>/dev/null || cp "$STAGE3" "$A/$T"
cp "$OUT/portage-latest.tar.xz" "$M/snapshots/"; cp "$OUT/genpack-overlay.tar.gz" "$M/"
gpg() { GNUPGHOME=$RUN/keys command gpg --batch --yes --quiet --passphrase '' --pinentry-mode loopback "$@"; }
chmod 700 "$RUN/keys"
gpg --quick-generate-key test@example.org ed25519 sign never
gpg --armor --output "$RUN/keys.asc" --export
printf '# Latest\n%s %s\n' "$T" "$(stat -c %s "$A/$T")" > "$RUN/index"
gpg --output "$A/latest-stage3-amd64-systemd.txt" --clearsign "$RUN/index"
gpg --armor --output "$A/$T.asc" --detach-sign "$A/$T"
python3 -u -m http.server --bind 127.0.0.1 --directory "$M" 0 > "$RUN/http.log" 2>&1 &
SERVER=$!; trap 'kill $SERVER; GNUPGHOME=$RUN/keys gpgconf --kill all' EXIT
for _ in $(seq 100); do PORT=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$RUN/http.log"); [ -n "$PORT" ] && break; sleep 0.1; done

export GENPACK_CACHE=$RUN/cache GENPACK_GENTOO_MIRROR=http://127.0.0.1:$PORT GENPACK_TOOLS_DIR=${GENPACK_TOOLS_DIR:-$ROOT/target/tools}
export GENPACK_OVERLAY=http://127.0.0.1:$PORT/genpack-overlay.tar.gz GENPACK_INIT_DIR=/nonexistent
build() { local d=$1; shift; "$GENPACK" -C "$RUN/$d" build "$@" > "$RUN/$d.out" 2> "$RUN/$d.err"; }
define() { # DIR SERVICES USE
  cat > "$RUN/$1/genpack.json5" <<D
{ name: "$1", base: {gentoo: {keys: "$RUN/keys.asc"}}, compression: "gzip",
  packages: ["app-misc/demo", "media-libs/libwebp", "app-misc/unstable"],
  accept_keywords: {"app-misc/unstable": null}, license: {"app-misc/unstable": "Fixture-EULA"},
  use: {"app-misc/demo": "-hello", $3},
  users: [{name: "demo", uid: 1500}], services: [$2],
  setup_commands: ["require-installed app-misc/demo", "printf made > /etc/made"] }
D
}
listed() { unsquashfs -l "$RUN/$1/$1-x86_64.squashfs"; }
log() { cat "$RUN/$1/work/x86_64/logs/lower.log"; }

# A wrong key is told before anything is unpacked.
define a '"demo.service"' ''
GENPACK_GENTOO_KEYS=/dev/null build a && fail "a keyring without the key was accepted"
grep -q 'checking the signature of' "$RUN/a.err" || { cat "$RUN/a.err"; fail "the signature was not checked"; }
[ ! -e "$RUN/a/genpack.lock" ] || fail "a source without a signature was locked"
ok "a wrong signature is refused"

# From nothing to an image; the cycle of tiff and libwebp is opened.
build a || { tail -40 "$RUN/a.err"; fail "the first build"; }
log a | grep -q 'circular dependencies' || fail "Portage met no cycle"
grep -q 'opening a dependency cycle: .*media-libs/.*.*' "$RUN/a.err" || fail "no cycle was opened"
listed a > "$RUN/a.list"
for path in /usr/bin/demo /usr/bin/unstable /etc/demo-script-ran /etc/made /etc/passwd /.genpack/packages /.genpack/timestamp.commit; do
  grep -qx "squashfs-root$path" "$RUN/a.list" || fail "$path is not in the image"
done
for path in /var/db/pkg /var/db/repos /usr/bin/gcc /usr/bin/emerge /etc/portage /usr/lib/genpack; do
  ! grep -qx "squashfs-root$path" "$RUN/a.list" || fail "$path is in the image"
done
grep -q 'demo.service' "$RUN/a.list" || fail "the service is not in the image"
unsquashfs -q -n -d "$RUN/tree" "$RUN/a/a-x86_64.squashfs" > "$RUN/unsquashfs.log"
[ "$(chroot "$RUN/tree" /usr/bin/demo)" = 'demo 2' ] || fail "a program of the image does not run"
ok "the first build"

# Nothing changed; a service changed: Portage is not started.
build a; grep -q 'lower: unchanged' "$RUN/a.err" || fail "an unchanged definition made a lower image"
define a '' ''; build a
grep -q 'lower: unchanged' "$RUN/a.err" || fail "a changed service made a lower image"
ok "a changed service costs no emerge"

# One flag: only what has it is built anew.
define a '' '"media-libs/tiff": "static-libs"'; build a || { tail -40 "$RUN/a.err"; fail "the changed flag"; }
merged=$(log a | sed -n 's/^>>> Emerging (\([0-9]* of [0-9]*\)) \([^:]*\).*/\2/p' | sort -u | tr '\n' ' ')
[ "$merged" = "media-libs/tiff-4.7 " ] || fail "the flag of tiff built: $merged"
ok "a changed flag builds one package"

# Another artifact takes the binary packages.
define b '' ''; build b || { tail -40 "$RUN/b.err"; fail "the second artifact"; }
log b | grep -q '>>> Emerging binary (' || fail "the second artifact took no binary packages"
ok "a second artifact takes binary packages"

# The lock is obeyed, offline too; a lock that says something else is refused.
build b --locked --offline || { cat "$RUN/b.err"; fail "a locked build offline"; }
sed -i '/"stage3"/,$ s/"sha256": "..../"sha256": "0000/' "$RUN/b/genpack.lock"
build b --locked && fail "another stage3 than the locked one was taken"
grep -q 'but genpack.lock says' "$RUN/b.err" || { cat "$RUN/b.err"; fail "the wrong hash was not told"; }
ok "the lock is obeyed"
[ -z "$(find "$RUN" -path '*/work/*' -name '.*.partial')" ] || fail "something unfinished is left"
! grep -q "$RUN" /proc/self/mounts || fail "something is mounted"
echo "all of it holds"
