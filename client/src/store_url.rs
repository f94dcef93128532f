//! How a store is named.
//!
//! ```text
//! quarry://HOST:PORT,HOST:PORT,.../CLUSTER?register=PLACE         storage nodes
//! s3express://BUCKET,BUCKET,BUCKET[/PREFIX]?register=PLACE        directory buckets of S3 Express One Zone, one per zone
//! s3://BUCKET[/PREFIX]                                            a bucket of S3, or of a store that speaks its language
//! az://CONTAINER[/PREFIX]                                         a container of Azure Blob Storage
//! gs://BUCKET[/PREFIX]                                            a bucket of Google Cloud Storage
//! file:///DIRECTORY,/DIRECTORY,...                                directories; on disks of their own, if it is to mean anything
//! memory://NAME                                                   this process's memory
//! ```
//! Credentials of buckets come from the environment, as the vendors' own tools read them.
//!
//! | parameter | meaning | default |
//! |---|---|---|
//! | `register` | where the records are: a [`RegisterPlace`], percent-encoded | in the bucket, if there is one; else it must be given |
//! | `endpoint` | URL of the server that has the buckets | the vendor's |
//! | `region` | the buckets' region | from the environment |
//! | `account` | Azure's storage account | from the environment |
//! | `replicas` | how many replicas a new segment has | 3, or the buckets there are |
//! | `ack` | how many of them must have stored a chunk | the majority |
//! | `window_chunks` | most chunks in flight | 256; 64 in buckets |
//! | `window_bytes` | most payload bytes in flight | 32 MiB; 64 MiB for `s3`, `az` and `gs` |
//!
//! A parameter that is not in the table, or is given twice, is refused: a misspelt one must not be silently without effect.

use crate::bucket::{BucketKind, BucketPlace, PlaceParameters, decode, encode};
use crate::error::ConnectError;
use crate::register::RegisterPlace;
use quarry_protocol::limits::{
    BUCKET_CREATES_IN_FLIGHT_MAX, WINDOW_BYTES_DEFAULT, WINDOW_BYTES_MAX, WINDOW_CHUNKS_DEFAULT, WINDOW_CHUNKS_MAX,
    ZONE_BYTES_MAX,
};
use quarry_protocol::quorum::Quorum;
use quarry_protocol::record::Window;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use url::Url;
use url::form_urlencoded::parse;

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
        /// Where the records are.
        register: RegisterPlace,
    },
    /// Buckets of one kind, each a zone of its own.
    Buckets {
        /// Where they are.
        places: Vec<BucketPlace>,
        /// Where the records are; none for the only bucket itself.
        register: Option<RegisterPlace>,
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

    /// Reads the URL of a tier: a store's without `register`, since a log that moves keeps its record where it is.
    pub fn parse_tier(url: &str) -> Result<Self, ConnectError> {
        let bad = |why| ConnectError::BadUrl { url: url.to_owned(), why };
        if url.contains("register=") {
            return Err(bad("it names a register, and a log that moves keeps its own: leave register= out".to_owned()));
        }
        if url.starts_with("memory://") {
            return Err(bad("a log does not move to a process's memory, where no other could read it".to_owned()));
        }
        // Which one does not matter: nobody opens it.
        let separator = if url.contains('?') { '&' } else { '?' };
        Self::read(&format!("{url}{separator}register=dir:/")).map_err(bad)
    }

    /// The URL of storage nodes whose register is a directory, with every other parameter at its default.
    #[must_use]
    pub fn of_nodes(nodes: Vec<String>, cluster: &str, register: &Path) -> Self {
        let register = RegisterPlace::Directory(register.to_owned());
        let place = StorePlace::Nodes { nodes, cluster: cluster.to_owned(), register };
        let quorum = Quorum::majority(REPLICAS_DEFAULT).expect("the default is valid");
        Self { place, quorum, window: Window { chunks: WINDOW_CHUNKS_DEFAULT, bytes: WINDOW_BYTES_DEFAULT } }
    }

    fn read(url: &str) -> Result<Self, String> {
        let forms = "it is quarry://HOST:PORT,.../CLUSTER?register=dir:/PATH, s3express://BUCKET,BUCKET,BUCKET, s3://BUCKET, \
                     az://CONTAINER, gs://BUCKET, file:///DIRECTORY or memory://NAME";
        let Some((scheme, rest)) = url.split_once("://") else { return Err(forms.to_owned()) };
        // The rules for one host do not fit a list of hosts, so the list is taken out before the rest is parsed.
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let parsed = Url::parse(&format!("quarry://authority{rest}")).map_err(|why| why.to_string())?;
        if parsed.fragment().is_some() {
            return Err("it has no #fragment; write # in a path as %23".to_owned());
        }
        let mut parameters = Parameters::read(parsed.query().unwrap_or(""))?;
        let path = parsed.path();
        let place = match (scheme, BucketKind::of_scheme(scheme)) {
            (_, Some(kind)) => buckets_of(kind, authority, path, &mut parameters)?,
            ("quarry", _) => StorePlace::Nodes {
                nodes: nodes_of(authority)?,
                cluster: cluster_of(decode(path.trim_matches('/')))?,
                register: register_of(parameters.take("register"))?.ok_or_else(no_register)?,
            },
            ("memory", _) if authority.is_empty() || !path.trim_matches('/').is_empty() => {
                return Err("a memory store is memory://NAME".to_owned());
            }
            ("memory", _) => StorePlace::Memory { name: decode(authority) },
            _ => return Err(format!("{scheme}:// is not a kind of store this build knows: {forms}")),
        };
        let quorum = quorum_of(&mut parameters, place.replicas_default())?;
        if let StorePlace::Buckets { places, .. } = &place
            && quorum.replicas() > places.len()
        {
            return Err(format!("{} replicas need as many buckets, {} are given", quorum.replicas(), places.len()));
        }
        let window = window_of(&mut parameters, (place.window_chunks_default(), place.window_bytes_default()))?;
        parameters.finish()?;
        Ok(Self { place, quorum, window })
    }
}

impl StorePlace {
    /// Replicas of a segment whose opener does not ask for another number.
    fn replicas_default(&self) -> usize {
        match self {
            Self::Buckets { places, .. } => places.len(),
            Self::Nodes { .. } | Self::Memory { .. } => REPLICAS_DEFAULT,
        }
    }

    /// Whoever looks for the end of an open segment has to look at every slot of its window: with buckets, a request each.
    fn window_chunks_default(&self) -> u32 {
        match self {
            Self::Buckets { .. } => BUCKET_CREATES_IN_FLIGHT_MAX as u32,
            Self::Nodes { .. } | Self::Memory { .. } => WINDOW_CHUNKS_DEFAULT,
        }
    }

    /// By Little's law: a store that takes a tenth of a second for 4 MiB needs sixteen in flight for half a gigabyte a second.
    fn window_bytes_default(&self) -> u64 {
        match self {
            Self::Buckets { places, .. }
                if !matches!(places[0].kind, BucketKind::Directory | BucketKind::S3Express) =>
            {
                WINDOW_BYTES_MAX
            }
            _ => WINDOW_BYTES_DEFAULT,
        }
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
            StorePlace::Buckets { places, register } => write_buckets(f, places, register.as_ref())?,
            StorePlace::Nodes { nodes, cluster, register } => {
                let register = encode_value(&register.to_string());
                write!(f, "quarry://{}/{}?register={register}", nodes.join(","), encode(cluster))?;
            }
            StorePlace::Memory { name } => write!(f, "memory://{}", encode(name))?,
        }
        let mut separator = if self.has_query() { '&' } else { '?' };
        let (replicas, ack) = (self.quorum.replicas(), self.quorum.ack());
        let majority = Quorum::majority(replicas) == Ok(self.quorum);
        for (key, value, is_default) in [
            ("replicas", replicas as u64, replicas == self.place.replicas_default()),
            ("ack", ack as u64, majority),
            ("window_chunks", u64::from(self.window.chunks), self.window.chunks == self.place.window_chunks_default()),
            ("window_bytes", self.window.bytes, self.window.bytes == self.place.window_bytes_default()),
        ] {
            if !is_default {
                write!(f, "{separator}{key}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

impl StoreUrl {
    /// Whether what is written of its place holds parameters already.
    fn has_query(&self) -> bool {
        match &self.place {
            StorePlace::Nodes { .. } => true,
            StorePlace::Buckets { places, register } => register.is_some() || places[0].to_string().contains('?'),
            StorePlace::Memory { .. } => false,
        }
    }
}

fn write_buckets(f: &mut fmt::Formatter<'_>, places: &[BucketPlace], register: Option<&RegisterPlace>) -> fmt::Result {
    let first = places[0].to_string();
    let (place, query) = first.split_once('?').map_or((&*first, None), |(place, query)| (place, Some(query)));
    if places[0].kind == BucketKind::Directory {
        let paths: Vec<_> = places.iter().map(|place| format!("/{}", encode(&place.prefix))).collect();
        write!(f, "file://{}", paths.join(","))?;
    } else {
        let names: Vec<_> = places.iter().map(|place| place.bucket.as_str()).collect();
        let prefix = place.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, prefix)| prefix);
        write!(f, "{}://{}", places[0].kind.scheme(), names.join(","))?;
        prefix.map_or(Ok(()), |prefix| write!(f, "/{prefix}"))?;
    }
    let register = register.map(|place| format!("register={}", encode_value(&place.to_string())));
    let parameters: Vec<_> = query.map(str::to_owned).into_iter().chain(register).collect();
    if parameters.is_empty() { Ok(()) } else { write!(f, "?{}", parameters.join("&")) }
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
                "unknown parameter {key:?}, it has register, replicas, ack, window_chunks and window_bytes; buckets have endpoint, \
                 region and account besides"
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

fn no_register() -> String {
    "it names no register: register=dir:/PATH says where the records are, or register=etcd:..., or register=s3://..."
        .to_owned()
}

fn register_of(value: Option<String>) -> Result<Option<RegisterPlace>, String> {
    value.map(|value| RegisterPlace::parse(&value)).transpose()
}

/// As `encode`, with what else does not end a parameter's value as it is.
fn encode_value(text: &str) -> String {
    let plain = [("%2C", ","), ("%3B", ";"), ("%3D", "="), ("%5B", "["), ("%5D", "]")];
    plain.iter().fold(encode(text), |text, (encoded, plain)| text.replace(encoded, plain))
}

fn buckets_of(
    kind: BucketKind,
    authority: &str,
    path: &str,
    parameters: &mut Parameters,
) -> Result<StorePlace, String> {
    let of_place = PlaceParameters {
        endpoint: parameters.take("endpoint"),
        region: parameters.take("region"),
        account: parameters.take("account"),
    };
    // A comma of a path is written %2C.
    let parts: Vec<(&str, &str)> = match kind {
        BucketKind::Directory => path.split(',').map(|path| (authority, path)).collect(),
        _ => authority.split(',').map(|bucket| (bucket, path)).collect(),
    };
    let place = |(bucket, path): (&str, &str)| BucketPlace::new(kind, bucket, &decode(path), of_place.clone());
    let places: Vec<_> = parts.into_iter().map(place).collect::<Result<_, _>>()?;
    if places.len() > 1 && !matches!(kind, BucketKind::S3Express | BucketKind::Directory) {
        return Err(format!("{}:// takes one bucket: its store replicates by itself", kind.scheme()));
    }
    for (index, place) in places.iter().enumerate() {
        if let Some(other) = places[..index].iter().find(|other| other.zone() == place.zone()) {
            return Err(format!(
                "{other} and {place} are in the same zone {:?}; each needs one of its own",
                place.zone()
            ));
        }
    }
    let register = register_of(parameters.take("register"))?;
    if register.is_none() && places.len() > 1 {
        return Err(no_register());
    }
    Ok(StorePlace::Buckets { places, register })
}

fn quorum_of(parameters: &mut Parameters, default: usize) -> Result<Quorum, String> {
    let replicas = parameters.number("replicas", default)?;
    let majority = Quorum::majority(replicas).map_err(|why| why.to_string())?;
    let ack = parameters.number("ack", majority.ack())?;
    Quorum::new(replicas, ack).map_err(|why| why.to_string())
}

fn window_of(parameters: &mut Parameters, (chunks_default, bytes_default): (u32, u64)) -> Result<Window, String> {
    let chunks = parameters.number("window_chunks", chunks_default)?;
    let bytes = parameters.number("window_bytes", bytes_default)?;
    if !(1..=WINDOW_CHUNKS_MAX).contains(&chunks) {
        return Err(format!("window_chunks={chunks}: it is 1 to {WINDOW_CHUNKS_MAX}"));
    }
    if !(1..=WINDOW_BYTES_MAX).contains(&bytes) {
        return Err(format!("window_bytes={bytes}: it is 1 to {WINDOW_BYTES_MAX}"));
    }
    Ok(Window { chunks, bytes })
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
                register: RegisterPlace::Directory("/var/lib/a b+c".into()),
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
        for buckets in [
            "file:///a%2Cb,/c%20d,/e?register=dir:/r&ack=3",
            "file:///a",
            "s3express://a--z1--x-s3,b--z2--x-s3,c--z3--x-s3/p?register=dir:/r",
            "s3://b/p%20q?endpoint=http://127.0.0.1:9000&region=r&register=dir:/r&window_bytes=9",
            "az://c?account=x&register=dir:/r",
        ] {
            let store = StoreUrl::parse(buckets).unwrap();
            assert_eq!(store.to_string(), buckets);
            stores.push(store);
        }
        for store in stores {
            assert_eq!(StoreUrl::parse(&store.to_string()), Ok(store.clone()), "{store}");
        }
        for plain in [
            "quarry://h:1/c?register=dir:/tmp/r",
            "quarry://h:1/c?register=etcd:h:1,[::1]:2/a/b;ca=/c;user=me&ack=3",
            "quarry://h:1/c?register=etcd:h:1/100%25%20%2B%26%23",
            "quarry://h:1/c?register=s3://b/p%3Fendpoint=http://h:1%26region=r",
            "file:///a,/b?register=gs://b/a%2520b",
            "s3://b",
            "s3express://a--z1--x-s3/p",
        ] {
            assert_eq!(StoreUrl::parse(plain).unwrap().to_string(), plain);
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (url, word) in [
            ("", "memory://NAME"),
            ("h:1/c", "memory://NAME"),
            ("ftp://bucket", "ftp"),
            ("s3://bucket?register=file:///r", "dir:/r"),
            ("s3express://a--z1--x-s3,b--z2--x-s3", "register=dir:/PATH"),
            ("s3://a,b?register=dir:/r", "takes one bucket"),
            ("s3express://a--z1--x-s3,b--z1--x-s3?register=dir:/r", "same zone"),
            ("s3express://a,b?register=dir:/r", "not a directory bucket"),
            ("file:///a,/a?register=dir:/r", "same zone"),
            ("file:///a,/b", "register=dir:/PATH"),
            ("file:///a?replicas=2", "as many buckets"),
            ("file:///a?endpoint=http://h", "no endpoint"),
            ("quarry://h:1/c?register=dir:/r&region=x", "region"),
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
            ("quarry://h:1/c?register=etcd:h:1", "PREFIX"),
            ("quarry://h:1/c?register=zookeeper:h:1/p", "dir:/PATH"),
            ("quarry://h:1/c?register=s3://b?color=r", "color"),
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
