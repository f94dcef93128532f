//! How other threads talk to a shard: letters in a queue, and a waker. Runtime-neutral: the control plane puts letters
//! in from Tokio and awaits answers on Tokio's oneshot; the shard's thread only sees a future that wakes.

use crate::shard::{AdminAnswer, AdminRequest, MemberList};
use futures::task::AtomicWaker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Most letters that wait. The control plane is asked by operators and scrapers, not by the data path.
const LETTERS_MAX: usize = 256;

/// One letter.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A question of the control plane.
    Admin {
        /// The question.
        request: AdminRequest,
        /// Where the answer goes.
        answer: oneshot::Sender<AdminAnswer>,
    },
    /// What is known of the cluster changed.
    Members(Arc<MemberList>),
    /// Begin a clean stop.
    Stop,
}

/// The letter box of one shard.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    letters: Mutex<VecDeque<Letter>>,
    shard: AtomicWaker,
}

/// The shard does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MailboxError {
    /// Too many letters wait.
    #[error("the shard is busy: {LETTERS_MAX} questions wait already")]
    Busy,
    /// The shard's thread has ended.
    #[error("the shard has stopped")]
    Stopped,
}

impl Mailbox {
    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&self, request: AdminRequest) -> Result<AdminAnswer, MailboxError> {
        let (answer, answered) = oneshot::channel();
        self.put(Letter::Admin { request, answer })?;
        answered.await.map_err(|_| MailboxError::Stopped)
    }

    /// Puts a letter in and wakes the shard.
    pub(crate) fn put(&self, letter: Letter) -> Result<(), MailboxError> {
        {
            let mut letters = self.letters.lock().expect("nobody panics while holding the letters");
            if letters.len() >= LETTERS_MAX && !matches!(letter, Letter::Stop) {
                return Err(MailboxError::Busy);
            }
            letters.push_back(letter);
        }
        self.shard.wake();
        Ok(())
    }

    /// The next letter.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Letter> {
        // Registered before looking: a letter put in between wakes.
        self.shard.register(cx.waker());
        match self.letters.lock().expect("nobody panics while holding the letters").pop_front() {
            Some(letter) => Poll::Ready(letter),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn letters_are_bounded_and_a_stop_always_fits() {
        let mailbox = Mailbox::default();
        for _ in 0..LETTERS_MAX {
            let (answer, _) = oneshot::channel();
            mailbox.put(Letter::Admin { request: AdminRequest::Statistics, answer }).expect("room");
        }
        let (answer, _) = oneshot::channel();
        let busy = mailbox.put(Letter::Admin { request: AdminRequest::Statistics, answer });
        assert_eq!(busy, Err(MailboxError::Busy));
        assert_eq!(mailbox.put(Letter::Stop), Ok(()));
        let mut letters = 0;
        while mailbox.poll_next(&mut Context::from_waker(Waker::noop())).is_ready() {
            letters += 1;
        }
        assert_eq!(letters, LETTERS_MAX + 1);
    }
}
