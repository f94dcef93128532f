//! What happens to which request.

use crate::random::Random;
use hyper::Method;
use std::collections::VecDeque;
use std::time::Duration;

/// Something bad that happens to one request. Wherever the client gets no answer, its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The store never sees it.
    LoseRequest,
    /// The store does it; the client is not told.
    LoseResponse,
    /// The store sees it later.
    DelayRequest,
    /// The client is told later.
    DelayResponse,
    /// The client is told nothing, and the store sees it later: after the client has moved on.
    ArriveLate,
    /// The store sees it twice, one after the other; the client gets either answer.
    RepeatAfter,
    /// The store sees it twice, at once; the client gets either answer.
    RepeatAtOnce,
    /// The answer is 503 with the code `SlowDown`; the store never sees it.
    SlowDown,
    /// The answer is 500 with the code `InternalError`; the store never sees it.
    InternalError,
    /// The store sees half of its body. (Without a body: nothing of it.)
    CutRequest,
    /// The client sees half of the answer's body. (Without a body: nothing of it.)
    CutResponse,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::LoseRequest,
        Self::LoseResponse,
        Self::DelayRequest,
        Self::DelayResponse,
        Self::ArriveLate,
        Self::RepeatAfter,
        Self::RepeatAtOnce,
        Self::SlowDown,
        Self::InternalError,
        Self::CutRequest,
        Self::CutResponse,
    ];
}

/// How many requests of a thousand each fault happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    per_mille: [u64; Fault::ALL.len()],
    /// Longest delay; each is drawn between nothing and this.
    pub delay_max: Duration,
}

impl Rates {
    /// Nothing happens.
    pub const NONE: Self = Self { per_mille: [0; Fault::ALL.len()], delay_max: Duration::from_millis(50) };

    /// Everything happens to so many of a thousand each.
    #[must_use]
    pub const fn all(per_mille: u64) -> Self {
        Self { per_mille: [per_mille; Fault::ALL.len()], ..Self::NONE }
    }

    /// The same with delays of at most this.
    #[must_use]
    pub const fn delayed_by(self, delay_max: Duration) -> Self {
        Self { delay_max, ..self }
    }

    /// The same with another rate for one of them.
    #[must_use]
    pub const fn with(mut self, fault: Fault, per_mille: u64) -> Self {
        self.per_mille[fault as usize] = per_mille;
        self
    }
}

/// What a proxy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that came in.
    pub requests: u64,
    /// Times that a request was sent to the store.
    pub sent: u64,
    faults: [u64; Fault::ALL.len()],
}

impl Counts {
    /// How often this happened.
    #[must_use]
    pub const fn of(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// How much happened all together.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.iter().sum()
    }
}

/// What one request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lot {
    pub(super) fault: Option<Fault>,
    /// How long, if it is about time.
    pub(super) delay: Duration,
    /// Of two answers, the second.
    pub(super) second: bool,
}

#[derive(Debug)]
pub(super) struct Plan {
    random: Random,
    rates: Rates,
    faults_left: u64,
    strikes: VecDeque<(Method, String, Fault)>,
    counts: Counts,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, 0),
            rates: Rates::NONE,
            faults_left: 0,
            strikes: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn set_rates(&mut self, rates: Rates, faults_max: u64) {
        assert!(rates.per_mille.iter().sum::<u64>() <= 1000, "the rates are of a thousand: {rates:?}");
        (self.rates, self.faults_left) = (rates, faults_max);
    }

    pub(super) fn strike_next(&mut self, method: Method, part: &str, fault: Fault) {
        self.strikes.push_back((method, part.to_owned(), fault));
    }

    pub(super) fn strikes_left(&self) -> usize {
        self.strikes.len()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn note_sent(&mut self) {
        self.counts.sent += 1;
    }

    /// What the next request meets.
    pub(super) fn draw(&mut self, method: &Method, path: &str) -> Lot {
        self.counts.requests += 1;
        // All draws are made for every request, so that a seed means the same however many faults are left.
        let drawn = self.rated(self.random.clone().below(1000));
        self.random.next();
        let delay = self.rates.delay_max.mul_f64(self.random.below(1001) as f64 / 1000.0);
        let second = self.random.percent(50);
        let struck = self.strikes.iter().position(|(of, part, _)| of == method && path.contains(part.as_str()));
        let fault = match struck.and_then(|at| self.strikes.remove(at)) {
            Some((_, _, fault)) => Some(fault),
            None => drawn.filter(|_| self.faults_left > 0).inspect(|_| self.faults_left -= 1),
        };
        if let Some(fault) = fault {
            self.counts.faults[fault as usize] += 1;
        }
        Lot { fault, delay, second }
    }

    fn rated(&self, mut at: u64) -> Option<Fault> {
        for (fault, per_mille) in Fault::ALL.into_iter().zip(self.rates.per_mille) {
            if at < per_mille {
                return Some(fault);
            }
            at -= per_mille;
        }
        None
    }
}
