//! A file system that really fills, although the node was promised more.

use crate::client::{Answer, Client, SEGMENT, log, payload};
use crate::running::{CLUSTER, FILE_BYTES, directory, options, try_start};
use quarry_protocol::ids::{ChunkSeq, Epoch, RecordNumber};
use quarry_protocol::message::{Refusal, Reply, Request};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Size of the small file system.
const DISK_BYTES: u64 = 160 << 20;
const CHUNK_BYTES: usize = 1 << 20;
/// Set in the child that has a small file system mounted at this path.
const MOUNTED: &str = "QUARRY_TEST_SMALL_FILE_SYSTEM";

/// A loop mount, undone when dropped.
struct LoopMount(PathBuf);

impl Drop for LoopMount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "could not unmount {}", self.0.display());
    }
}

/// Runs a command; what it printed, or what it complained about.
fn succeeds(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|why| format!("{command:?}: {why}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn loop_mount(below: &Path) -> Result<LoopMount, String> {
    let (image, mount) = (below.join("image"), below.join("mount"));
    std::fs::create_dir(&mount).expect("created");
    std::fs::File::create(&image).and_then(|image| image.set_len(DISK_BYTES)).expect("created");
    succeeds(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
    succeeds(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount))?;
    Ok(LoopMount(mount))
}

/// Runs this very test in a user namespace of its own, on a small file system in memory.
fn in_user_namespace(mount: &Path) -> Result<(), String> {
    let script = format!(
        "mount -t tmpfs -o size={DISK_BYTES} none \"$0\" && exec \"$1\" --exact full::a_full_file_system_refuses_puts_and_recovers"
    );
    let test = std::env::current_exe().expect("this test");
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(mount)
        .arg(test)
        .env(MOUNTED, mount);
    let said = succeeds(&mut command)?;
    assert!(said.contains("1 passed"), "the child ran nothing: {said}");
    Ok(())
}

/// D6, D7, pitfall 29: no space for another chunk file is no failure of the disk. Puts are refused, everything else goes
/// on, and service resumes by itself.
#[test]
fn a_full_file_system_refuses_puts_and_recovers() {
    if let Some(mounted) = std::env::var_os(MOUNTED) {
        return fill_and_recover(Path::new(&mounted));
    }
    let directory = directory();
    match loop_mount(directory.path()) {
        Ok(mounted) => fill_and_recover(&mounted.0),
        Err(why) => {
            eprintln!("loop mounts are not permitted here ({why}): a file system in memory is filled instead");
            if let Err(why) = in_user_namespace(&directory.path().join("mount")) {
                eprintln!(
                    "NOT TESTED: a full file system. Neither loop mounts nor user namespaces are permitted: {why}"
                );
            }
        }
    }
}

fn fill_and_recover(mount: &Path) {
    let data = mount.join("data");
    let promised = quarry_node::FormatOptions { capacity_bytes: Some(64 * FILE_BYTES), ..options(&data) };
    quarry_node::format(&promised, |_, _| ()).expect("formatted");
    let node = try_start(&data).expect("started");
    let mut client = Client::connect(node.addresses().shards[0], CLUSTER);
    let stored = fill(&mut client);
    assert!(stored * CHUNK_BYTES as u64 > 2 * FILE_BYTES, "full after {stored} chunks");
    assert!(stored * (CHUNK_BYTES as u64) < DISK_BYTES, "{stored} chunks on a disk of {DISK_BYTES} bytes");

    // Reads and control records go on.
    assert!(!client.read(log(1), SEGMENT, stored - 1, 1).0.is_empty());
    let fenced = client.ask(&Request::Fence { log: log(2), epoch: Epoch(9), segments: vec![] });
    assert!(matches!(fenced, Reply::Fenced { .. }), "{fenced:?}");

    // A trim makes room, and service resumes by itself.
    let floor = ChunkSeq(stored - 2);
    assert_eq!(client.ask(&Request::Trim { log: log(1), word: RecordNumber(1), floor }), Reply::Trimmed { floor });
    let resumed = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        client.put(log(1), SEGMENT, stored, &payload(stored, CHUNK_BYTES));
        matches!(client.answer(), Answer::Stored(_))
    });
    assert!(resumed, "puts are refused although all but two chunks were trimmed");

    node.stop();
    node.wait();
    let node = try_start(&data).expect("started again");
    let mut client = Client::connect(node.addresses().shards[0], CLUSTER);
    let (chunks, _) = client.read(log(1), SEGMENT, stored - 2, 3);
    assert_eq!(chunks.iter().map(|(header, _)| header.seq.0).collect::<Vec<_>>(), [stored - 2, stored - 1, stored]);
    node.stop();
    node.wait();
}

/// Puts until the node says that it is full; how many chunks it took.
fn fill(client: &mut Client) -> u64 {
    for seq in 0..2 * DISK_BYTES / CHUNK_BYTES as u64 {
        client.put(log(1), SEGMENT, seq, &payload(seq, CHUNK_BYTES));
        match client.answer() {
            Answer::Stored(_) => {}
            Answer::Reply(_, Reply::Refused(Refusal::Full { live_bytes, capacity_bytes })) => {
                assert!(
                    capacity_bytes < DISK_BYTES,
                    "{live_bytes} of {capacity_bytes} on a disk of {DISK_BYTES} bytes"
                );
                return seq;
            }
            other => panic!("put {seq} was answered with {other:?}"),
        }
    }
    panic!("the file system never fills");
}
