"""What a Python module in /usr/lib/genpack-init finds as `genpack_init`, and what runs it.

`python3 -B genpack_init.py MODULE` loads one module and calls its `configure`, with the settings of system.ini when it
takes a parameter. Exit status: 0 done, 1 the module failed, 77 it has no `configure`. genpack-init starts one process for
each module, gives it a deadline, and writes what it says to its log (docs/hooks.md).

Not handled: loaders of other languages, a module that waits for another one.
"""

import ast
import builtins
import configparser
import fcntl
import importlib.util
import inspect
import logging
import os
import pathlib
import struct
import subprocess
import sys
import traceback

_BLKSSZGET = 0x1268
_BLKPBSZGET = 0x127B
_BLKGETSIZE64 = 0x80081272
_SKIPPED = 77


def _below(base, parts):
    first, *rest = parts or ("",)
    return pathlib.Path(base, str(first).lstrip("/"), *rest)


def root_path(*parts):
    """Returns a path in the root."""
    return _below("/", parts)


def boot_path(*parts):
    """Returns a path on the boot partition."""
    return _below("/run/initramfs/boot", parts)


def ro_path(*parts):
    """Returns a path in the system image."""
    return _below("/run/initramfs/ro", parts)


def rw_path(*parts):
    """Returns a path on the data partition."""
    return _below("/run/initramfs/rw", parts)


def _run(*argv):
    """Runs a program; returns its exit status, 1 when it cannot be started, -1 when a signal ended it."""
    try:
        status = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        logging.error("%s: %s", argv[0], error)
        return 1
    return status if status >= 0 else -1


def _said(*argv):
    """Returns what a program prints, empty when it fails."""
    try:
        done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace")


_coldplugged = False


def coldplug():
    """Loads the modules of all devices that are there; once."""
    global _coldplugged
    if _coldplugged:
        return
    _coldplugged = True
    aliases = set()
    for directory, _, files in os.walk("/sys/devices"):
        if "modalias" in files:
            try:
                words = pathlib.Path(directory, "modalias").read_text(encoding="utf-8", errors="replace").split()
            except OSError:
                continue
            aliases.update(words[:1])
    names = sorted(set(_said("modprobe", "-a", "-q", "-R", *sorted(aliases)).split())) if aliases else []
    if names and _run("modprobe", "-a", "-b", *names) != 0:
        logging.warning("not every module could be loaded")


def get_block_device_info(path):
    """Returns name, sector sizes in bytes and the number of logical sectors; None when it is no block device."""
    try:
        with open(path, "rb", buffering=0) as device:

            def ask(request, kind):
                return struct.unpack(kind, fcntl.ioctl(device, request, struct.pack(kind, 0)))[0]

            logical, physical = ask(_BLKSSZGET, "i"), ask(_BLKPBSZGET, "I")
            size = ask(_BLKGETSIZE64, "Q")
    except OSError:
        return None
    return {
        "name": os.path.basename(os.path.realpath(path)),
        "logical_sector_size": logical,
        "physical_sector_size": physical,
        "num_logical_sectors": size // logical if logical else 0,
    }


def get_partition_info(path):
    """Returns name, uuid and type of the file system on a device; None when there is none."""
    lines = _said("blkid", "-p", "-o", "export", path).splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    if "TYPE" not in found:
        return None
    return {"name": os.path.basename(os.path.realpath(path)), "uuid": found.get("UUID"), "type": found["TYPE"]}


def get_mount_info(path):
    """Returns fstype, options, target and source of what is mounted on a path; None when nothing is."""
    wanted = os.path.realpath(path)
    found = None
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            source, target, fstype, options = line.split(" ")[:4]
            plain = target.encode("latin-1", "surrogateescape").decode("unicode_escape") if "\\" in target else target
            if plain == wanted:
                found = {"fstype": fstype, "options": options, "target": plain, "source": source}
    return found


def parted(disk, command):
    """Runs a command of parted, which asks nothing."""
    import shlex  # Why: python3-minimal has none, and few modules call this.

    return _run("parted", "-s", disk, *shlex.split(command))


def mkfs(device, fstype, label=None):
    """Makes a file system."""
    option = "-n" if fstype in ("vfat", "fat", "msdos") else "-L"
    return _run(f"mkfs.{fstype}", *([option, label] if label else []), device)


def mkswap(device, label=None):
    """Makes a swap area."""
    return _run("mkswap", *(["-L", label] if label else []), device)


def mount(device, directory, *, fstype=None, options=None):
    """Mounts a file system."""
    return _run("mount", *(["-t", fstype] if fstype else []), *(["-o", options] if options else []), device, directory)


def umount(directory):
    """Unmounts a directory."""
    return _run("umount", directory)


def _first_line(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].rstrip("\0")
    except OSError:
        return ""


def is_raspberry_pi():
    """Tells whether this is a Raspberry Pi."""
    return _first_line("/sys/firmware/devicetree/base/model").startswith("Raspberry Pi")


def is_qemu():
    """Tells whether this is a machine of QEMU."""
    return _first_line("/sys/class/dmi/id/sys_vendor") == "QEMU"


def read_qemu_firmware_config(name):
    """Returns what the host put there as text; None when it did not."""
    path = pathlib.Path("/sys/firmware/qemu_fw_cfg/by_name", name, "raw")
    return path.read_text(encoding="utf-8") if path.exists() else None


def enable_systemd_service(unit):
    """Enables a unit."""
    return _run("systemctl", "enable", unit)


def disable_systemd_service(unit):
    """Disables a unit."""
    return _run("systemctl", "disable", unit)


def _change(program, who, paths, recursive):
    return _run(program, *(["-R"] if recursive else []), who, "--", *paths)


def chown(user, *paths, group=None, recursive=False):
    """Changes the owner."""
    return _change("chown", f"{user}:{group}" if group else user, paths, recursive)


def chgrp(group, *paths, recursive=False):
    """Changes the group."""
    return _change("chgrp", group, paths, recursive)


def chmod(mode, *paths, recursive=False):
    """Changes permission bits."""
    return _change("chmod", mode, paths, recursive)


def _settings():
    """Returns system.ini as genpack-init reads it; `%` is nothing special."""
    ini = configparser.ConfigParser(interpolation=None, default_section="\0none")
    ini.add_section("_default")
    path = os.environ.get("GENPACK_INI_JSON")
    if path:
        with open(path, encoding="utf-8") as document:
            # Why: Debian's python3-minimal has no json, and a document of nothing but strings is a literal of Python.
            ini.read_dict(ast.literal_eval(document.read()))
    return ini


def _main(path):
    ini = _settings()
    level = logging.DEBUG if ini.get("_default", "debug", fallback="").lower() in ("1", "yes", "true", "on") else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s %(filename)s:%(lineno)d %(message)s")
    # A module imports this file by its name; it must get this very object.
    sys.modules["genpack_init"] = sys.modules["__main__"]
    builtins.coldplug = coldplug
    try:
        name = pathlib.Path(path).stem
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        configure = getattr(module, "configure", None)
        if configure is None:
            logging.debug("%s has no configure", path)
            return _SKIPPED
        count = len(inspect.signature(configure).parameters)
        if count > 1:
            raise TypeError(f"configure of {path} takes {count} parameters instead of none or one")
        configure(*([ini] if count == 1 else []))
    except Exception:  # Whatever a module does wrong is its own failure.
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: genpack_init.py MODULE")
    sys.exit(_main(sys.argv[1]))
