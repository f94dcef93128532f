//! Where a bucket is: the part of a store URL that names one, and the address that a record gives to a replica in it.
//!
//! ```text
//! s3express://NAME--ZONE--x-s3[/PREFIX]    one directory bucket of S3 Express One Zone
//! s3://BUCKET[/PREFIX]                     a bucket of S3, or of a store that speaks its language
//! az://CONTAINER[/PREFIX]                  a container of Azure Blob Storage
//! gs://BUCKET[/PREFIX]                     a bucket of Google Cloud Storage
//! file:///DIRECTORY                        a directory that is there already
//! ```
//! Three parameters belong to the place: `endpoint` (another server than the vendor's), `region`, and `account` (Azure).
//! Credentials do not: they come from the environment, as the vendor's own tools read them.

use quarry_protocol::limits::{ADDRESS_BYTES_MAX, ZONE_BYTES_MAX};
use std::fmt;
use std::path::PathBuf;
use url::form_urlencoded::byte_serialize;

/// What a bucket's name ends with, after its zone, if it is a directory bucket.
const DIRECTORY_BUCKET: &str = "--x-s3";

/// Which kind of store a bucket is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BucketKind {
    /// S3 Express One Zone.
    S3Express,
    /// S3, or a store that speaks its language.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
    /// A directory.
    Directory,
}

impl BucketKind {
    /// The kind that a URL's scheme names.
    #[must_use]
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        [Self::S3Express, Self::S3, Self::Azure, Self::Google, Self::Directory]
            .into_iter()
            .find(|kind| kind.scheme() == scheme)
    }

    /// How its URLs begin.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3Express => "s3express",
            Self::S3 => "s3",
            Self::Azure => "az",
            Self::Google => "gs",
            Self::Directory => "file",
        }
    }
}

/// Where one bucket is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketPlace {
    /// In which kind of store.
    pub kind: BucketKind,
    /// The bucket or container; empty for a directory.
    pub bucket: String,
    /// What its objects' names begin with, without slashes at its ends; or the directory's path, without its first slash.
    pub prefix: String,
    /// The server, if it is not the vendor's own.
    pub endpoint: Option<String>,
    /// The region, if it is not left to the environment.
    pub region: Option<String>,
    /// Azure's storage account, if it is not left to the environment.
    pub account: Option<String>,
}

/// The parameters of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceParameters {
    /// `endpoint`.
    pub endpoint: Option<String>,
    /// `region`.
    pub region: Option<String>,
    /// `account`.
    pub account: Option<String>,
}

impl BucketPlace {
    /// A place from the parts of a URL: the bucket's name and the path, decoded. The error names the fix.
    pub fn new(kind: BucketKind, bucket: &str, path: &str, parameters: PlaceParameters) -> Result<Self, String> {
        let place = Self {
            kind,
            bucket: bucket.to_owned(),
            prefix: path.trim_matches('/').to_owned(),
            endpoint: parameters.endpoint,
            region: parameters.region,
            account: parameters.account,
        };
        place.check()?;
        Ok(place)
    }

    /// Reads the URL of one bucket, as [`fmt::Display`] writes it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("{url:?} is not the URL of a bucket"))?;
        let kind = BucketKind::of_scheme(scheme).ok_or_else(|| {
            format!(
                "{scheme}:// is not a kind of bucket: it is s3express, s3, az, gs or file, as in s3://BUCKET/PREFIX"
            )
        })?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
        let mut parameters = PlaceParameters::default();
        for (key, value) in url::form_urlencoded::parse(query.replace('+', "%2B").as_bytes()) {
            let slot = match &*key {
                "endpoint" => &mut parameters.endpoint,
                "region" => &mut parameters.region,
                "account" => &mut parameters.account,
                _ => {
                    return Err(format!(
                        "{url:?}: a bucket has no parameter {key:?}, it has endpoint, region, account"
                    ));
                }
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(format!("{url:?}: {key} is given twice"));
            }
        }
        Self::new(kind, bucket, &decode(path), parameters)
    }

    /// Whether `address`, of a replica, is that of a bucket; else it is a node's.
    #[must_use]
    pub fn is_address(address: &str) -> bool {
        address.contains("://")
    }

    fn check(&self) -> Result<(), String> {
        let (scheme, bucket) = (self.kind.scheme(), &self.bucket);
        let is_zonal = self.availability_zone().is_some();
        match self.kind {
            BucketKind::Directory if !bucket.is_empty() || self.prefix.is_empty() => {
                return Err("a directory is named by its absolute path, as in file:///var/lib/quarry".to_owned());
            }
            BucketKind::Directory => {}
            _ if bucket.is_empty() => return Err(format!("{scheme}:// names no bucket: {scheme}://BUCKET/PREFIX")),
            _ if bucket.contains(|c: char| !(c.is_ascii_alphanumeric() || "-._$".contains(c))) => {
                return Err(format!("{scheme}://{bucket}: a bucket's name has letters, digits, '-', '.' and '_' only"));
            }
            BucketKind::S3Express if !is_zonal => {
                return Err(format!(
                    "{bucket:?} is not a directory bucket: their names end with --ZONE{DIRECTORY_BUCKET}; write s3://{bucket} for a \
                     bucket of S3 Standard"
                ));
            }
            BucketKind::S3 if is_zonal => {
                return Err(format!("{bucket:?} is a directory bucket: write s3express://{bucket}"));
            }
            _ => {}
        }
        let parameters = [("endpoint", &self.endpoint), ("region", &self.region)];
        if let Some((key, _)) = parameters.iter().find(|(_, value)| value.is_some())
            && self.kind == BucketKind::Directory
        {
            return Err(format!("a directory has no {key}"));
        }
        if self.account.is_some() && self.kind != BucketKind::Azure {
            return Err(format!("{scheme}:// has no account, only az:// has"));
        }
        let clear = |part: &String| part.split('/').any(|part| part.is_empty() || part == "." || part == "..");
        if !self.prefix.is_empty() && clear(&self.prefix) {
            return Err(format!("prefix {:?} has an empty part, \".\" or \"..\"", self.prefix));
        }
        let address = self.to_string();
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(format!(
                "{address} is {} bytes long, {ADDRESS_BYTES_MAX} is the most: records hold it",
                address.len()
            ));
        }
        Ok(())
    }

    /// The zone that a directory bucket's name tells.
    #[must_use]
    pub fn availability_zone(&self) -> Option<&str> {
        self.bucket
            .strip_suffix(DIRECTORY_BUCKET)?
            .rsplit_once("--")
            .map(|(_, zone)| zone)
            .filter(|zone| !zone.is_empty())
    }

    /// The failure domain: the availability zone of a directory bucket; else the bucket itself.
    #[must_use]
    pub fn zone(&self) -> String {
        let mut zone = match self.availability_zone() {
            Some(zone) if self.kind == BucketKind::S3Express => zone.to_owned(),
            _ if self.kind == BucketKind::Directory => format!("/{}", self.prefix),
            _ => format!("{}:{}", self.kind.scheme(), self.bucket),
        };
        // The end tells more: long paths begin alike.
        while zone.len() > ZONE_BYTES_MAX {
            zone.remove(0);
        }
        zone
    }

    /// The directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<PathBuf> {
        (self.kind == BucketKind::Directory).then(|| PathBuf::from(format!("/{}", self.prefix)))
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.scheme(), self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", encode(&self.prefix))?;
        }
        let mut separator = '?';
        for (key, value) in [("endpoint", &self.endpoint), ("region", &self.region), ("account", &self.account)] {
            if let Some(value) = value {
                write!(f, "{separator}{key}={}", encode(value))?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// Percent-encodes what is not a letter, a digit or one of `*-._/:`.
pub(crate) fn encode(text: &str) -> String {
    let encoded: String = byte_serialize(text.as_bytes()).map(|part| part.replace('+', "%20")).collect();
    encoded.replace("%2F", "/").replace("%3A", ":")
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> String {
    // As the value of a form's only field, with what would end it protected.
    let field = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(field.as_bytes()).next().map(|(key, _)| key.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_to_the_same() {
        for url in [
            "s3://bucket",
            "s3://bucket/a/b?endpoint=http://127.0.0.1:9000&region=eu-1",
            "s3express://logs--use1-az4--x-s3/p",
            "az://container/p?account=devstoreaccount1",
            "gs://bucket/a%20b%2Cc",
            "file:///var/lib/a%20b",
        ] {
            let place = BucketPlace::parse(url).unwrap_or_else(|why| panic!("{url}: {why}"));
            assert_eq!(place.to_string(), url);
            assert!(BucketPlace::is_address(url));
        }
        assert!(!BucketPlace::is_address("10.0.0.1:7000"));
    }

    #[test]
    fn zones_are_the_failure_domains() {
        let zone = |url: &str| BucketPlace::parse(url).expect("parses").zone();
        assert_eq!(zone("s3express://logs--use1-az4--x-s3"), "use1-az4");
        assert_eq!(zone("s3://bucket/a"), "s3:bucket");
        assert_eq!(zone("file:///a/b"), "/a/b");
        let long = zone(&format!("file:///{}", "0123456789".repeat(12)));
        assert!(long.len() == ZONE_BYTES_MAX && long.ends_with("789"), "{long}");
    }

    #[test]
    fn every_mistake_is_named() {
        let long = format!("s3://bucket/{}", "p".repeat(250));
        for (url, word) in [
            ("bucket", "not the URL"),
            ("ftp://a", "s3://BUCKET"),
            ("s3://", "names no bucket"),
            ("s3://a b", "letters"),
            ("s3express://plain", "write s3://plain"),
            ("s3://logs--use1-az4--x-s3", "write s3express://"),
            ("file://host/a", "absolute path"),
            ("file:///", "absolute path"),
            ("file:///a?region=b", "no region"),
            ("s3://a/b//c", "empty part"),
            ("s3://a/../c", ".."),
            ("s3://a?account=b", "only az://"),
            ("s3://a?color=b", "color"),
            ("s3://a?region=b&region=c", "twice"),
            (&long, "262 bytes"),
        ] {
            let why = BucketPlace::parse(url).expect_err(url);
            assert!(why.contains(word), "{url}: {why}");
        }
    }
}
