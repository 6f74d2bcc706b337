# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="What an image with a GNOME desktop has"
HOMEPAGE="https://github.com/wbrxcorp/genpack"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64"

RDEPEND="
	genpack/base
	gnome-base/gdm
	gnome-base/gnome
	media-fonts/noto
	media-fonts/noto-emoji
	media-video/pipewire
	media-video/wireplumber
	net-misc/networkmanager
"
