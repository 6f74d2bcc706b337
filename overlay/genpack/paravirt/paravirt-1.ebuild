# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="What an image for virtual machines has"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
S="${WORKDIR}"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 riscv x86"

RDEPEND="
	!genpack/systemimg
	genpack/base
	app-emulation/qemu-guest-agent
	net-misc/socat
	sys-libs/liburing
"

src_install() {
	exeinto /usr/lib/genpack/package-scripts/genpack/paravirt
	doexe "${FILESDIR}"/10-console
}
