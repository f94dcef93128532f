//! A name for a local cluster that no other has.
//!
//! Local clusters come and go on one machine, and take each other's ports: the port of a node that was killed is soon
//! another cluster's. A client must not take that node for one of its own.

use super::NodeError;
use std::fs;
use std::io;
use std::path::Path;

/// The name of the cluster in `dir`: `base` and four random bytes, drawn once and kept there.
pub(super) fn of_directory(dir: &Path, base: &str) -> Result<String, NodeError> {
    let path = dir.join("cluster.name");
    let failed = |source| NodeError::Directory { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(name) => return Ok(name.trim_end().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let random = getrandom::u32().map_err(|why| failed(io::Error::other(why)))?;
    let name = format!("{base}-{random:08x}");
    // Under another name first: half a name would be there for ever.
    let new = dir.join("cluster.name.new");
    fs::write(&new, format!("{name}\n")).and_then(|()| fs::rename(&new, &path)).map_err(failed)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_name_and_no_other_has_it() {
        let (one, other) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
        let name = of_directory(one.path(), "dev").expect("is named");
        assert!(name.starts_with("dev-"), "{name}");
        assert_eq!(of_directory(one.path(), "dev").expect("is named"), name);
        assert_ne!(of_directory(other.path(), "dev").expect("is named"), name);
        fs::create_dir(other.path().join("cluster.name.new")).expect("is made");
        fs::remove_file(other.path().join("cluster.name")).expect("is removed");
        let failed = of_directory(other.path(), "dev").expect_err("cannot be kept").to_string();
        assert!(failed.contains("cluster.name"), "{failed}");
    }
}
