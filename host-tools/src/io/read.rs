//! Reads of a stream that may give less than was asked for.

use std::io::{ErrorKind, Read, Result};

/// Reads until the buffer is full or the stream ends, and returns how many bytes there were.
///
/// # Errors
/// When the stream cannot be read.
pub fn read_up_to(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
