//! The register in a bucket: against its conformance suite, against a bucket that loses, delays and repeats what is sent,
//! and against buckets that are none.

mod store;

use futures::future::{BoxFuture, join_all};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use quarry_client::register::conformance::{self, raise_epoch, sample};
use quarry_client::register::{ObjectRegister, Register, RegisterError, SwapError};
use quarry_protocol::ids::Epoch;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Bad, Fate};

async fn open(store: Arc<dyn ObjectStore>) -> ObjectRegister {
    ObjectRegister::open(store, "memory of the test").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms() {
    conformance::run(Arc::new(open(Arc::new(InMemory::new())).await), "conformance/").await;
}

/// Runs the whole suite over a bucket whose puts fare as `puts` says, by their number.
async fn conforms_over(puts: impl Fn(u64) -> Fate + Send + Sync + 'static) {
    let bad = Bad::new(&Arc::new(InMemory::new()), puts);
    conformance::run(Arc::new(open(Arc::clone(&bad) as _).await), "conformance/").await;
    assert!(bad.put_count() >= 140, "{} puts", bad.put_count());
}

/// Pitfall 15: a change whose answer was lost is not made twice, and is no conflict with itself.
#[tokio::test(start_paused = true)]
async fn it_conforms_while_answers_are_lost() {
    conforms_over(|put| if put % 2 == 0 { Fate::AnswerLost } else { Fate::Well }).await;
}

#[tokio::test(start_paused = true)]
async fn it_conforms_while_every_answer_is_lost() {
    conforms_over(|_| Fate::AnswerLost).await;
}

#[tokio::test(start_paused = true)]
async fn it_conforms_while_requests_are_lost() {
    conforms_over(|put| if put % 2 == 0 { Fate::FailsBefore } else { Fate::Well }).await;
}

#[tokio::test(start_paused = true)]
async fn it_conforms_while_requests_arrive_twice() {
    conforms_over(|_| Fate::Twice).await;
}

#[tokio::test(start_paused = true)]
async fn it_conforms_while_requests_arrive_after_their_error() {
    conforms_over(|put| if put % 3 == 0 { Fate::Late(Duration::from_millis(60 * (put % 5))) } else { Fate::Well })
        .await;
}

#[tokio::test(start_paused = true)]
async fn it_conforms_while_requests_are_slow() {
    conforms_over(|put| Fate::Slow(Duration::from_millis(put % 7 * 40))).await;
}

#[tokio::test(start_paused = true)]
async fn it_conforms_while_reads_fail() {
    let gets = |get| if get % 3 == 0 { Fate::FailsBefore } else { Fate::Well };
    let bad = Bad::with_gets(&Arc::new(InMemory::new()), |_| Fate::Well, gets);
    conformance::run(Arc::new(open(bad).await), "conformance/").await;
}

/// A register on a good bucket and one on the same bucket whose next put, of the log "log" at epoch 1, fares as `fate` says.
async fn next_put(fate: impl FnOnce(ObjectRegister) -> Fate) -> (ObjectRegister, ObjectRegister) {
    let bucket = Arc::new(InMemory::new());
    let good = open(Arc::clone(&bucket) as _).await;
    good.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    let fate = fate(good.clone());
    let bad = Bad::new(&bucket, move |put| if put == 0 { fate.clone() } else { Fate::Well });
    (good, open(bad).await)
}

/// Raises the epoch `changes` times.
fn others(register: ObjectRegister, changes: u32) -> Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync> {
    Arc::new(move || {
        let register = register.clone();
        Box::pin(async move {
            for _ in 0..changes {
                raise_epoch(&register, "log").await;
            }
        })
    })
}

/// The answer to a change at epoch 1, and the epoch that is there then.
async fn change(good: &ObjectRegister, bad: &ObjectRegister) -> (Result<(), SwapError>, Epoch) {
    let (version, _) = bad.read("log").await.unwrap().unwrap();
    let swapped = bad.compare_and_swap(Some(&version), &sample("log", 2)).await;
    (swapped.map(|_| ()), good.read("log").await.unwrap().unwrap().1.epoch)
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_made_and_followed_is_no_conflict() {
    for followers in [1, 127] {
        let (good, bad) = next_put(|good| Fate::AnswerLostAnd(others(good, followers))).await;
        assert_eq!(change(&good, &bad).await, (Ok(()), Epoch(2 + u64::from(followers))));
    }
}

/// The other's record has the very bytes of ours, stamps aside.
#[tokio::test(start_paused = true)]
async fn anothers_equal_change_is_a_conflict() {
    for others_changes in [1, 127] {
        let (good, bad) = next_put(|good| Fate::FailsBeforeAnd(others(good, others_changes))).await;
        assert_eq!(change(&good, &bad).await, (Err(SwapError::Conflict), Epoch(1 + u64::from(others_changes))));
    }
}

#[tokio::test(start_paused = true)]
async fn anothers_creation_is_a_conflict() {
    let bucket = Arc::new(InMemory::new());
    let good = open(Arc::clone(&bucket) as _).await;
    let create: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync> = Arc::new(move || {
        let good = good.clone();
        Box::pin(async move { _ = good.compare_and_swap(None, &sample("log", 7)).await.unwrap() })
    });
    let bad = Bad::new(&bucket, move |put| match put {
        0 => Fate::FailsBeforeAnd(Arc::clone(&create)),
        _ => Fate::Well,
    });
    let register = open(bad).await;
    assert_eq!(register.compare_and_swap(None, &sample("log", 1)).await, Err(SwapError::Conflict));
    assert_eq!(register.read("log").await.unwrap().unwrap().1.epoch, Epoch(7));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_any_more_is_ambiguous() {
    for (made, fate) in [(1, Fate::AnswerLostAnd as fn(_) -> Fate), (0, Fate::FailsBeforeAnd)] {
        let (good, bad) = next_put(|good| fate(others(good, 200))).await;
        let (swapped, epoch) = change(&good, &bad).await;
        assert!(matches!(swapped, Err(SwapError::Ambiguous { .. })), "{swapped:?}");
        assert_eq!(epoch, Epoch(201 + made));
    }
}

/// What may yet arrive is never called a failure, and the answer comes within a bound that the clock keeps.
#[tokio::test(start_paused = true)]
async fn a_change_without_an_answer_is_ambiguous_in_time() {
    for fate in [Fate::Silent, Fate::FailsBefore, Fate::Late(Duration::from_hours(1))] {
        let bucket = Arc::new(InMemory::new());
        let good = open(Arc::clone(&bucket) as _).await;
        good.compare_and_swap(None, &sample("log", 1)).await.unwrap();
        let bad = open(Bad::new(&bucket, move |_| fate.clone())).await;
        let changed = tokio::time::timeout(Duration::from_mins(1), change(&good, &bad)).await.expect("in time");
        assert!(
            matches!(&changed, (Err(SwapError::Ambiguous { why }), Epoch(1)) if why.contains("register/log.log")),
            "{changed:?}"
        );
        let created = bad.compare_and_swap(None, &sample("new", 1)).await;
        assert!(matches!(created, Err(SwapError::Ambiguous { .. })), "{created:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_does_not_answer_reads_fails_in_time() {
    for fate in [Fate::Silent, Fate::FailsBefore] {
        let bucket = Arc::new(InMemory::new());
        open(Arc::clone(&bucket) as _).await.compare_and_swap(None, &sample("log", 1)).await.unwrap();
        // The probe and the marker are three gets; the record's come after them.
        let gets = move |get| if get < 4 { Fate::Well } else { fate.clone() };
        let bad = open(Bad::with_gets(&bucket, |_| Fate::Well, gets)).await;
        let read = tokio::time::timeout(Duration::from_mins(1), bad.read("log")).await.expect("in time");
        let named = |why: &str| why.contains("register/log.log") && why.contains("memory of the test");
        assert!(matches!(&read, Err(RegisterError::Failed { why, .. }) if named(why)), "{read:?}");
        let swapped = bad.compare_and_swap(None, &sample("log", 2)).await;
        assert!(matches!(&swapped, Err(SwapError::Failed(RegisterError::Failed { .. }))), "{swapped:?}");
    }
}

async fn refused(store: Arc<dyn ObjectStore>) -> String {
    match ObjectRegister::open(store, "the bucket").await {
        Err(RegisterError::Unusable { why, register }) if register == "the bucket" => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bucket_without_conditional_writes_is_refused() {
    // Puts 0 to 3 are the probe's: create, create again, replace, replace what is gone.
    for (ignored, word) in [(1, "created"), (3, "replaced")] {
        let bucket = Arc::new(InMemory::new());
        let probes = AtomicU64::new(0);
        let bad = Bad::new(&bucket, move |_| match probes.fetch_add(1, Ordering::Relaxed) {
            put if put == ignored => Fate::Unconditional,
            _ => Fate::Well,
        });
        let why = refused(bad).await;
        assert!(why.contains(word) && why.contains("conditional"), "{why}");
        let left = bucket.list_with_delimiter(Some(&Path::from("register"))).await.unwrap().objects;
        assert!(left.is_empty(), "{left:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let directory = object_store::local::LocalFileSystem::new_with_prefix(dir.path()).unwrap();
    let why = refused(Arc::new(directory)).await;
    assert!(why.contains("If-Match"), "{why}");
}

/// Pitfall 32, P13: a record that does not decode is an error and stays where it is; others are not affected.
#[tokio::test]
async fn a_corrupt_record_is_an_error_and_stays() {
    let bucket = Arc::new(InMemory::new());
    let register = open(Arc::clone(&bucket) as _).await;
    register.compare_and_swap(None, &sample("good", 1)).await.unwrap();
    let version = register.compare_and_swap(None, &sample("bad", 1)).await.unwrap();
    let at = Path::from("register/bad.log");
    let good = version.0.clone();
    let (_, json) = good.split_at(good.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    for content in [&b""[..], b"\0\0\0\0", json, &good[..good.len() - 9], &vec![b' '; 4 << 20]] {
        bucket.put(&at, content.to_vec().into()).await.unwrap();
        let read = register.read("bad").await;
        assert!(matches!(read, Err(RegisterError::Record(_) | RegisterError::Unusable { .. })), "{read:?}");
        for expected in [None, Some(&version)] {
            let swapped = register.compare_and_swap(expected, &sample("bad", 2)).await;
            assert!(matches!(swapped, Err(SwapError::Conflict | SwapError::Failed(_))), "{swapped:?}");
        }
        assert_eq!(bucket.get(&at).await.unwrap().bytes().await.unwrap(), content, "it was touched");
        assert_eq!(register.list("").await.unwrap(), ["bad", "good"]);
    }
    assert!(register.read("good").await.unwrap().is_some());
}

/// P13: a register that vanished is not an empty register, nor is one that was made anew in its place.
#[tokio::test]
async fn an_emptied_bucket_is_an_error_everywhere() {
    let bucket = Arc::new(InMemory::new());
    let register = open(Arc::clone(&bucket) as _).await;
    let version = register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    bucket.delete(&Path::from("register/quarry-register")).await.unwrap();
    assert!(matches!(register.read("log").await, Ok(Some(_))), "what is there is there");
    let why = refused(Arc::clone(&bucket) as _).await;
    assert!(why.contains("records but no"), "{why}");
    bucket.delete(&Path::from("register/log.log")).await.unwrap();
    for remade in [false, true] {
        if remade {
            open(Arc::clone(&bucket) as _).await;
        }
        let read = register.read("log").await;
        assert!(matches!(&read, Err(RegisterError::Unusable { why, .. }) if why.contains("emptied")), "{read:?}");
        let created = register.compare_and_swap(None, &sample("log", 1)).await;
        assert!(matches!(&created, Err(SwapError::Failed(RegisterError::Unusable { .. }))), "{created:?}");
        assert_eq!(register.compare_and_swap(Some(&version), &sample("log", 2)).await, Err(SwapError::Conflict));
        assert!(matches!(register.list("").await, Err(RegisterError::Unusable { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn registers_opened_together_are_one() {
    let bucket = Arc::new(InMemory::new());
    let slow = Bad::with_gets(&bucket, |_| Fate::Well, |get| Fate::Slow(Duration::from_millis(get * 7 % 5)));
    let opened = join_all((0..8).map(|_| open(Arc::clone(&slow) as _))).await;
    opened[0].compare_and_swap(None, &sample("log", 1)).await.unwrap();
    for register in &opened {
        raise_epoch(register, "log").await;
        assert_eq!(register.read("other").await, Ok(None));
    }
    assert_eq!(opened[0].read("log").await.unwrap().unwrap().1.epoch, Epoch(9));
    let left = bucket.list_with_delimiter(Some(&Path::from("register"))).await.unwrap().objects;
    assert_eq!(left.len(), 2, "the marker and one record: {left:?}");
}
