"""A module of the first init, as images bring it: says what it was given."""

import genpack_init


def configure(ini):
    boot = genpack_init.get_mount_info(genpack_init.boot_path())
    with open(genpack_init.root_path("run", "genpack-tests.said"), "w", encoding="utf-8") as said:
        print("boot partition:", boot["fstype"], file=said)
        for section in ini.sections():
            for key, value in ini.items(section):
                print(f"[{section}] {key} = {value!r}", file=said)
