#!/usr/bin/python3
# Records a VDB and what Portage itself makes of it, for host-tools/tests/portage_vdb.rs. In a tree with Portage:
#   ROOT=/tmp/vdb record-vdb.py > gentoo-vdb.tsv
# ROOT gets a copy of the tree's own VDB, made by Portage, and packages with everything that dependencies can be.
# Lines: "package CPV KEY VALUE", "best ATOM CPV", "closure CPV"; fields are separated by tabs.
import os
import shutil

EXTRA = {  # CPV: SLOT, RDEPEND, PDEPEND, USE, INHERITED
    "app-misc/demo-1": ("0", "dev-libs/lib:2/2= !dev-libs/gone || ( app-misc/absent ( dev-libs/one dev-libs/two ) sys-apps/coreutils ) hello? ( app-misc/hello ) !doc? ( >=dev-libs/three-1.0_rc1 )", "virtual/post", "hello", ""),
    "app-misc/hello-2.10-r3": ("0", "~dev-libs/three-1.0 || ( dev-libs/absent || ( dev-libs/none =dev-libs/two-3* ) )", "", "nls", "multilib toolchain-funcs"),
    "dev-libs/lib-1.9": ("1/7", "", "", "", ""),
    "dev-libs/lib-2.0": ("2/2", "sys-libs/glibc:=", "", "", ""),
    "dev-libs/one-1_alpha2": ("0", "", "", "", ""),
    "dev-libs/two-3.10": ("0/3.10", "<dev-libs/lib-2 app-misc/tools", "", "", ""),
    "dev-libs/three-1.0_rc2": ("0", "", "", "", ""),
    "dev-libs/three-1.0-r5": ("5", "", "", "", ""),
    "dev-libs/three-1.0_p20250101": ("6", "", "", "", ""),
    "virtual/post-0": ("0", "|| ( sys-apps/coreutils dev-libs/three:6 )", "app-misc/demo", "", ""),
    "app-misc/tools-1": ("0", "app-misc/only-tools", "", "", "genpack-ignore"),
    "app-misc/only-tools-1": ("0", "", "", "", ""),
}
ROOTS = ["app-misc/demo", "dev-lang/python", "sys-libs/ncurses", "dev-libs/three"]

root = os.environ["ROOT"]
shutil.rmtree(root, ignore_errors=True)
shutil.copytree("/var/db/pkg", root + "/var/db/pkg")
for cpv, values in EXTRA.items():
    dest = f"{root}/var/db/pkg/{cpv}"
    os.makedirs(dest)
    for key, value in zip(["SLOT", "RDEPEND", "PDEPEND", "USE", "INHERITED", "EAPI"], values + ("8",)):
        with open(f"{dest}/{key}", "w") as file:
            file.write(value + "\n")

import portage
from portage.dep import use_reduce

vdb = portage.db[portage.root]["vartree"].dbapi
KEYS = ["SLOT", "repository", "RDEPEND", "PDEPEND", "USE", "INHERITED"]

for cpv in sorted(map(str, vdb.cpv_all())):
    for key, value in zip(KEYS, vdb.aux_get(cpv, KEYS)):
        print("package", cpv, key, " ".join(value.split()), sep="\t")


def best(atom):
    found = [str(c) for c in vdb.match(str(atom))]
    return portage.best(found) if found else None


def needs(tokens, flat):
    """Atoms of a reduced dependency: of any-of groups the first alternative that is installed."""
    tokens = list(tokens)
    while tokens:
        token = tokens.pop(0)
        if token == "||":
            for choice in tokens.pop(0):
                inner = []
                needs([choice], inner)
                if inner and all(best(a) for a in inner):
                    flat.extend(inner)
                    break
        elif isinstance(token, list):
            needs(token, flat)
        elif not token.startswith("!"):
            flat.append(token)


atoms, closure, queue = set(), set(), list(ROOTS)
while queue:
    atom = queue.pop()
    cpv = best(atom)
    atoms.add(atom)
    if cpv is None or cpv in closure:
        continue
    use, inherited = vdb.aux_get(cpv, ["USE", "INHERITED"])
    if "genpack-ignore" in inherited.split():
        continue
    closure.add(cpv)
    for key in ("RDEPEND", "PDEPEND"):
        flat = []
        needs(use_reduce(vdb.aux_get(cpv, [key])[0], uselist=use.split()), flat)
        queue.extend(flat)
for atom in sorted(atoms):
    print("best", atom, best(atom) or "", sep="\t")
for cpv in sorted(closure):
    print("closure", cpv, sep="\t")
