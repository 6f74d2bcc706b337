"""The time zone."""
import os


def configure(ini):
    zone = ini.get("_default", "timezone", fallback=None)
    if zone:
        if os.path.lexists("/etc/localtime"):
            os.unlink("/etc/localtime")
        os.symlink(f"/usr/share/zoneinfo/{zone}", "/etc/localtime")
