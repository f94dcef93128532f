//! The superblock: what `format` decided, in two equal copies of one block each, written last by `format` and never
//! changed by a running node (D9). A copy that is damaged is mended from the other, in place: the file keeps its inode.
//!
//! ```text
//!  0  magic "QUARRYSB"   8   16  node id        16   60  zero            4    192  disk ids, 16 each, 64 of them
//!  8  version            4   32  inode           8   64  cluster        64   1216  zero
//! 12  shards             2   40  file system id  8  128  zone           64   4092  crc of the 4092 bytes before
//! 14  bytes of cluster   1   48  file bytes      8
//! 15  bytes of zone      1   56  files per shard 4
//! ```

use quarry_protocol::bytesio::{array, put, u16_at, u32_at, u64_at};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{
    BLOCK_BYTES, FILE_BYTES_MAX, FILE_BYTES_MIN, FILES_PER_SHARD_MAX, FILES_PER_SHARD_MIN, SHARDS_MAX,
    SUPERBLOCK_BYTES, ZONE_BYTES_MAX,
};

const MAGIC: [u8; 8] = *b"QUARRYSB";
/// Version of everything a data directory holds. Before 1.0 there is exactly one.
pub const FORMAT_VERSION: u32 = 2;
/// Bytes of the superblock file: two copies.
pub const SUPERBLOCK_FILE_BYTES: usize = 2 * SUPERBLOCK_BYTES;

const CLUSTER_AT: usize = 64;
const ZONE_AT: usize = 128;
const DISKS_AT: usize = 192;
const DISKS_END: usize = DISKS_AT + 16 * SHARDS_MAX;
const CRC_AT: usize = SUPERBLOCK_BYTES - 4;
const _: () =
    assert!(DISKS_END <= CRC_AT && CLUSTER_AT + ZONE_BYTES_MAX < ZONE_AT && ZONE_AT + ZONE_BYTES_MAX < DISKS_AT);

/// What `format` decided for a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The cluster this node belongs to.
    pub cluster: String,
    /// The zone this node stands in.
    pub zone: String,
    /// The node's random id.
    pub node: [u8; 16],
    /// Inode of the superblock file itself, when it was written.
    pub inode: u64,
    /// Id of the file system it was written to.
    pub file_system: u64,
    /// Size of every chunk file, in bytes.
    pub file_bytes: u64,
    /// How many chunk files a shard may have.
    pub files_per_shard: u32,
    /// The identity of each shard's disk, as formatted: the name in every batch header, whatever identity is in force.
    pub disks: Vec<DiskId>,
}

/// A superblock that was read, and whether one copy of it is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSuperblock {
    /// What it says.
    pub superblock: Superblock,
    /// Which copy (0 or 1) has to be rewritten from the other, in place.
    pub mend: Option<usize>,
}

/// Why a data directory's superblock is not accepted. Every one of them keeps the node from starting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// There is no superblock.
    #[error(
        "the data directory is not formatted: the superblock has {got} of {SUPERBLOCK_FILE_BYTES} bytes; run `quarry format` on it"
    )]
    NotFormatted {
        /// Bytes of the file.
        got: usize,
    },
    /// Written by another version.
    #[error(
        "the data directory has format version {got}, this build knows only {FORMAT_VERSION}: start the version that formatted it"
    )]
    Version {
        /// The version found.
        got: u32,
    },
    /// Neither copy verifies.
    #[error(
        "both copies of the superblock are damaged: this disk's identity is lost; format a new data directory, its data is \
         repaired from the other zones"
    )]
    Damaged,
    /// Both copies verify and say different things.
    #[error(
        "the two copies of the superblock disagree although both verify: it was tampered with; format a new data directory"
    )]
    Disagree,
    /// Another cluster's.
    #[error(
        "the data directory belongs to cluster {found:?}, not to {wanted:?}: name the right directory or the right cluster"
    )]
    Cluster {
        /// In the superblock.
        found: String,
        /// Asked for.
        wanted: String,
    },
    /// The superblock was formatted elsewhere: an old copy under a living identity would be amnesia.
    #[error(
        "the data directory is a copy: its superblock was formatted as inode {formatted_inode} of file system \
         {formatted_file_system:#x} and is inode {inode} of {file_system:#x} now; start the original, or format a new directory"
    )]
    Copied {
        /// Inode in the superblock.
        formatted_inode: u64,
        /// File system id in the superblock.
        formatted_file_system: u64,
        /// Inode of the file that was read.
        inode: u64,
        /// File system id of the file that was read.
        file_system: u64,
    },
}

impl Superblock {
    /// Both copies, as they are written.
    ///
    /// # Panics
    /// If a field exceeds its bound: `format` checks what it is given first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.check();
        let mut copy = [0; SUPERBLOCK_BYTES];
        let b = &mut copy;
        put(b, 0, &MAGIC);
        put(b, 8, &FORMAT_VERSION.to_le_bytes());
        put(b, 12, &(self.disks.len() as u16).to_le_bytes());
        b[14] = self.cluster.len() as u8;
        b[15] = self.zone.len() as u8;
        put(b, 16, &self.node);
        put(b, 32, &self.inode.to_le_bytes());
        put(b, 40, &self.file_system.to_le_bytes());
        put(b, 48, &self.file_bytes.to_le_bytes());
        put(b, 56, &self.files_per_shard.to_le_bytes());
        put(b, CLUSTER_AT, self.cluster.as_bytes());
        put(b, ZONE_AT, self.zone.as_bytes());
        for (i, disk) in self.disks.iter().enumerate() {
            put(b, DISKS_AT + 16 * i, &disk.0);
        }
        let crc = crc32c::crc32c(&b[..CRC_AT]);
        put(b, CRC_AT, &crc.to_le_bytes());
        [copy, copy].concat()
    }

    fn check(&self) {
        let Self { cluster, zone, disks, .. } = self;
        assert!((1..=ZONE_BYTES_MAX).contains(&cluster.len()), "cluster name of {} bytes", cluster.len());
        assert!((1..=ZONE_BYTES_MAX).contains(&zone.len()), "zone name of {} bytes", zone.len());
        assert!((1..=SHARDS_MAX).contains(&disks.len()), "{} shards", disks.len());
        assert!(disks.iter().all(|disk| !disk.is_zero()), "a disk's identity is zero");
        assert!(sizes_ok(self.file_bytes, self.files_per_shard), "{} x {} B", self.files_per_shard, self.file_bytes);
    }

    /// Reads the superblock file's bytes.
    pub fn read(bytes: &[u8]) -> Result<ReadSuperblock, SuperblockError> {
        if bytes.len() < SUPERBLOCK_FILE_BYTES || bytes.iter().all(|b| *b == 0) {
            return Err(SuperblockError::NotFormatted { got: bytes.len() });
        }
        let (first, second) = bytes[..SUPERBLOCK_FILE_BYTES].split_at(SUPERBLOCK_BYTES);
        match (Self::decode(first), Self::decode(second)) {
            (Ok(one), Ok(other)) if one != other => Err(SuperblockError::Disagree),
            (Ok(superblock), Ok(_)) => Ok(ReadSuperblock { superblock, mend: None }),
            (Ok(superblock), Err(_)) => Ok(ReadSuperblock { superblock, mend: Some(1) }),
            (Err(_), Ok(superblock)) => Ok(ReadSuperblock { superblock, mend: Some(0) }),
            // One flipped bit in a version field is damage; another version says so in both copies.
            (Err(one), Err(other)) => Err(if one == other { one } else { SuperblockError::Damaged }),
        }
    }

    fn decode(b: &[u8]) -> Result<Self, SuperblockError> {
        let damaged = SuperblockError::Damaged;
        if b[..8] != MAGIC {
            return Err(damaged);
        }
        let version = u32_at(b, 8);
        if version != FORMAT_VERSION {
            return Err(SuperblockError::Version { got: version });
        }
        if crc32c::crc32c(&b[..CRC_AT]) != u32_at(b, CRC_AT) || b[DISKS_END..CRC_AT].iter().any(|b| *b != 0) {
            return Err(damaged);
        }
        let shards = usize::from(u16_at(b, 12));
        let (file_bytes, files_per_shard) = (u64_at(b, 48), u32_at(b, 56));
        if !(1..=SHARDS_MAX).contains(&shards) || !sizes_ok(file_bytes, files_per_shard) {
            return Err(damaged);
        }
        let text = |at: usize, bytes: u8| match usize::from(bytes) {
            n @ 1..=ZONE_BYTES_MAX => String::from_utf8(b[at..at + n].to_vec()).map_err(|_| SuperblockError::Damaged),
            _ => Err(SuperblockError::Damaged),
        };
        Ok(Self {
            cluster: text(CLUSTER_AT, b[14])?,
            zone: text(ZONE_AT, b[15])?,
            node: array(b, 16),
            inode: u64_at(b, 32),
            file_system: u64_at(b, 40),
            file_bytes,
            files_per_shard,
            disks: (0..shards).map(|i| DiskId(array(b, DISKS_AT + 16 * i))).collect(),
        })
    }

    /// Refuses another cluster's directory.
    pub fn check_cluster(&self, wanted: &str) -> Result<(), SuperblockError> {
        if self.cluster == wanted {
            return Ok(());
        }
        Err(SuperblockError::Cluster { found: self.cluster.clone(), wanted: wanted.to_owned() })
    }

    /// Refuses a copied directory: `inode` and `file_system` are those of the superblock file that was read (D9).
    pub fn check_place(&self, inode: u64, file_system: u64) -> Result<(), SuperblockError> {
        if (self.inode, self.file_system) == (inode, file_system) {
            return Ok(());
        }
        Err(SuperblockError::Copied {
            formatted_inode: self.inode,
            formatted_file_system: self.file_system,
            inode,
            file_system,
        })
    }
}

/// Whether a shard may have so many files of that size.
fn sizes_ok(file_bytes: u64, files_per_shard: u32) -> bool {
    (FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&file_bytes)
        && file_bytes.is_multiple_of(u64::from(BLOCK_BYTES))
        && (FILES_PER_SHARD_MIN..=FILES_PER_SHARD_MAX as u64).contains(&u64::from(files_per_shard))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Superblock {
        Superblock {
            cluster: "oak".into(),
            zone: "a".into(),
            node: [9; 16],
            inode: 12,
            file_system: 0xfeed,
            file_bytes: FILE_BYTES_MIN,
            files_per_shard: 5,
            disks: vec![DiskId([1; 16]), DiskId([2; 16])],
        }
    }

    fn sealed(mut copy: Vec<u8>) -> Vec<u8> {
        let crc = crc32c::crc32c(&copy[..CRC_AT]);
        put(&mut copy, CRC_AT, &crc.to_le_bytes());
        copy
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = example().encode();
        assert_eq!(bytes.len(), SUPERBLOCK_FILE_BYTES);
        assert_eq!(Superblock::read(&bytes), Ok(ReadSuperblock { superblock: example(), mend: None }));
    }

    /// D9: either copy alone is enough, and names the other one for mending; both damaged is refused.
    #[test]
    fn any_flipped_bit_is_mended_from_the_other_copy() {
        let good = example().encode();
        for byte in 0..SUPERBLOCK_FILE_BYTES {
            let mut bytes = good.clone();
            bytes[byte] ^= 1 << (byte % 8);
            let mend = Some(byte / SUPERBLOCK_BYTES);
            assert_eq!(Superblock::read(&bytes), Ok(ReadSuperblock { superblock: example(), mend }), "byte {byte}");
            bytes[(byte + SUPERBLOCK_BYTES) % SUPERBLOCK_FILE_BYTES] ^= 0x40;
            assert!(Superblock::read(&bytes).is_err(), "byte {byte} of both copies");
        }
    }

    #[test]
    fn an_unformatted_directory_is_refused() {
        for bytes in [vec![], vec![0; 100], vec![0; SUPERBLOCK_FILE_BYTES]] {
            assert_eq!(Superblock::read(&bytes), Err(SuperblockError::NotFormatted { got: bytes.len() }));
        }
        assert_eq!(Superblock::read(&vec![7; SUPERBLOCK_FILE_BYTES]), Err(SuperblockError::Damaged));
        assert!(SuperblockError::NotFormatted { got: 0 }.to_string().contains("quarry format"));
    }

    #[test]
    fn another_version_is_named_before_anything_of_it_is_interpreted() {
        let mut bytes = example().encode();
        for copy in [0, SUPERBLOCK_BYTES] {
            bytes[copy + 8] = FORMAT_VERSION as u8 + 1;
        }
        assert_eq!(Superblock::read(&bytes), Err(SuperblockError::Version { got: FORMAT_VERSION + 1 }));
    }

    #[test]
    fn copies_that_both_verify_and_differ_are_refused() {
        let one = example().encode()[..SUPERBLOCK_BYTES].to_vec();
        let mut other = one.clone();
        other[DISKS_AT] ^= 1;
        assert_eq!(Superblock::read(&[one, sealed(other)].concat()), Err(SuperblockError::Disagree));
    }

    #[test]
    fn another_cluster_and_a_copied_directory_are_refused() {
        let superblock = example();
        assert_eq!(superblock.check_cluster("oak"), Ok(()));
        assert!(matches!(superblock.check_cluster("elm"), Err(SuperblockError::Cluster { .. })));
        assert_eq!(superblock.check_place(12, 0xfeed), Ok(()));
        // Pitfall 33, D9: an old copy under a living identity. Same file system, then another one with the same inode.
        assert!(matches!(superblock.check_place(13, 0xfeed), Err(SuperblockError::Copied { .. })));
        assert!(matches!(superblock.check_place(12, 0xfeee), Err(SuperblockError::Copied { .. })));
    }

    /// A checksum that matches does not make nonsense acceptable.
    #[test]
    fn sizes_outside_the_limits_are_refused() {
        for (at, value) in [(12, 0u8), (12, 65), (14, 0), (14, 64), (48, 1), (56, 1), (DISKS_END, 1)] {
            let mut copy = example().encode()[..SUPERBLOCK_BYTES].to_vec();
            copy[at] = value;
            let copy = sealed(copy);
            assert_eq!(Superblock::read(&[copy.clone(), copy].concat()), Err(SuperblockError::Damaged), "byte {at}");
        }
    }
}
