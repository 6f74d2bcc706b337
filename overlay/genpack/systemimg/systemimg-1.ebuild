# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="What an image for disks has"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
S="${WORKDIR}"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 riscv x86"
IUSE="baremetal"

RDEPEND="
	!genpack/paravirt
	genpack/base
	sys-apps/kbd
	sys-fs/dosfstools
	sys-fs/e2fsprogs
	baremetal? (
		net-wireless/wireless-regdb
		sys-apps/ethtool
		sys-apps/hdparm
		sys-apps/nvme-cli
		sys-apps/pciutils
		sys-apps/smartmontools
		sys-apps/usbutils
		sys-kernel/linux-firmware
	)
"

src_install() {
	exeinto /usr/lib/genpack/package-scripts/genpack/systemimg
	doexe "${FILESDIR}"/10-console
}
