#!/usr/bin/env python3
"""Reads what was built from tests/bare.

tools/bare.py panics PROGRAM              fails when an entry point reaches the panic handler, and says how
tools/bare.py stack PROGRAM TABLE COLUMN  fails when an entry point takes more stack than the table grants
tools/bare.py table PROGRAM...            prints the table anew, a column for each program
tools/bare.py api RUSTDOC-JSON MIR        fails when the program does not call a public function of core

Panics and stack come from the call graph that the linker left (`--emit-relocs`), stack also from the frame sizes of
the compiler (`-Z emit-stack-sizes`). Nothing is guessed: a function without a frame size and calls in a circle make
it fail.
"""

import bisect
import collections
import json
import re
import struct
import subprocess
import sys

# Calls through pointers inside one another: printing an error writes its reason, that a number, that to the output.
# Such a call is taken for the most expensive function whose address the entry point can know, so `core::fmt::write`
# seems to call itself without end; a type of core holds none of its own kind, so what it prints is never deeper.
MAX_POINTER_CALLS = 4

# Code of `core::fmt` and implementations of its traits: the former calls by pointer nothing but the latter.
PRINTING = re.compile(r"4core3fmt")

# Every panic of Rust ends in the panic handler, `rust_begin_unwind`, which may be a part of its only caller. The other
# names are those that `core` panics through; what is left of a panic has one of them.
PANIC = re.compile(
    r"9panicking|rust_begin_unwind|panic_(fmt|impl|const|nounwind|display|bounds)|unwrap_failed|expect_failed"
    r"|(index|order|start|end|error)_fail|len_mismatch|copy_from_slice"
)

# The one exception: reading a double. `core::num::dec2flt` indexes its digits behind conditions that the optimizer does
# not see through; it is documented to answer every text with a value or an error. Nobody who boots reads doubles.
EXEMPT = re.compile(r"7dec2flt|3num11float_parse")
EXEMPT_ENTRIES = {"text::json5_doubles", "text::json5_emit_number"}

# Helpers of the compiler that are written in assembly have no frame size. These push this many bytes.
ASSEMBLY = {
    "__aeabi_uidivmod": 16, "__aeabi_idivmod": 16, "__aeabi_uldivmod": 24, "__aeabi_ldivmod": 24,
}

ENTRY = re.compile(r"^_RNvNtC\w+?_12genpack_bare(\d+)(\w+)$")
SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL, STT_OBJECT, STT_FUNC, STT_SECTION = 2, 4, 8, 9, 1, 2, 3
SHF_ALLOC, SHF_EXECINSTR = 2, 4
EM_ARM, EM_AARCH64, EM_RISCV = 40, 183, 243
# Relocations of calls and jumps; every other one takes an address.
BRANCHES = {
    EM_ARM: {10, 30, 51},  # THM_CALL, THM_JUMP24, THM_JUMP19
    EM_AARCH64: {279, 280, 282, 283},  # TSTBR14, CONDBR19, JUMP26, CALL26
    EM_RISCV: {16, 17, 18, 19, 44, 45},  # BRANCH, JAL, CALL, CALL_PLT, RVC_BRANCH, RVC_JUMP
}

Symbol = collections.namedtuple("Symbol", "name start size kind section")


def text(strings, at):
    return strings[at : strings.index(b"\0", at)].decode()


class Program:
    """Functions and data objects of an ELF file: who calls whom, who knows whose address."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.is_64 = self.data[4] == 2
        header = struct.unpack_from("<HHIQQQIHHHHHH" if self.is_64 else "<HHIIIIIHHHHHH", self.data, 16)
        self.machine, shoff, shentsize, shnum, shstrndx = header[1], header[5], header[10], header[11], header[12]
        row = "<IIQQQQIIQQ" if self.is_64 else "<IIIIIIIIII"
        self.sections = [struct.unpack_from(row, self.data, shoff + i * shentsize) for i in range(shnum)]
        self.names = [text(self.content(self.sections[shstrndx]), s[0]) for s in self.sections]
        self.symbols = list(self.read_symbols())
        self.functions = {s.start: s for s in self.symbols if s.kind == STT_FUNC and s.size}
        places = [s for s in self.symbols if s.kind in (STT_FUNC, STT_OBJECT) and s.size and s.section]
        self.places = sorted({s.start: s for s in places}.values(), key=lambda s: s.start)
        self.starts = [s.start for s in self.places]
        self.calls, self.knows, self.in_tables = collections.defaultdict(set), collections.defaultdict(set), set()
        for index, section in enumerate(self.sections):
            if section[1] in (SHT_REL, SHT_RELA):
                self.read_relocations(section, self.sections[section[7]])

    def content(self, section):
        return b"" if section[1] == SHT_NOBITS else self.data[section[4] : section[4] + section[5]]

    def read_symbols(self):
        table = next(s for s in self.sections if s[1] == SHT_SYMTAB)
        strings, body = self.content(self.sections[table[6]]), self.content(table)
        for at in range(0, len(body), table[9]):
            if self.is_64:
                name, info, _, section, start, size = struct.unpack_from("<IBBHQQ", body, at)
            else:
                name, start, size, info, _, section = struct.unpack_from("<IIIBBH", body, at)
            if info & 15 == STT_FUNC and self.machine == EM_ARM:
                start &= ~1  # the bit that says Thumb
            yield Symbol(text(strings, name), start, size, info & 15, section)

    def place(self, address):
        """Returns where the function or object at an address begins, if there is one."""
        index = bisect.bisect_right(self.starts, address) - 1
        found = self.places[index] if index >= 0 else None
        return found.start if found and address < found.start + found.size else None

    def read_relocations(self, section, target):
        if not target[2] & SHF_ALLOC or self.names[section[7]].startswith((".ARM.ex", ".eh_frame")):
            return
        body = self.content(section)
        for at in range(0, len(body), section[9]):
            addend = 0
            if self.is_64:
                offset, info, addend = struct.unpack_from("<QQq", body, at)
                symbol, kind = self.symbols[info >> 32], info & 0xFFFFFFFF
            else:
                offset, info = struct.unpack_from("<II", body, at)
                symbol, kind = self.symbols[info >> 8], info & 0xFF
                if symbol.kind == STT_SECTION:
                    # REL keeps the addend in the place itself; lld has resolved it to the address.
                    if target[2] & SHF_EXECINSTR:
                        raise SystemExit(f"error: code at {offset:#x} refers to a section, not to a symbol")
                    (addend,) = struct.unpack_from("<I", self.data, target[4] + offset - target[3])
                    addend -= symbol.start
            owner, goal = self.place(offset), self.place(symbol.start + addend)
            if owner is None and goal in self.functions:
                self.in_tables.add(goal)  # data without a symbol: the tables of the program itself
            if goal is None or owner is None or owner == goal:
                if goal == owner and kind in BRANCHES[self.machine] and symbol.start + addend == goal:
                    self.calls[owner].add(goal)  # a function that calls itself
                continue
            (self.calls if kind in BRANCHES[self.machine] else self.knows)[owner].add(goal)

    def entries(self):
        """Returns the entry points, name to address: what the table ROOMS of the program names."""
        found = {}
        named = self.in_tables.union(*(goals for owner, goals in self.knows.items() if owner not in self.functions))
        for symbol in (self.functions[start] for start in sorted(named & self.functions.keys())):
            match = ENTRY.match(symbol.name)
            if match and (rest := re.match(r"(\d+)_?(\w+)$", match[2][int(match[1]) :])):
                found[f"{match[2][: int(match[1])]}::{rest[2][: int(rest[1])]}"] = symbol.start
        return found

    def reachable(self, entry, exempt=None):
        """Returns everything that an entry point can reach or point at, with the way there; not through the exempt."""
        came_from, todo = {entry: None}, collections.deque([entry])
        while todo:
            here = todo.popleft()
            if exempt and exempt.search(self.name(here)):
                continue
            for there in sorted(self.calls[here] | self.knows[here]):
                if there not in came_from:
                    came_from[there] = here
                    todo.append(there)
        return came_from

    def name(self, address):
        return self.functions[address].name if address in self.functions else "data"

    def code(self, address):
        symbol = self.functions[address]
        section = self.sections[symbol.section]
        at = section[4] + address - section[3]
        return self.data[at : at + symbol.size]


def demangle(names):
    try:
        out = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
        return out.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return names


def panics(program):
    bad = {address for address, symbol in program.functions.items() if PANIC.search(symbol.name)}
    seen, exempt, failed = set(), set(), False
    for name, entry in sorted(program.entries().items()):
        came_from = program.reachable(entry, EXEMPT)
        for panic in sorted(bad & came_from.keys()):
            way = [panic]
            while came_from[way[-1]] is not None:
                way.append(came_from[way[-1]])
            print(f"error: {name} can panic:", *demangle([program.name(a) for a in reversed(way)]), sep="\n    ")
            failed = True
        if any(EXEMPT.search(program.name(address)) for address in came_from):
            exempt.add(name)
            seen |= bad & program.reachable(entry).keys()
    if exempt - EXEMPT_ENTRIES:
        print("error: read a double, and are not expected to:", *sorted(exempt - EXEMPT_ENTRIES))
        failed = True
    # Why: no entry point may be forgotten, so a panic that none seems to reach counts, too.
    for panic in sorted(bad - seen) if not failed else ():
        print(f"error: a panic that no entry point seems to reach: {demangle([program.name(panic)])[0]}")
        failed = True
    print(f"{len(program.entries())} entry points, {len(program.functions)} functions; reading doubles alone may panic:",
          *sorted(exempt))
    return failed


class Stack:
    """The worst case of stack use."""

    def __init__(self, program):
        self.program, self.frames = program, {}
        for section, name in zip(program.sections, program.names):
            if name == ".stack_sizes":
                self.read_sizes(program.content(section))
        for address, symbol in program.functions.items():
            if address not in self.frames and symbol.name in ASSEMBLY:
                self.frames[address] = ASSEMBLY[symbol.name]
        self.data = sorted((s.start, s.name[1]) for s in program.symbols if s.name[:2] in ("$t", "$d") and s.section)

    def read_sizes(self, body):
        at, long = 0, self.program.is_64
        while at < len(body):
            (address,) = struct.unpack_from("<Q" if long else "<I", body, at)
            at, size, shift = at + (8 if long else 4), 0, 0
            while True:
                size, shift, at = size | (body[at] & 127) << shift, shift + 7, at + 1
                if body[at - 1] < 128:
                    break
            self.frames[address & ~1 if self.program.machine == EM_ARM else address] = size

    def is_data(self, address):
        index = bisect.bisect_right(self.data, (address, "~")) - 1
        return index >= 0 and self.data[index][1] == "d"

    def calls_itself(self, address):
        """Tells whether a function calls its own beginning, for which the assembler leaves no relocation."""
        code = self.program.code(address)
        if self.program.machine == EM_AARCH64:
            words = enumerate(word for (word,) in struct.iter_unpack("<I", code[: len(code) & ~3]))
            # bl: the offset in words, 26 bits with a sign
            return any(word >> 26 == 0x25 and (index + word) & 0x3FFFFFF == 0 for index, word in words)
        at = 0
        while at + 3 < len(code):
            high, low = struct.unpack_from("<HH", code, at)
            is_long = high >> 11 >= 0x1D and not self.is_data(address + at)
            if is_long and high >> 11 == 0x1E and low & 0xD000 == 0xD000:  # bl
                sign = high >> 10 & 1
                i1, i2 = 1 ^ (low >> 13 & 1) ^ sign, 1 ^ (low >> 11 & 1) ^ sign
                offset = (-sign << 24) | i1 << 23 | i2 << 22 | (high & 0x3FF) << 12 | (low & 0x7FF) << 1
                if at + 4 + offset == 0:
                    return True
            at += 4 if is_long else 2
        return False

    def calls_by_pointer(self, address):
        code = self.program.code(address)
        if self.program.machine == EM_AARCH64:
            words = (word for (word,) in struct.iter_unpack("<I", code[: len(code) & ~3]))
            return any(word & 0xFFFFFC1F == 0xD63F0000 for word in words)  # blr
        at = 0
        while at + 1 < len(code):
            (half,) = struct.unpack_from("<H", code, at)
            if self.is_data(address + at):
                at += 2
                continue
            if half & 0xFF87 == 0x4780 or (half & 0xFF87 == 0x4700 and half != 0x4770):  # blx, bx; bx lr returns
                return True
            at += 4 if half >> 11 >= 0x1D else 2
        return False

    def worst(self, entry):
        program = self.program
        reach = program.reachable(entry)
        pointed = {g for a in reach for g in program.knows[a] if g in program.functions}
        pointed |= program.in_tables - set(program.entries().values())
        done, open_calls = {}, []

        def depth(address, level):
            key = (address, level)
            if key in done:
                return done[key]
            if key in open_calls or self.calls_itself(address):
                circle = demangle([program.name(a) for a, _ in (open_calls[open_calls.index(key) :] if key in open_calls else [key])])
                raise SystemExit("error: calls in a circle:\n    " + "\n    ".join(circle))
            if address not in self.frames:
                raise SystemExit(f"error: no frame size of {demangle([program.name(address)])[0]}")
            open_calls.append(key)
            below = [depth(callee, level) for callee in program.calls[address] if callee in program.functions]
            if level > 0 and self.calls_by_pointer(address):
                prints = PRINTING.search(program.name(address))
                goals = [callee for callee in pointed if not prints or PRINTING.search(program.name(callee))]
                below += [depth(callee, level - 1) for callee in goals]
            open_calls.pop()
            done[key] = self.frames[address] + max(below, default=0)
            return done[key]

        return depth(entry, MAX_POINTER_CALLS)


    def all(self):
        return {name: self.worst(entry) for name, entry in sorted(self.program.entries().items())}


def budget(used):
    """An eighth more for the next compiler, in steps of 256 bytes."""
    return -(-(used + used // 8) // 256) * 256


def table(programs):
    """Prints the rows of docs/stack.md."""
    columns = [Stack(program).all() for program in programs]
    for name in columns[0]:
        print("|", " | ".join([f"`{name}`", *(str(budget(column[name])) for column in columns)]), "|")
    return False


def stack(program, path, column):
    """Compares with the budgets: a table with a header, whose first column has the names."""
    with open(path, encoding="utf-8") as file:
        rows = [[cell.strip(" `") for cell in line.strip("|\n ").split("|")] for line in file if line.startswith("|")]
    index = rows[0].index(column)
    budgets = {row[0]: int(row[index]) for row in rows[2:]}
    used = Stack(program).all()
    wrong = [f"{name} has no budget" for name in used if name not in budgets]
    wrong += [f"{name} is no entry point" for name in budgets if name not in used]
    for name in used.keys() & budgets.keys():
        if used[name] > budgets[name]:
            wrong.append(f"{name} takes {used[name]} bytes, the budget is {budgets[name]}")
        elif budgets[name] > 2 * budget(used[name]):
            wrong.append(f"{name} takes {used[name]} bytes, a budget of {budgets[name]} says nothing")
    for line in sorted(wrong):
        print(f"error: {path}: {line}")
    deepest = max(used, key=used.get)
    print(f"stack: {len(used)} entry points within their budgets, most in {deepest}: {used[deepest]} bytes")
    return bool(wrong)


def public_functions(index, at, path, found, seen):
    """Collects the functions and methods that a user of the crate can name: id to the paths they go by."""
    item = index.get(str(at))
    if item is None or (at, path) in seen:
        return
    seen.add((at, path))
    (kind, inner), name = next(iter(item["inner"].items())), item["name"]
    if kind == "module":
        for child in inner["items"]:
            public_functions(index, child, f"{path}{name}::", found, seen)
    elif kind == "use" and inner["id"] is not None:
        public_functions(index, inner["id"], path, found, seen)
    elif kind == "function":
        found[at].add(path + name)
    elif kind in ("struct", "enum", "union"):
        for block in inner["impls"]:
            inherent = index.get(str(block), {}).get("inner", {}).get("impl")
            if inherent and inherent["trait"] is None:
                for method in inherent["items"]:
                    if "function" in index.get(str(method), {}).get("inner", {}):
                        found[method].add(f"{path}{name}::{index[str(method)]['name']}")


def api(json_path, mir_path):
    with open(json_path, encoding="utf-8") as file:
        crate = json.load(file)
    found = collections.defaultdict(set)
    public_functions(crate["index"], crate["root"], "", found, set())
    with open(mir_path, encoding="utf-8") as file:
        mir = file.read().replace("->", "")
    called, before = set(), None
    # Generic arguments stand between the parts of a path; they are taken off from inside, and may name functions, too.
    while mir != before:
        called.update(re.findall(r"\bgenpack_core(?:::\w+)+", mir))
        # A method that stands in another module than its type goes by `module::<impl type>::method`.
        before, mir = mir, re.sub(r"\bgenpack_core(?:::\w+)*::<impl ([\w:]+)>", r"\1", mir)
        mir = re.sub(r"(::)?<[^<>]*>", "", mir)
    missing = sorted(min(paths) for paths in found.values() if not paths & called)
    for path in missing:
        print(f"error: tests/bare does not call {path}")
    print(f"{len(found)} public functions of core need no allocator, {len(missing)} are not called")
    return bool(missing) or not found


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    match sys.argv[1:]:
        case ["panics", program]:
            sys.exit(panics(Program(program)))
        case ["stack", program, path, column]:
            sys.exit(stack(Program(program), path, column))
        case ["table", *programs] if programs:
            sys.exit(table([Program(program) for program in programs]))
        case ["api", json_path, mir_path]:
            sys.exit(api(json_path, mir_path))
        case _:
            sys.exit(__doc__)
