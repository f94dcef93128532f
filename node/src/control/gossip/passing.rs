//! How announcements travel: foca carries them along with its own messages, as long as they are news to somebody.

use super::announcement::Announcement;
use super::counters::{Cause, Counters};
use super::identity::GossipId;
use super::roster::{Heard, Roster};
use foca::{BroadcastHandler, Invalidates};
use quarry_protocol::time::Micros;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// The roster, as foca's callbacks and the task share it. One thread; the lock is never contended.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    roster: Arc<Mutex<Roster>>,
    changed: Arc<AtomicBool>,
    started: Instant,
}

impl Shared {
    pub(super) fn new(roster: Roster) -> Self {
        let changed = Arc::new(AtomicBool::new(false));
        Self { roster: Arc::new(Mutex::new(roster)), changed, started: Instant::now() }
    }

    pub(super) fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().expect("nobody panics while holding the roster")
    }

    pub(super) fn now(&self) -> Micros {
        Micros(self.started.elapsed().as_micros() as u64)
    }

    /// Whether the roster may have changed since this was asked last.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }
}

/// What foca calls.
pub(super) struct Passing {
    pub(super) shared: Shared,
    pub(super) counters: Arc<Counters>,
}

/// Which announcement it is. A later one of the same node at the same address makes it pointless to pass on; one from another
/// address does not, or nobody would notice that both speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    id: GossipId,
    version: u64,
}

impl Invalidates for Words {
    fn invalidates(&self, other: &Self) -> bool {
        (self.id.node, self.id.address) == (other.id.node, other.id.address)
            && (self.id.incarnation, self.version) >= (other.id.incarnation, other.version)
    }
}

impl BroadcastHandler<GossipId> for Passing {
    type Key = Words;
    type Error = Infallible;

    fn receive_item(&mut self, data: &[u8], sender: Option<&GossipId>) -> Result<Option<Words>, Infallible> {
        let said = match Announcement::decode(data) {
            Ok(said) => said,
            Err(why) => {
                let from = sender.map_or_else(|| "this node".to_owned(), |sender| sender.address.to_string());
                // Not an error to foca: it would leave the rest of the message, an answer to a probe perhaps, unread.
                self.counters.drop_for(Cause::Announcement, &format_args!("from {from}: {why}"));
                return Ok(None);
            }
        };
        let words = Words { id: said.id, version: said.version };
        let heard = self.shared.roster().hear(self.shared.now(), &said);
        if heard != Heard::Old {
            self.shared.changed.store(true, Ordering::Relaxed);
        }
        Ok(match heard {
            Heard::New => Some(words),
            Heard::Old => None,
            Heard::Refused(why) => {
                self.counters.drop_for(Cause::Refused, &why);
                None
            }
        })
    }
}
