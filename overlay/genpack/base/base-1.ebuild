# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="What every image has: a system that our init can hand over to"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
S="${WORKDIR}"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 riscv x86"
IUSE="+audit +btrfs +cron +logrotate +sshd +strace +tcpdump +vim +wireguard +xfs"

RDEPEND="
	|| (
		sys-kernel/gentoo-kernel-bin
		sys-kernel/gentoo-kernel
		sys-kernel/raspberrypi-image
	)
	sys-apps/genpack-init
	app-alternatives/awk
	app-arch/tar
	app-arch/xz-utils
	app-misc/ca-certificates
	app-shells/bash
	net-misc/curl
	net-misc/iputils
	sys-apps/coreutils
	sys-apps/diffutils
	sys-apps/file
	sys-apps/findutils
	sys-apps/gentoo-systemd-integration
	sys-apps/grep
	sys-apps/iproute2
	sys-apps/kmod
	sys-apps/less
	sys-apps/net-tools
	sys-apps/sed
	sys-apps/shadow
	sys-apps/systemd
	sys-apps/util-linux
	sys-libs/timezone-data
	sys-process/procps
	audit? ( sys-process/audit )
	btrfs? ( sys-fs/btrfs-progs )
	cron? ( sys-process/cronie )
	logrotate? ( app-admin/logrotate )
	sshd? ( net-misc/openssh )
	strace? ( dev-debug/strace )
	tcpdump? ( net-analyzer/tcpdump )
	vim? ( app-editors/vim )
	wireguard? ( net-vpn/wireguard-tools )
	xfs? ( sys-fs/xfsprogs )
"

src_install() {
	local script
	for script in "${FILESDIR}"/package-scripts/*/*/*; do
		exeinto "/usr/lib/genpack/$(dirname "${script#"${FILESDIR}"/}")"
		doexe "${script}"
	done
}
