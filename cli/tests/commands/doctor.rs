//! `quarry doctor`.

use crate::running::{directory, has_fields, quarry, text};

const CODES: [&str; 11] = [
    "IO_URING",
    "MEMLOCK",
    "NOFILE",
    "KERNEL",
    "FILE_SYSTEM",
    "DIRECT_IO",
    "SPACE",
    "ALIGNMENT",
    "WRITE_CACHE",
    "SCHEDULER",
    "ROTATIONAL",
];

/// How fit the machine of whoever runs this is, is not for a test to say; that the code follows from the verdict is.
#[test]
fn every_check_has_a_code_and_the_exit_code_is_the_worst_of_them() {
    let dir = directory();
    let data = dir.path().join("not made yet");
    let ran = quarry(&["doctor", "--data", text(&data), "--json"]);
    let value = ran.json();
    has_fields(&value, &["data", "examined", "verdict", "disk", "checks"]);
    assert_eq!(value["examined"], text(dir.path()));
    let checks = value["checks"].as_array().expect("checks");
    let codes: Vec<_> = checks.iter().map(|check| check["code"].as_str().expect("a code")).collect();
    assert_eq!(codes, CODES);
    for check in checks {
        has_fields(check, &["check", "current", "wanted", "severity", "fix"]);
        assert!(check["severity"] == "ok" || check["fix"] != "", "what is not ok has a fix: {check}");
    }
    let code = match value["verdict"].as_str().expect("a verdict") {
        "ok" => 0,
        "unknown" | "warning" => 1,
        "bad" => 2,
        other => panic!("verdict {other}"),
    };
    let ran = quarry(&["doctor", "--data", text(&data)]).ends_with(code);
    for code in CODES {
        assert!(ran.out().lines().any(|line| line.split_whitespace().next() == Some(code)), "{code}: {}", ran.out());
    }
    assert!(!data.exists(), "looking makes nothing");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0, "the probe cleans up");
}

#[test]
fn what_is_not_a_disk_is_bad() {
    let ran = quarry(&["doctor", "--data", "/proc"]).ends_with(2);
    assert!(ran.out().starts_with("/proc: NOT fit for a storage node"), "{}", ran.out());
}
