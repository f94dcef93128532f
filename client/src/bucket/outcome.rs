//! What a store's answer means to a bucket's machine, and in which words people hear of it.

use object_store::Error;
use quarry_protocol::bucket::Outcome;

/// Why an operation was not done, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What happened: the bucket, the object, and the store's own words.
    pub(crate) why: String,
    pub(crate) kind: TroubleKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TroubleKind {
    /// The store is there, and the object is not.
    NotFound,
    /// The object is there already (a create), or is another one than was named (an overwrite).
    Conflict,
    /// The store asks for patience.
    Throttled,
    /// The store said no: asking again changes nothing.
    Refused,
    /// Nobody knows whether it took place, or will yet.
    Unanswered,
}

impl Trouble {
    /// `status` is that of the last HTTP response, if one came.
    pub(crate) fn of(bucket: &str, key: &str, error: &Error, status: Option<u16>) -> Self {
        let said = error.to_string();
        let why = format!("{bucket}, object {key}: {}", brief(error, &said));
        Self { why, kind: kind(error, &said, status) }
    }

    pub(crate) fn timeout(bucket: &str, key: &str, after: std::time::Duration) -> Self {
        Self { why: format!("{bucket}, object {key}: no answer within {after:?}"), kind: TroubleKind::Unanswered }
    }

    /// There is no way to the bucket just now.
    pub(super) fn away(key: &str, why: &str) -> Self {
        Self { why: format!("object {key}: {why}"), kind: TroubleKind::Unanswered }
    }

    /// The outcome of a create or a delete.
    pub(super) fn of_change(self) -> Outcome {
        match self.kind {
            TroubleKind::Conflict => Outcome::Exists,
            // There is no bucket.
            TroubleKind::NotFound | TroubleKind::Refused => Outcome::Failed { why: self.why },
            // A gateway before the store may say so of a request that it had passed on.
            TroubleKind::Throttled | TroubleKind::Unanswered => Outcome::Ambiguous { why: self.why },
        }
    }

    /// The outcome of a read.
    pub(super) fn of_read(self) -> Outcome {
        if self.kind == TroubleKind::NotFound { Outcome::NotFound } else { Outcome::Failed { why: self.why } }
    }
}

fn kind(error: &Error, said: &str, status: Option<u16>) -> TroubleKind {
    match error {
        // Not the object but all of the bucket is missing.
        Error::NotFound { .. } if names_no_bucket(said) => TroubleKind::Refused,
        Error::NotFound { .. } => TroubleKind::NotFound,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => TroubleKind::Conflict,
        Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::NotImplemented { .. }
        | Error::NotSupported { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => TroubleKind::Refused,
        _ => match status {
            Some(429 | 503) => TroubleKind::Throttled,
            // The second: answered well, and lost on the way back.
            None | Some(..300 | 408 | 409 | 500..) => TroubleKind::Unanswered,
            Some(_) => TroubleKind::Refused,
        },
    }
}

fn names_no_bucket(said: &str) -> bool {
    ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"].iter().any(|name| said.contains(name))
}

/// The store's words: the code and the message of an XML answer, if it is one, and what to do about the best known.
fn brief(error: &Error, said: &str) -> String {
    let part = |tag: &str| {
        let (_, rest) = said.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(text, _)| text.trim())
    };
    let words = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => innermost(error),
    };
    match fix(&words) {
        Some(fix) => format!("{words}; {fix}"),
        None => words,
    }
}

/// The cause at the end of the chain says most; the words before it repeat the request.
fn innermost(error: &Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    let first = words[0].clone();
    let last = words.pop().unwrap_or_default();
    if first.contains(&last) { first } else { format!("{first}: {last}") }
}

/// What usually helps.
fn fix(words: &str) -> Option<&'static str> {
    let known = [
        ("NoSuchBucket", "make the bucket, or correct its name"),
        ("ContainerNotFound", "make the container, or correct its name"),
        ("InvalidAccessKeyId", "correct the credentials in the environment"),
        ("SignatureDoesNotMatch", "correct the credentials in the environment"),
        ("AuthenticationFailed", "correct the credentials in the environment"),
        ("AccessDenied", "give these credentials the right to read, write, delete and list here"),
        ("ExpiredToken", "renew the credentials"),
        ("AuthorizationHeaderMalformed", "correct the region"),
        ("PermanentRedirect", "correct the region"),
        ("IllegalLocationConstraint", "correct the region"),
        ("without LOCATION", "correct the region"),
        ("RequestTimeTooSkewed", "set this machine's clock right"),
        ("NotImplemented", "this store has no conditional writes, which Quarry rests on"),
    ];
    known.iter().find(|(code, _)| words.contains(code)).map(|(_, fix)| *fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn a_missing_bucket_is_not_a_missing_object() {
        let not_found = |text: &str| Error::NotFound { path: "k".into(), source: text.to_owned().into() };
        let object = Trouble::of("s3://b", "k", &not_found("<Code>NoSuchKey</Code>"), Some(404));
        assert_eq!(object.of_read(), Outcome::NotFound);
        let bucket = Trouble::of("s3://b", "k", &not_found("<Error><Code>NoSuchBucket</Code></Error>"), Some(404));
        assert!(
            matches!(bucket.of_read(), Outcome::Failed { why } if why.contains("s3://b, object k: NoSuchBucket; make"))
        );
    }

    #[test]
    fn only_an_answer_is_certain() {
        let kind_of = |status| Trouble::of("s3://b", "k", &generic("x"), status).kind;
        assert_eq!(kind_of(None), TroubleKind::Unanswered);
        assert_eq!(kind_of(Some(200)), TroubleKind::Unanswered);
        assert_eq!(kind_of(Some(500)), TroubleKind::Unanswered);
        assert_eq!(kind_of(Some(503)), TroubleKind::Throttled);
        assert_eq!(kind_of(Some(400)), TroubleKind::Refused);
        for (status, ambiguous) in [(None, true), (Some(500), true), (Some(503), true), (Some(400), false)] {
            let outcome = Trouble::of("s3://b", "k", &generic("x"), status).of_change();
            assert_eq!(matches!(outcome, Outcome::Ambiguous { .. }), ambiguous, "{status:?}: {outcome:?}");
        }
    }

    #[test]
    fn words_are_brief_and_name_the_fix() {
        let error = generic("<Error><Code>RequestTimeTooSkewed</Code><Message>too far</Message><X>y</X></Error>");
        let why = Trouble::of("s3://b", "k", &error, Some(403)).why;
        assert_eq!(why, "s3://b, object k: RequestTimeTooSkewed: too far; set this machine's clock right");
    }
}
