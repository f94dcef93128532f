//! The guard against glommio's IOPOLL probe.
//!
//! The first file that an executor opens on a device is probed by a read at offset 0 through a polling ring. Of an empty
//! file that read succeeds, whatever the device can do; from then on all I/O of that executor goes to the polling ring,
//! a core spins and latency rises tenfold. So the first file is always the superblock, which is never empty.

use crate::layout;
use glommio::io::DmaFile;
use std::path::Path;

/// Opens the superblock, which settles the probe for this executor and device. Keep the file: while it is open nobody
/// can believe the device unused.
pub(super) async fn settle(data: &Path) -> Result<DmaFile, String> {
    let path = layout::superblock(data);
    let file = DmaFile::open(&path).await.map_err(|why| why.to_string())?;
    let bytes = file.file_size().await.map_err(|why| why.to_string())?;
    assert!(bytes > 0, "{} is empty: it must not be the first file opened", path.display());
    Ok(file)
}

/// How often this executor read and wrote through its polling ring since the last call: must be never.
#[cfg(test)]
fn polled_operations() -> u64 {
    let stats = glommio::executor().io_stats();
    let ring = stats.poll_ring;
    ring.file_reads().0 + ring.file_writes().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::Disk;
    use crate::io::prepare;
    use glommio::LocalExecutorBuilder;
    use quarry_protocol::ids::DiskId;
    use std::collections::BTreeSet;

    const DISK: DiskId = DiskId([1; 16]);
    const FILE_BYTES: u64 = 1 << 20;

    /// A data directory with one chunk file, on the disk that holds the target directory: a file system in memory has no
    /// device to poll.
    fn data() -> tempfile::TempDir {
        let test = std::env::current_exe().expect("this test");
        let below = test.parent().expect("it lies in a directory");
        let data = tempfile::Builder::new().prefix("probe-").tempdir_in(below).expect("a directory");
        std::fs::write(layout::superblock(data.path()), [7; 8192]).expect("written");
        let shard = layout::shard_directory(data.path(), 0);
        std::fs::create_dir(&shard).expect("created");
        prepare::write_manifest(&shard, DISK, &BTreeSet::new()).expect("written");
        prepare::create(&shard, 0, FILE_BYTES).expect("created");
        prepare::fill(&shard, 0, 0, FILE_BYTES).expect("filled");
        prepare::finish(&shard, DISK, 0).expect("finished");
        data
    }

    /// Writes and reads a chunk file the way a shard does.
    async fn use_disk(data: &Path) {
        let disk = Disk::new(layout::shard_directory(data, 0));
        for block in 0..8 {
            let mut buffer = glommio::allocate_dma_buffer(4096);
            buffer.as_bytes_mut().fill(block);
            let written = disk.write(0, u64::from(block) * 4096, buffer).await;
            assert_eq!(written, Ok(4096));
        }
        let read = disk.read(0, 4096 * 3 + 5, 10).await.expect("read");
        assert_eq!(read.bytes(), [3; 10]);
    }

    #[test]
    fn the_polling_ring_stays_unused() {
        let data = data();
        let executor = LocalExecutorBuilder::default().make().expect("an executor");
        let polled = executor.run(async move {
            let superblock = settle(data.path()).await.expect("settled");
            polled_operations();
            use_disk(data.path()).await;
            drop(superblock);
            polled_operations()
        });
        assert_eq!(polled, 0, "operations on the polling ring");
    }
}
