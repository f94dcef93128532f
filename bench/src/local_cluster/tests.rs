use super::*;
use quarry_client::register::RegisterPlace;
use quarry_client::store_url::StorePlace;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, PoisonError};

/// A stand-in for the `quarry` binary, so that process handling is tested without a node.
fn stand_in(dir: &Path, start: &str) -> PathBuf {
    let path = dir.join("stand-in");
    let script =
        format!("#!/bin/sh\nif [ $1 = format ]; then mkdir \"$3\" && touch \"$3/superblock\"; exit; fi\n{start}\n");
    fs::write(&path, script).expect("write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make executable");
    path
}

fn plan(dir: &Path, start: &str) -> LocalClusterPlan {
    LocalClusterPlan {
        binary: stand_in(dir, start),
        dir: dir.join("a cluster"),
        nodes: 2,
        zones: 2,
        advertised: vec![],
        cluster: "test".into(),
        format_arguments: vec![],
        start_arguments: vec![],
        gossip: false,
    }
}

/// Each node at an address of its own.
const SERVES: &str = r#"case "$*" in *node-2*) a=7003 c=7004;; *) a=7001 c=7002;; esac
echo '{"event":"ready","advertise":"127.0.0.1:'$a'","control":"127.0.0.1:'$c'"}'; exec sleep 1000"#;

/// One test at a time: a script that is being written while another test forks cannot be executed (ETXTBSY).
static ALONE: Mutex<()> = Mutex::new(());

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
}

#[test]
fn nodes_are_started_killed_restarted_and_named_in_the_url() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().expect("temporary directory");
    run(async {
        let mut cluster = LocalCluster::start(plan(dir.path(), SERVES)).await.expect("starts");
        let url = cluster.url();
        let starts = url.starts_with("quarry://127.0.0.1:7001,127.0.0.1:7003/test-");
        assert!(starts && url.contains("?register=dir:/"), "{url}");
        let parsed = StoreUrl::parse(&url).expect("parses");
        assert_eq!(parsed.quorum.replicas(), 2, "as many as there are nodes: {url}");
        let StorePlace::Nodes { register: RegisterPlace::Directory(register), .. } = parsed.place else {
            panic!("{url}")
        };
        assert!(register.ends_with("a cluster/register"), "{url}");
        assert_eq!(cluster.nodes()[1].control(), Some("127.0.0.1:7004"));
        let before = cluster.nodes()[0].process_id().expect("runs");
        assert!(!cluster.kill(0).await.expect("is killed").success());
        assert_eq!(cluster.nodes()[0].process_id(), None);
        cluster.restart(0).await.expect("starts again");
        assert_ne!(cluster.nodes()[0].process_id(), Some(before));
        assert!(cluster.nodes()[0].start_command().contains(&"127.0.0.1:7001".to_owned()), "the address is kept");
    });
}

#[test]
fn a_node_that_ends_is_told_apart_and_its_last_words_are_quoted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().expect("temporary directory");
    run(async {
        let failed = LocalCluster::start(plan(dir.path(), "echo the disk is gone >&2; exit 3")).await;
        let why = failed.expect_err("does not serve").to_string();
        assert!(why.contains("exit status: 3") && why.contains("the disk is gone"), "{why}");
    });
}

#[test]
fn a_node_that_ends_by_itself_is_noticed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().expect("temporary directory");
    run(async {
        let start = SERVES.replace("exec sleep 1000", "sleep 0.1; exit 7");
        let mut cluster = LocalCluster::start(plan(dir.path(), &start)).await.expect("starts");
        let (_, status) = cluster.ended().await;
        assert_eq!(status.code(), Some(7));
    });
}
