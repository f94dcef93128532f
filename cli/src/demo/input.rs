//! The file that is stored.

use crate::args::DemoArgs;
use crate::exit::Failure;
use crate::{progress, units};
use quarry_bench::noise::Noise;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes handled at a time.
const PART_BYTES: usize = 1 << 20;

/// A file, and what it must still be when it is read back.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Input {
    /// The file that was given, or one of noise that is made.
    pub(super) fn prepare(args: &DemoArgs) -> Result<Self, Failure> {
        let path = args.input.clone().unwrap_or_else(|| args.dir.join("input"));
        if args.input.is_none() {
            make(&path, args.size.0).map_err(|why| Failure::new(format!("make {}: {why}", path.display())))?;
        }
        let failed = |why| Failure::new(format!("--input {}: {why}", path.display()));
        let mut file = File::open(&path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes < super::CHUNK_BYTES as u64 * 100 {
            return Err(Failure::usage(format!(
                "{}: {bytes} bytes are too few for a story, give 1 GiB",
                path.display()
            )));
        }
        let sha256 = hash(&mut file, bytes).map_err(failed)?;
        Ok(Self { path, bytes, sha256 })
    }

    /// How many chunks it makes.
    pub(super) const fn chunks(&self) -> u64 {
        self.bytes.div_ceil(super::CHUNK_BYTES as u64)
    }
}

/// A hash as people compare it.
pub(super) fn hex(hash: Sha256) -> String {
    units::hex(&hash.finalize())
}

fn make(path: &Path, bytes: u64) -> io::Result<()> {
    // A file that an earlier demo made is as good: the noise is always the same.
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes) {
        return Ok(());
    }
    let bar = progress::of_bytes(Some(bytes), "making a file");
    let (mut file, mut noise, mut part, mut left) = (File::create(path)?, Noise::new(4), vec![0; PART_BYTES], bytes);
    while left > 0 {
        let count = left.min(PART_BYTES as u64) as usize;
        noise.fill(&mut part[..count]);
        file.write_all(&part[..count])?;
        left -= count as u64;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    file.sync_all()
}

fn hash(file: &mut File, bytes: u64) -> io::Result<String> {
    let bar = progress::of_bytes(Some(bytes), "hashing it");
    let (mut hash, mut part) = (Sha256::new(), vec![0; PART_BYTES]);
    loop {
        let count = file.read(&mut part)?;
        if count == 0 {
            break;
        }
        hash.update(&part[..count]);
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    Ok(hex(hash))
}
