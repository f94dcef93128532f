//! `result.json`: written whole or not at all, read only if it is understood whole.

use super::{BenchResult, SCHEMA};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Longest file that is read: more than thousands of cases take.
pub const RESULT_BYTES_MAX: u64 = 1 << 30;

/// Why a result could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ResultFileError {
    /// The file itself.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is too long to be one.
    #[error("{}: longer than {RESULT_BYTES_MAX} bytes: no result of `quarry bench`", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// It is not of this version's schema.
    #[error("{}: its schema is {found}, and this version reads {SCHEMA:?} only: read it with the version of quarry that wrote it, \
             or measure again", path.display())]
    Schema {
        /// Which file.
        path: PathBuf,
        /// What it says, `missing` if nothing.
        found: String,
    },
    /// It says that it is of this schema, but it is not.
    #[error("{}: not as schema {SCHEMA:?} has it: {why}: a field of another version, or a damaged file", path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// What does not fit, and where.
        why: String,
    },
    /// What was to be written would not be read back as it is. It is kept beside, so that nothing measured is lost.
    #[error("the result cannot be read back as it is ({why}): it was kept as {}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
}

/// Only what says whether the rest can be understood.
#[derive(Deserialize)]
struct Opening {
    #[serde(default)]
    schema: Value,
}

impl BenchResult {
    /// Reads a file. One of another schema, with a field that this version does not know, or that contradicts itself, is refused.
    pub fn read(path: &Path) -> Result<Self, ResultFileError> {
        let io = |source| ResultFileError::Io { path: path.to_owned(), source };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(RESULT_BYTES_MAX + 1).read_to_string(&mut text));
        if read.map_err(io)? as u64 > RESULT_BYTES_MAX {
            return Err(ResultFileError::TooLong { path: path.to_owned() });
        }
        let shape = |why: String| ResultFileError::Shape { path: path.to_owned(), why };
        let opening: Opening = serde_json::from_str(&text).map_err(|why| shape(why.to_string()))?;
        if opening.schema.as_str() != Some(SCHEMA) {
            let found = if opening.schema.is_null() { "missing".to_owned() } else { opening.schema.to_string() };
            return Err(ResultFileError::Schema { path: path.to_owned(), found });
        }
        let result = Self::parse(&text).map_err(shape)?;
        Ok(result)
    }

    /// Writes the file in one step: whoever looks meanwhile sees the old one or the new one, also after a crash.
    pub fn write(&self, path: &Path) -> Result<(), ResultFileError> {
        let text = serde_json::to_string(self).expect("strings as keys, nothing else can fail");
        let readable = match Self::parse(&text) {
            Ok(back) if back == *self => Ok(()),
            Ok(_) => Err("figures change on the way".to_owned()),
            Err(why) => Err(why),
        };
        let place = if readable.is_ok() { path.to_owned() } else { beside(path, "unreadable") };
        write_in_one_step(&place, text.as_bytes())
            .map_err(|source| ResultFileError::Io { path: place.clone(), source })?;
        readable.map_err(|why| ResultFileError::Unreadable { path: place, why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let result: Self = serde_json::from_str(text).map_err(|why| why.to_string())?;
        result.check()?;
        Ok(result)
    }

    /// What the types cannot say.
    fn check(&self) -> Result<(), String> {
        let once = |what: &str, names: Vec<&str>| {
            let mut seen = BTreeSet::new();
            names
                .into_iter()
                .find(|name| !seen.insert(*name))
                .map_or(Ok(()), |name| Err(format!("two {what} are called {name:?}")))
        };
        once("targets", self.targets.iter().map(|target| target.name.as_str()).collect())?;
        once("cases", self.cases.iter().map(|case| case.name.as_str()).collect())?;
        for case in &self.cases {
            let mut seen = BTreeSet::new();
            for target in &case.targets {
                let (index, count) = (target.target, self.targets.len());
                if index >= count {
                    return Err(format!("case {:?} names target {index}, of {count} counted from 0", case.name));
                }
                if !seen.insert((index, target.chunk_bytes)) {
                    return Err(format!("case {:?} has target {index} twice with the same chunk size", case.name));
                }
            }
        }
        Ok(())
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

/// Writes `bytes` beside `path`, makes them durable, and then gives them the name.
pub fn write_in_one_step(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = beside(path, "part");
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(why) = written.and_then(|()| fs::rename(&part, path)) {
        // What is left of the attempt says nothing that the error does not.
        let _ = fs::remove_file(&part);
        return Err(why);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
