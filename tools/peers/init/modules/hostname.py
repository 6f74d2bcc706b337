"""The machine's name."""
import pathlib


def configure(ini):
    name = ini.get("_default", "hostname", fallback=None)
    if name:
        pathlib.Path("/etc/hostname").write_text(name + "\n", encoding="utf-8")
        pathlib.Path("/proc/sys/kernel/hostname").write_text(name, encoding="utf-8")
