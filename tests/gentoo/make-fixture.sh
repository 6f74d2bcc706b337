#!/bin/bash
# Builds a stand-in for Gentoo: a "stage3", a snapshot of an ebuild repository and an overlay, with real Portage.
# Needs root, mmdebstrap, systemd-nspawn (or CHROOT=1), pip, bc; the network only for Debian packages and PyPI.
#   W=DIR ./make-fixture.sh          DIR: work folder, about 4 GiB; the three products land in DIR/out
#   KEEP=DIR …                       what every form starts from: the Debian root, its packages, the Portage sdists
#   SMALL=1 W=DIR ./make-fixture.sh  five installed packages instead of eleven and a stage3 without compression
#   PV=3.0.83 …                      another Portage; 3.0.82 changed its Atom, so both sides of it are tried
# The Debian mirror is the one this machine's apt already uses (override: MIRROR=URL).
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
W=${W:?work folder}
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk '$2 !~ /-/ { print $1; exit }')}
MIRROR=${MIRROR%/}; export MIRROR W
# 3.0.82 changed Atom (no longer a str): test both.
PV=${PV:-3.0.81.3}
case $PV in
 3.0.81.3) SHA=781eb2caee4c29b1d858c195a8b44efd3c47ba5912a43ac9103cc3b19bf418eb;;
 3.0.83)   SHA=deac3ae1e03aea1ff09a0e831fa8d06e89bfc49440394b66ed6223338d5f9c4e;;
 *) echo "unknown PV"; exit 1;;
esac
export PORTAGE_PV=$PV
R=$W/stage3; O=$W/out; M=$R/var/lib/fixture-mirror
KEEP=${KEEP:-$W}; export KEEP
mkdir -p "$W" "$O" "$KEEP"; cd "$W"; export BINLIST=$HERE/binlist.txt; cp "$BINLIST" "$W/binlist.txt"
t(){ local s=$(date +%s.%N) n=$1; shift; "$@" > "$W/log.$n" 2>&1 || { echo "FAILED $n"; tail -30 "$W/log.$n"; exit 1; }
  printf '%-22s %6.1fs\n' "$n" "$(echo "$(date +%s.%N)-$s" | bc)"; }
if [ -n "${CHROOT:-}" ]; then
  n(){ unshare -m --propagation private sh -c 'mount --rbind /dev "$0/dev"; mount -t proc proc "$0/proc"; mount --rbind /sys "$0/sys"; exec chroot "$0" "$@"' "$R" "$@"; }
else
  n(){ systemd-nspawn -q --register=no --keep-unit --suppress-sync=true --as-pid2 --console=pipe -M "fx-$$" \
       --capability=CAP_MKNOD,CAP_SYS_ADMIN,CAP_NET_ADMIN --resolv-conf=copy-host --directory="$R" "$@"; }
fi

# 1 Debian base rootfs (cached as rootfs.tar) and the Portage sdist from PyPI
[ -s "$KEEP/rootfs.tar" ] || t rootfs "$HERE/stage-rootfs.sh"
[ -s "$KEEP/pypi/portage-$PV.tar.gz" ] || t portage-sdist pip download portage==$PV --no-deps --no-binary portage -d "$KEEP/pypi"
echo "$SHA  $KEEP/pypi/portage-$PV.tar.gz" | sha256sum -c --quiet
rm -rf --one-file-system "$R"; mkdir "$R"; t extract tar xpf "$KEEP/rootfs.tar" -C "$R"

# 2 distfiles: real Debian .debs regrouped as ${P}-bin.tar.gz, one real upstream tarball, the Portage sdist
prep_dist(){
  rm -rf "$KEEP/debs" "$KEEP/dist"; mkdir -p "$KEEP/debs" "$KEEP/dist"
  n sh -ec "printf 'Types: deb deb-src\nURIs: $MIRROR\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' > /etc/apt/sources.list.d/fx.sources
    : > /etc/apt/sources.list; apt-get -qq update; mkdir -p /root/d; cd /root/d; apt-get -qq download $(cut -d'|' -f4 binlist.txt | tr '\n' ' ') \$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image\)/\1/p'); apt-get -qq source --download-only hello"
  mv "$R"/root/d/*.deb "$KEEP/debs/"; cp "$R"/root/d/hello_2.10.orig.tar.gz "$KEEP/dist/hello-2.10.tar.gz"; rm -rf "$R"/root/d
    while IFS='|' read -r cpn ver rdep debs; do [ -n "$cpn" ] || continue; local d=$(mktemp -d) x
    for x in $debs; do
      # The kernel's name has its version; a package without its maintainer script has no modules.dep.
      if [ $x = linux-image-cloud-amd64 ]; then x='linux-image-[0-9]*'; fi
      dpkg-deb --fsys-tarfile "$KEEP"/debs/${x}_*.deb | tar xpf - -C "$d"
    done
    for x in "$d"/usr/lib/modules/*; do [ ! -d "$x" ] || depmod -b "$d/usr" "${x##*/}"; done
    rm -rf "$d"/usr/share/{man,doc,locale,lintian,info} "$d"/etc/ld.so.conf*; tar -C "$d" --sort=name --numeric-owner -I 'gzip -1' -cf "$KEEP/dist/${cpn#*/}-$ver-bin.tar.gz" . ; rm -rf "$d"
  done < binlist.txt; }
cmp -s binlist.txt "$KEEP/dist/of" || { t distfiles prep_dist; cp binlist.txt "$KEEP/dist/of"; }

# 3 the ebuild repositories
t tree "$HERE/make-tree.sh" "$W/tree"
mkdir -p "$R"/var/db/repos/gentoo "$M" "$R"/etc/portage "$R"/usr/lib64; cp -a tree/gentoo/. "$R"/var/db/repos/gentoo/; cp "$KEEP"/dist/*.tar.gz "$KEEP/pypi/portage-$PV.tar.gz" "$M"/

# 4 bootstrap Portage from the sdist (meson, system-wide), configure
boot(){ tar xzf "$KEEP/pypi/portage-$PV.tar.gz" -C "$R"/var/tmp
  n sh -ec "getent group portage >/dev/null || groupadd -g 250 portage; getent passwd portage >/dev/null || useradd -u 250 -g 250 -d /var/lib/portage/home -M -s /usr/sbin/nologin portage
    # Gentoo ships the GNU g-names; Portage calls them
    for c in tar patch make find xargs sed; do ln -sf \$c /usr/bin/g\$c; done
    mkdir -p /var/lib/portage/home /var/cache/distfiles /var/cache/binpkgs /var/db/pkg; chown portage:portage /var/lib/portage/home /var/cache/distfiles
    cd /var/tmp/portage-$PV; meson setup --prefix=/usr --sysconfdir=/etc --localstatedir=/var b; meson install -C b; cd /; rm -rf /var/tmp/portage-$PV"
  ln -snf ../../var/db/repos/gentoo/profiles/default/linux/amd64/23.0/systemd "$R"/etc/portage/make.profile
  printf '%s\n' 'COMMON_FLAGS="-O2 -pipe"' 'CFLAGS="${COMMON_FLAGS}"' 'CXXFLAGS="${COMMON_FLAGS}"' 'MAKEOPTS="-j2"' \
    '# no sys-apps/sandbox in the stand-in' 'FEATURES="-sandbox -usersandbox"' \
    'GENTOO_MIRRORS="/var/lib/fixture-mirror"' > "$R"/etc/portage/make.conf; }
t bootstrap-portage boot
# 5 Manifests + metadata cache, inside (real ebuild/egencache)
manif(){ n sh -ec 'cp -n /var/lib/fixture-mirror/* /var/cache/distfiles/; cd /var/db/repos/gentoo; for e in */*/*.ebuild; do d=${e%/*}; grep -q SRC_URI "$e" || grep -q fixture-bin "$e" || continue; ebuild "$e" manifest; done; egencache --repo=gentoo --update --jobs=2; rm -f /var/cache/distfiles/*'
  [ -s "$R"/var/db/repos/gentoo/app-misc/hello/Manifest ] && [ -d "$R"/var/db/repos/gentoo/metadata/md5-cache ] || return 1
  rm -rf tree/gentoo; cp -a "$R"/var/db/repos/gentoo tree/gentoo; }
t manifests manif
# 6 a real VDB: emerge @system and two stale/masked packages as the "old" stage3 content
if [ -n "${SMALL:-}" ]; then
  t emerge-small n env CLEAN_DELAY=0 emerge --color=n -q --oneshot sys-apps/baselayout sys-libs/glibc sys-apps/coreutils
else
  t emerge-system n env CLEAN_DELAY=0 emerge --jobs=2 --color=n -q @system
fi
# 7 pack: stage3, snapshot (portage-latest.tar.xz: top dir portage/), overlay (github style: genpack-overlay-main/)
[ -n "${SMALL:-}" ] || n sh -c 'emerge --color=n -q --oneshot =dev-libs/libdemo-1.0 && USE=-hello emerge --color=n -q --oneshot --nodeps app-misc/demo && emerge --color=n -q --noreplace app-misc/maskme' > log.stale 2>&1 || { tail -20 log.stale; exit 1; }
compress="xz -T0 -0"; [ -z "${SMALL:-}" ] || compress=cat
pack(){ rm -rf "$R"/var/db/repos/gentoo/* "$R"/var/tmp/* "$R"/var/cache/distfiles/* "$R"/var/lib/apt/lists/*
  tar -C "$R" --numeric-owner --xattrs --exclude=./usr/share/locale -I "$compress" -cf "$O"/stage3-amd64-systemd-fixture.tar.xz .
  tar -C tree --transform 's,^gentoo,portage,' --owner=0 --group=0 -I 'xz -T0' -cf "$O"/portage-latest.tar.xz gentoo
  tar -C tree --transform 's,^genpack-overlay,genpack-overlay-main,' --owner=0 --group=0 -czf "$O"/genpack-overlay.tar.gz genpack-overlay; }
t pack pack; rm -rf --one-file-system "$R"; ls -la "$O"
