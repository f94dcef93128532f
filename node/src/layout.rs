//! Names inside a data directory.
//!
//! ```text
//! DIR/superblock                 two copies of 4 KiB, never changed after format
//! DIR/lock                       locked while a node runs
//! DIR/incarnation                how often it was started, about; replaced as a whole
//! DIR/draining                   there while the node is being emptied
//! DIR/shard-00/00000001.chunks   chunk files, all of one size
//! DIR/shard-00/manifest          which chunk files were ever made
//! ```

use std::path::{Path, PathBuf};

/// The superblock of a data directory.
pub(crate) fn superblock(data: &Path) -> PathBuf {
    data.join("superblock")
}

/// The file that a running node keeps locked.
pub(crate) fn lock(data: &Path) -> PathBuf {
    data.join("lock")
}

/// The number of the last start.
pub(crate) fn incarnation(data: &Path) -> PathBuf {
    data.join("incarnation")
}

/// The file that is there while the node is being emptied.
pub(crate) fn draining(data: &Path) -> PathBuf {
    data.join("draining")
}

/// The directory of a shard's chunk files.
pub(crate) fn shard_directory(data: &Path, shard: u16) -> PathBuf {
    data.join(format!("shard-{shard:02}"))
}

/// A chunk file in its shard's directory.
pub(crate) fn chunk_file(shard_directory: &Path, file: u32) -> PathBuf {
    shard_directory.join(format!("{file:08}.chunks"))
}

/// A chunk file that is being prepared: a name that nothing takes for a chunk file.
pub(crate) fn preparing_file(shard_directory: &Path, file: u32) -> PathBuf {
    shard_directory.join(format!("{file:08}.preparing"))
}

/// The manifest in its shard's directory.
pub(crate) fn manifest(shard_directory: &Path) -> PathBuf {
    shard_directory.join("manifest")
}

/// A manifest that is being written.
pub(crate) fn new_manifest(shard_directory: &Path) -> PathBuf {
    shard_directory.join("manifest.new")
}

/// The number of the chunk file called `name`, if it is one.
pub(crate) fn chunk_file_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".chunks")?;
    if digits.len() < 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    // Only the one spelling that `chunk_file` makes: two names of one number would be one file twice.
    (format!("{number:08}") == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_files_are_recognised_by_their_one_spelling() {
        let path = chunk_file(Path::new("/data/shard-00"), 7);
        assert_eq!(path, Path::new("/data/shard-00/00000007.chunks"));
        assert_eq!(chunk_file_number("00000007.chunks"), Some(7));
        assert_eq!(chunk_file_number("123456789.chunks"), Some(123_456_789));
        for name in [
            "7.chunks",
            "000000007.chunks",
            "00000007.chunks.bak",
            "00000007.preparing",
            "0000000x.chunks",
            "+0000007.chunks",
            "superblock",
        ] {
            assert_eq!(chunk_file_number(name), None, "{name}");
        }
    }
}
