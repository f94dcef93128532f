//! Who is let in: TLS, users, and what those are told who are not.

use super::certificates::{Authority, Identity};
use super::place;
use super::server::Server;
use quarry_client::register::conformance::{self, sample};
use quarry_client::register::{EtcdPlace, EtcdRegister, Register, RegisterError};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest that an answer to somebody who cannot be let in may take.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// A call of etcd's JSON interface: what an operator does with etcdctl.
fn operate(server: &Server, call: &str, token: Option<&str>, json: &str) -> String {
    let mut stream = TcpStream::connect(&server.endpoint).unwrap();
    let token = token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
    let head = format!("POST /v3/auth/{call} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n{token}");
    let length = json.len();
    stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{json}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{call} {json}: {answer}");
    answer
}

/// Any change of users and roles makes every token that was given before it stale.
fn make_tokens_stale(server: &Server, role: &str) {
    let answer = operate(server, "authenticate", None, r#"{"name":"root","password":"r"}"#);
    let token = answer.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap();
    operate(server, "role/add", Some(token), &format!("{{\"name\":\"{role}\"}}"));
}

/// A user "writer" with the password "secret" who may use keys from "quarry/" up to "quarry0", and nobody without a password.
fn lock(server: &Server) {
    for (call, json) in [
        ("user/add", r#"{"name":"root","password":"r"}"#),
        ("role/add", r#"{"name":"root"}"#),
        ("user/grant", r#"{"user":"root","role":"root"}"#),
        ("user/add", r#"{"name":"writer","password":"secret"}"#),
        ("role/add", r#"{"name":"quarry"}"#),
        (
            "role/grant",
            r#"{"name":"quarry","perm":{"permType":"READWRITE","key":"cXVhcnJ5Lw==","range_end":"cXVhcnJ5MA=="}}"#,
        ),
        ("user/grant", r#"{"user":"writer","role":"quarry"}"#),
        ("enable", "{}"),
    ] {
        operate(server, call, None, json);
    }
}

async fn refused(place: EtcdPlace, password: Option<&str>) -> String {
    let started = Instant::now();
    let opened = EtcdRegister::open(place.clone(), password.map(str::to_owned)).await;
    assert!(started.elapsed() < ANSWER_MAX, "{:?}", started.elapsed());
    match opened {
        Err(RegisterError::Failed { register, why } | RegisterError::Unusable { register, why }) => {
            assert_eq!(register, place.to_string());
            why
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_endpoint_is_named() {
    let why = refused(place(&["127.0.0.1:1"]), None).await;
    assert!(why.contains("127.0.0.1:1") && why.contains("refused"), "{why}");
    let why = refused(place(&["no-such-host.invalid:2379"]), None).await;
    assert!(why.contains("no-such-host.invalid:2379"), "{why}");
    // Something that listens and is no etcd: it never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = silent.local_addr().unwrap().to_string();
    let why = refused(place(&[&endpoint]), None).await;
    assert!(why.contains(&endpoint) && why.contains("no answer within"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_let_in_with_their_password_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let plain = place(&[&server.endpoint]);
    let user = EtcdPlace { user: Some("writer".to_owned()), ..plain.clone() };
    let why = refused(user.clone(), Some("secret")).await;
    assert!(why.contains("not enabled") && why.contains("user="), "{why}");
    lock(&server);

    let register = EtcdRegister::open(user.clone(), Some("secret".to_owned())).await.unwrap();
    conformance::run(Arc::new(register.clone()), "users/").await;
    let why = refused(plain, None).await;
    assert!(why.contains("user=NAME"), "{why}");
    let why = refused(user.clone(), None).await;
    assert!(why.contains("QUARRY_ETCD_PASSWORD"), "{why}");
    let why = refused(user.clone(), Some("wrong")).await;
    assert!(why.contains("password") && why.contains(&server.endpoint) && !why.contains("wrong"), "{why}");
    let why = refused(EtcdPlace { prefix: "elsewhere".to_owned(), ..user }, Some("secret")).await;
    assert!(why.contains("permission denied"), "{why}");

    // A server that was restarted knows no token any more.
    server.restart();
    let created = register.compare_and_swap(None, &sample("after the restart", 1)).await.unwrap();
    // Nor does one whose users have changed since.
    make_tokens_stale(&server, "one");
    let read = register.read("after the restart").await.unwrap();
    assert_eq!(read, Some((created.clone(), sample("after the restart", 1))));
    make_tokens_stale(&server, "two");
    register.compare_and_swap(Some(&created), &sample("after the restart", 2)).await.unwrap();
}

fn encrypted(dir: &Path, server: &Identity, ca: &Path) -> Server {
    let path = |path: &Path| path.display().to_string();
    let arguments = [
        ("--cert-file", path(&server.certificate)),
        ("--key-file", path(&server.key)),
        ("--trusted-ca-file", path(ca)),
        ("--client-cert-auth", "true".to_owned()),
    ];
    let arguments = arguments.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Server::start_with(dir, "https", arguments)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_encrypted_and_both_ends_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    // The user is set up before the doors are locked.
    let mut server = Server::start(dir.path());
    lock(&server);
    server.kill();
    let server = encrypted(dir.path(), &ours.sign("server"), &ours.certificate);
    let identity = |of: &Authority, name| {
        let identity = of.sign(name);
        Some((identity.certificate, identity.key))
    };
    let right = EtcdPlace {
        ca: Some(ours.certificate.clone()),
        identity: identity(&ours, "client"),
        user: Some("writer".to_owned()),
        ..place(&[&server.endpoint])
    };
    let register = EtcdRegister::open(right.clone(), Some("secret".to_owned())).await.unwrap();
    conformance::run(Arc::new(register), "tls/").await;

    let wrong_ca = EtcdPlace { ca: Some(theirs.certificate.clone()), ..right.clone() };
    let why = refused(wrong_ca, Some("secret")).await;
    assert!(why.contains("certificate") && why.contains(&server.endpoint), "{why}");
    let stranger = EtcdPlace { identity: identity(&theirs, "stranger"), ..right.clone() };
    let why = refused(stranger, Some("secret")).await;
    assert!(why.contains("alert") || why.contains("cert="), "{why}");
    let nobody = EtcdPlace { identity: None, ..right.clone() };
    let why = refused(nobody, Some("secret")).await;
    assert!(why.contains("alert") || why.contains(";cert=/PATH"), "{why}");
    let why = refused(EtcdPlace { ca: None, identity: None, ..right.clone() }, Some("secret")).await;
    assert!(why.contains("ca=/PATH"), "{why}");
    let why = refused(EtcdPlace { ca: Some("/no/such/file".into()), ..right.clone() }, Some("secret")).await;
    assert!(why.contains("/no/such/file"), "{why}");
    let why = refused(right, Some("wrong")).await;
    assert!(why.contains("password"), "{why}");
}
