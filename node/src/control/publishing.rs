//! Handing the list of members to whoever answers questions about it: the shards, and the rest of the control plane.

use crate::io::{Letter, Mailbox};
use crate::shard::MemberList;
use quarry_protocol::member::Member;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// See the module.
#[derive(Debug)]
pub(super) struct Publisher {
    mailboxes: Vec<Arc<Mailbox>>,
    list: watch::Sender<Arc<MemberList>>,
    /// A shard had no room for the last list.
    undelivered: AtomicBool,
}

impl Publisher {
    pub(super) fn new(mailboxes: Vec<Arc<Mailbox>>) -> Self {
        Self { mailboxes, list: watch::Sender::default(), undelivered: AtomicBool::new(false) }
    }

    /// The list, for those who follow it.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<MemberList>> {
        self.list.subscribe()
    }

    /// Publishes the list if it changed.
    pub(super) fn publish(&self, members: Vec<Member>) {
        let old = self.list.borrow().clone();
        let list = if old.members == members {
            if !self.undelivered.load(Ordering::Relaxed) {
                return;
            }
            old
        } else {
            Arc::new(MemberList { version: old.version + 1, members })
        };
        let put = |mailbox: &Arc<Mailbox>| mailbox.put(Letter::Members(Arc::clone(&list))).is_ok();
        let delivered = self.mailboxes.iter().filter(|mailbox| put(mailbox)).count();
        self.undelivered.store(delivered < self.mailboxes.len(), Ordering::Relaxed);
        self.list.send_replace(list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a_list_is_published_when_it_changed_and_only_then() {
        let mailbox = Arc::new(Mailbox::default());
        let publisher = Publisher::new(vec![Arc::clone(&mailbox)]);
        let received = || match mailbox.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Letter::Members(list)) => Some(list),
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => None,
        };
        let members = vec![Member::default()];
        publisher.publish(members.clone());
        let first = received().expect("published");
        assert_eq!(first.members, members);
        publisher.publish(members);
        assert_eq!(received(), None);
        publisher.publish(Vec::new());
        assert!(received().expect("published").version > first.version);
        assert!(publisher.subscribe().borrow().members.is_empty());
    }
}
