//! Where a register in etcd is.

use std::fmt;
use std::path::PathBuf;
use url::Url;

/// How it is written.
pub(in super::super) const FORM: &str = "etcd:HOST:PORT,HOST:PORT,.../PREFIX, and for TLS ;ca=/PATH, for a client \
     certificate ;cert=/PATH;key=/PATH, for a user ;user=NAME";

/// The servers of one etcd, the prefix of the register's keys, and how to be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdPlace {
    /// Each server's `host:port`. One that answers is enough.
    pub endpoints: Vec<String>,
    /// What every key of the register begins with, without `/` around it. One etcd can hold many registers.
    pub prefix: String,
    /// The certificates to trust. With it, connections are encrypted.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The user; the password never stands in a URL.
    pub user: Option<String>,
}

impl EtcdPlace {
    /// Reads what follows `etcd:`.
    pub(in super::super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(';');
        let servers = parts.next().unwrap_or_default();
        let (endpoints, prefix) = servers.split_once('/').ok_or("it names no PREFIX for its keys")?;
        let mut place = Self { endpoints: endpoints_of(endpoints)?, prefix: prefix_of(prefix)?, ..Self::default() };
        let (mut certificate, mut key) = (None, None);
        for option in parts {
            let (name, value) = option.split_once('=').ok_or_else(|| format!("{option:?} is not NAME=VALUE"))?;
            let given_twice = match name {
                "ca" => place.ca.replace(path_of(name, value)?).is_some(),
                "cert" => certificate.replace(path_of(name, value)?).is_some(),
                "key" => key.replace(path_of(name, value)?).is_some(),
                "user" if value.is_empty() => return Err("user= is empty".to_owned()),
                "user" => place.user.replace(value.to_owned()).is_some(),
                "password" => {
                    return Err("a password does not stand in a URL: set QUARRY_ETCD_PASSWORD".to_owned());
                }
                _ => return Err(format!("unknown option {name:?}, it has ca, cert, key and user")),
            };
            if given_twice {
                return Err(format!("{name} is given twice"));
            }
        }
        place.identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("cert and key are given together".to_owned()),
        };
        if place.identity.is_some() && place.ca.is_none() {
            return Err("cert and key are for TLS, which needs ca=/PATH".to_owned());
        }
        Ok(place)
    }
}

impl fmt::Display for EtcdPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd:{}/{}", self.endpoints.join(","), self.prefix)?;
        if let Some(path) = &self.ca {
            write!(f, ";ca={}", path.display())?;
        }
        if let Some((certificate, key)) = &self.identity {
            write!(f, ";cert={};key={}", certificate.display(), key.display())?;
        }
        self.user.as_ref().map_or(Ok(()), |user| write!(f, ";user={user}"))
    }
}

fn endpoints_of(text: &str) -> Result<Vec<String>, String> {
    let mut endpoints: Vec<String> = Vec::new();
    for endpoint in text.split(',') {
        let wrong = |why: &str| format!("endpoint {endpoint:?}: {why}; they are listed as HOST:PORT,HOST:PORT");
        let parsed = Url::parse(&format!("etcd://{endpoint}")).map_err(|why| wrong(&why.to_string()))?;
        let (Some(host), Some(port)) = (parsed.host_str(), parsed.port()) else {
            return Err(wrong("it has no host or no port"));
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong("a user is given as ;user=NAME"));
        }
        if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong("it is more than a host and a port"));
        }
        let endpoint = format!("{host}:{port}");
        if endpoints.contains(&endpoint) {
            return Err(wrong("it is listed twice"));
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

fn prefix_of(text: &str) -> Result<String, String> {
    let clean =
        !text.is_empty() && !text.starts_with('/') && !text.ends_with('/') && !text.chars().any(char::is_control);
    clean.then(|| text.to_owned()).ok_or_else(|| format!("prefix {text:?}: it is not empty and has no / around it"))
}

fn path_of(name: &str, value: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(value);
    if path.is_absolute() { Ok(path) } else { Err(format!("{name}={value:?}: it is an absolute path")) }
}
