#!/usr/bin/python3
# Records a VDB and what Portage itself makes of it; runs in a tree with Portage: record-vdb.py ROOT-ATOM... > vdb.tsv
# Lines: "package CPV KEY VALUE", "best ATOM CPV", "closure CPV"; fields are separated by tabs.
import sys
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


atoms, closure, queue = set(), set(), sys.argv[1:]
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
