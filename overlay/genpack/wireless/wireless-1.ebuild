# Distributed under the terms of the MIT License or the Apache License, Version 2.0

EAPI=8

DESCRIPTION="Wireless networks and Bluetooth"
HOMEPAGE="https://github.com/wbrxcorp/genpack"

LICENSE="|| ( MIT Apache-2.0 )"
SLOT="0"
KEYWORDS="amd64 arm64 x86"

RDEPEND="
	net-wireless/bluez
	net-wireless/hostapd
	net-wireless/iw
	net-wireless/wpa_supplicant
"
