//! Log names as file names. Lowercase ASCII letters, digits and `-`, `_` (and `.`, but not first) stand for themselves;
//! every other byte is `%xx`. So no two names share a file even where case does not count, and nothing leaves the
//! directory.
//!
//! A log name may have 255 bytes and its encoding three times as many, more than one file name holds. The encoding is cut
//! into parts of at most 200 bytes; all but the last are directories, marked by a suffix that no file has:
//!
//! ```text
//! logs/orders.log        logs/%41%2f....d/....d/....log
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What the last part of every record's path ends in.
pub(super) const RECORD_SUFFIX: &str = ".log";
/// What every other part ends in.
pub(super) const PART_SUFFIX: &str = ".d";
const PART_BYTES_MAX: usize = 200;
/// Deepest path that an encoded name can have.
pub(super) const PARTS_MAX: usize = (3 * quarry_protocol::limits::LOG_NAME_BYTES_MAX).div_ceil(PART_BYTES_MAX);

/// Where the record of `name` lies below `root`.
pub(super) fn path_of(root: &Path, name: &str) -> PathBuf {
    let encoded = encode(name);
    let mut path = root.to_path_buf();
    let mut rest = encoded.as_str();
    while rest.len() > PART_BYTES_MAX {
        let (part, others) = rest.split_at(PART_BYTES_MAX);
        path.push(format!("{part}{PART_SUFFIX}"));
        rest = others;
    }
    path.push(format!("{rest}{RECORD_SUFFIX}"));
    path
}

/// The name whose encoding is `encoded`; nothing if it is not one.
pub(super) fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        if first == b'%' {
            let hex = std::str::from_utf8(others.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &others[2..];
        } else {
            bytes.push(first);
            rest = others;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode(&name) == encoded).then_some(name)
}

fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if plain || (byte == b'.' && !encoded.is_empty()) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02x}").expect("a string takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    proptest! {
        #[test]
        fn every_name_has_its_own_file_inside_the_root(name in "\\PC{1,85}", other in "\\PC{1,85}") {
            prop_assert_eq!(decode(&encode(&name)), Some(name.clone()));
            let path = path_of(Path::new("/r"), &name);
            prop_assert!(path.starts_with("/r"));
            for part in path.components() {
                prop_assert!(part.as_os_str().len() <= 255);
                prop_assert!(matches!(part, Component::RootDir | Component::Normal(_)), "{:?}", part);
            }
            let lower = |p: PathBuf| p.to_string_lossy().to_lowercase();
            prop_assert_eq!(lower(path) == lower(path_of(Path::new("/r"), &other)), name == other);
        }
    }

    #[test]
    fn the_longest_name_is_no_deeper_than_the_bound() {
        let longest = "/".repeat(quarry_protocol::limits::LOG_NAME_BYTES_MAX);
        assert_eq!(path_of(Path::new(""), &longest).components().count(), PARTS_MAX);
    }

    #[test]
    fn what_is_not_an_encoding_has_no_name() {
        for bad in ["%4", "%zz", "A", "%61", "%ff", ".x", ""] {
            assert_eq!(decode(bad).filter(|n| !n.is_empty()), None, "{bad:?}");
        }
    }
}
