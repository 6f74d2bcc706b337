# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

inherit cargo git-r3

DESCRIPTION="Builds, installs and updates immutable system images"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
EGIT_REPO_URI="https://github.com/wbrxcorp/genpack.git"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"

RDEPEND="
	app-arch/tar
	app-crypt/gnupg
	net-misc/curl
	sys-apps/systemd
"
BDEPEND=">=virtual/rust-1.95"

src_unpack() {
	git-r3_src_unpack
	cargo_live_src_unpack
}

src_compile() {
	cargo_src_compile --package genpack-host
}

src_install() {
	dobin "$(cargo_target_dir)/genpack-host"
	local name
	for name in genpack genpack-install vm; do
		dosym genpack-host "/usr/bin/${name}"
	done
	insinto /usr/share/genpack
	doins -r overlay
}
