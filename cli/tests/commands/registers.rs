//! What users are told when the register is not as it should be. A register that vanished is never taken for an empty one:
//! every log would seem never to have been.

use crate::process::Dev;
use crate::running::{Ran, quarry, quarry_fed, text};

/// Every command that looks a log up.
fn lookups(url: &str) -> Vec<Ran> {
    let on = |arguments: &[&str]| quarry_fed(&[arguments, &["--store", url]].concat(), b"more");
    vec![
        on(&["log", "append", "r"]),
        on(&["log", "append", "r", "--must-exist"]),
        on(&["log", "read", "r"]),
        on(&["log", "tail", "r"]),
        on(&["log", "trim", "r", "--below", "1"]),
        on(&["log", "inspect", "r"]),
        on(&["log", "rm", "r"]),
    ]
}

#[test]
fn a_corrupt_record_is_an_error_and_is_left_as_it_is() {
    let dev = Dev::start(1);
    quarry_fed(&["log", "append", "r", "--store", &dev.url], b"bytes").ends_with(0);
    let record = dev.register().join("logs/r.log");
    let good = std::fs::read(&record).expect("a record");
    for bad in [&b"not a record"[..], b"", &good[..good.len() / 2]] {
        std::fs::write(&record, bad).expect("written");
        for ran in lookups(&dev.url) {
            ran.refuses(2, &["log \"r\"", "record"]);
        }
        let status = quarry(&["status", "--store", &dev.url]).ends_with(2);
        assert!(status.out().starts_with("UNAVAILABLE") && status.out().contains("\"r\""), "{}", status.out());
        assert_eq!(std::fs::read(&record).expect("a record"), bad, "it was left as it is");
        quarry(&["log", "ls", "--store", &dev.url]).ends_with(0);
    }
    std::fs::write(&record, &good).expect("written");
    assert_eq!(quarry(&["log", "read", "r", "--store", &dev.url]).ends_with(0).stdout, b"bytes");
}

#[test]
fn a_register_that_vanished_is_not_made_again() {
    let dev = Dev::start(1);
    quarry_fed(&["log", "append", "r", "--store", &dev.url], b"bytes").ends_with(0);
    let (register, away) = (dev.register(), dev.dir.path().join("away"));
    std::fs::rename(&register, &away).expect("moved");
    let mut refused = lookups(&dev.url);
    refused.push(quarry(&["log", "ls", "--store", &dev.url]));
    for ran in refused {
        ran.refuses(2, &[text(&register), "is not there: mount or restore it"]);
    }
    let status = quarry(&["status", "--store", &dev.url]).ends_with(2);
    assert!(status.out().contains("is not there: mount or restore it"), "{}", status.out());
    assert!(!register.exists(), "nothing made it again");
    std::fs::rename(&away, &register).expect("moved back");

    for part in ["quarry-register", "logs"] {
        std::fs::rename(register.join(part), &away).expect("moved");
        for ran in lookups(&dev.url) {
            ran.refuses(2, &[text(&register), "restore"]);
        }
        std::fs::rename(&away, register.join(part)).expect("moved back");
    }
    assert_eq!(quarry(&["log", "read", "r", "--store", &dev.url]).ends_with(0).stdout, b"bytes");
}

#[test]
fn another_directory_is_no_register() {
    let dev = Dev::start(1);
    let url = format!("{}&", dev.url).replace("/register&", "&");
    let url = url.trim_end_matches('&');
    quarry(&["log", "ls", "--store", url]).refuses(2, &["no quarry-register file", "name an empty directory"]);
}
