//! Buckets whose own rules would delete what Quarry puts there are refused; where the rules cannot be seen, that is said.

use super::own_process;
use super::servers::moto::Moto;
use super::servers::ours::{self, EXPRESS_BUCKETS};
use super::servers::smoke::put;
use super::stores::Store;
use quarry_bench::object_server::{Dialect, ObjectServer};
use quarry_client::bucket::{BucketCluster, BucketPlace, BucketStore};
use quarry_client::connect;

const BUCKET: &str = "expiry";

async fn refused(url: &str, words: &[&str]) {
    let Err(said) = connect(url).await else { panic!("{url} is taken") };
    let said = said.to_string();
    for word in words {
        assert!(said.contains(word), "the error does not name {word:?}: {said}");
    }
}

async fn taken(url: &str) {
    if let Err(said) = connect(url).await {
        panic!("{url} is refused: {said}");
    }
}

fn set(server: &ObjectServer, bucket: &str, prefix: &str) {
    server.change(bucket, |bucket| bucket.expiry = Some((prefix.to_owned(), 30)));
}

/// What a connect says of rules that it cannot see.
async fn unseen(bucket_url: &str) -> Vec<String> {
    let place = BucketPlace::parse(bucket_url).expect("a place");
    let cluster = BucketCluster::new(vec![BucketStore::open(&place).expect("opens")]);
    cluster.connect().await.expect("it is taken all the same").unseen_rules
}

#[test]
fn a_bucket_of_s3_that_expires_chunks_is_refused() {
    own_process::run("expiry::a_bucket_of_s3_that_expires_chunks_is_refused", || async {
        let server = ours::start(&[BUCKET, "records"], Dialect::S3);
        let store = Store::s3(&server.endpoint(), BUCKET);
        set(&server, BUCKET, "other/");
        taken(&store.url).await;
        set(&server, BUCKET, "logs/");
        refused(&store.url, &["s3://expiry/logs", "rule \"expire\"", "\"logs/\"", "turn that rule off"]).await;
        set(&server, BUCKET, "");
        refused(&store.url, &["for every object"]).await;
        // The register may lie in another bucket.
        server.change(BUCKET, |bucket| bucket.expiry = None);
        set(&server, "records", "logs/reg");
        let place = |bucket: &str| format!("s3://{bucket}/logs?endpoint={}%26region=us-east-1", server.endpoint());
        let register = place("records").replace('?', "%3F");
        let (before, _) = store.url.split_once("register=").expect("a register");
        let url = format!("{before}register={register}");
        refused(&url, &["s3://records/logs", "rule \"expire\""]).await;
        server.change("records", |bucket| bucket.expiry = None);
        taken(&url).await;
    });
}

#[test]
fn buckets_of_s3_express_and_google_that_expire_chunks_are_refused() {
    own_process::run("expiry::buckets_of_s3_express_and_google_that_expire_chunks_are_refused", || async {
        let server = ours::start(&EXPRESS_BUCKETS, Dialect::S3Express);
        let store = Store::s3_express(&server.endpoint());
        taken(&store.url).await;
        set(&server, EXPRESS_BUCKETS[1], "");
        refused(&store.url, &[EXPRESS_BUCKETS[1], "rule \"expire\""]).await;
        let server = ours::start(&[BUCKET], Dialect::Google);
        let store = Store::google(&server.endpoint(), BUCKET);
        set(&server, BUCKET, "elsewhere/");
        taken(&store.url).await;
        set(&server, BUCKET, "lo");
        refused(&store.url, &["gs://expiry/logs", "rule 1", "\"lo\""]).await;
    });
}

#[test]
fn rules_that_cannot_be_seen_are_told_of() {
    own_process::run("expiry::rules_that_cannot_be_seen_are_told_of", || async {
        for (dialect, scheme) in [(Dialect::S3, "s3"), (Dialect::Google, "gs")] {
            let server = ours::start(&[BUCKET], dialect);
            let url = format!("{scheme}://{BUCKET}/logs?endpoint={}", server.endpoint());
            assert_eq!(unseen(&url).await, Vec::<String>::new(), "{scheme}");
            server.change(BUCKET, |bucket| bucket.hides_expiry = true);
            let [said] = &unseen(&url).await[..] else { panic!("{scheme}: not one bucket") };
            for word in [scheme, BUCKET, "expiry rules", "403", "AccessDenied"] {
                assert!(said.contains(word), "it does not name {word:?}: {said}");
            }
        }
    });
}

#[test]
fn moto_is_asked_in_its_words() {
    own_process::run("expiry::moto_is_asked_in_its_words", || async {
        let moto = Moto::start(&[BUCKET]).await;
        let store = Store::s3(&moto.endpoint(), BUCKET);
        taken(&store.url).await;
        let rules = |inside: &str| {
            let rule = format!("<Rule><ID>tidy</ID><Status>Enabled</Status>{inside}</Rule>");
            format!(
                "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{rule}</LifecycleConfiguration>"
            )
        };
        let unfinished = "<Filter><Prefix></Prefix></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>3\
            </DaysAfterInitiation></AbortIncompleteMultipartUpload>";
        let at = format!("{}/{BUCKET}?lifecycle", moto.endpoint());
        put(&at, rules(unfinished)).await;
        taken(&store.url).await;
        put(&at, rules("<Filter><Prefix>log</Prefix></Filter><Expiration><Days>30</Days></Expiration>")).await;
        refused(&store.url, &["s3://expiry/logs", "rule \"tidy\"", "\"log\""]).await;
    });
}
