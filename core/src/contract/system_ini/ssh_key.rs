//! A line of `authorized_keys`, as sshd(8) reads it: options, type, base64, comment.
//!
//! Not handled: what the options mean, and whether the key is a point of its curve.

use alloc::string::String;

use super::rule::Why::{self, Says};
use crate::bytes::contains;

/// Checks a line.
#[expect(clippy::ptr_arg, reason = "all checks have one type")]
pub(super) fn ssh_key(line: &mut String) -> Result<(), Why> {
    const SHAPE: Why = Says("it is not 'type base64 comment'");
    if contains(line, "PRIVATE KEY") {
        return Err(Says(
            "this is a private key, which must stay secret; the public one is in the file that ends in .pub",
        ));
    }
    let key = if is_key_type(first_word(line)) { line.as_str() } else { after_options(line)? };
    let kind = first_word(key);
    let rest = key.strip_prefix(kind).unwrap_or("").trim_start_matches([' ', '\t']);
    let blob = first_word(rest);
    if !is_key_type(kind) || blob.is_empty() {
        return Err(SHAPE);
    }
    let digits = blob.trim_end_matches('=');
    let padding = blob.len().saturating_sub(digits.len());
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if digits.is_empty() || padding > 2 || !digits.bytes().all(alphabet) {
        return Err(Says("the second word is not base64"));
    }
    Ok(())
}

fn first_word(line: &str) -> &str {
    line.split([' ', '\t']).next().unwrap_or("")
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"].iter().any(|prefix| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
        })
    })
}

/// Returns what follows the options: a blank outside quotes ends them, and `\"` inside quotes is no quote.
fn after_options(line: &str) -> Result<&str, Why> {
    let mut quoted = false;
    let mut bytes = line.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => {
                return Ok(line.get(at..).unwrap_or("").trim_start_matches([' ', '\t']));
            }
            _ if quoted || byte.is_ascii_alphanumeric() || b"-=,@.".contains(&byte) => {}
            // Why: sshd ignores a line whose options it does not know, and a word processor turns quotes around.
            _ => {
                return Err(Says(
                    "what stands before the type of the key is not like from=\"10.0.0.1\",no-pty",
                ));
            }
        }
    }
    Err(Says(if quoted { "a quote in its options is not closed" } else { "it is not 'type base64 comment'" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_keys_have_type_and_base64() {
        for good in [
            "ssh-ed25519 AAAAC3Nz",
            "ssh-rsa\tAAAAB3Nz+/==  me @ home",
            "ecdsa-sha2-nistp256 AAAA x",
            "sk-ssh-ed25519@openssh.com AAAA x",
            "from=\"10.0.0.1, *.x\" ssh-ed25519 AAAA",
            "command=\"echo \\\"hi there\\\"\",no-pty ssh-rsa AAAA",
            "cert-authority ssh-ed25519 AAAA",
            "from=\"ä 10.0.0.1\",no-X11-forwarding ssh-ed25519 AAAA",
        ] {
            assert_eq!(ssh_key(&mut good.into()), Ok(()), "{good}");
        }
        for bad in [
            "ssh-rsa",
            "ssh- AAAA",
            "AAAA",
            "ssh-rsa ====",
            "ssh-rsa A===",
            "ssh-rsa A!",
            "command=\"x ssh-rsa AAAA",
            "a b ssh-rsa AAAA",
            "from=\u{201C}10.0.0.1\u{201D} ssh-rsa AAAA",
            "* ssh-rsa AAAA",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ] {
            assert!(ssh_key(&mut bad.into()).is_err(), "{bad}");
        }
    }
}
