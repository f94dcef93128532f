//! Who asked what: connections, their bounds, and the tickets under which the replica knows their requests.

use super::event::ConnectionId;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{CONNECTION_REQUESTS_MAX, CONNECTIONS_PER_SHARD_MAX};
use quarry_protocol::replica::Ticket;
use std::collections::BTreeMap;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) connection: ConnectionId,
    pub(super) request_id: u64,
    /// The disk that the request named.
    pub(super) disk: DiskId,
}

/// The connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Unanswered requests of each connection.
    open: BTreeMap<ConnectionId, usize>,
    /// By the low half of their tickets: places are used again, tickets are not.
    askers: Vec<Option<(Ticket, Asker)>>,
    vacant: Vec<u32>,
    tickets: u32,
}

/// Tickets count up in their high half, so that an answer that comes late finds nobody else.
const TICKET_PLACE_BITS: u32 = 32;

impl Connections {
    /// Takes a new connection in, or says why not.
    pub(super) fn open(&mut self, connection: ConnectionId) -> Result<(), String> {
        if self.open.len() >= CONNECTIONS_PER_SHARD_MAX {
            return Err(format!(
                "this shard serves {CONNECTIONS_PER_SHARD_MAX} connections, the most it can: use fewer clients or more shards"
            ));
        }
        let known = self.open.insert(connection, 0);
        assert!(known.is_none(), "{connection:?} connected twice");
        Ok(())
    }

    /// Forgets a connection and everything it asked. Answers that come later find nobody.
    pub(super) fn close(&mut self, connection: ConnectionId) {
        if self.open.remove(&connection).is_some() {
            for (place, entry) in self.askers.iter_mut().enumerate() {
                if entry.is_some_and(|(_, asker)| asker.connection == connection) {
                    *entry = None;
                    self.vacant.push(place as u32);
                }
            }
        }
    }

    /// Remembers who asks, or says why the connection has to be closed. `None` if it is closed already.
    pub(super) fn ask(&mut self, asker: Asker) -> Option<Result<Ticket, String>> {
        let unanswered = self.open.get_mut(&asker.connection)?;
        if *unanswered >= CONNECTION_REQUESTS_MAX {
            return Some(Err(format!(
                "{CONNECTION_REQUESTS_MAX} unanswered requests on one connection, the most it may have"
            )));
        }
        *unanswered += 1;
        self.tickets = self.tickets.wrapping_add(1);
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.askers.push(None);
            self.askers.len() as u32 - 1
        });
        let ticket = Ticket::from(self.tickets) << TICKET_PLACE_BITS | Ticket::from(place);
        self.askers[place as usize] = Some((ticket, asker));
        Some(Ok(ticket))
    }

    /// Who asked, without having answered yet.
    pub(super) fn asker(&self, ticket: Ticket) -> Option<Asker> {
        let (known, asker) = (*self.askers.get(ticket as u32 as usize)?)?;
        (known == ticket).then_some(asker)
    }

    /// Takes out who asked: the answer goes to them now. None if they are gone.
    pub(super) fn answer(&mut self, ticket: Ticket) -> Option<Asker> {
        let asker = self.asker(ticket)?;
        self.askers[ticket as u32 as usize] = None;
        self.vacant.push(ticket as u32);
        let unanswered = self.open.get_mut(&asker.connection).expect("a closed connection takes its tickets along");
        *unanswered -= 1;
        Some(asker)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn invariants(&self) {
        let unanswered: usize = self.open.values().sum();
        let tickets = self.askers.iter().flatten().count();
        assert!(unanswered == tickets, "{unanswered} unanswered requests, {tickets} tickets");
        assert!(tickets + self.vacant.len() == self.askers.len(), "{} vacant places", self.vacant.len());
        assert!(self.open.len() <= CONNECTIONS_PER_SHARD_MAX, "{} connections", self.open.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place is used again, and an answer to whoever had it before finds nobody.
    #[test]
    fn a_late_answer_reaches_nobody_else() {
        let (one, two) = (ConnectionId(1), ConnectionId(2));
        let mut connections = Connections::default();
        let ask = |connections: &mut Connections, connection, request_id| {
            let asker = Asker { connection, request_id, disk: DiskId([7; 16]) };
            connections.ask(asker).expect("is open").expect("has room")
        };
        for connection in [one, two] {
            connections.open(connection).expect("has room");
        }
        let gone = ask(&mut connections, one, 10);
        connections.close(one);
        let there = ask(&mut connections, two, 11);
        assert_eq!(gone as u32, there as u32, "the place is used again");
        assert_eq!((connections.asker(gone), connections.answer(gone)), (None, None));
        assert_eq!(connections.answer(there).map(|asker| asker.request_id), Some(11));
        assert_eq!(connections.answer(there), None, "answered once");
        connections.invariants();
    }
}
