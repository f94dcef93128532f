//! How a store is named.
//!
//! ```text
//! quarry://HOST:PORT,HOST:PORT,.../CLUSTER?register=dir:/PATH     storage nodes
//! memory://NAME                                                   this process's memory
//! ```
//! | parameter | meaning | default |
//! |---|---|---|
//! | `register` | where the records are; `dir:` and an absolute path (nodes only) | none, it must be given |
//! | `replicas` | how many replicas a new segment has | 3 |
//! | `ack` | how many of them must have stored a chunk | the majority |
//! | `window_chunks` | most chunks in flight | 256 |
//! | `window_bytes` | most payload bytes in flight | 32 MiB |
//!
//! A parameter that is not in the table, or is given twice, is refused: a misspelt one must not be silently without effect.

use crate::error::ConnectError;
use quarry_protocol::limits::{
    WINDOW_BYTES_DEFAULT, WINDOW_BYTES_MAX, WINDOW_CHUNKS_DEFAULT, WINDOW_CHUNKS_MAX, ZONE_BYTES_MAX,
};
use quarry_protocol::quorum::Quorum;
use quarry_protocol::record::Window;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::Url;
use url::form_urlencoded::{byte_serialize, parse};

/// Replicas of a store whose URL does not say.
const REPLICAS_DEFAULT: usize = 3;

/// A parsed store URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    /// Where the store is.
    pub place: StorePlace,
    /// Quorum of segments whose opener does not ask for another.
    pub quorum: Quorum,
    /// Window of segments whose opener does not ask for another.
    pub window: Window,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// Storage nodes.
    Nodes {
        /// Each node's `host:port`.
        nodes: Vec<String>,
        /// The cluster's name.
        cluster: String,
        /// The directory of the register.
        register: PathBuf,
    },
    /// This process's memory.
    Memory {
        /// Which of the process's stores.
        name: String,
    },
}

impl StoreUrl {
    /// Reads a store URL.
    pub fn parse(url: &str) -> Result<Self, ConnectError> {
        Self::read(url).map_err(|why| ConnectError::BadUrl { url: url.to_owned(), why })
    }

    /// The URL of storage nodes with every other parameter at its default.
    #[must_use]
    pub fn of_nodes(nodes: Vec<String>, cluster: &str, register: &Path) -> Self {
        let place = StorePlace::Nodes { nodes, cluster: cluster.to_owned(), register: register.to_owned() };
        let quorum = Quorum::majority(REPLICAS_DEFAULT).expect("the default is valid");
        Self { place, quorum, window: Window { chunks: WINDOW_CHUNKS_DEFAULT, bytes: WINDOW_BYTES_DEFAULT } }
    }

    fn read(url: &str) -> Result<Self, String> {
        let forms = "it is quarry://HOST:PORT,.../CLUSTER?register=dir:/PATH or memory://NAME";
        let Some((scheme, rest)) = url.split_once("://") else { return Err(forms.to_owned()) };
        // The rules for one host do not fit a list of hosts, so the list is taken out before the rest is parsed.
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let parsed = Url::parse(&format!("quarry://authority{rest}")).map_err(|why| why.to_string())?;
        if parsed.fragment().is_some() {
            return Err("it has no #fragment; write # in a path as %23".to_owned());
        }
        let mut parameters = Parameters::read(parsed.query().unwrap_or(""))?;
        let path = decode(parsed.path().trim_matches('/'));
        let place = match scheme {
            "quarry" => StorePlace::Nodes {
                nodes: nodes_of(authority)?,
                cluster: cluster_of(path)?,
                register: register_of(parameters.take("register"))?,
            },
            "memory" if authority.is_empty() || !path.is_empty() => {
                return Err("a memory store is memory://NAME".to_owned());
            }
            "memory" => StorePlace::Memory { name: decode(authority) },
            _ => return Err(format!("{scheme}:// is not a kind of store this build knows: {forms}")),
        };
        let quorum = quorum_of(&mut parameters)?;
        let window = window_of(&mut parameters)?;
        parameters.finish()?;
        Ok(Self { place, quorum, window })
    }
}

impl FromStr for StoreUrl {
    type Err = ConnectError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Self::parse(url)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            StorePlace::Nodes { nodes, cluster, register } => {
                let register = encode(&register.to_string_lossy()).replace("%2F", "/");
                write!(f, "quarry://{}/{}?register=dir:{register}", nodes.join(","), encode(cluster))?;
            }
            StorePlace::Memory { name } => write!(f, "memory://{}", encode(name))?,
        }
        let mut separator = if matches!(self.place, StorePlace::Memory { .. }) { '?' } else { '&' };
        let (replicas, ack) = (self.quorum.replicas(), self.quorum.ack());
        let majority = Quorum::majority(replicas) == Ok(self.quorum);
        for (key, value, is_default) in [
            ("replicas", replicas as u64, replicas == REPLICAS_DEFAULT),
            ("ack", ack as u64, majority),
            ("window_chunks", u64::from(self.window.chunks), self.window.chunks == WINDOW_CHUNKS_DEFAULT),
            ("window_bytes", self.window.bytes, self.window.bytes == WINDOW_BYTES_DEFAULT),
        ] {
            if !is_default {
                write!(f, "{separator}{key}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// The parameters that were not looked at yet.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: &str) -> Result<Self, String> {
        // A plus sign is a plus sign here, not a space as in forms: paths have them.
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (key, value) in parse(query.replace('+', "%2B").as_bytes()) {
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(format!("{key} is given twice"));
            }
            pairs.push((key.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let index = self.0.iter().position(|(other, _)| other == key)?;
        Some(self.0.swap_remove(index).1)
    }

    fn number<T: FromStr>(&mut self, key: &str, default: T) -> Result<T, String> {
        let Some(value) = self.take(key) else { return Ok(default) };
        value.parse().map_err(|_| format!("{key}={value:?} is not a number, or is too large for one"))
    }

    fn finish(self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(format!(
                "unknown parameter {key:?}, it has register (nodes only), replicas, ack, window_chunks and window_bytes"
            )),
        }
    }
}

fn nodes_of(authority: &str) -> Result<Vec<String>, String> {
    let mut nodes: Vec<String> = Vec::new();
    for member in authority.split(',') {
        let wrong = |why: &str| format!("node {member:?}: {why}; nodes are listed as HOST:PORT,HOST:PORT");
        let parsed = Url::parse(&format!("quarry://{member}")).map_err(|why| wrong(&why.to_string()))?;
        let (Some(host), Some(port)) = (parsed.host_str(), parsed.port()) else {
            return Err(wrong("it has no host or no port"));
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong("nodes take no user or password"));
        }
        let node = format!("{host}:{port}");
        if nodes.contains(&node) {
            return Err(wrong("it is listed twice"));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

fn cluster_of(path: String) -> Result<String, String> {
    if path.is_empty() || path.len() > ZONE_BYTES_MAX || path.contains('/') {
        return Err(format!(
            "cluster {path:?}: the name of the cluster, 1 to {ZONE_BYTES_MAX} bytes, follows the nodes"
        ));
    }
    Ok(path)
}

fn register_of(value: Option<String>) -> Result<PathBuf, String> {
    let form = "register=dir:/PATH says where the records are, with an absolute path";
    let value = value.ok_or_else(|| format!("it names no register: {form}"))?;
    let path = value.strip_prefix("dir:").map(PathBuf::from).filter(|path| path.is_absolute());
    path.ok_or_else(|| format!("register={value:?}: {form}"))
}

fn quorum_of(parameters: &mut Parameters) -> Result<Quorum, String> {
    let replicas = parameters.number("replicas", REPLICAS_DEFAULT)?;
    let majority = Quorum::majority(replicas).map_err(|why| why.to_string())?;
    let ack = parameters.number("ack", majority.ack())?;
    Quorum::new(replicas, ack).map_err(|why| why.to_string())
}

fn window_of(parameters: &mut Parameters) -> Result<Window, String> {
    let chunks = parameters.number("window_chunks", WINDOW_CHUNKS_DEFAULT)?;
    let bytes = parameters.number("window_bytes", WINDOW_BYTES_DEFAULT)?;
    if !(1..=WINDOW_CHUNKS_MAX).contains(&chunks) {
        return Err(format!("window_chunks={chunks}: it is 1 to {WINDOW_CHUNKS_MAX}"));
    }
    if !(1..=WINDOW_BYTES_MAX).contains(&bytes) {
        return Err(format!("window_bytes={bytes}: it is 1 to {WINDOW_BYTES_MAX}"));
    }
    Ok(Window { chunks, bytes })
}

/// Percent-encodes what is not a letter, a digit or one of `*-._`.
fn encode(text: &str) -> String {
    // Forms write a space as a plus sign; here it is %20.
    byte_serialize(text.as_bytes()).map(|part| part.replace('+', "%20")).collect()
}

fn decode(text: &str) -> String {
    // As the value of a form's only field, with what would end it protected.
    let field = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    parse(field.as_bytes()).next().map(|(key, _)| key.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_nodes() {
        let url = "quarry://a:7000,127.0.0.1:7001,[::1]:7002/prod?register=dir:/var/lib/a%20b+c&replicas=5&ack=4&window_chunks=9";
        let store = StoreUrl::parse(url).unwrap();
        assert_eq!(
            store.place,
            StorePlace::Nodes {
                nodes: vec!["a:7000".into(), "127.0.0.1:7001".into(), "[::1]:7002".into()],
                cluster: "prod".into(),
                register: "/var/lib/a b+c".into(),
            }
        );
        assert_eq!((store.quorum.replicas(), store.quorum.ack()), (5, 4));
        assert_eq!(store.window, Window { chunks: 9, bytes: WINDOW_BYTES_DEFAULT });
    }

    #[test]
    fn what_is_printed_parses_to_the_same() {
        let mut stores =
            vec![StoreUrl::of_nodes(vec!["h:1".into(), "i:2".into()], "c d", Path::new("/tmp/a+b &=#%/日本"))];
        stores.push(StoreUrl::parse("memory://a%20b?replicas=4&ack=4&window_bytes=77").unwrap());
        stores.push(StoreUrl::parse("memory://x").unwrap());
        for store in stores {
            assert_eq!(StoreUrl::parse(&store.to_string()), Ok(store.clone()), "{store}");
        }
        let plain = "quarry://h:1/c?register=dir:/tmp/r";
        assert_eq!(StoreUrl::parse(plain).unwrap().to_string(), plain);
    }

    #[test]
    fn every_mistake_is_named() {
        for (url, word) in [
            ("", "memory://NAME"),
            ("h:1/c", "memory://NAME"),
            ("s3://bucket", "s3"),
            ("quarry://h:1", "cluster"),
            ("quarry://h:1/a/b?register=dir:/r", "cluster"),
            ("quarry:///c?register=dir:/r", "host"),
            ("quarry://h/c?register=dir:/r", "port"),
            ("quarry://h:99999/c?register=dir:/r", "port"),
            ("quarry://h:1,/c?register=dir:/r", "HOST:PORT"),
            ("quarry://h:1,h:1/c?register=dir:/r", "twice"),
            ("quarry://me@h:1/c?register=dir:/r", "user"),
            ("quarry://h:1/c", "register=dir:/PATH"),
            ("quarry://h:1/c?register=dir:relative", "absolute"),
            ("quarry://h:1/c?register=etcd:h:1", "dir:"),
            ("quarry://h:1/c?register=dir:/r&replicas=8", "8 replicas"),
            ("quarry://h:1/c?register=dir:/r&replicas=0", "0 replicas"),
            ("quarry://h:1/c?register=dir:/r&ack=4", "ack quorum 4"),
            ("quarry://h:1/c?register=dir:/r&ack=many", "number"),
            ("quarry://h:1/c?register=dir:/r&ack=1&ack=2", "twice"),
            ("quarry://h:1/c?register=dir:/r&window_chunks=0", "window_chunks"),
            ("quarry://h:1/c?register=dir:/r&window_bytes=99999999999", "window_bytes"),
            ("quarry://h:1/c?register=dir:/r&replica=3", "replica"),
            ("quarry://h:1/c?register=dir:/r#x", "fragment"),
            ("memory://", "memory://NAME"),
            ("memory://a/b", "memory://NAME"),
            ("memory://a?register=dir:/r", "register"),
        ] {
            match StoreUrl::parse(url) {
                Err(ConnectError::BadUrl { why, .. }) => assert!(why.contains(word), "{url}: {why}"),
                other => panic!("{url}: {other:?}"),
            }
        }
    }
}
