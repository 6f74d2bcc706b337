"""The owner's keys."""
import os
import pathlib


def configure(ini):
    keys = ini.get("_default", "ssh_pubkey", fallback=None)
    if not keys:
        return
    directory = pathlib.Path("/root/.ssh")
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / "authorized_keys"
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = old + [key for key in keys.splitlines() if key and key not in old]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.chmod(path, 0o600)
