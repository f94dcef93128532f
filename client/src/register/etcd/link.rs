//! Calls to whichever server answers: connected when needed, each bounded in time, with the user's token.

use super::answers::Refusal;
use super::place::EtcdPlace;
use super::proto::auth_client::AuthClient;
use super::proto::kv_client::KvClient;
use super::proto::{AuthenticateRequest, TxnRequest, TxnResponse};
use crate::register::RegisterError;
use crate::register::causes::causes;
use quarry_protocol::limits::RECORD_BYTES_MAX;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status};

/// How long one call may take. etcd's own bound for a change is 7 s; one that takes longer than this is as good as lost.
const CALL_MAX: Duration = Duration::from_secs(5);
/// How long one server may take to let a client in.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Largest answer: a record, a marker and what goes around them.
const ANSWER_BYTES_MAX: usize = RECORD_BYTES_MAX + (64 << 10);
/// In which field etcd looks for the token.
const TOKEN: &str = "token";
/// A server that knows of no majority is to say so at once, so that another one is asked.
const NEEDS_MAJORITY: (&str, &str) = ("hasleader", "true");

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    place: EtcdPlace,
    password: Option<String>,
    tls: Option<ClientTlsConfig>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Which server to try next.
    next: usize,
    /// How many connections there were.
    count: u64,
    connected: Option<Connection>,
}

#[derive(Clone, Debug)]
struct Connection {
    number: u64,
    endpoint: Arc<str>,
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Link {
    /// Reads the certificates; connects to nobody yet.
    pub(super) async fn new(place: EtcdPlace, password: Option<String>) -> Result<Self, RegisterError> {
        let register = place.to_string();
        let unusable = |why: String| RegisterError::Unusable { register: register.clone(), why };
        if let (Some(user), None) = (&place.user, &password) {
            return Err(unusable(format!("user {user:?} needs a password: set QUARRY_ETCD_PASSWORD")));
        }
        let tls = tls_of(&place).await.map_err(unusable)?;
        Ok(Self { place, password, tls, state: Mutex::new(State::default()) })
    }

    /// A call that changes nothing: asked until a server answers, each of them once and the first one again.
    pub(super) async fn ask(&self, request: &TxnRequest) -> Result<TxnResponse, RegisterError> {
        let mut failures = Vec::new();
        for _ in 0..=self.place.endpoints.len() {
            let connection = self.connection().await?;
            match self.call(&connection, request).await {
                Ok(answer) => return Ok(answer),
                Err(Refusal::Not(why)) => return Err(self.unusable(format!("{}: {why}", connection.endpoint))),
                Err(refusal) => {
                    failures.push(format!("{}: {}", connection.endpoint, refusal.why()));
                    self.leave(&connection, &refusal).await;
                }
            }
        }
        Err(self.unanswered(&failures))
    }

    /// A call that changes something: made again only if nothing was done.
    pub(super) async fn change(&self, request: &TxnRequest) -> Result<TxnResponse, Change> {
        let mut failures = Vec::new();
        for _ in 0..=self.place.endpoints.len() {
            let connection = self.connection().await.map_err(Change::Not)?;
            let endpoint = &connection.endpoint;
            match self.call(&connection, request).await {
                Ok(answer) => return Ok(answer),
                Err(Refusal::Not(why)) => return Err(Change::Not(self.unusable(format!("{endpoint}: {why}")))),
                Err(Refusal::NotNow(why)) => return Err(Change::Not(self.failed(format!("{endpoint}: {why}")))),
                Err(refusal @ Refusal::Unknown(_)) => {
                    self.leave(&connection, &refusal).await;
                    return Err(Change::Unknown(format!("{}: {endpoint}: {}", self.place, refusal.why())));
                }
                Err(refusal @ (Refusal::Unsent(_) | Refusal::Stranger(_))) => {
                    failures.push(format!("{endpoint}: {}", refusal.why()));
                    self.leave(&connection, &refusal).await;
                }
            }
        }
        Err(Change::Not(self.unanswered(&failures)))
    }

    async fn call(&self, connection: &Connection, request: &TxnRequest) -> Result<TxnResponse, Refusal> {
        let mut client = KvClient::new(connection.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        let mut request = Request::new(request.clone());
        request.metadata_mut().insert(NEEDS_MAJORITY.0, MetadataValue::from_static(NEEDS_MAJORITY.1));
        if let Some(token) = &connection.token {
            request.metadata_mut().insert(TOKEN, token.clone());
        }
        bounded(client.txn(request)).await
    }

    /// The connection, made if there is none: to the first server that lets this client in.
    async fn connection(&self) -> Result<Connection, RegisterError> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connected {
            return Ok(connection.clone());
        }
        let mut failures = Vec::new();
        for i in 0..self.place.endpoints.len() {
            let at = (state.next + i) % self.place.endpoints.len();
            let endpoint = &self.place.endpoints[at];
            match self.connect(endpoint, state.count + 1).await {
                Ok(connection) => {
                    state.next = at;
                    state.count += 1;
                    state.connected = Some(connection.clone());
                    return Ok(connection);
                }
                Err(Refusal::Not(why)) => return Err(self.unusable(format!("{endpoint}: {why}"))),
                Err(refusal) => failures.push(format!("{endpoint}: {}", refusal.why())),
            }
        }
        Err(self.unanswered(&failures))
    }

    async fn connect(&self, endpoint: &str, number: u64) -> Result<Connection, Refusal> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let not = |why: tonic::transport::Error| Refusal::Not(causes(&why));
        let mut server = Endpoint::from_shared(format!("{scheme}://{endpoint}")).map_err(not)?;
        if let Some(tls) = &self.tls {
            server = server.tls_config(tls.clone()).map_err(not)?;
        }
        let channel = match timeout(CONNECT_MAX, server.tcp_nodelay(true).connect()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(why)) => return Err(Refusal::Unsent(causes(&why))),
            Err(_) => return Err(Refusal::Unsent(format!("no connection within {} ms", CONNECT_MAX.as_millis()))),
        };
        let token = self.token(&channel).await?;
        Ok(Connection { number, endpoint: endpoint.into(), channel, token })
    }

    async fn token(&self, channel: &Channel) -> Result<Option<MetadataValue<Ascii>>, Refusal> {
        let (Some(user), Some(password)) = (&self.place.user, &self.password) else { return Ok(None) };
        let request = AuthenticateRequest { name: user.clone(), password: password.clone() };
        let answer = bounded(AuthClient::new(channel.clone()).authenticate(request)).await?;
        let token = MetadataValue::try_from(answer.token);
        token.map(Some).map_err(|why| Refusal::Not(format!("its token cannot be sent: {why}")))
    }

    /// Gives a connection up, for the next server's or, if only the token is stale, for a new one to the same.
    async fn leave(&self, left: &Connection, why: &Refusal) {
        let mut state = self.state.lock().await;
        if state.connected.as_ref().is_some_and(|connection| connection.number == left.number) {
            state.connected = None;
            if !matches!(why, Refusal::Stranger(_)) {
                state.next += 1;
            }
        }
    }

    /// That no server answered, each with its reason.
    fn unanswered(&self, failures: &[String]) -> RegisterError {
        let why = failures.join("; ");
        // All that a server says to whoever should have come with TLS, or with another certificate, may be to hang up.
        let hung_up = ["closed", "reset", "broken pipe"].iter().any(|word| why.contains(word));
        let hint = match (hung_up, &self.place) {
            (false, _) => "",
            (_, EtcdPlace { ca: None, .. }) => "; if its servers want TLS, add ;ca=/PATH",
            (_, EtcdPlace { identity: None, .. }) => "; if its servers want a certificate, add ;cert=/PATH;key=/PATH",
            _ => "; its servers may not take the certificate of cert=",
        };
        self.failed(format!("no server of it answered: {why}{hint}"))
    }

    pub(super) fn failed(&self, why: String) -> RegisterError {
        RegisterError::Failed { register: self.place.to_string(), why }
    }

    pub(super) fn unusable(&self, why: String) -> RegisterError {
        RegisterError::Unusable { register: self.place.to_string(), why }
    }
}

/// Why a change was not confirmed.
#[derive(Debug)]
pub(super) enum Change {
    /// It was not made, and will not be.
    Not(RegisterError),
    /// It may have been made, or may yet be.
    Unknown(String),
}

async fn bounded<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Refusal> {
    match timeout(CALL_MAX, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(Refusal::of(&status)),
        Err(_) => Err(Refusal::late(CALL_MAX.as_millis())),
    }
}

async fn tls_of(place: &EtcdPlace) -> Result<Option<ClientTlsConfig>, String> {
    let Some(ca) = &place.ca else { return Ok(None) };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(file(ca).await?));
    if let Some((certificate, key)) = &place.identity {
        tls = tls.identity(Identity::from_pem(file(certificate).await?, file(key).await?));
    }
    Ok(Some(tls))
}

async fn file(path: &std::path::Path) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|why| format!("cannot read {}: {why}", path.display()))
}
