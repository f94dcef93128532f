//! The cluster key: 32 random bytes that every node of a cluster has in a file, as 64 hexadecimal digits.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Permissions of anybody but the owner.
const OTHERS: u32 = 0o077;
/// A file longer than this is no key; the digits and some white space fit.
const FILE_BYTES_MAX: u64 = 256;

/// What seals the gossip of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey(pub(super) [u8; KEY_BYTES]);

/// Why a file holds no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cluster key {}: {why}: make one with `quarry cluster key > FILE`, the same file on every node", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        why: io::Error,
    },
    /// Others may read or change it.
    #[error("cluster key {}: its mode is {mode:o}, others than its owner may use it: chmod 600 {}", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error(
        "cluster key {}: want {} hexadecimal digits, it has {got} bytes that are not that: make one with `quarry cluster key > FILE`",
        path.display(), 2 * KEY_BYTES
    )]
    Digits {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        got: usize,
    },
}

impl ClusterKey {
    /// A new key, from the system's random numbers.
    pub fn random() -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(Self(key))
    }

    /// The digits that a key file holds.
    #[must_use]
    pub fn digits(&self) -> String {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("half a byte");
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Reads a key file that nobody but its owner may read.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |why| KeyError::Read { path: path.to_owned(), why };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        let mode = metadata.mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(KeyError::Mode { path: path.to_owned(), mode });
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(KeyError::Digits { path: path.to_owned(), got: metadata.len() as usize });
        }
        let text = std::fs::read(path).map_err(failed)?;
        parse(text.trim_ascii()).map(Self).ok_or(KeyError::Digits { path: path.to_owned(), got: text.len() })
    }
}

fn parse(digits: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(key)
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_private_and_complete() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        let write = |text: &str, mode: u32| {
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("changed");
            ClusterKey::read(&path)
        };
        let key = ClusterKey::random().expect("random");
        assert_eq!(write(&format!("{}\n", key.digits()), 0o600).expect("a good key"), key);
        assert_ne!(ClusterKey::random().expect("random"), key);
        let told = |result: Result<ClusterKey, KeyError>| result.expect_err("refused").to_string();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let why = told(write(&key.digits(), mode));
            assert!(why.contains(&format!("{mode:o}")) && why.contains("chmod 600"), "{why}");
        }
        for text in ["", "00", &key.digits()[1..], &"z".repeat(64), &"0".repeat(65), &"0".repeat(4096)] {
            let why = told(write(text, 0o600));
            assert!(why.contains("64 hexadecimal digits") && why.contains("quarry cluster key"), "{why}");
        }
        assert!(told(ClusterKey::read(&directory.path().join("none"))).contains("quarry cluster key"));
        assert!(!format!("{key:?}").contains(&key.digits()[..8]), "a key is not printed by accident");
    }
}
