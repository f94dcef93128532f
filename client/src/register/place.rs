//! Where a register is, as the value of `register=` in a store URL.
//!
//! | value | register |
//! |---|---|
//! | `dir:/PATH` | a local directory; safe among the processes of one machine |
//! | `etcd:HOST:PORT,HOST:PORT,.../PREFIX` | etcd; `PREFIX` is what its keys begin with |
//! | `s3://BUCKET/PREFIX` and the other URLs of [`BucketPlace`] | a bucket; what belongs to it is below `PREFIX/register` |
//!
//! In a store URL the value is percent-encoded, as far as it would end there otherwise: the `?` and `&` of a bucket's URL are
//! `%3F` and `%26`.
//!
//! etcd takes options after semicolons: `;ca=/PATH` (certificates to trust; turns TLS on), `;cert=/PATH;key=/PATH` (the
//! client's own), `;user=NAME` (its password comes from `QUARRY_ETCD_PASSWORD`, never from a URL).

use super::etcd::FORM;
use super::{DirectoryRegister, EtcdPlace, EtcdRegister, ObjectRegister, Register, RegisterError};
use crate::bucket::BucketPlace;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the password of the user of an etcd register is looked for.
pub const ETCD_PASSWORD: &str = "QUARRY_ETCD_PASSWORD";

/// Where a register is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterPlace {
    /// In a local directory.
    Directory(PathBuf),
    /// In etcd.
    Etcd(EtcdPlace),
    /// In a bucket, no directory.
    Bucket(BucketPlace),
}

impl RegisterPlace {
    /// Reads the value of `register=`, no longer percent-encoded.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = format!(
            "register=dir:/PATH says where the records are, with an absolute path, or {FORM}, or a bucket's URL as in \
             s3://BUCKET/PREFIX"
        );
        let wrong = |why: String| format!("register={text:?}: {why}");
        if text.contains("://") {
            let place = BucketPlace::parse(text).map_err(wrong)?;
            // It has no way to compare and swap files.
            return match place.directory() {
                Some(path) => Err(wrong(format!("a register in a directory is written dir:{}", path.display()))),
                None => Ok(Self::Bucket(place)),
            };
        }
        match text.split_once(':') {
            Some(("dir", path)) if path.starts_with('/') => Ok(Self::Directory(PathBuf::from(path))),
            Some(("etcd", place)) => {
                EtcdPlace::parse(place).map(Self::Etcd).map_err(|why| wrong(format!("{why}; it is {FORM}")))
            }
            _ => Err(wrong(form)),
        }
    }

    /// Opens the register, or makes one there if there is none. Must be called inside a Tokio runtime.
    pub async fn open(&self) -> Result<Arc<dyn Register>, RegisterError> {
        match self {
            Self::Directory(path) => {
                let path = path.clone();
                // Opening a directory does file I/O, which stays off the runtime's threads.
                let opened = tokio::task::spawn_blocking(move || DirectoryRegister::open(&path)).await;
                let failed = |why: tokio::task::JoinError| RegisterError::Failed {
                    register: self.to_string(),
                    why: why.to_string(),
                };
                Ok(Arc::new(opened.map_err(failed)??))
            }
            Self::Etcd(place) => {
                let password = std::env::var(ETCD_PASSWORD).ok();
                Ok(Arc::new(EtcdRegister::open(place.clone(), password).await?))
            }
            Self::Bucket(place) => {
                let unusable = |why| RegisterError::Unusable { register: place.to_string(), why };
                Ok(Arc::new(ObjectRegister::open(place.open().map_err(unusable)?, &place.to_string()).await?))
            }
        }
    }
}

impl fmt::Display for RegisterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Etcd(place) => place.fmt(f),
            Self::Bucket(place) => place.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_to_the_same() {
        for text in [
            "dir:/var/lib/a b+c",
            "etcd:h:1/p",
            "etcd:a.example:2379,10.0.0.1:2379,[::1]:2379/quarry/prod",
            "etcd:h:1/p;ca=/c a;cert=/d=e;key=/k;user=me",
            "s3://bucket",
            "s3://bucket/p%20q?endpoint=http://127.0.0.1:9000&region=r",
            "s3express://a--z1--x-s3/p",
            "az://container/p?account=x",
            "gs://bucket/p",
        ] {
            let place = RegisterPlace::parse(text).unwrap();
            assert_eq!(place.to_string(), text);
        }
        let options = "etcd:h:1/p;user=me;key=/k;ca=/ca;cert=/c";
        let expected = EtcdPlace {
            endpoints: vec!["h:1".to_owned()],
            prefix: "p".to_owned(),
            ca: Some("/ca".into()),
            identity: Some(("/c".into(), "/k".into())),
            user: Some("me".to_owned()),
        };
        assert_eq!(RegisterPlace::parse(options), Ok(RegisterPlace::Etcd(expected)));
    }

    #[test]
    fn every_mistake_is_named() {
        for (text, word) in [
            ("", "dir:/PATH"),
            ("/r", "dir:/PATH"),
            ("zookeeper:h:1/p", "etcd:HOST:PORT"),
            ("dir:relative", "absolute"),
            ("file:///r", "dir:/r"),
            ("s3:bucket", "s3://BUCKET"),
            ("s3://", "names no bucket"),
            ("s3://b?color=c", "color"),
            ("ftp://b", "ftp"),
            ("etcd:h:1", "PREFIX"),
            ("etcd:h:1/", "prefix"),
            ("etcd:h:1//p", "prefix"),
            ("etcd:h:1/p/", "prefix"),
            ("etcd:h/p", "port"),
            ("etcd:/p", "host"),
            ("etcd:h:1,/p", "HOST:PORT"),
            ("etcd:h:1,h:1/p", "twice"),
            ("etcd:me@h:1/p", "user=NAME"),
            ("etcd:h:1?x/p", "host and a port"),
            ("etcd:h:1/p;tls", "NAME=VALUE"),
            ("etcd:h:1/p;cacert=/c", "cacert"),
            ("etcd:h:1/p;ca=c", "absolute"),
            ("etcd:h:1/p;ca=/c;ca=/c", "twice"),
            ("etcd:h:1/p;ca=/c;cert=/c", "together"),
            ("etcd:h:1/p;cert=/c;key=/k", "ca=/PATH"),
            ("etcd:h:1/p;user=", "empty"),
            ("etcd:h:1/p;user=a;password=b", ETCD_PASSWORD),
        ] {
            match RegisterPlace::parse(text) {
                Err(why) => assert!(why.contains(word), "{text}: {why}"),
                Ok(place) => panic!("{text}: {place:?}"),
            }
        }
    }
}
