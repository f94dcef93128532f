//! What S3 says when it says no: status, code, and a body that names bucket and key.

use crate::object_server::access::Refused;
use crate::object_server::request::{Reply, empty, set, xml};
use crate::object_server::xml::document;
use hyper::StatusCode;
use serde::Serialize;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    NoSuchBucket,
    NoSuchKey,
    NoSuchLifecycleConfiguration,
    PreconditionFailed,
    ConditionalRequestConflict,
    InvalidRange,
    InvalidArgument(&'static str),
    MalformedXml,
    NotImplemented,
    /// The bucket lies in another region.
    PermanentRedirect(String),
    /// The server's memory is as full as it may be; S3 itself has no such bound.
    Full,
    Refused(Refused),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Problem {
    fn parts(&self) -> (StatusCode, &'static str, String) {
        let (status, code, message) = match self {
            Self::NoSuchBucket => (404, "NoSuchBucket", "The bucket does not exist"),
            Self::NoSuchKey => (404, "NoSuchKey", "The key does not exist"),
            Self::NoSuchLifecycleConfiguration => {
                (404, "NoSuchLifecycleConfiguration", "The bucket has no lifecycle configuration")
            }
            Self::PreconditionFailed => (412, "PreconditionFailed", "A condition of the request does not hold"),
            Self::ConditionalRequestConflict => {
                (409, "ConditionalRequestConflict", "Another conditional request is under way; send this one again")
            }
            Self::InvalidRange => (416, "InvalidRange", "The object has no such range"),
            Self::InvalidArgument(why) => (400, "InvalidArgument", *why),
            Self::MalformedXml => (400, "MalformedXML", "The body is not what it should be"),
            Self::NotImplemented => (501, "NotImplemented", "This server for tests does not know that request"),
            Self::PermanentRedirect(_) => (301, "PermanentRedirect", "The bucket is in another region"),
            Self::Full => (507, "InsufficientStorage", "This server for tests keeps no more bytes in memory"),
            Self::Refused(refused) => return Self::parts_of(refused),
        };
        (StatusCode::from_u16(status).expect("a status"), code, message.to_owned())
    }

    fn parts_of(refused: &Refused) -> (StatusCode, &'static str, String) {
        let (status, code, message) = match refused {
            Refused::AccessDenied => (403, "AccessDenied", "Access Denied".to_owned()),
            Refused::InvalidAccessKeyId => (403, "InvalidAccessKeyId", "The access key id is not known".to_owned()),
            Refused::WrongRegion(region) => (
                400,
                "AuthorizationHeaderMalformed",
                format!("The authorization header names the wrong region; expecting '{region}'"),
            ),
            Refused::RequestTimeTooSkewed => {
                (403, "RequestTimeTooSkewed", "The request's time and the server's are too far apart".to_owned())
            }
            Refused::ExpiredToken => (400, "ExpiredToken", "The provided token has expired".to_owned()),
        };
        (StatusCode::from_u16(status).expect("a status"), code, message)
    }
}

#[derive(Serialize)]
#[serde(rename = "Error", rename_all = "PascalCase")]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    bucket_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
}

/// The answer that says so; one to a `HEAD` has no body.
pub(super) fn refuse(problem: &Problem, bucket: &str, key: &str, head: bool) -> Reply {
    let (status, code, message) = problem.parts();
    let region = match problem {
        Problem::PermanentRedirect(region) | Problem::Refused(Refused::WrongRegion(region)) => Some(region.as_str()),
        _ => None,
    };
    let body = Body { code, message: &message, bucket_name: bucket, key, region };
    let mut reply = if head { empty(status) } else { xml(status, document(&body)) };
    if let Some(region) = region {
        set(&mut reply, "x-amz-bucket-region", region);
    }
    reply
}
