//! Tests in processes of their own: clients read credentials from the environment, which is one per process.

use super::servers::ours::SERVICE_ACCOUNT;
use super::servers::{KEY_ID, REGION, SECRET, azurite};
use std::process::Command;

/// Set in such a process.
const MARK: &str = "QUARRY_OBJECT_STORE_TEST";
/// Credentials of every kind, the right ones for every server here.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("AWS_ACCESS_KEY_ID", KEY_ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("AWS_REGION", REGION),
    ("AZURE_STORAGE_ACCOUNT_NAME", azurite::ACCOUNT),
    ("AZURE_STORAGE_ACCOUNT_KEY", azurite::KEY),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", SERVICE_ACCOUNT),
];

/// Runs `body` as the test called `test` in a process with credentials in its environment: the same program once more, asked for
/// that test alone. Vendors' variables of whoever runs the tests are not passed on.
pub(crate) fn run<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(MARK).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.expect("a runtime").block_on(body());
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    for (name, _) in std::env::vars_os() {
        let vendors = ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|vendor| name.to_string_lossy().starts_with(vendor));
        if vendors {
            command.env_remove(name);
        }
    }
    let output = command.envs(ENVIRONMENT).env(MARK, "1").output().expect("a process");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    // A name that no test has would pass by testing nothing.
    assert!(output.status.success() && said.contains("1 passed"), "{test}, in a process of its own:\n{said}");
}
