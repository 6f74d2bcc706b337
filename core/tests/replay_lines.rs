//! Fuzz bodies of the line formats over seeds and mutations of them.
#![cfg(feature = "_fuzz")]

use genpack_core::replay::{debian, gentoo, loader, mutate, text};

/// Mutations of each seed.
const ROUNDS: u32 = 4000;

#[test]
fn vm_ini_laws_hold_for_seeds_and_mutations() {
    for seed in [
        "memory=0x400\n[Net0]\ninterface = \"a;b\" ; c\nhostfwd = 1:2,\\\n  3:4\n# c \\\n more\n[disk1] # x\nserial = 'q'\n",
        "a=\"\\\n\"\n[]\n[x=y]\n=1\nk = \\ \n ;c\nlast = \\",
    ] {
        mutate(seed.as_bytes(), ROUNDS, text::vm_ini);
    }
}

#[test]
fn loader_laws_hold_for_seeds_and_mutations() {
    for seed in ["# c\na=1\nsaved=x\\\\y\\\nz\ngenpack=1\n", "genpack=\ngenpack=2\nb=#\n"] {
        mutate(seed.as_bytes(), ROUNDS, loader::grubenv);
    }
    for seed in [
        "label a\n kernel /Image\n append root=systemimg:auto x\n fdtdir /d\n initrd /../x\n",
        "# c\narm_64bit=0\n[pi4]\narm_64bit=1\n[all]\ninclude x\ninitramfs a followkernel\nk=v",
        "root=/dev/x rootfstype=ext4 quiet\nmore\n",
    ] {
        mutate(seed.as_bytes(), ROUNDS, loader::loader_texts);
    }
}

#[test]
fn gentoo_laws_hold_for_seeds_and_mutations() {
    let atoms = "1.02b_rc3_p-r4 =a/b-1.2*:0/1=::r[x,-y(+),z?] !!~c/d-1 name-1-r2 1.010 1.1 >=e/f-0:*";
    mutate(atoms.as_bytes(), ROUNDS, gentoo::gentoo_words);
    let depend = "a/b || ( c/d ( e/f ) ) x? ( !y? ( g/h ) ) ^^ ( i ) ?? ( )";
    mutate(depend.as_bytes(), ROUNDS, gentoo::gentoo_depend);
    let lines = "dir /a\nobj /b c d41d8cd98f00b204e9800998ecf8427e 17\nsym /d -> e f 18\nfif /g\ndev /h\n\
                 *a/b\n-*\n-*c/d\ngentoo:base\n..\na/b x -y -* # c\n";
    mutate(lines.as_bytes(), ROUNDS, gentoo::gentoo_lines);
}

#[test]
fn debian_laws_hold_for_seeds_and_mutations() {
    let status = "Package: a\nVersion: 1:2.3-4\nDepends: b (>= 1~rc1), c:any | d [amd64] <!x>,\n e (<< 2)\n# c\n\nPackage: f\n .\n";
    mutate(status.as_bytes(), ROUNDS, debian::debian_status);
    mutate(b"1:2.3-4 1.0~rc1 1.0 0:2.3+b1-1 1.00", ROUNDS, debian::debian_version);
}
