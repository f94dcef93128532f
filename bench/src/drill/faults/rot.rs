//! Bits that flip on a disk.

use crate::random::Random;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bits flipped by one fault.
const BITS: usize = 8;
/// Places that are looked at to find one that holds anything.
const TRIES: usize = 64;
/// What a place has to be part of: a block that is not all zeros.
const BLOCK_BYTES: u64 = 4096;

/// Flips bits in chunk files of a data directory; not in the one written last if the node runs. Says how many.
pub(in crate::drill) fn flip(data: &Path, is_running: bool, random: &mut Random) -> io::Result<usize> {
    let mut files = chunk_files(data)?;
    files.sort();
    if is_running {
        files.pop();
    }
    let mut flipped = 0;
    for _ in 0..TRIES {
        if flipped == BITS || files.is_empty() {
            break;
        }
        let (_, path) = &files[random.below(files.len() as u64) as usize];
        flipped += usize::from(flip_somewhere(path, random)?);
    }
    Ok(flipped)
}

/// The chunk files, each with when it was written last.
fn chunk_files(data: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut files = Vec::new();
    for shard in fs::read_dir(data)? {
        let shard = shard?.path();
        if !shard.is_dir() {
            continue;
        }
        for file in fs::read_dir(shard)? {
            let file = file?;
            if file.path().extension().is_some_and(|extension| extension == "chunks") {
                files.push((file.metadata()?.modified()?, file.path()));
            }
        }
    }
    Ok(files)
}

/// Flips a bit somewhere if there is anything.
fn flip_somewhere(path: &Path, random: &mut Random) -> io::Result<bool> {
    let file: File = OpenOptions::new().read(true).write(true).open(path)?;
    let blocks = file.metadata()?.len() / BLOCK_BYTES;
    if blocks == 0 {
        return Ok(false);
    }
    let mut block = vec![0; BLOCK_BYTES as usize];
    let at = random.below(blocks) * BLOCK_BYTES;
    file.read_exact_at(&mut block, at)?;
    if block.iter().all(|byte| *byte == 0) {
        return Ok(false);
    }
    let byte = random.below(BLOCK_BYTES);
    file.write_all_at(&[block[byte as usize] ^ (1 << random.below(8))], at + byte)?;
    file.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_flip_where_something_is_and_not_in_the_file_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let shard = dir.path().join("shard-00");
        fs::create_dir(&shard).unwrap();
        let write = |name: &str, byte: u8, at: u64| {
            let path = shard.join(name);
            fs::write(&path, vec![byte; 3 * BLOCK_BYTES as usize]).unwrap();
            let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at);
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
            path
        };
        let (old, empty, new) = (write("1.chunks", 7, 1), write("2.chunks", 0, 2), write("3.chunks", 9, 3));
        write("manifest", 7, 4);
        assert_eq!(flip(dir.path(), true, &mut Random::new(1, 1)).unwrap(), BITS);
        let changed = |path: &Path, byte: u8| fs::read(path).unwrap().iter().filter(|read| **read != byte).count();
        assert!(changed(&old, 7) > 0 && changed(&empty, 0) == 0 && changed(&new, 9) == 0);
        assert_eq!(flip(&shard, true, &mut Random::new(1, 1)).unwrap(), 0, "no shards there");
        fs::remove_file(&old).unwrap();
        // Flipping changed no time: the newest file is still the newest.
        assert_eq!(flip(dir.path(), false, &mut Random::new(1, 1)).unwrap(), BITS);
        assert!(changed(&new, 9) > 0 && changed(&shard.join("manifest"), 7) == 0);
    }
}
