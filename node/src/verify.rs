//! `verify`: reads everything a stopped node has stored and says what is there and what is damaged. Changes nothing.

use crate::directory::{DataDirectory, DirectoryError, io_error};
use crate::io::prepare::read_manifest;
use crate::io::replay::{Files, list};
use crate::layout;
use crate::store::replay::ReplayConfig;
use crate::store::replay::verify::{ShardReport, Verify, VerifyEffect};
use quarry_protocol::ids::DiskId;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// The cluster that the node belongs to.
    pub cluster: String,
    /// The zone that the node stands in.
    pub zone: String,
    /// Size of a chunk file in bytes.
    pub file_bytes: u64,
    /// Chunk files that a shard may have.
    pub files_per_shard: u32,
    /// Which copy of the superblock is damaged; the next start mends it from the other.
    pub superblock_damaged: Option<usize>,
    /// One report per shard, in order.
    pub shards: Vec<ShardReport>,
    /// Everything that is wrong, counted.
    pub problem_count: u64,
}

/// Why nothing could be verified. What is damaged is no error: it is in the report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The directory is not one that could be started: not formatted, in use, a copy.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
}

/// Verifies the data directory of a stopped node. `progress` is told how many bytes were read so far.
pub fn verify(data: &Path, mut progress: impl FnMut(u64)) -> Result<VerifyReport, VerifyError> {
    let directory = DataDirectory::open(data)?;
    let superblock = &directory.superblock;
    let mut read = 0;
    let mut shards = Vec::new();
    for (shard, disk) in superblock.disks.iter().enumerate() {
        let shard = layout::shard_directory(&directory.path, shard as u16);
        shards.push(verify_shard(&shard, *disk, superblock.file_bytes, |bytes| {
            read += bytes;
            progress(read);
        })?);
    }
    let in_shards: u64 = shards.iter().map(|shard| shard.problem_count).sum();
    Ok(VerifyReport {
        cluster: superblock.cluster.clone(),
        zone: superblock.zone.clone(),
        file_bytes: superblock.file_bytes,
        files_per_shard: superblock.files_per_shard,
        superblock_damaged: directory.mend,
        problem_count: in_shards + u64::from(directory.mend.is_some()),
        shards,
    })
}

fn verify_shard(
    directory: &Path,
    disk: DiskId,
    file_bytes: u64,
    mut read: impl FnMut(u64),
) -> Result<ShardReport, VerifyError> {
    let files = match list(directory) {
        // A shard without its directory is a shard without files: that is for the report.
        Err(why) if why.kind() == ErrorKind::NotFound => BTreeMap::new(),
        listed => listed.map_err(io_error("read", directory))?,
    };
    let expected =
        read_manifest(directory, disk).unwrap_or_default().into_iter().chain(files.keys().copied()).collect();
    // The identity that a start would take up is never used: nothing is written.
    let fresh = crate::format::random().map(DiskId).map_err(|why| VerifyError::Random(why.to_string()))?;
    let mut machine = Verify::new(ReplayConfig { disk, fresh, file_bytes, files, expected });
    let mut on_disk = Files::new(directory);
    while let Some(effect) = machine.poll_effect() {
        match effect {
            VerifyEffect::Read { token, file, position, bytes } => {
                read(u64::from(bytes));
                machine.handle(token, on_disk.read(file, position, bytes));
            }
            VerifyEffect::Done(report) => return Ok(*report),
        }
    }
    unreachable!("a verification ends with a report")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FormatOptions, format};
    use quarry_protocol::limits::FILE_BYTES_MIN;
    use std::os::unix::fs::FileExt;

    fn formatted(data: &Path) {
        let options = FormatOptions {
            data: data.to_owned(),
            cluster: "oak".into(),
            zone: "a".into(),
            shards: 2,
            capacity_bytes: Some(10 * FILE_BYTES_MIN),
            file_bytes: Some(FILE_BYTES_MIN),
        };
        format(&options, |_, _| ()).expect("a data directory");
    }

    #[test]
    fn a_formatted_directory_is_sound_and_damage_is_reported() {
        // Beside the test: a file system in memory takes no O_DIRECT.
        let test = std::env::current_exe().expect("this test");
        let below = test.parent().expect("it lies in a directory");
        let root = tempfile::Builder::new().prefix("verify-").tempdir_in(below).expect("a directory");
        let data = root.path().join("data");
        formatted(&data);
        let report = verify(&data, |_| ()).expect("a report");
        assert_eq!((report.problem_count, report.shards.len()), (0, 2), "{report:?}");

        let write = |path: &Path, at| {
            let file = std::fs::OpenOptions::new().write(true).open(path).expect("the file");
            file.write_all_at(b"rot", at).expect("a write");
        };
        write(&layout::superblock(&data), 4100);
        write(&layout::chunk_file(&layout::shard_directory(&data, 1), 0), 60);
        let before = std::fs::read(layout::superblock(&data)).expect("the superblock");
        let report = verify(&data, |_| ()).expect("a report");
        assert_eq!(report.superblock_damaged, Some(1));
        assert!(report.shards[1].refused.is_some() && report.shards[0].refused.is_none());
        assert_eq!(std::fs::read(layout::superblock(&data)).expect("the superblock"), before, "nothing is mended");
    }

    #[test]
    fn what_is_not_a_data_directory_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        assert!(matches!(
            verify(root.path(), |_| ()),
            Err(VerifyError::Directory(DirectoryError::NotFormatted { .. }))
        ));
    }
}
