# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

RUST_MIN_VER="1.95.0"

inherit cargo git-r3

DESCRIPTION="Builds, installs and updates immutable system images"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
EGIT_REPO_URI="https://github.com/wbrxcorp/genpack.git"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"

RDEPEND="
	app-arch/tar
	app-arch/xz-utils
	app-crypt/gnupg
	net-misc/curl
	sys-apps/systemd
	sys-boot/grub
"

# Our names of the architectures that genpack-init is made for.
genpack_arch() {
	case ${CHOST} in
		x86_64-*) echo x86_64 ;;
		aarch64-*) echo aarch64 ;;
		riscv64-*) echo riscv64 ;;
	esac
}

src_unpack() {
	git-r3_src_unpack
	cargo_live_src_unpack
}

src_compile() {
	cargo_src_compile --package genpack-host
	# Not by cargo_env: what it says of linking is for programs with a C library that is loaded.
	local arch=$(genpack_arch)
	if [[ -n ${arch} ]]; then
		tools/build-init.sh "${arch}" || die
		tools/build-tools.sh "${arch}" || die
	fi
}

src_install() {
	dobin "$(cargo_target_dir)/genpack-host"
	local name arch=$(genpack_arch)
	for name in genpack genpack-install vm; do
		dosym genpack-host "/usr/bin/${name}"
	done
	if [[ -n ${arch} ]]; then
		exeinto "/usr/lib/genpack/init/${arch}"
		doexe "target/init/${arch}/genpack-init"
		exeinto "/usr/lib/genpack/tools/${arch}"
		doexe "target/tools/${arch}/genpack-tools"
		# They go into images and containers as they are.
		dostrip -x /usr/lib/genpack
	fi
	insinto /usr/share/genpack
	doins -r overlay
}
