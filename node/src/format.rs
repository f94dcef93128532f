//! `format`: making a data directory. The superblock is written last: without it the directory is nothing, so an
//! interrupted format leaves nothing that could be started (D9).

use crate::directory::{self, DirectoryError, io_error};
use crate::io::prepare::{self, PrepareError};
use crate::layout;
use crate::store::first_file::{FIRST_FILE, first_batch};
use crate::store::superblock::Superblock;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{
    BLOCK_BYTES, FILE_BYTES_DEFAULT, FILE_BYTES_MAX, FILE_BYTES_MIN, FILES_PER_SHARD_MAX, FILES_PER_SHARD_MIN,
    SHARDS_MAX, ZONE_BYTES_MAX,
};
use quarry_protocol::planted;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Chunk files of a shard that `format` prepares, the first one included: a start opens one and has the next ready.
const FILES_PREPARED: u32 = 3;
/// Of a file system's free bytes, in percent, what a format takes that was not told a capacity.
const CAPACITY_PERCENT_DEFAULT: u64 = 90;
/// Files that a capacity is divided into, at least, where the size of files is not given.
const FILES_WANTED: u64 = 16;

/// What to format.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// The data directory: absent, or empty.
    pub data: PathBuf,
    /// The cluster that the node belongs to.
    pub cluster: String,
    /// The zone that the node stands in.
    pub zone: String,
    /// How many shards; fixed from now on.
    pub shards: usize,
    /// Bytes that chunk files may take, all shards together; none for 90 % of what is free.
    pub capacity_bytes: Option<u64>,
    /// Size of a chunk file in bytes; none for 256 MiB, or less on a small capacity.
    pub file_bytes: Option<u64>,
}

/// What was formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// The node's random id.
    pub node: [u8; 16],
    /// The disk of each shard.
    pub disks: Vec<DiskId>,
    /// Size of a chunk file in bytes.
    pub file_bytes: u64,
    /// Chunk files that a shard may have.
    pub files_per_shard: u32,
}

/// Why nothing was formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A name cannot be used.
    #[error("{what} {got:?} cannot be used: 1 to {ZONE_BYTES_MAX} letters, digits, '.', '_' or '-'")]
    Name {
        /// Which name.
        what: &'static str,
        /// What was given.
        got: String,
    },
    /// The directory is formatted already.
    #[error("{} is already formatted: its data would be lost; name another directory, or remove this one first", path.display())]
    AlreadyFormatted {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds something.
    #[error("{} is not empty, it holds {found:?}: name an empty directory, or remove what an interrupted format left", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// A number is out of its bounds.
    #[error("{what} of {got}: it must be {wanted}")]
    Size {
        /// Which number.
        what: &'static str,
        /// What was given, or came out.
        got: u64,
        /// What it must be.
        wanted: String,
    },
    /// The file system cannot do what a node needs.
    #[error(
        "{} does not take O_DIRECT writes ({why}): put the data directory on ext4 or XFS on a local disk, not on a network \
         or stacked file system", path.display()
    )]
    NoDirectIo {
        /// The directory.
        path: PathBuf,
        /// What the system answered.
        why: io::Error,
    },
    /// A chunk file could not be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The directory could not be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
}

/// Makes a data directory. `progress` is told how many bytes of how many are written.
pub fn format(options: &FormatOptions, mut progress: impl FnMut(u64, u64)) -> Result<Formatted, FormatError> {
    check_name("cluster", &options.cluster)?;
    check_name("zone", &options.zone)?;
    check("number of shards", options.shards as u64, 1, SHARDS_MAX as u64)?;
    let data = &options.data;
    make_empty(data)?;
    let _lock = directory::lock(data)?;
    check_direct_io(data)?;
    let (file_bytes, files_per_shard) = sizes(options)?;
    let disks = (0..options.shards).map(|_| random().map(DiskId)).collect::<Result<Vec<_>, _>>()?;

    let total = options.shards as u64 * u64::from(FILES_PREPARED) * file_bytes;
    let mut written = 0;
    for (shard, disk) in disks.iter().enumerate() {
        format_shard(&layout::shard_directory(data, shard as u16), *disk, file_bytes, |bytes| {
            written += bytes;
            progress(written, total);
        })?;
    }
    prepare::sync_directory(data)?;
    let node = random()?;
    write_superblock(options, node, &disks, file_bytes, files_per_shard)?;
    Ok(Formatted { node, disks, file_bytes, files_per_shard })
}

fn check_name(what: &'static str, name: &str) -> Result<(), FormatError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=ZONE_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(FormatError::Name { what, got: name.to_owned() })
}

fn check(what: &'static str, got: u64, min: u64, max: u64) -> Result<(), FormatError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    Err(FormatError::Size { what, got, wanted: format!("{min} to {max}") })
}

/// The size of a chunk file and how many of them a shard may have.
fn sizes(options: &FormatOptions) -> Result<(u64, u32), FormatError> {
    let free = || crate::io::free_bytes(&options.data).map_err(io_error("inspect the file system of", &options.data));
    let capacity = match options.capacity_bytes {
        Some(bytes) => bytes,
        None => free()? / 100 * CAPACITY_PERCENT_DEFAULT,
    };
    let per_shard = capacity / options.shards as u64;
    let fitting = (per_shard / FILES_WANTED).max(1).next_power_of_two() / 2;
    let file_bytes = options.file_bytes.unwrap_or(fitting.clamp(FILE_BYTES_MIN, FILE_BYTES_DEFAULT));
    check("size of a chunk file in bytes", file_bytes, FILE_BYTES_MIN, FILE_BYTES_MAX)?;
    if !file_bytes.is_multiple_of(u64::from(BLOCK_BYTES)) {
        let wanted = format!("a multiple of {BLOCK_BYTES}");
        return Err(FormatError::Size { what: "size of a chunk file in bytes", got: file_bytes, wanted });
    }
    let files = (per_shard / file_bytes).min(FILES_PER_SHARD_MAX as u64);
    if files < FILES_PER_SHARD_MIN {
        let wanted = format!(
            "at least {}: {FILES_PER_SHARD_MIN} chunk files of {file_bytes} bytes for each of {} shards",
            FILES_PER_SHARD_MIN * file_bytes * options.shards as u64,
            options.shards
        );
        return Err(FormatError::Size { what: "capacity in bytes", got: capacity, wanted });
    }
    Ok((file_bytes, files as u32))
}

/// Makes the directory, or takes it if there is nothing in it.
fn make_empty(data: &Path) -> Result<(), FormatError> {
    if planted!(FormattedTwice) && layout::superblock(data).exists() {
        return Ok(());
    }
    if layout::superblock(data).exists() {
        return Err(FormatError::AlreadyFormatted { path: data.to_owned() });
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(data).map_err(io_error("create", data))?;
    for entry in std::fs::read_dir(data).map_err(io_error("read", data))? {
        let found = entry.map_err(io_error("read", data))?.file_name().to_string_lossy().into_owned();
        // What a fresh ext4 has, and what a format that was refused has made.
        if found != "lost+found" && found != "lock" {
            return Err(FormatError::NotEmpty { path: data.to_owned(), found });
        }
    }
    Ok(())
}

fn check_direct_io(data: &Path) -> Result<(), FormatError> {
    let path = data.join("direct-io-check");
    let open = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
        .open(&path);
    let closed = std::fs::remove_file(&path);
    match open {
        Ok(_) => closed.map_err(|why| io_error("remove", &path)(why).into()),
        Err(why) if why.raw_os_error() == Some(libc::EINVAL) => {
            Err(FormatError::NoDirectIo { path: data.to_owned(), why })
        }
        Err(why) => Err(io_error("create", &path)(why).into()),
    }
}

fn format_shard(
    directory: &Path,
    disk: DiskId,
    file_bytes: u64,
    mut written: impl FnMut(u64),
) -> Result<(), FormatError> {
    /// Bytes between two reports of progress.
    const STEP_BYTES: u64 = 16 << 20;
    std::fs::DirBuilder::new().mode(0o750).create(directory).map_err(io_error("create", directory))?;
    prepare::write_manifest(directory, disk, &BTreeSet::new())?;
    for file in FIRST_FILE..FIRST_FILE + FILES_PREPARED {
        prepare::create(directory, file, file_bytes)?;
        let mut at = 0;
        while at < file_bytes {
            let step = (file_bytes - at).min(STEP_BYTES);
            prepare::fill(directory, file, at, step)?;
            at += step;
            written(step);
        }
        prepare::finish(directory, disk, file)?;
    }
    let path = layout::chunk_file(directory, FIRST_FILE);
    let first = OpenOptions::new().write(true).open(&path).map_err(io_error("open", &path))?;
    first.write_all_at(&first_batch(disk), 0).and_then(|()| first.sync_all()).map_err(io_error("write", &path))?;
    Ok(())
}

fn write_superblock(
    options: &FormatOptions,
    node: [u8; 16],
    disks: &[DiskId],
    file_bytes: u64,
    files_per_shard: u32,
) -> Result<(), FormatError> {
    let path = layout::superblock(&options.data);
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path).map_err(io_error("create", &path))?;
    let (inode, file_system) = directory::place(&path)?;
    let superblock = Superblock {
        cluster: options.cluster.clone(),
        zone: options.zone.clone(),
        node,
        inode,
        file_system,
        file_bytes,
        files_per_shard,
        disks: disks.to_vec(),
    };
    let written = file.write_all_at(&superblock.encode(), 0).and_then(|()| file.sync_all());
    written.map_err(io_error("write", &path))?;
    prepare::sync_directory(&options.data)?;
    // The directory itself may be new, too.
    let parent = options.data.canonicalize().ok().and_then(|data| data.parent().map(Path::to_owned));
    if let Some(parent) = parent {
        File::open(&parent).and_then(|parent| parent.sync_all()).map_err(io_error("sync", &parent))?;
    }
    Ok(())
}

/// Sixteen random bytes: identities never repeat.
pub(crate) fn random() -> Result<[u8; 16], FormatError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| FormatError::Random(why.to_string()))?;
    Ok(bytes)
}
