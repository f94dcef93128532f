//! What every server has to be able to do, through plain `object_store`: the operations that the bucket backends use.

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use http_body_util::Full;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutResult, UpdateVersion};

/// How many creators race for one slot.
const RACERS: usize = 16;
/// How many slots they race for.
const SLOTS: usize = 8;

/// Creates once, overwrites what it read, reads ranges, lists and deletes.
pub(super) async fn check(store: &dyn ObjectStore) {
    let path = Path::from("logs/one/0000");
    let created = create(store, &path, "one").await.expect("the slot is free");
    let again = create(store, &path, "two").await.expect_err("a second create of one slot");
    assert!(matches!(again, Error::AlreadyExists { .. }), "{again:?}");
    assert_eq!(read(store, &path).await, "one", "the second create changed nothing");

    let stale = UpdateVersion { e_tag: created.e_tag.clone(), version: created.version.clone() };
    let updated = update(store, &path, stale.clone(), "three").await.expect("the version is fresh");
    let refused = update(store, &path, stale, "four").await.expect_err("the version is stale");
    assert!(matches!(refused, Error::Precondition { .. }), "{refused:?}");
    let read_back = store.get(&path).await.expect("it is there").meta;
    assert_eq!(read_back.e_tag, updated.e_tag, "a reader learns the version to compare with");
    let fresh = UpdateVersion { e_tag: read_back.e_tag, version: read_back.version };
    update(store, &path, fresh, "0123456789").await.expect("the version that was read");

    assert_eq!(store.get_range(&path, 2..5).await.expect("a range"), "234");
    assert_eq!(store.head(&path).await.expect("it is there").size, 10);
    let missing = store.get_opts(&Path::from("logs/one/none"), GetOptions::default()).await.expect_err("not there");
    assert!(matches!(missing, Error::NotFound { .. }), "{missing:?}");

    for key in ["logs/one/0001", "logs/two/0000"] {
        create(store, &Path::from(key), key).await.expect("the slot is free");
    }
    assert_eq!(list(store, "logs/one").await, ["logs/one/0000", "logs/one/0001"]);
    let groups = store.list_with_delimiter(Some(&Path::from("logs"))).await.expect("a listing");
    assert_eq!(groups.common_prefixes, [Path::from("logs/one"), Path::from("logs/two")]);
    store.delete(&path).await.expect("deleted");
    let many = ["logs/one/0001", "logs/two/0000"].map(|key| Ok(Path::from(key)));
    let deleted: Vec<_> =
        store.delete_stream(futures::stream::iter(many).boxed()).try_collect().await.expect("deleted");
    assert_eq!(deleted.len(), 2);
    assert!(list(store, "logs").await.is_empty());
    create(store, &path, "five").await.expect("a deleted slot is free");
}

/// Says in how many slots more than one of the racing creators won; a store for logs has none.
pub(super) async fn slots_won_twice(store: &dyn ObjectStore) -> usize {
    let mut twice = 0;
    for slot in 0..SLOTS {
        let path = Path::from(format!("race/{slot}"));
        let racers = (0..RACERS).map(|racer| {
            let path = &path;
            async move { create(store, path, &format!("{racer}")).await.map(|_| racer) }
        });
        let won: Vec<_> = join_all(racers).await.into_iter().filter_map(Result::ok).collect();
        assert!(!won.is_empty(), "slot {slot}: nobody won");
        if let [winner] = won[..] {
            assert_eq!(read(store, &path).await, format!("{winner}"), "slot {slot} holds the winner's bytes");
        }
        twice += usize::from(won.len() > 1);
        store.delete(&path).await.expect("deleted");
    }
    twice
}

/// Racing creators of one slot: one wins, and the slot holds what it wrote.
pub(super) async fn race(store: &dyn ObjectStore) {
    assert_eq!(slots_won_twice(store).await, 0, "slots with two winners");
}

/// Makes a bucket of an S3 server that asks for no credentials.
pub(super) async fn make_bucket(endpoint: &str, bucket: &str) {
    put(&format!("{endpoint}/{bucket}"), String::new()).await;
}

/// Puts something to an S3 server that asks for no credentials.
pub(crate) async fn put(url: &str, body: String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(Method::PUT).uri(url);
    let request = request.body(Full::<Bytes>::from(body)).expect("a request");
    let status = client.request(request).await.expect("the server answers").status();
    assert_eq!(status, 200, "putting to {url}");
}

async fn create(store: &dyn ObjectStore, path: &Path, content: &str) -> object_store::Result<PutResult> {
    store.put_opts(path, content.to_owned().into(), PutMode::Create.into()).await
}

async fn update(
    store: &dyn ObjectStore,
    path: &Path,
    version: UpdateVersion,
    content: &str,
) -> object_store::Result<PutResult> {
    store.put_opts(path, content.to_owned().into(), PutMode::Update(version).into()).await
}

async fn read(store: &dyn ObjectStore, path: &Path) -> Bytes {
    store.get(path).await.expect("it is there").bytes().await.expect("its bytes")
}

async fn list(store: &dyn ObjectStore, prefix: &str) -> Vec<String> {
    let listed: Vec<_> = store.list(Some(&Path::from(prefix))).try_collect().await.expect("a listing");
    let mut keys: Vec<_> = listed.into_iter().map(|meta| meta.location.to_string()).collect();
    keys.sort();
    keys
}
