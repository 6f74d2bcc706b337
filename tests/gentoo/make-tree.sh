#!/bin/bash
# Writes the fixture ebuild repositories (all text is ours). usage: make-tree.sh OUTDIR
set -euo pipefail
O=$1; G=$O/gentoo; V=$O/genpack-overlay
rm -rf "$G" "$V"; mkdir -p "$G"/{profiles,metadata,eclass,licenses} "$V"/{profiles,metadata,eclass}
w(){ mkdir -p "$(dirname "$1")"; cat > "$1"; }

### repository "gentoo"
echo gentoo > $G/profiles/repo_name
echo 8 > $G/profiles/eapi
printf '%s\n' amd64 arm64 riscv x86 > $G/profiles/arch.list
printf '%s\n' app-admin app-arch app-misc app-portage app-shells dev-build dev-lang dev-libs dev-python media-libs net-misc sys-apps sys-fs sys-libs sys-kernel virtual > $G/profiles/categories
w $G/metadata/layout.conf <<'E'
masters =
thin-manifests = true
sign-manifests = false
manifest-hashes = BLAKE2B SHA512
manifest-required-hashes = BLAKE2B
profile-formats = portage-2 profile-set
cache-formats = md5-dict
E
echo "0123456789abcdef0123456789abcdef01234567 1763683200 2025-11-21T00:00:00Z" > $G/metadata/timestamp.commit
for l in MIT GPL-2 GPL-3+ BSD Fixture-EULA; do echo "$l (fixture placeholder)" > $G/licenses/$l; done
echo 'gentoo https://distfiles.invalid' > $G/profiles/thirdpartymirrors
echo 'EULA Fixture-EULA' > $G/profiles/license_groups
w $G/profiles/profiles.desc <<'E'
amd64 default/linux/amd64/23.0 stable
amd64 default/linux/amd64/23.0/systemd stable
E
w $G/profiles/base/make.defaults <<'E'
ARCH="amd64"
ELIBC="glibc"
KERNEL="linux"
CFLAGS="-O2 -pipe"
CXXFLAGS="${CFLAGS}"
ACCEPT_LICENSE="* -@EULA"
USE_EXPAND="ABI_X86 PYTHON_TARGETS PYTHON_SINGLE_TARGET ELIBC KERNEL"
USE_EXPAND_HIDDEN="ELIBC KERNEL"
USE_EXPAND_IMPLICIT="ARCH ELIBC KERNEL"
USE_EXPAND_UNPREFIXED="ARCH"
USE_EXPAND_VALUES_ARCH="amd64 arm64 riscv x86"
USE_EXPAND_VALUES_ELIBC="glibc musl"
USE_EXPAND_VALUES_KERNEL="linux"
IUSE_IMPLICIT="prefix"
CONFIG_PROTECT="/etc"
CONFIG_PROTECT_MASK="/etc/env.d"
E
echo 8 > $G/profiles/base/eapi
if [ -n "${SMALL:-}" ]; then
printf '*sys-apps/baselayout\n*sys-libs/glibc\n*sys-apps/coreutils\n' > $G/profiles/base/packages
else
w $G/profiles/base/packages <<'E'
*sys-apps/baselayout
*sys-libs/glibc
*app-shells/bash
*sys-apps/coreutils
*sys-apps/portage
*app-admin/eselect
*app-portage/gentoolkit
E
fi
w $G/profiles/default/linux/amd64/23.0/make.defaults <<'E'
ACCEPT_KEYWORDS="amd64"
CHOST="x86_64-pc-linux-gnu"
ABI="amd64"
DEFAULT_ABI="amd64"
MULTILIB_ABIS="amd64"
LIBDIR_amd64="lib"
E
echo 8 > $G/profiles/default/linux/amd64/23.0/eapi; echo '../../../../base' > $G/profiles/default/linux/amd64/23.0/parent
echo 8 > $G/profiles/default/linux/amd64/23.0/eapi
S=$G/profiles/default/linux/amd64/23.0/systemd; mkdir -p $S; echo 8 > $S/eapi; echo .. > $S/parent
echo 'USE="systemd"' > $S/make.defaults; [ -n "${SMALL:-}" ] || echo '*sys-apps/systemd' > $S/packages
mkdir -p $G/profiles/package.mask.d.unused; rmdir $G/profiles/package.mask.d.unused

# eclass: an ebuild whose distfile is a tarball of prebuilt (Debian) files
w $G/eclass/fixture-bin.eclass <<'E'
# installs ${P}-bin.tar.gz as is
SRC_URI="mirror://gentoo/${P}-bin.tar.gz"
S="${WORKDIR}"
RESTRICT="strip binchecks"
QA_PREBUILT="*"
EXPORT_FUNCTIONS src_configure src_compile src_install
fixture-bin_src_configure() { :; }
fixture-bin_src_compile() { :; }
fixture-bin_src_install() { cp -a "${S}"/. "${ED}"/ || die; }
E
bin(){ # cat/pn ver rdepend [iuse]
 w $G/$1/${1#*/}-$2.ebuild <<E
EAPI=8
inherit fixture-bin
DESCRIPTION="stand-in for $1 (prebuilt Debian files)"
HOMEPAGE="https://example.invalid/"
LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="$3"
E
}
while IFS='|' read -r cpn ver rdep debs; do [ -n "$cpn" ] && bin "$cpn" "$ver" "$rdep"; done < "${BINLIST:?}"

mk(){ w $G/$1; }   # path <- stdin
mk sys-apps/baselayout/baselayout-2.17.ebuild <<'E'
EAPI=8
DESCRIPTION="filesystem baselayout (fixture)"
HOMEPAGE="https://example.invalid/"
LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
IUSE="systemd"
S="${WORKDIR}"
src_install() {
	dodir /usr/bin /usr/sbin /usr/lib /usr/lib64 /etc/env.d
	dosym usr/bin /bin; dosym usr/sbin /sbin; dosym usr/lib /lib; dosym usr/lib64 /lib64
	keepdir /var/lib /var/log /var/tmp /opt
	printf '%s\n' 'PATH="/usr/sbin:/usr/bin:/sbin:/bin"' 'LDPATH="/usr/lib64:/usr/lib/x86_64-linux-gnu:/usr/lib"' \
		'CONFIG_PROTECT_MASK="/etc/env.d"' > "${T}"/00basic || die
	insinto /etc/env.d; doins "${T}"/00basic
	printf 'NAME="Gentoo fixture"\nID=gentoo\n' > "${T}"/os-release || die
	insinto /usr/share/fixture; doins "${T}"/os-release
}
E
mk sys-apps/portage/portage-${PORTAGE_PV:?}.ebuild <<'E'
EAPI=8
DESCRIPTION="The package management and distribution system for Gentoo (built from the PyPI sdist)"
HOMEPAGE="https://wiki.gentoo.org/wiki/Project:Portage"
SRC_URI="mirror://gentoo/${P}.tar.gz"
LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="dev-lang/python app-shells/bash"
BDEPEND="dev-build/meson"
src_configure() { meson setup --prefix=/usr --sysconfdir=/etc --localstatedir=/var "${WORKDIR}"/build "${S}" || die; }
src_compile() { meson compile -C "${WORKDIR}"/build || die; }
src_install() {
	DESTDIR="${D}" meson install --no-rebuild -C "${WORKDIR}"/build || die
	keepdir /var/cache/distfiles /var/cache/binpkgs
	dodir /etc/portage
}
E
mk app-misc/hello/hello-2.10.ebuild <<'E'
EAPI=8
DESCRIPTION="GNU hello: autotools build from the upstream tarball (Debian's .orig.tar.gz)"
HOMEPAGE="https://www.gnu.org/software/hello/"
SRC_URI="mirror://gentoo/${P}.tar.gz"
LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"
IUSE="nls +doc"
BDEPEND="dev-build/fixture-buildtool"
src_configure() { econf $(use_enable nls); }
src_install() { default; use doc || rm -r "${ED}"/usr/share/{info,man} || die; }
E
mk dev-build/fixture-buildtool/fixture-buildtool-1.ebuild <<'E'
EAPI=8
DESCRIPTION="build-time only tool: must not reach the upper layer; depclean --with-bdeps=n removes it"
HOMEPAGE="https://example.invalid/"
LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"
S="${WORKDIR}"
src_install() { newbin - fixture-buildtool <<<$'#!/bin/sh\necho built'; }
E
# circular pair (names are in upstream's breaker table): tiff[webp] <-> libwebp[tiff], build-time edges
clib(){ # cpn ver flag otherlib
 local pn=${1#*/}; mk $1/$pn-$2.ebuild <<E
EAPI=8
DESCRIPTION="tiny C library $pn, optional build-time use of $4"
HOMEPAGE="https://example.invalid/"
LICENSE="BSD"
SLOT="0"
KEYWORDS="amd64"
IUSE="+$3 static-libs"
RDEPEND="$3? ( media-libs/$4 )"
DEPEND="\${RDEPEND}"
S="\${WORKDIR}"
src_unpack() { echo "int ${pn}_f(void){return $5;}" > $pn.c || die; }
src_compile() {
	local l=; use $3 && { echo "int ${4}_f(void); int ${pn}_g(void){return ${4}_f();}" >> $pn.c; l=-l$4; }
	\${CC:-gcc} \${CFLAGS} -fPIC -shared -Wl,-soname,lib$pn.so.1 -o lib$pn.so.1 $pn.c \$l || die
	use static-libs && { \${CC:-gcc} -c $pn.c && ar rc lib$pn.a $pn.o || die; }
}
src_install() {
	dolib.so lib$pn.so.1; dosym lib$pn.so.1 /usr/\$(get_libdir)/lib$pn.so
	use static-libs && dolib.a lib$pn.a
	insinto /usr/include; doins $pn.c
}
E
}
clib media-libs/tiff 4.7 webp libwebp 4
clib media-libs/libwebp 1.5 tiff tiff 5
# soname bump -> preserved-libs -> @preserved-rebuild
for v in 1 2; do mk dev-libs/libdemo/libdemo-$v.0.ebuild <<E
EAPI=8
DESCRIPTION="soname bump on version change"
HOMEPAGE="https://example.invalid/"
LICENSE="BSD"
SLOT="0"
KEYWORDS="amd64"
S="\${WORKDIR}"
src_compile() { echo "int demo(void){return $v;}" > d.c; gcc -fPIC -shared -Wl,-soname,libdemo.so.$v -o libdemo.so.$v d.c || die; }
src_install() { dolib.so libdemo.so.$v; dosym libdemo.so.$v /usr/\$(get_libdir)/libdemo.so; }
E
done
mk app-misc/demo/demo-1.ebuild <<'E'
EAPI=8
DESCRIPTION="runtime program with a systemd unit, an any-of dependency and a package script"
HOMEPAGE="https://example.invalid/"
LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"
IUSE="systemd +hello"
RDEPEND="dev-libs/libdemo || ( app-misc/absent sys-apps/coreutils ) hello? ( app-misc/hello )"
DEPEND="dev-libs/libdemo"
PDEPEND="virtual/demo-post"
S="${WORKDIR}"
src_compile() { echo 'int demo(void);int printf(const char*,...);int main(){printf("demo %d\n",demo());return 0;}' > m.c; gcc ${CFLAGS} -o demo m.c -ldemo || die; }
src_install() {
	dobin demo; dosym demo /usr/bin/demo-link; echo 'man' > demo.1; doman demo.1
	if use systemd; then
	printf '[Unit]\nDescription=demo\n[Service]\nExecStart=/usr/bin/demo\n[Install]\nWantedBy=multi-user.target\n' > demo.service
	insinto /usr/lib/systemd/system; doins demo.service; fi
	exeinto /usr/lib/genpack/package-scripts/app-misc/demo; newexe - 10-mark <<<$'#!/bin/sh\nid > /etc/demo-script-ran'
	insinto /etc; newins - demo.conf <<<'a=1'
}
E
mk virtual/demo-post/demo-post-0.ebuild <<'E'
EAPI=8
DESCRIPTION="virtual reached through PDEPEND"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="|| ( sys-apps/coreutils )"
E
mk app-misc/unstable/unstable-1.ebuild <<'E'
EAPI=8
DESCRIPTION="~amd64 and EULA: needs accept_keywords and license"
HOMEPAGE="https://example.invalid/"
LICENSE="Fixture-EULA"
SLOT="0"
KEYWORDS="~amd64"
S="${WORKDIR}"
src_install() { newbin - unstable <<<$'#!/bin/sh\necho unstable'; }
E
mk app-misc/maskme/maskme-1.ebuild <<'E'
EAPI=8
DESCRIPTION="in the stage3, masked by the overlay profile -> must be unmerged"
HOMEPAGE="https://example.invalid/"
LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"
S="${WORKDIR}"
src_install() { newbin - maskme <<<$'#!/bin/sh\n:'; }
E

# stand-ins (ours) for the three Gentoo tools that no registry carries
mk app-admin/eselect/eselect-0.ebuild <<'E'
EAPI=8
DESCRIPTION="stand-in: eselect profile {list,show,set REPO:PATH} (only)"
HOMEPAGE="https://example.invalid/"
LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="sys-apps/portage"
S="${WORKDIR}"
src_install() { newbin "${FILESDIR}"/eselect.py eselect; }
E
mk app-admin/eselect/files/eselect.py <<'E'
#!/usr/bin/python3
import sys, os, portage
repos = portage.settings.repositories
LINK = "/etc/portage/make.profile"
def profiles():
    for repo in repos:
        d = os.path.join(repo.location, "profiles", "profiles.desc")
        if os.path.exists(d):
            for line in open(d):
                f = line.split("#")[0].split()
                if len(f) == 3:
                    yield (repo.name, f[1])
a = sys.argv[1:]
if a[:1] != ["profile"] or len(a) < 2: sys.exit("eselect stand-in: only 'profile' is supported")
if a[1] == "list":
    for i, (r, p) in enumerate(profiles(), 1): print(f"  [{i}]   {p if r == 'gentoo' else r + ':' + p}")
elif a[1] == "show":
    print("Current /etc/portage/make.profile symlink:\n  " + os.path.realpath(LINK))
elif a[1] == "set" and len(a) == 3:
    repo, _, path = a[2].rpartition(":"); repo = repo or "gentoo"
    if (repo, path) not in set(profiles()): sys.exit(f"!!! Error: Target \"{a[2]}\" doesn't appear to be valid!")
    t = os.path.join(repos[repo].location, "profiles", path)
    if os.path.lexists(LINK): os.unlink(LINK)
    os.symlink(os.path.relpath(t, os.path.dirname(LINK)), LINK)
else: sys.exit("eselect stand-in: bad arguments")
E
mk app-portage/gentoolkit/gentoolkit-0.ebuild <<'E'
EAPI=8
DESCRIPTION="stand-in: equery list -F, eclean-dist, eclean-pkg (only what genpack calls)"
HOMEPAGE="https://example.invalid/"
LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="sys-apps/portage"
S="${WORKDIR}"
src_install() { newbin "${FILESDIR}"/gtk.py equery; newbin "${FILESDIR}"/gtk.py eclean-dist; newbin "${FILESDIR}"/gtk.py eclean-pkg; }
E
mk app-portage/gentoolkit/files/gtk.py <<'E'
#!/usr/bin/python3
import sys, os, portage
me = os.path.basename(sys.argv[0]); db = portage.db[portage.root]
vdb, pdb = db["vartree"].dbapi, db["porttree"].dbapi
if me == "equery":                       # equery list -F '$cpv,$mask' '*'
    fmt = sys.argv[sys.argv.index("-F") + 1]
    for cpv in sorted(vdb.cpv_all()):
        m = "M" if (pdb.settings._getMaskAtom(cpv, {k: v for k, v in zip(("SLOT", "repository"), vdb.aux_get(cpv, ["SLOT", "repository"]))}) is not None) else " "
        k = "~" if not pdb.cpv_exists(cpv) is False and pdb.cpv_exists(cpv) and pdb.settings._getMissingKeywords(cpv, {k: v for k, v in zip(("SLOT", "KEYWORDS", "repository"), pdb.aux_get(cpv, ["SLOT", "KEYWORDS", "repository"]))}) else " "
        print(fmt.replace("$cpv", cpv).replace("$mask", m + k))
elif me == "eclean-dist":                # -d: keep only what installed packages use
    keep = set()
    for cpv in vdb.cpv_all():
        try: keep |= set(pdb.getFetchMap(cpv))
        except Exception: pass
    d = portage.settings["DISTDIR"]
    for f in sorted(os.listdir(d)):
        p = os.path.join(d, f)
        if os.path.isfile(p) and f not in keep and not f.startswith("."): print("removing", f); os.unlink(p)
elif me == "eclean-pkg":
    bdb = db["bintree"].dbapi; db["bintree"].populate(); deep = "-d" in sys.argv
    for cpv in list(bdb.cpv_all()):
        if (deep and not vdb.cpv_exists(cpv)) or (not deep and not pdb.cpv_exists(cpv)):
            print("removing", cpv); os.unlink(db["bintree"].getname(cpv))
E

### overlay
echo genpack-overlay > $V/profiles/repo_name; echo genpack > $V/profiles/categories
printf 'masters = gentoo\nprofile-formats = portage-2 profile-set\nthin-manifests = true\n' > $V/metadata/layout.conf
w $V/profiles/profiles.desc <<'E'
amd64 genpack/amd64 stable
amd64 genpack/amd64/paravirt stable
E
w $V/profiles/genpack/packages <<'E'
genpack/base
E
echo '>=app-misc/maskme-1' > $V/profiles/genpack/package.mask
mkdir -p $V/profiles/genpack/amd64/paravirt; echo 8 > $V/profiles/genpack/amd64/eapi; echo 8 > $V/profiles/genpack/amd64/paravirt/eapi
printf 'gentoo:default/linux/amd64/23.0/systemd\n..\n' > $V/profiles/genpack/amd64/parent
echo .. > $V/profiles/genpack/amd64/paravirt/parent
echo '# empty tag eclass' > $V/eclass/genpack-ignore.eclass
w $V/genpack/base/base-1.ebuild <<'E'
EAPI=8
DESCRIPTION="base system (fixture)"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="sys-apps/coreutils"
E
# What makes an image that boots from a disk.
w $V/genpack/systemimg/systemimg-1.ebuild <<'E'
EAPI=8
DESCRIPTION="an image for real machines (fixture)"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="genpack/base sys-kernel/fixture-kernel sys-apps/systemd app-shells/bash"
E
