# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

inherit systemd

DESCRIPTION="What an image with a Weston desktop or kiosk has"
HOMEPAGE="https://github.com/wbrxcorp/genpack"
S="${WORKDIR}"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64"
IUSE="japanese"

RDEPEND="
	genpack/base
	dev-libs/weston
	gui-apps/foot
	media-fonts/noto
	media-video/pipewire
	media-video/wireplumber
	sys-auth/seatd
	japanese? (
		app-i18n/fcitx
		app-i18n/fcitx-gtk
		app-i18n/mozc
		media-fonts/noto-cjk
	)
"

src_install() {
	exeinto /usr/lib/genpack/package-scripts/dev-libs/weston
	doexe "${FILESDIR}"/10-seat
	systemd_newunit "${FILESDIR}"/weston-kiosk.service weston-kiosk@.service
}
