# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

inherit genpack-ignore

DESCRIPTION="Programs that build scripts of artifacts count on; only lower images have them"
HOMEPAGE="https://github.com/wbrxcorp/genpack"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 riscv x86"

RDEPEND="
	app-arch/unzip
	app-arch/zip
	app-editors/nano
	app-misc/figlet
	app-misc/jq
	app-portage/gentoolkit
	dev-debug/strace
	dev-util/pkgdev
	dev-vcs/git
	net-misc/curl
	net-misc/rsync
	net-misc/wget
	sys-apps/util-linux
	sys-fs/mtools
	sys-fs/squashfs-tools
"
