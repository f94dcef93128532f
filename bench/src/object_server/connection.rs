//! One connection: requests come in whole, wait as long as a distant server would take, and are answered.

use super::latency::Latency;
use super::request::{Received, Reply};
use super::settings::Dialect;
use super::{Shared, google, s3};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// Most bytes that one read from a connection takes.
const READ_BYTES_MAX: usize = 1 << 20;

/// Takes connections, for ever.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
            // Out of files: the next one may be luckier, once some are closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let answer_one = service_fn(|request| answer(request, Arc::clone(&shared)));
    let mut connection = server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).max_buf_size(READ_BYTES_MAX);
    // A client that goes away is no news.
    let _ = connection.serve_connection(TokioIo::new(stream), answer_one).await;
}

/// Answers one request. An error closes the connection: the body ended early.
async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Reply, hyper::Error> {
    let arrived_at = Instant::now();
    let (head, mut body) = request.into_parts();
    let is_directory = |name: &str| {
        let state = shared.state();
        state.buckets.get(name).is_some_and(|bucket| bucket.settings.dialect == Dialect::S3Express)
    };
    let mut received = Received::new(head, is_directory);
    let (dialect, delay) = begin(&shared, &received);
    // A write is under way from its first byte on; the mark goes with the task, also if the client leaves.
    let under_way = UnderWay::note(&shared, &received);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            received.body.push(data);
        }
    }
    // The effect happens in the middle, so that both a lost request and a lost answer can be met.
    pause_until(arrived_at + delay / 2, delay).await;
    let reply = match dialect {
        Dialect::Google => google::answer(&shared, received),
        Dialect::S3 | Dialect::S3Express => s3::answer(&shared, received, under_way.is_second),
    };
    drop(under_way);
    pause_until(arrived_at + delay, delay).await;
    Ok(reply)
}

async fn pause_until(at: Instant, delay: Duration) {
    if !delay.is_zero() {
        sleep_until(at).await;
    }
}

/// Whose words to answer in, and how late.
fn begin(shared: &Shared, request: &Received) -> (Dialect, Duration) {
    let mut state = shared.state();
    let Some(settings) = state.buckets.get(&request.bucket).map(|bucket| &bucket.settings) else {
        return (s3::dialect_of_a_missing_bucket(request), Duration::ZERO);
    };
    let (dialect, shape) = (settings.dialect, settings.shape);
    let about_bucket = request.key.is_empty();
    let latency: Latency = match request.method {
        Method::PUT => shape.put,
        Method::DELETE => shape.delete,
        Method::POST if about_bucket => shape.delete,
        _ if about_bucket => shape.list,
        _ => shape.get,
    };
    (dialect, latency.sample(&mut state.random))
}

/// The mark of a conditional write under way.
struct UnderWay<'a> {
    shared: &'a Shared,
    marked: Option<(String, String)>,
    /// Another one was under way already.
    is_second: bool,
}

impl<'a> UnderWay<'a> {
    fn note(shared: &'a Shared, request: &Received) -> Self {
        let conditional = request.header("if-none-match").or(request.header("if-match")).is_some();
        let mut mark = Self { shared, marked: None, is_second: false };
        if request.method != Method::PUT || !conditional {
            return mark;
        }
        if let Some(bucket) = shared.state().buckets.get_mut(&request.bucket) {
            mark.is_second = !bucket.being_written.insert(request.key.clone());
        }
        mark.marked = (!mark.is_second).then(|| (request.bucket.clone(), request.key.clone()));
        mark
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some((bucket, key)) = self.marked.take()
            && let Some(bucket) = self.shared.state().buckets.get_mut(&bucket)
        {
            bucket.being_written.remove(&key);
        }
    }
}
