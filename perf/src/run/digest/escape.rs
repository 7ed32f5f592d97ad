//! One line of output, as sha256sum (coreutils 9) writes it.

use std::ffi::OsStr;

/// Appends `HASH  NAME\n`. A name with a newline, a carriage return or a backslash has them
/// escaped, and the line then begins with a backslash; all other bytes stay as they are.
pub(super) fn line(hash: &[u8; 32], name: &OsStr, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let name = name.as_encoded_bytes();
    if name
        .iter()
        .any(|byte| matches!(byte, b'\n' | b'\r' | b'\\'))
    {
        out.push(b'\\');
    }
    for byte in hash {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.extend_from_slice(b"  ");
    for &byte in name {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
}
