//! What etcd's errors mean for a register: whether to ask another server, whether to give the password again, and whether a
//! change may have been made.

use super::super::causes::causes;
use std::error::Error;
use tonic::{Code, ConnectError, Status};

/// Why a call had no answer to go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It did not leave this machine.
    Unsent(String),
    /// The server forgot who this is, and did nothing.
    Stranger(String),
    /// It was refused, and would be again. Nothing was done.
    Not(String),
    /// It was refused for now. Nothing was done.
    NotNow(String),
    /// It may have been carried out, or may yet be.
    Unknown(String),
}

impl Refusal {
    pub(super) fn of(status: &Status) -> Self {
        let text = describe(status);
        let says = |word: &str| status.message().contains(word);
        match status.code() {
            _ if is_unsent(status) => Self::Unsent(text),
            Code::Unauthenticated => Self::Stranger(text),
            // A change of users or roles since the token was given.
            Code::InvalidArgument if says("auth: revision") => Self::Stranger(text),
            Code::InvalidArgument if says("user name is empty") => {
                Self::Not(format!("{text}: it wants a user, add ;user=NAME and set QUARRY_ETCD_PASSWORD"))
            }
            Code::InvalidArgument if says("too large") => {
                Self::Not(format!("{text}: trim the log, or raise etcd's --max-request-bytes to 4194304"))
            }
            Code::FailedPrecondition if says("authentication is not enabled") => {
                Self::Not(format!("{text}: leave user= out, or enable it"))
            }
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::OutOfRange
            | Code::Unimplemented => Self::Not(text),
            // Too many requests, or no space; etcd looks before it proposes and again before it applies.
            Code::ResourceExhausted if says("etcdserver:") => Self::NotNow(text),
            _ => Self::Unknown(text),
        }
    }

    pub(super) fn late(bound_ms: u128) -> Self {
        Self::Unknown(format!("no answer within {bound_ms} ms"))
    }

    pub(super) fn why(&self) -> &str {
        let (Self::Unsent(why) | Self::Stranger(why) | Self::Not(why) | Self::NotNow(why) | Self::Unknown(why)) = self;
        why
    }
}

fn describe(status: &Status) -> String {
    let hidden = status.source().map(causes).unwrap_or_default();
    let code = status.code();
    match (status.message(), hidden.as_str()) {
        ("", "") => format!("{code:?}"),
        ("", hidden) => format!("{code:?}: {hidden}"),
        (message, hidden) if hidden.is_empty() || message.contains(hidden) => message.to_owned(),
        (message, hidden) => format!("{message}: {hidden}"),
    }
}

fn is_unsent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what etcd refuses before it does anything may be called not done.
    #[test]
    fn what_may_have_been_done_is_unknown() {
        for code in
            [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown, Code::Internal, Code::Cancelled, Code::Aborted]
        {
            let refusal = Refusal::of(&Status::new(code, "etcdserver: request timed out"));
            assert!(matches!(refusal, Refusal::Unknown(_)), "{code:?}: {refusal:?}");
        }
        let by_the_transport = Refusal::of(&Status::new(Code::ResourceExhausted, "h2 enhance your calm"));
        assert!(matches!(by_the_transport, Refusal::Unknown(_)), "{by_the_transport:?}");
    }
}
