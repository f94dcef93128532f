//! Whose change a stored record is. Each change carries a random stamp, and before the record stand the stamps of the
//! last changes, newest first:
//!
//! ```text
//! quarry record, written by STAMP STAMP STAMP ...
//! {"version":2, ...}
//! ```
//! So a writer whose condition failed on a second attempt sees whether its first one had been carried out, also if others
//! changed the record since. Two writers' equal records are told apart, too.

use crate::random::random_id;

/// How many changes back a change can be found: those that others make between a refusal and the look at what is stored.
pub(super) const STAMPS_MAX: usize = 128;
const START: &[u8] = b"quarry record, written by";
/// Most bytes before the record.
pub(super) const STAMPS_BYTES_MAX: usize = START.len() + STAMPS_MAX * 17 + 1;

/// One change's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    pub(super) fn fresh() -> Self {
        Self(u128::from_be_bytes(random_id()) as u64)
    }
}

/// The last changes of a record, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Stamp>);

/// What became of a change, by what is stored now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was made; others may have followed.
    Made,
    /// Another one was made in its place: its condition never holds again.
    Never,
    /// What it was to change is still there.
    Open,
    /// Too many changes since.
    Unknown,
}

impl Stamps {
    /// Splits stored bytes into stamps and record.
    pub(super) fn split(content: &[u8]) -> Result<(Self, &[u8]), String> {
        let end = content.iter().take(STAMPS_BYTES_MAX).position(|byte| *byte == b'\n');
        let line = end.and_then(|end| content[..end].strip_prefix(START));
        let (Some(end), Some(line)) = (end, line) else { return Err("it does not begin with its stamps".to_owned()) };
        let stamp = |text: &str| u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16).map(Stamp);
        let stamps: Option<Vec<Stamp>> =
            std::str::from_utf8(line).ok().and_then(|line| line.split_whitespace().map(stamp).collect());
        match stamps {
            Some(stamps) if !stamps.is_empty() => Ok((Self(stamps), &content[end + 1..])),
            _ => Err("its stamps are no hexadecimal numbers".to_owned()),
        }
    }

    /// The stamps after one more change.
    pub(super) fn followed_by(&self, stamp: Stamp) -> Self {
        Self(std::iter::once(stamp).chain(self.0.iter().copied()).take(STAMPS_MAX).collect())
    }

    /// The bytes to store.
    pub(super) fn join(&self, record: &[u8]) -> Vec<u8> {
        let mut content = START.to_vec();
        for stamp in &self.0 {
            content.extend_from_slice(format!(" {:016x}", stamp.0).as_bytes());
        }
        content.push(b'\n');
        content.extend_from_slice(record);
        content
    }

    /// What became of `change`, which was to follow these stamps, now that `stored` are there.
    pub(super) fn fate(&self, change: Stamp, stored: &Self) -> Fate {
        if self == stored {
            return Fate::Open;
        }
        if stored.0.contains(&change) {
            return Fate::Made;
        }
        let successor_is_seen = match self.0.first() {
            Some(before) => stored.0.contains(before),
            None => stored.0.len() < STAMPS_MAX,
        };
        if successor_is_seen { Fate::Never } else { Fate::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(changes: impl IntoIterator<Item = u64>) -> Stamps {
        changes.into_iter().fold(Stamps::default(), |stamps, change| stamps.followed_by(Stamp(change)))
    }

    #[test]
    fn stored_bytes_split_into_what_was_joined() {
        for changes in [1, 2, 400] {
            let stamps = history(1..=changes);
            let content = stamps.join(b"{}\n{}");
            assert!(content.len() - 5 <= STAMPS_BYTES_MAX);
            assert_eq!(Stamps::split(&content), Ok((stamps, &b"{}\n{}"[..])));
        }
        for bad in
            ["", "{}", "quarry record, written by", "quarry record, written by\n{}", "quarry record, written by 1\n{}"]
        {
            assert!(Stamps::split(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_fate_of_a_change_is_read_from_what_followed() {
        let mine = Stamp(999);
        for before in [history([]), history([1, 2]), history(1..=400)] {
            assert_eq!(before.fate(mine, &before), Fate::Open);
            let (mut made, mut lost) = (before.followed_by(mine), before.followed_by(Stamp(998)));
            for since in 0..2 * STAMPS_MAX {
                let seen = |max: usize, fate: Fate| if since < max { fate } else { Fate::Unknown };
                assert_eq!(before.fate(mine, &made), seen(STAMPS_MAX, Fate::Made), "{since}");
                assert_eq!(before.fate(mine, &lost), seen(STAMPS_MAX - 1, Fate::Never), "{since}");
                (made, lost) =
                    (made.followed_by(Stamp(1000 + since as u64)), lost.followed_by(Stamp(1000 + since as u64)));
            }
        }
    }
}
