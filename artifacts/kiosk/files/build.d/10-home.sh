# files/ is copied as root; the home belongs to its user.
set -e
chown -R kiosk: /home/kiosk
