//! Gets kernel and initramfs out of an image, into sealed memory that QEMU inherits: nothing touches a disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use genpack_core::kernel::arch::Arch;
use genpack_core::kernel::image::{Codec, Format, HEAD_LEN, Payload, detect};
use genpack_core::kernel::pe::{Header, Section};
use rustix::fs::{MemfdFlags, Mode, OFlags, ResolveFlags, SealFlags, fcntl_add_seals, memfd_create, openat2};
use rustix::io::Errno;

use crate::command_error::{CommandError, Context, Result};
use crate::io::system_image::SystemImage;
use crate::vm::kernel_files::{Candidate, look_for};

/// A decompressed kernel has some 100 MiB at most, debug information included.
const MAX_KERNEL_BYTES: u64 = 1 << 30;
/// The kernel itself takes 2 KiB on x86 and 4 KiB at most elsewhere.
const MAX_CMDLINE_BYTES: u32 = 64 << 10;
/// An entry of a boot menu is a dozen lines.
const MAX_ENTRY_BYTES: usize = 64 << 10;
/// Begins a legacy LZ4 frame (`lz4 -l`, lz4_Frame_format.md, "Legacy frame").
const LZ4_LEGACY_MAGIC: u32 = 0x184C_2102;
/// What each of its blocks holds, but the last.
const LZ4_LEGACY_BLOCK: usize = 8 << 20;

/// What a direct boot needs, in memory.
#[derive(Debug)]
pub struct BootFiles {
    /// Path of the kernel inside the image.
    pub kernel_path: String,
    /// The kernel, without a wrapper that QEMU does not know.
    pub kernel: OwnedFd,
    /// The initramfs.
    pub initramfs: Option<OwnedFd>,
    /// Architecture that the kernel's own header names.
    pub arch: Arch,
    /// The command line of a unified kernel image.
    pub words: Option<String>,
}

/// Where kernels are looked for.
pub trait Tree {
    /// Returns the names in a directory, `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn names(&self, directory: &str) -> Result<Option<Vec<String>>>;
    /// Tells whether a file is there; links are followed inside the tree.
    ///
    /// # Errors
    /// When that cannot be told.
    fn has(&self, path: &str) -> Result<bool>;
    /// Copies a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn copy_to(&self, path: &str, to: &mut dyn Write) -> Result<()>;
}

impl Tree for SystemImage {
    fn names(&self, directory: &str) -> Result<Option<Vec<String>>> {
        self.list(directory)
    }

    fn has(&self, path: &str) -> Result<bool> {
        self.exists(path)
    }

    fn copy_to(&self, path: &str, to: &mut dyn Write) -> Result<()> {
        self.copy(path, to).map(drop)
    }
}

/// A root directory of the host's; its links never lead out of it.
#[derive(Debug)]
pub struct RootDirectory(OwnedFd);

impl RootDirectory {
    /// Opens the directory.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .map(Self)
            .with_context(|| format!("opening {}", path.display()))
    }

    fn file(&self, path: &str, flags: OFlags) -> Result<Option<File>, Errno> {
        let inside = path.trim_start_matches('/');
        match openat2(&self.0, inside, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

impl Tree for RootDirectory {
    fn names(&self, directory: &str) -> Result<Option<Vec<String>>> {
        let what = || format!("reading {directory}");
        let Some(found) = self.file(directory, OFlags::RDONLY | OFlags::DIRECTORY).with_context(what)? else {
            return Ok(None);
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&found).with_context(what)? {
            // A name that is no UTF-8 is no kernel's.
            names.extend(entry.with_context(what)?.file_name().to_str().ok().map(str::to_owned));
        }
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Ok(Some(names))
    }

    fn has(&self, path: &str) -> Result<bool> {
        let found = self.file(path, OFlags::PATH).with_context(|| format!("opening {path}"))?;
        Ok(found.is_some_and(|file| file.metadata().is_ok_and(|m| m.is_file())))
    }

    fn copy_to(&self, path: &str, mut to: &mut dyn Write) -> Result<()> {
        let what = || format!("reading {path}");
        let Some(mut file) = self.file(path, OFlags::RDONLY).with_context(what)? else {
            return Err(CommandError::failed("no such file").context(what()));
        };
        io::copy(&mut file, &mut to).map(drop).with_context(what)
    }
}

/// Reads the preferred kernel of the tree and its initramfs.
///
/// # Errors
/// When the tree has no kernel, or one that we cannot recognise, or is corrupt.
pub fn read(image: &impl Tree) -> Result<BootFiles> {
    for candidate in candidates(image)? {
        // A symbolic link may lead nowhere.
        if !image.has(&candidate.kernel)? {
            continue;
        }
        let Some(mut initramfs) = initramfs_of(image, &candidate)? else { continue };
        let what = || format!("reading {}", candidate.kernel);
        let file = copy(image, &candidate.kernel, "kernel")?;
        let Unified { kernel, initramfs: inside, words } = take_apart(file).with_context(what)?;
        let (kernel, arch) = unwrap(kernel).with_context(what)?;
        if let Some(inside) = inside {
            initramfs = Some(seal(inside)?);
        }
        let kernel = seal(kernel)?;
        // Those of the entry were written for this machine, those of the file by whoever made it.
        let words: Vec<String> = [words, candidate.words].into_iter().flatten().collect();
        let words = Some(words.join(" ")).filter(|words| !words.is_empty());
        return Ok(BootFiles { kernel_path: candidate.kernel, kernel, initramfs, arch, words });
    }
    Err(CommandError::failed("the image has no kernel in /boot")
        .hint("give the image a kernel as /boot/kernel, or run a disk made with `genpack-host flash`"))
}

/// Returns the initramfs of a kernel, if it has one; `None` when a part that it needs is missing.
#[expect(clippy::option_option, reason = "no such candidate, and a candidate without one")]
fn initramfs_of(image: &impl Tree, candidate: &Candidate) -> Result<Option<Option<OwnedFd>>> {
    let mut whole: Option<File> = None;
    for alternatives in &candidate.initramfs {
        let mut found = None;
        for path in alternatives {
            if image.has(path)? {
                found = Some(path);
                break;
            }
        }
        match found {
            Some(path) => {
                let file = match &mut whole {
                    Some(file) => file,
                    None => whole.insert(memory("initramfs")?),
                };
                image.copy_to(path, file).with_context(|| format!("reading {path}"))?;
                pad(file).context("reserving memory")?;
            }
            None if candidate.needs_initramfs => return Ok(None),
            None => {}
        }
    }
    whole.map(seal).transpose().map(Some)
}

/// Puts zeros behind a part of an initramfs: the next one begins at a multiple of four bytes
/// (`buffer-format` in the kernel's documentation).
fn pad(file: &mut File) -> io::Result<()> {
    let len = file.seek(SeekFrom::End(0))?;
    let missing = usize::try_from(len.next_multiple_of(4) - len).unwrap_or(0);
    file.write_all(&[0; 4][..missing])
}

/// Reads an entry of a boot menu.
fn text(image: &impl Tree, path: &str) -> Result<String> {
    // Why: a link that leads nowhere is an entry of nothing.
    if !image.has(path)? {
        return Ok(String::new());
    }
    let mut bytes = Short(Vec::new());
    image.copy_to(path, &mut bytes).with_context(|| format!("reading {path}"))?;
    Ok(String::from_utf8_lossy(&bytes.0).into_owned())
}

/// Takes the beginning of a file: what is larger than an entry is none.
struct Short(Vec<u8>);

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_ENTRY_BYTES.saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the kernels that a tree offers, the preferred first; not all of them need be there.
///
/// # Errors
/// When a directory or the entry of a menu cannot be read.
pub fn candidates(image: &impl Tree) -> Result<Vec<Candidate>> {
    look_for(|directory| image.names(directory), |path| text(image, path))
}

fn copy(image: &impl Tree, path: &str, name: &str) -> Result<File> {
    let mut file = memory(name)?;
    image.copy_to(path, &mut file).with_context(|| format!("reading {path}"))?;
    Ok(file)
}

/// Returns an empty file in memory.
///
/// # Errors
/// When the system has no descriptors left.
pub(super) fn memory(name: &str) -> Result<File> {
    memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map(File::from)
        .context("reserving memory")
}

/// Makes the content final: what was checked is what boots.
fn seal(file: File) -> Result<OwnedFd> {
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, all).context("sealing memory")?;
    Ok(file.into())
}

/// What a unified kernel image holds; any other file is a kernel alone.
struct Unified {
    kernel: File,
    initramfs: Option<File>,
    words: Option<String>,
}

/// Takes a unified kernel image apart.
///
/// Why not as it is: QEMU would start it only by UEFI, and its stub takes no further words where Secure Boot is on.
fn take_apart(mut file: File) -> Result<Unified> {
    let head = head(&mut file).context("reading memory")?;
    let is_uki = detect(&head).is_some_and(|image| image.format == Format::Uki);
    let sections = Header::parse(&head).ok().filter(|_| is_uki).and_then(|h| h.unified_kernel_image(&head));
    let Some(sections) = sections else { return Ok(Unified { kernel: file, initramfs: None, words: None }) };
    let kernel = section(&mut file, &sections.linux, "kernel")?;
    let initramfs = sections.initrd.map(|s| section(&mut file, &s, "initramfs")).transpose()?;
    let words = sections.cmdline.map(|s| cmdline(&mut file, &s)).transpose()?;
    Ok(Unified { kernel, initramfs, words: words.filter(|words| !words.is_empty()) })
}

/// Copies a section's content.
fn section(file: &mut File, section: &Section, name: &str) -> Result<File> {
    let mut content = memory(name)?;
    let what = || format!("reading the section {}", String::from_utf8_lossy(section.name()));
    file.seek(SeekFrom::Start(section.raw_offset.into())).with_context(what)?;
    let wanted = u64::from(section.content_bytes());
    let copied = io::copy(&mut file.take(wanted), &mut content).with_context(what)?;
    if copied != wanted {
        return Err(unsupported(&format!(
            "its section {} has {wanted} bytes, and the file ends after {copied} of them",
            String::from_utf8_lossy(section.name())
        )));
    }
    Ok(content)
}

fn cmdline(file: &mut File, words: &Section) -> Result<String> {
    if words.content_bytes() > MAX_CMDLINE_BYTES {
        return Err(unsupported(&format!("its command line is larger than {MAX_CMDLINE_BYTES} bytes")));
    }
    let mut content = section(file, words, "cmdline")?;
    let mut bytes = Vec::new();
    content
        .seek(SeekFrom::Start(0))
        .and_then(|_| content.read_to_end(&mut bytes))
        .context("reading memory")?;
    // Padded with zeros, and a text file by habit.
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| unsupported("its command line is no text"))?;
    if text.trim().contains(char::is_control) {
        return Err(unsupported("its command line has control characters"));
    }
    Ok(text.trim().to_owned())
}

/// Takes off a compressed wrapper and returns the kernel and its architecture.
fn unwrap(mut kernel: File) -> Result<(File, Arch)> {
    let what = || "reading memory".to_owned();
    let found = detect(&head(&mut kernel).with_context(what)?);
    let payload = match found {
        Some(image) => match (image.format, image.payload, image.arch()) {
            (Format::Gzip, ..) => {
                let len = kernel.seek(SeekFrom::End(0)).with_context(what)?;
                Payload { offset: 0, len, codec: Codec::Gzip }
            }
            (Format::EfiZboot, Some(payload), _) => payload,
            (_, _, Some(arch)) => return Ok((kernel, arch)),
            (_, _, None) => return Err(unsupported("its architecture is none that we run")),
        },
        None => return Err(unsupported("it has no known header")),
    };
    let mut inner = memory("kernel")?;
    decompress(kernel, payload, &mut inner)?;
    match detect(&head(&mut inner).with_context(what)?).and_then(|image| image.arch()) {
        Some(arch) => Ok((inner, arch)),
        None => Err(unsupported("what its wrapper holds has no known header")),
    }
}

fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_LEN);
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD_LEN as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn decompress(mut from: File, payload: Payload, to: &mut File) -> Result<()> {
    let what = || "decompressing the kernel".to_owned();
    from.seek(SeekFrom::Start(payload.offset)).with_context(what)?;
    let from = from.take(payload.len);
    let reader: Box<dyn Read> = match payload.codec {
        Codec::Gzip => Box::new(flate2::read::GzDecoder::new(from)),
        Codec::Xz => Box::new(liblzma::read::XzDecoder::new(from)),
        Codec::Zstd => Box::new(zstd::stream::read::Decoder::new(from).with_context(what)?),
        Codec::Lz4 => return lz4_legacy(from, to).with_context(what),
        Codec::Lzma | Codec::Lzo | Codec::Unknown => {
            return Err(unsupported("it is compressed with neither gzip, xz, zstd nor lz4"));
        }
    };
    let copied = io::copy(&mut reader.take(MAX_KERNEL_BYTES), to).with_context(what)?;
    if copied == MAX_KERNEL_BYTES {
        return Err(unsupported("it is larger than 1 GiB"));
    }
    to.flush().with_context(what)
}

/// Decompresses a legacy LZ4 frame, whose end is the end of the input.
fn lz4_legacy(mut from: impl Read, to: &mut File) -> io::Result<()> {
    let corrupt = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("LZ4: {why}"));
    let number = |from: &mut dyn Read| {
        let mut bytes = Vec::with_capacity(4);
        from.take(4).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes.try_into().ok().map(u32::from_le_bytes))
    };
    if number(&mut from)? != Some(LZ4_LEGACY_MAGIC) {
        return Err(corrupt("no legacy frame"));
    }
    let (mut total, mut output) = (0u64, vec![0; LZ4_LEGACY_BLOCK]);
    let most = lz4_flex::block::get_maximum_output_size(LZ4_LEGACY_BLOCK);
    // What is shorter than a size is padding.
    while let Some(size) = number(&mut from)? {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > most {
            return Err(corrupt("a block is too large"));
        }
        let mut block = vec![0; size];
        from.read_exact(&mut block)?;
        let len =
            lz4_flex::block::decompress_into(&block, &mut output).map_err(|_| corrupt("a broken block"))?;
        total += len as u64;
        if total >= MAX_KERNEL_BYTES {
            return Err(corrupt("the kernel is larger than 1 GiB"));
        }
        to.write_all(&output[..len])?;
    }
    to.flush()
}

fn unsupported(why: &str) -> CommandError {
    CommandError::failed(format!("the kernel cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first 0x238 bytes of a 64-bit bzImage, as far as they are looked at.
    fn bzimage() -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x206..0x208].copy_from_slice(&[0x0f, 0x02]);
        bytes[0x236] = 1;
        bytes
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = memory("test").unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn content(mut file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn kernel_in_a_gzip_stream_is_taken_out() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bzimage()).unwrap();
        let (kernel, arch) = unwrap(file(&encoder.finish().unwrap())).unwrap();
        assert_eq!(arch, Arch::X86_64);
        assert_eq!(content(kernel), bzimage());
    }

    #[test]
    fn plain_kernel_stays_as_it_is_and_noise_is_refused() {
        let (kernel, arch) = unwrap(file(&bzimage())).unwrap();
        assert_eq!((content(kernel), arch), (bzimage(), Arch::X86_64));
        for bytes in [&b""[..], b"x", b"\x1f\x8b\x08\0broken gzip"] {
            assert!(unwrap(file(bytes)).is_err(), "{bytes:?}");
        }
    }

    /// An EFI application at whose end these sections lie.
    fn uki(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        set(0, b"MZ");
        set(0x3c, &[0x40]);
        set(0x40, b"PE\0\0\x64\x86");
        set(0x46, &[u8::try_from(sections.len()).unwrap()]);
        set(0x54, &[112]);
        set(0x58, &[0x0b, 0x02]);
        set(0x58 + 68, &[10]);
        let mut at = 0x400;
        for (index, (name, content)) in sections.iter().enumerate() {
            let row = 0xc8 + index * 40;
            let len = u32::try_from(content.len()).unwrap().to_le_bytes();
            set(row, name.as_bytes());
            set(row + 8, &len);
            set(row + 16, &len);
            set(row + 20, &u32::try_from(at).unwrap().to_le_bytes());
            at += content.len();
        }
        for (_, content) in sections {
            bytes.extend_from_slice(content);
        }
        bytes
    }

    #[test]
    fn unified_image_is_taken_apart() {
        let kernel = bzimage();
        let whole =
            uki(&[(".linux", &kernel), (".initrd", b"070701"), (".cmdline", b"root=LABEL=a quiet\n\0\0")]);
        let Unified { kernel: found, initramfs, words } = take_apart(file(&whole)).unwrap();
        assert_eq!(unwrap(found).unwrap().1, Arch::X86_64);
        assert_eq!(initramfs.map(content), Some(b"070701".to_vec()));
        assert_eq!(words.as_deref(), Some("root=LABEL=a quiet"));
        let alone = take_apart(file(&uki(&[(".linux", &kernel)]))).unwrap();
        assert!(alone.initramfs.is_none() && alone.words.is_none());
        assert_eq!(content(alone.kernel), kernel);
        let plain = take_apart(file(&kernel)).unwrap();
        assert_eq!(content(plain.kernel), kernel);
    }

    #[test]
    fn broken_unified_image_is_refused_by_cause() {
        let kernel = bzimage();
        let whole = uki(&[(".linux", &kernel), (".initrd", b"070701")]);
        let why = |bytes: &[u8]| take_apart(file(bytes)).err().unwrap().to_string();
        assert!(
            why(&whole[..whole.len() - 1]).contains(".initrd has 6 bytes"),
            "{}",
            why(&whole[..whole.len() - 1])
        );
        let line = |text: &[u8]| why(&uki(&[(".linux", &kernel), (".cmdline", text)]));
        assert!(line(b"a\nb").contains("control characters"));
        assert!(line(b"\xff").contains("no text"));
        assert!(line(&vec![b'a'; 70_000]).contains("larger than 65536 bytes"));
    }

    #[test]
    fn legacy_frame_of_lz4_is_decompressed_and_a_broken_one_refused() {
        let frame = |blocks: &[&[u8]]| {
            let mut bytes = LZ4_LEGACY_MAGIC.to_le_bytes().to_vec();
            for block in blocks {
                let packed = lz4_flex::block::compress(block);
                bytes.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
                bytes.extend(packed);
            }
            bytes
        };
        let unpack = |bytes: &[u8]| {
            let mut to = file(b"");
            lz4_legacy(bytes, &mut to).map(|()| content(to))
        };
        let whole = frame(&[&bzimage(), b"tail"]);
        assert_eq!(unpack(&whole).unwrap(), [&bzimage()[..], b"tail"].concat());
        assert_eq!(unpack(&[&whole[..], &[0; 3]].concat()).unwrap().len(), 0x404);
        for broken in
            [&whole[..whole.len() - 1], b"", b"\x04\x22\x4d\x18", &[&whole[..4], &[255; 8]].concat()]
        {
            assert!(unpack(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn links_of_a_directory_stay_inside_it() {
        let dir = tempfile::tempdir().unwrap();
        let boot = dir.path().join("boot");
        std::fs::create_dir(&boot).unwrap();
        std::fs::write(dir.path().join("Image"), bzimage()).unwrap();
        std::os::unix::fs::symlink("/Image", boot.join("kernel")).unwrap();
        std::os::unix::fs::symlink("../../../../etc/passwd", boot.join("initramfs")).unwrap();
        let files = read(&RootDirectory::open(dir.path()).unwrap()).unwrap();
        assert_eq!((files.arch, files.kernel_path.as_str()), (Arch::X86_64, "/boot/kernel"));
        assert!(files.initramfs.is_none());
        std::fs::remove_file(boot.join("kernel")).unwrap();
        assert!(read(&RootDirectory::open(dir.path()).unwrap()).is_err());
    }

    #[test]
    fn entry_brings_its_kernel_all_of_its_initramfs_and_its_words() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("boot/loader/entries/a-1.conf", b"linux /k\ninitrd /ucode\ninitrd /i\noptions quiet\n");
        // The newer one misses a part.
        write("boot/loader/entries/a-2.conf", b"linux /k\ninitrd /missing\n");
        write("boot/k", &bzimage());
        write("boot/ucode", b"07070");
        write("boot/i", b"123");
        let files = read(&RootDirectory::open(dir.path()).unwrap()).unwrap();
        assert_eq!((files.kernel_path.as_str(), files.words.as_deref()), ("/boot/k", Some("quiet")));
        assert_eq!(content(files.initramfs.unwrap().into()), b"07070\0\0\x00123\0");
        let mut short = Short(vec![0; MAX_ENTRY_BYTES - 1]);
        short.write_all(b"abc").unwrap();
        assert_eq!(short.0.len(), MAX_ENTRY_BYTES);
    }

    #[test]
    fn sealed_memory_cannot_be_written() {
        let sealed = File::from(seal(file(b"abc")).unwrap());
        assert!((&sealed).write_all(b"x").is_err());
        assert_eq!(content(sealed), b"abc");
    }
}
