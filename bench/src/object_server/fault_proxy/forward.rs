//! One request, from the client to the store and back, and what it meets on the way.

use super::Shared;
use super::plan::{Fault, Lot};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::http::{request, response};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use std::io;
use std::sync::Arc;
use tokio::time::sleep;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Reply = Response<Body>;

/// What passes requests on: it keeps connections to the store.
pub(super) type Client = hyper_util::client::legacy::Client<HttpConnector, Body>;

/// A request that has arrived, as often as it is to be sent.
#[derive(Clone)]
struct Arrived {
    head: request::Parts,
    body: Bytes,
}

/// An answer that has arrived.
struct Answer {
    head: response::Parts,
    body: Bytes,
}

/// Passes one request on. An error closes the client's connection without an answer.
pub(super) async fn pass(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Reply> {
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let Lot { fault, delay, second } = shared.plan().draw(&head.method, path);
    let arrived = Arrived { head, body };
    match fault {
        Some(Fault::LoseRequest) => return Err(closed()),
        Some(Fault::SlowDown) => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", is_head)),
        Some(Fault::InternalError) => return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", is_head)),
        Some(Fault::ArriveLate) => {
            tokio::spawn(async move {
                sleep(delay).await;
                let _ = send(&shared, arrived, false).await;
            });
            return Err(closed());
        }
        Some(Fault::CutRequest) => {
            let _ = send(&shared, arrived, true).await;
            return Err(closed());
        }
        Some(Fault::DelayRequest) => sleep(delay).await,
        _ => {}
    }
    // The client may go away meanwhile; what was begun is ended, as a network would.
    let sent = tokio::spawn(async move {
        match fault {
            Some(Fault::RepeatAfter) => {
                let first = send(&shared, arrived.clone(), false).await;
                either(first, send(&shared, arrived, false).await, second)
            }
            Some(Fault::RepeatAtOnce) => {
                let answers = tokio::join!(send(&shared, arrived.clone(), false), send(&shared, arrived, false));
                either(answers.0, answers.1, second)
            }
            _ => send(&shared, arrived, false).await,
        }
    });
    let Answer { head, body } = sent.await.map_err(io::Error::other)??;
    match fault {
        Some(Fault::LoseResponse) => Err(closed()),
        Some(Fault::CutResponse) if body.is_empty() => Err(closed()),
        Some(Fault::CutResponse) => Ok(Response::from_parts(head, half(&body))),
        _ => {
            if fault == Some(Fault::DelayResponse) {
                sleep(delay).await;
            }
            Ok(Response::from_parts(head, whole(body)))
        }
    }
}

fn either(first: io::Result<Answer>, second: io::Result<Answer>, take_second: bool) -> io::Result<Answer> {
    if take_second { second } else { first }
}

/// Sends a request to the store, whole or only the first half of its body, and takes the whole answer.
async fn send(shared: &Shared, Arrived { mut head, body }: Arrived, cut: bool) -> io::Result<Answer> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("http://{}{path}", shared.store).parse::<Uri>().map_err(io::Error::other)?;
    // The body is of a known length now.
    head.headers.remove(TRANSFER_ENCODING);
    if cut && body.is_empty() {
        return Err(closed());
    }
    shared.plan().note_sent();
    let body = if cut { half(&body) } else { whole(body) };
    let answer = shared.client.request(Request::from_parts(head, body)).await.map_err(io::Error::other)?;
    let (mut head, mut incoming) = answer.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            body.extend_from_slice(&data);
        }
    }
    head.headers.remove(TRANSFER_ENCODING);
    Ok(Answer { head, body: body.freeze() })
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// The first half of a body, then an error: the connection is cut there, short of the length that the headers name.
fn half(body: &Bytes) -> Body {
    let frames = [Ok(Frame::data(body.slice(..body.len() / 2))), Err(closed())];
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

fn refusal(status: StatusCode, code: &str, is_head: bool) -> Reply {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>from the fault proxy</Message></Error>");
    let mut reply = Response::new(whole(if is_head { Bytes::new() } else { Bytes::from(body) }));
    *reply.status_mut() = status;
    if is_head {
        reply.headers_mut().insert(CONTENT_LENGTH, 0.into());
    }
    reply
}
