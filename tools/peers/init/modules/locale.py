"""The system's language."""
import pathlib


def configure(ini):
    value = ini.get("_default", "locale", fallback=None)
    if value:
        pathlib.Path("/etc/locale.conf").write_text(f"LANG={value}\n", encoding="utf-8")
