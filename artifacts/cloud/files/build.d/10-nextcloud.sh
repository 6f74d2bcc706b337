# The program itself; its data and its configuration are made on the machine (files/usr/libexec/cloud-setup).
set -e
url=https://download.nextcloud.com/server/releases/latest.tar.bz2
mkdir -p /var/www
download "$url" | tar --extract --bzip2 --directory /var/www --no-same-owner
install -d -o apache -g apache /var/www/nextcloud/config /var/www/nextcloud/apps /var/lib/cloud
