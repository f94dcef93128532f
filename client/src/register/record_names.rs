//! Log names as names of files and of objects. Lowercase ASCII letters, digits and `-`, `_` (and `.`, but not first) stand
//! for themselves; every other byte is an escape character and two hexadecimal digits. So no two names share a file even
//! where case does not count, and nothing leaves the directory.
//!
//! Files escape with `%`. Objects escape with `_`, itself included: what is on the way to a bucket decodes a `%` once too
//! often.
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

/// What stands before the digits of a byte that does not stand for itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Escape {
    /// `%`, in file names.
    Percent = b'%' as isize,
    /// `_`, in names of objects.
    Underscore = b'_' as isize,
}

/// Where the file with the record of `name` lies below `root`.
pub(super) fn path_of(root: &Path, name: &str) -> PathBuf {
    let mut path = root.to_path_buf();
    path.extend(parts_of(name, Escape::Percent));
    path
}

/// What the record of `name` is called, from the outermost directory inward.
pub(super) fn parts_of(name: &str, escape: Escape) -> Vec<String> {
    let encoded = encode(name, escape);
    let mut parts = Vec::new();
    let mut rest = encoded.as_str();
    while rest.len() > PART_BYTES_MAX {
        let (part, others) = rest.split_at(PART_BYTES_MAX);
        parts.push(format!("{part}{PART_SUFFIX}"));
        rest = others;
    }
    parts.push(format!("{rest}{RECORD_SUFFIX}"));
    parts
}

/// The log whose record's parts are these; nothing if they are not a record's.
pub(super) fn name_of<P: AsRef<str>>(parts: &[P], escape: Escape) -> Option<String> {
    let (last, directories) = parts.split_last()?;
    let mut encoded = String::new();
    for part in directories {
        encoded.push_str(part.as_ref().strip_suffix(PART_SUFFIX)?);
    }
    encoded.push_str(last.as_ref().strip_suffix(RECORD_SUFFIX)?);
    decode(&encoded, escape)
}

/// The name whose encoding is `encoded`; nothing if it is not one.
pub(super) fn decode(encoded: &str, escape: Escape) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        if first == escape as u8 {
            let hex = std::str::from_utf8(others.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &others[2..];
        } else {
            bytes.push(first);
            rest = others;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode(&name, escape) == encoded).then_some(name)
}

fn encode(name: &str, escape: Escape) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let plain = plain && byte != escape as u8;
        if plain || (byte == b'.' && !encoded.is_empty()) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "{}{byte:02x}", char::from(escape as u8)).expect("a string takes everything");
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
            for escape in [Escape::Percent, Escape::Underscore] {
                let parts = parts_of(&name, escape);
                prop_assert_eq!(name_of(&parts, escape), Some(name.clone()));
                let lower = |parts: Vec<String>| parts.join("/").to_lowercase();
                prop_assert_eq!(lower(parts) == lower(parts_of(&other, escape)), name == other);
            }
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
        for bad in ["_4", "_zz", "A", "_61", "_ff", ".x", "", "a%2fb"] {
            assert_eq!(decode(bad, Escape::Underscore).filter(|n| !n.is_empty()), None, "{bad:?}");
        }
        for bad in ["%4", "%zz", "A", "%61", "%ff", ".x", ""] {
            assert_eq!(decode(bad, Escape::Percent).filter(|n| !n.is_empty()), None, "{bad:?}");
        }
    }
}
