# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="Keeps compilers, headers and documentation in an image"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
S="${WORKDIR}"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 riscv x86"

RDEPEND="
	dev-build/make
	dev-debug/gdb
	sys-devel/binutils
	sys-devel/gcc
"

src_install() {
	newbin - genpack-devel <<-EOF
		#!/bin/sh
		# Its presence keeps documentation, headers and static libraries in the image.
		echo "this is an image for development"
	EOF
}
