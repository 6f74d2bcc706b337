# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="What our PID 1 calls when it prepares a machine"
HOMEPAGE="https://github.com/wbrxcorp/genpack"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 riscv x86"

# The program itself is static, needs no package, and is put into the image by genpack-host.
RDEPEND="
	sys-apps/systemd
	sys-apps/util-linux
	sys-fs/btrfs-progs
	sys-fs/dosfstools
"
