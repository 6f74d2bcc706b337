//! Blocks of every compressor: they decode, they are the same whatever came before, and they are what readers take.

use genpack_core::fs::squashfs::Decompress;
use genpack_core::kernel::arch::Arch;
use genpack_host::io::decompress::Decompressors;
use genpack_host::pack::compress::{Bcj, Encoded, Encoder, Error, Method, Settings};

const BLOCK: u32 = 1 << 20;

fn all() -> Vec<Settings> {
    let mut all: Vec<Settings> = (1..=12).map(|level| Method::Gzip { level }).map(sound).collect();
    all.extend([1, 2, 3, 5, 6, 9, 12, 16, 19, 22].map(|level| sound(Method::Zstd { level })));
    all.extend([Method::Lzo, Method::Lz4 { high: false }, Method::Lz4 { high: true }].map(sound));
    for bcj in [None, Some(Bcj::X86), Some(Bcj::Arm64)] {
        all.extend([0, 6, 9].map(|level| sound(Method::Xz { level, dictionary: BLOCK, bcj })));
    }
    all
}

fn sound(method: Method) -> Settings {
    Settings::new(method).unwrap()
}

/// Xorshift: bytes that nothing compresses.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    })
    .flatten()
    .take(len)
    .collect()
}

fn text(len: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| format!("line {} of {}\n", n * n % 1013, n % 7).into_bytes()).take(len).collect()
}

/// Calls of few functions from many places: what a BCJ filter is for.
fn code(len: usize) -> Vec<u8> {
    let mut code = noise(len, 5).iter().map(|b| b & 0x1F).collect::<Vec<u8>>();
    for at in (0..len.saturating_sub(5)).step_by(11) {
        let target = u32::try_from(at % 5 * 4096).unwrap();
        code[at] = 0xE8;
        code[at + 1..at + 5].copy_from_slice(&target.wrapping_sub(u32::try_from(at).unwrap()).to_le_bytes());
    }
    code
}

/// As [`code`], for arm64: BL with its target in words.
fn code_arm64(len: usize) -> Vec<u8> {
    let mut code = vec![0x1F; len];
    for at in (0..len.saturating_sub(4)).step_by(12) {
        let target = u32::try_from(at % 5 * 4096).unwrap();
        let words = target.wrapping_sub(u32::try_from(at / 4).unwrap()) & 0x03FF_FFFF;
        code[at..at + 4].copy_from_slice(&(0x9400_0000 | words).to_le_bytes());
    }
    code
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut half_noise = noise(70_000, 3);
    half_noise.extend(text(61_072));
    vec![
        ("one byte", vec![7]),
        ("short", b"genpack".to_vec()),
        ("zeros", vec![0; 8192]),
        ("text", text(131_072)),
        ("metadata", text(8192)),
        ("noise", noise(131_072, 1)),
        ("half noise", half_noise),
        ("code", code(131_072)),
        ("arm64 code", code_arm64(131_072)),
        ("large", text(1 << 20)),
        ("odd", text(131_071)),
    ]
}

#[test]
fn block_of_every_method_decodes_to_what_it_was() {
    let mut decompressors = Decompressors::default();
    let (mut out, samples) = (Vec::new(), samples());
    for settings in all() {
        let mut encoder = Encoder::new(&settings, BLOCK).unwrap();
        for (name, raw) in &samples {
            match encoder.encode(raw, &mut out).unwrap() {
                Encoded::Stored => {
                    assert!(out.is_empty());
                    let hard = settings.method() == Method::Lz4 { high: false } && *name == "code";
                    assert!(
                        hard || ["one byte", "short", "noise"].contains(name),
                        "{name} with {settings:?}"
                    );
                }
                Encoded::Compressed => {
                    assert!(out.len() < raw.len(), "{name} with {settings:?}");
                    let mut back = vec![0; raw.len()];
                    let len = decompressors.decompress(settings.compressor(), &out, &mut back);
                    assert_eq!(len, Ok(raw.len()), "{name} with {settings:?}");
                    assert!(&back == raw, "{name} with {settings:?}");
                    let last = out.len() - 1;
                    out[last / 2] ^= 4;
                    let damaged = decompressors.decompress(settings.compressor(), &out, &mut back);
                    assert!(damaged.is_err() || &back != raw, "{name} with {settings:?}");
                }
            }
        }
    }
}

#[test]
fn block_is_the_same_whatever_the_encoder_did_before() {
    let mut samples = samples();
    samples.retain(|(_, raw)| raw.len() <= 131_072);
    for settings in all() {
        let mut old = Encoder::new(&settings, BLOCK).unwrap();
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for (_, raw) in samples.iter().rev() {
            old.encode(raw, &mut first).unwrap();
        }
        for (name, raw) in &samples {
            let mut new = Encoder::new(&settings, BLOCK).unwrap();
            let fresh = new.encode(raw, &mut first).unwrap();
            assert_eq!(old.encode(raw, &mut again), Ok(fresh), "{name} with {settings:?}");
            assert!(first == again, "{name} with {settings:?}");
        }
    }
}

#[test]
fn block_without_a_method_is_stored() {
    let mut encoder = Encoder::new(&sound(Method::None), BLOCK).unwrap();
    let mut out = vec![1];
    assert_eq!(encoder.encode(&[0; 4096], &mut out), Ok(Encoded::Stored));
    assert!(out.is_empty());
}

#[test]
fn block_longer_than_the_encoder_was_made_for_is_refused() {
    let mut encoder = Encoder::new(&sound(Method::Gzip { level: 1 }), 8192).unwrap();
    let mut out = Vec::new();
    assert_eq!(encoder.encode(&[0; 8193], &mut out), Err(Error::TooLong { len: 8193 }));
    assert_eq!(encoder.encode(&[0; 8192], &mut out), Ok(Encoded::Compressed));
}

#[test]
fn noise_that_repeats_is_not_taken_for_compressed() {
    let mut raw = noise(65_536, 9);
    raw.extend_from_within(..);
    let mut out = Vec::new();
    for settings in [Method::Zstd { level: 19 }, Method::Xz { level: 6, dictionary: BLOCK, bcj: None }] {
        let mut encoder = Encoder::new(&sound(settings), BLOCK).unwrap();
        assert_eq!(encoder.encode(&raw, &mut out), Ok(Encoded::Compressed), "{settings:?}");
        assert!(out.len() < 66_000, "{} bytes with {settings:?}", out.len());
    }
}

#[test]
fn noise_is_not_searched_unless_fast_encoders_gain() {
    // Why: bytes of 255 values; a Huffman code saves 0.05 %, which zlib would take.
    let skewed: Vec<u8> = noise(131_072, 11).into_iter().map(|b| b.max(1)).collect();
    let mut repeats = skewed.clone();
    // No sample shows this.
    repeats.copy_within(20_000..24_000, 30_000);
    let often = skewed[..8_192].repeat(16);
    // Nor this, of which zstd thinks too little.
    let mut uneven = skewed.clone();
    uneven[8_000..60_000].iter_mut().for_each(|b| *b = (*b).max(7));
    let mut out = Vec::new();
    for (name, raw, level, encoded) in [
        ("skewed", &skewed, 1, Encoded::Stored),
        ("skewed", &skewed, 8, Encoded::Stored),
        ("skewed", &skewed, 12, Encoded::Stored),
        ("repeats", &repeats, 7, Encoded::Stored),
        ("repeats often", &often, 1, Encoded::Compressed),
        ("repeats often", &often, 7, Encoded::Compressed),
        ("repeats", &repeats, 8, Encoded::Compressed),
        ("repeats", &repeats, 12, Encoded::Compressed),
        ("uneven", &uneven, 7, Encoded::Stored),
        ("uneven", &uneven, 8, Encoded::Compressed),
    ] {
        let mut encoder = Encoder::new(&sound(Method::Gzip { level }), BLOCK).unwrap();
        assert_eq!(encoder.encode(raw, &mut out), Ok(encoded), "{name}, level {level}");
    }
}

#[test]
fn filter_is_used_where_it_makes_a_block_smaller() {
    let mut out = Vec::new();
    let mut len = |bcj, raw: &[u8]| {
        let settings = sound(Method::Xz { level: 6, dictionary: BLOCK, bcj });
        Encoder::new(&settings, BLOCK).unwrap().encode(raw, &mut out).unwrap();
        (out.len(), out[12..40].to_vec())
    };
    let (code, text) = (code(131_072), text(131_072));
    let ((plain, _), (filtered, header)) = (len(None, &code), len(Some(Bcj::X86), &code));
    assert!(filtered * 10 < plain * 9, "{filtered} {plain}");
    // Block header: size, flags with two filters, filter 4 without properties, LZMA2.
    assert_eq!(header[1..5], [1, 4, 0, 0x21]);
    assert_eq!(len(None, &text), len(Some(Bcj::X86), &text));
    let code = code_arm64(131_072);
    let ((plain, _), (filtered, header)) = (len(None, &code), len(Some(Bcj::Arm64), &code));
    assert!(filtered * 10 < plain * 9, "{filtered} {plain}");
    assert_eq!(header[1..5], [1, 0x0A, 0, 0x21]);
    assert_eq!(len(None, &text), len(Some(Bcj::Arm64), &text));
}

#[test]
fn xz_stream_has_what_the_kernel_demands() {
    let settings = Settings::parse("xz", None, 65_536, Some(Arch::Aarch64)).unwrap();
    let mut out = Vec::new();
    Encoder::new(&settings, 65_536).unwrap().encode(&text(65_536), &mut out).unwrap();
    assert_eq!(out[..8], [0xFD, b'7', b'z', b'X', b'Z', 0, 0, 1], "stream flags: CRC32");
    // Header size, one filter: LZMA2 with a dictionary of 2^16 bytes.
    assert_eq!(out[12..17], [2, 0, 0x21, 1, 8]);
}

#[test]
fn zstd_frame_has_what_the_kernel_demands() {
    let mut out = Vec::new();
    for level in [1, 3, 9, 19, 22] {
        let mut encoder = Encoder::new(&sound(Method::Zstd { level }), BLOCK).unwrap();
        for log in [13, 17, 20] {
            encoder.encode(&text(1 << log), &mut out).unwrap();
            assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&out), Ok(out.len()), "one frame");
            let (descriptor, window) = (out[4], out[5]);
            assert_eq!(descriptor & 0x0F, 0, "no checksum, no dictionary");
            assert_ne!(descriptor & 0xC0, 0, "a content size");
            // Why: the kernel's workspace holds a window of one block. A single segment's window is its content.
            let single = descriptor & 0x20 != 0;
            assert!(
                single || 10 + (window >> 3) < log,
                "level {level}, 2^{log} bytes: {descriptor:#x} {window}"
            );
        }
    }
}
