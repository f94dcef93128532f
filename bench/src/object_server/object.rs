//! One object: its bytes in the pieces they arrived in, and what is known of it.

use super::settings::Dialect;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::ops::Range;

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Its bytes, never copied together: an answer sends the same pieces.
    pub(super) parts: Vec<Bytes>,
    pub(super) length: u64,
    /// Number of the write that made it; Google calls it a generation.
    pub(super) version: u64,
    /// The entity tag, quotes included.
    pub(super) tag: String,
    pub(super) modified: DateTime<Utc>,
}

impl Object {
    pub(super) fn new(parts: Vec<Bytes>, version: u64, dialect: Dialect) -> Self {
        let length = parts.iter().map(|part| part.len() as u64).sum();
        let tag = match dialect {
            // In a general purpose bucket the tag follows from the bytes: the same bytes, the same tag.
            Dialect::S3 => {
                let sum = parts.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part));
                format!("\"{sum:08x}{length:024x}\"")
            }
            Dialect::S3Express | Dialect::Google => format!("\"{version:032x}\""),
        };
        Self { parts, length, version, tag, modified: Utc::now() }
    }

    /// The pieces of a range, which must lie inside.
    pub(super) fn slice(&self, range: Range<u64>) -> Vec<Bytes> {
        let (mut start, mut found) = (0, Vec::new());
        for part in &self.parts {
            let end = start + part.len() as u64;
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                found.push(part.slice((from - start) as usize..(to - start) as usize));
            }
            start = end;
        }
        found
    }

    /// Everything in one piece: for tests.
    pub(super) fn to_bytes(&self) -> Bytes {
        self.parts.concat().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(parts: &[&'static [u8]], version: u64, dialect: Dialect) -> Object {
        Object::new(parts.iter().map(|part| Bytes::from_static(part)).collect(), version, dialect)
    }

    #[test]
    fn a_range_is_cut_from_the_pieces() {
        let object = object(&[b"ab", b"", b"cdef", b"g"], 1, Dialect::S3);
        let slice = |range| object.slice(range).concat();
        assert_eq!((slice(0..7), slice(1..3), slice(2..6)), (b"abcdefg".to_vec(), b"bc".to_vec(), b"cdef".to_vec()));
        assert_eq!(slice(6..7), b"g");
        assert!(slice(3..3).is_empty());
    }

    #[test]
    fn only_a_general_purpose_bucket_tags_the_same_bytes_alike() {
        let tags = |dialect| [object(&[b"ab", b"c"], 1, dialect).tag, object(&[b"abc"], 2, dialect).tag];
        let [first, second] = tags(Dialect::S3);
        assert_eq!(first, second);
        assert_ne!(first, object(&[b"abd"], 1, Dialect::S3).tag);
        for dialect in [Dialect::S3Express, Dialect::Google] {
            let [first, second] = tags(dialect);
            assert_ne!(first, second, "{dialect:?}");
        }
    }
}
