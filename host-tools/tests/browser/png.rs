//! PNG as a browser makes it (<https://www.w3.org/TR/png-3/>): eight bits for each of three or four channels, in rows.

use std::collections::HashSet;
use std::io::Read;

use flate2::read::ZlibDecoder;

/// Decodes base64 (RFC 4648).
pub(super) fn of_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|c| DIGITS.iter().position(|digit| *digit == c));
    let (mut bytes, mut bits, mut len) = (Vec::new(), 0_usize, 0);
    for digit in digits {
        (bits, len) = (bits << 6 | digit, len + 6);
        if len >= 8 {
            len -= 8;
            bytes.push((bits >> len) as u8);
            bits &= (1 << len) - 1;
        }
    }
    bytes
}

/// Returns the colour of the first pixel, and all that there are, as `0xRRGGBB`.
pub(super) fn colors(png: &[u8]) -> (u32, HashSet<u32>) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut width, mut channels, mut packed) = (8, 0, 0, Vec::new());
    while at < png.len() {
        let (len, kind, data) = (number(at), &png[at + 4..at + 8], at + 8);
        match kind {
            b"IHDR" => {
                width = number(data);
                assert_eq!(png[data + 8], 8, "bits of a channel");
                channels = if png[data + 9] == 6 { 4 } else { 3 };
            }
            b"IDAT" => packed.extend_from_slice(&png[data..data + len]),
            _ => {}
        }
        at = data + len + 4;
    }
    let mut bytes = Vec::new();
    ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    let mut above = vec![0; width * channels];
    let mut found = HashSet::new();
    let mut first = None;
    for row in bytes.chunks_exact_mut(width * channels + 1) {
        let (filter, row) = row.split_first_mut().unwrap();
        for at in 0..row.len() {
            let left = if at < channels { 0 } else { row[at - channels] };
            let corner = if at < channels { 0 } else { above[at - channels] };
            let up = above[at];
            let predicted = match filter {
                0 => 0,
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                _ => paeth(left, up, corner),
            };
            row[at] = row[at].wrapping_add(predicted);
        }
        for pixel in row.chunks_exact(channels) {
            let color = u32::from_be_bytes([0, pixel[0], pixel[1], pixel[2]]);
            first.get_or_insert(color);
            found.insert(color);
        }
        above.copy_from_slice(row);
    }
    (first.unwrap(), found)
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let far = |from: u8| (estimate - i16::from(from)).abs();
    if far(left) <= far(up) && far(left) <= far(corner) {
        left
    } else if far(up) <= far(corner) {
        up
    } else {
        corner
    }
}
