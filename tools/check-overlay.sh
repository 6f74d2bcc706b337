#!/bin/bash
# Runs pkgcheck over overlay/, against a stand-in for Gentoo's own tree: tools/check-overlay.sh [VENV]
# pkgcheck comes from PyPI into a virtual environment; the last releases that take bash 5.2 are named here.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-target/pkgcheck}
if [ ! -x "$venv/bin/pkgcheck" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'pkgcheck==0.10.36' 'pkgcore<0.12.32'
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
gentoo=$work/gentoo

# Of Gentoo's tree only what ours names: architectures, licences, eclasses, parents of profiles.
mkdir -p "$gentoo"/{profiles,metadata,eclass,licenses}
echo genpack-overlay > "$gentoo/profiles/repo_name"
printf 'masters =\nthin-manifests = true\nprofile-formats = portage-2\ncache-formats = md5-dict\n' > "$gentoo/metadata/layout.conf"
printf '%s\n' amd64 arm64 riscv x86 > "$gentoo/profiles/arch.list"
echo 8 > "$gentoo/profiles/eapi"
printf 'ARCH="amd64"\n' > "$work/defaults"
touch "$gentoo"/licenses/{MIT,Apache-2.0} "$gentoo"/profiles/{use.desc,profiles.desc}
for eclass in cargo git-r3 systemd; do
  printf '# @ECLASS: %s.eclass\n# @MAINTAINER:\n# x@example.org\n# @AUTHOR:\n# x\n# @SUPPORTED_EAPIS: 8\n# @BLURB: stand-in\n' \
    "$eclass" > "$gentoo/eclass/$eclass.eclass"
done
grep -hrEo '\b[a-z]+-[a-z]+/|\bvirtual/' overlay --include='*.ebuild' | tr -d / | sort -u > "$gentoo/profiles/categories"
for keyword in amd64:default/linux/amd64/23.0/systemd arm64:default/linux/arm64/23.0/systemd \
  riscv:default/linux/riscv/23.0/rv64/lp64d/systemd x86:default/linux/x86/23.0/i686/systemd; do
  dir=$gentoo/profiles/${keyword#*:}; mkdir -p "$dir"
  printf 'ARCH="%s"\nACCEPT_KEYWORDS="%s"\n' "${keyword%%:*}" "${keyword%%:*}" > "$dir/make.defaults"
done
mkdir -p "$gentoo/profiles/targets/desktop/gnome"
# Why one repository of both: pkgcheck finds masters only in a configured Gentoo system. Profiles are checked by
# host-tools/tests/overlay_consistency.rs.
cp -a overlay/{genpack,sys-apps,eclass} "$gentoo/"
echo genpack >> "$gentoo/profiles/categories"
sort -u -o "$gentoo/profiles/categories" "$gentoo/profiles/categories"
printf 'amd64\tdefault/linux/amd64/23.0/systemd\tstable\n' > "$gentoo/profiles/profiles.desc"
mkdir -p "$work/etc/portage"
printf '[DEFAULT]\nmain-repo = genpack-overlay\n[genpack-overlay]\nlocation = %s\n' "$gentoo" > "$work/etc/portage/repos.conf"
ln -s "$gentoo/profiles/default/linux/amd64/23.0/systemd" "$work/etc/portage/make.profile"

# Not asked: whether packages of Gentoo exist, which only its own tree can tell; genpack-ignore works by being inherited.
HOME=$work "$venv/bin/pkgcheck" --config "$work/etc/portage" scan --repo genpack-overlay --exit=error,warning,style --keywords=-UnusedInherits \
  --checks=-VisibilityCheck,-DependencyCheck,-ProfilesCheck,-RepoProfilesCheck,-UnusedLicensesCheck,-GlobalUseCheck --color=n
echo "overlay: pkgcheck finds nothing"
