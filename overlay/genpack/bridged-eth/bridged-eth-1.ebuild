# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="A bridge br0 over all Ethernet ports, for virtual machines and containers"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
S="${WORKDIR}"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 riscv x86"

RDEPEND="
	sys-apps/systemd
"

src_install() {
	insinto /usr/lib/systemd/network
	doins "${FILESDIR}"/70-br0.{netdev,network} "${FILESDIR}"/71-br0-ports.network
}
