"""Asks for an address on wired ports when nobody said otherwise."""
import glob
import pathlib


def configure(ini):
    if not glob.glob("/etc/systemd/network/*.network"):
        path = pathlib.Path("/etc/systemd/network/99-default.network")
        path.write_text("[Match]\nType=ether\n\n[Network]\nDHCP=yes\n", encoding="ascii")
