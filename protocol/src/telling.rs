//! Telling every replica of a log what the register already says: its floor (P12), or that it was deleted (P13).
//!
//! Nothing waits for it: whoever is away frees nothing, and is told by a later trim or open, or by a deletion that is
//! repeated. So it is tried a few times and then given up, with the names of those that do not know.

use crate::backoff::Backoff;
use crate::ids::{DiskId, LogId};
use crate::message::{Reply, Request};
use crate::record::{LogRecord, ReplicaRef};
use crate::recovery::RequestNo;
use crate::time::Micros;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How often a replica is told that does not answer.
pub const TELLINGS_MAX: u32 = 3;
/// How long replicas are waited for altogether, in microseconds.
pub const TELLING_US_MAX: u64 = 6_000_000;

/// What happened to a telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TellingEvent {
    /// The outcome of [`TellingEffect::Call`].
    Replied {
        /// Which request.
        request: RequestNo,
        /// What the replica said (refusals included), or why nothing is known of it.
        result: Result<Reply, String>,
    },
    /// Time passed ([`Telling::poll_timeout`]).
    Tick,
}

/// Something to do. Whoever drives the telling reports the outcome of each request; one that never comes is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TellingEffect {
    /// Tell a replica.
    Call {
        /// Comes back with [`TellingEvent::Replied`].
        request: RequestNo,
        /// Whom.
        to: ReplicaRef,
        /// What.
        what: Request,
    },
    /// Who knows now, and who does not. The last effect.
    Finished(Vec<Told>),
}

/// What became of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The replica.
    pub replica: ReplicaRef,
    /// It knows, durably; or why that is not known.
    pub result: Result<(), String>,
}

/// One replica on the way to knowing.
#[derive(Clone, Debug)]
struct Listener {
    replica: ReplicaRef,
    request: Option<RequestNo>,
    tellings: u32,
    retry_at: Micros,
    backoff: Backoff,
    /// The last thing that went wrong.
    trouble: Option<String>,
    /// Set once it knows, or is not told again.
    settled: Option<Result<(), String>>,
}

/// Tells every replica that some records name.
#[derive(Clone, Debug)]
pub struct Telling {
    what: Request,
    ends_at: Micros,
    listeners: Vec<Listener>,
    next_request: RequestNo,
    effects: VecDeque<TellingEffect>,
    over: bool,
}

impl Telling {
    /// Sends `what`, a trim or a deletion, to every replica that `records` name, oldest record first: the same disk may be
    /// on record under an old address and a new one, and the newest counts. A record of another log, an earlier one of the
    /// same name, is passed over. Requests are numbered from `first_request` on.
    ///
    /// # Panics
    /// If `what` is another request.
    #[must_use]
    pub fn new<'a>(
        what: Request,
        records: impl IntoIterator<Item = &'a LogRecord>,
        first_request: RequestNo,
        now: Micros,
    ) -> Self {
        let log = log_of(&what);
        let records = records.into_iter().filter(|record| record.log == log);
        let replicas = records.flat_map(|record| &record.segments).flat_map(|segment| &segment.replicas);
        let replicas: BTreeMap<DiskId, &ReplicaRef> = replicas.map(|replica| (replica.disk, replica)).collect();
        let listener = |replica: &ReplicaRef| Listener {
            replica: replica.clone(),
            request: None,
            tellings: 0,
            retry_at: now,
            backoff: Backoff::new(),
            trouble: None,
            settled: None,
        };
        let mut telling = Self {
            what,
            ends_at: now.plus(TELLING_US_MAX),
            listeners: replicas.into_values().map(listener).collect(),
            next_request: first_request,
            effects: VecDeque::new(),
            over: false,
        };
        telling.advance(now);
        telling
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Micros, event: TellingEvent) {
        if self.over {
            return;
        }
        if let TellingEvent::Replied { request, result } = event {
            self.replied(now, request, result);
        }
        self.advance(now);
        self.invariants();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<TellingEffect> {
        self.effects.pop_front()
    }

    /// When [`TellingEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        if self.over {
            return None;
        }
        let retries = self.listeners.iter().filter(|listener| listener.is_due()).map(|listener| listener.retry_at);
        retries.chain([self.ends_at]).min()
    }

    /// The number of the first request that this telling did not make.
    #[must_use]
    pub const fn next_request(&self) -> RequestNo {
        self.next_request
    }

    /// Checks what must hold between any two events.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        for listener in &self.listeners {
            assert!(listener.tellings <= TELLINGS_MAX, "{:?} was told {} times", listener.replica, listener.tellings);
            let waits = listener.settled.is_none() && !self.over;
            assert!(listener.request.is_none() || waits, "{listener:?} is settled and asked");
        }
        let settled = self.listeners.iter().all(|listener| listener.settled.is_some());
        assert!(self.over == settled, "over: {}, but {:?}", self.over, self.listeners);
    }

    fn replied(&mut self, now: Micros, request: RequestNo, result: Result<Reply, String>) {
        // A late or repeated reply finds no request: a replica that was given up is not believed to know.
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.request == Some(request)) else {
            return;
        };
        listener.request = None;
        listener.settled = match result {
            Ok(reply) if confirms(&self.what, &reply) => Some(Ok(())),
            // Refused is said once for all: asking again brings the same.
            Ok(Reply::Refused(refusal)) => Some(Err(refusal.to_string())),
            Ok(other) => Some(Err(alloc::format!("it answered with {other:.200?}"))),
            Err(why) if listener.tellings >= TELLINGS_MAX => Some(Err(why)),
            Err(why) => {
                listener.retry_at = listener.backoff.after(now);
                listener.trouble = Some(why);
                None
            }
        };
    }

    fn advance(&mut self, now: Micros) {
        if now >= self.ends_at {
            self.listeners.iter_mut().filter(|listener| listener.settled.is_none()).for_each(Listener::give_up);
        }
        for listener in self.listeners.iter_mut().filter(|listener| listener.is_due() && now >= listener.retry_at) {
            let request = self.next_request;
            self.next_request += 1;
            (listener.request, listener.tellings) = (Some(request), listener.tellings + 1);
            let (to, what) = (listener.replica.clone(), self.what.clone());
            self.effects.push_back(TellingEffect::Call { request, to, what });
        }
        if self.listeners.iter().all(|listener| listener.settled.is_some()) {
            self.over = true;
            let told = self.listeners.iter().filter_map(|listener| {
                Some(Told { replica: listener.replica.clone(), result: listener.settled.clone()? })
            });
            self.effects.push_back(TellingEffect::Finished(told.collect()));
        }
    }
}

impl Listener {
    const fn is_due(&self) -> bool {
        self.settled.is_none() && self.request.is_none()
    }

    fn give_up(&mut self) {
        let why = self.trouble.take().unwrap_or_else(|| "it did not answer in time".into());
        (self.request, self.settled) = (None, Some(Err(why)));
    }
}

fn log_of(what: &Request) -> LogId {
    match what {
        Request::Trim { log, .. } | Request::Delete { log, .. } => *log,
        other => panic!("{other:?} is nothing that the register says"),
    }
}

/// Whether `reply` says that the replica knows what it was told, durably.
fn confirms(what: &Request, reply: &Reply) -> bool {
    match (what, reply) {
        (Request::Trim { floor: told, .. }, Reply::Trimmed { floor }) => floor >= told,
        (Request::Delete { .. }, Reply::Deleted) => true,
        _ => false,
    }
}
