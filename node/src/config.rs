//! How a node is told what to do: from a TOML file, from the environment, from flags. All three become [`Settings`], the
//! stronger one laid over the weaker, and then one checked [`StartConfig`].

use crate::control::{ClusterKey, KeyError};
use quarry_protocol::limits::{ADDRESS_BYTES_MAX, SHARDS_MAX, ZONE_BYTES_MAX};
use serde::{Deserialize, Deserializer};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest spin, in microseconds: past it a core burns for nothing.
const SPIN_US_MAX: u64 = 100_000;
/// Within how many days scrub reads everything again, if nothing else is set.
const SCRUB_DAYS_DEFAULT: f64 = 7.0;
/// The fewest and the most days: a second, for trying it out, and a year, past which rot adds up faster than it is found.
const SCRUB_DAYS_MIN: f64 = 1.0 / SECONDS_PER_DAY;
const SCRUB_DAYS_MAX: f64 = 366.0;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// What may be set; unset means "as the weaker source says, or the default". Keys of the TOML file have these names;
/// unknown keys are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The data directory.
    pub data: Option<PathBuf>,
    /// `host:port` of the first shard; shard n listens on port + n. Port 0 lets the system choose each.
    pub listen: Option<String>,
    /// `host` or `host:port` that clients are told; needed if `listen` is a wildcard address.
    pub advertise: Option<String>,
    /// `host:port` of the control plane; the host of `listen` and its port + 64 if not set.
    pub control: Option<String>,
    /// The cluster that the data directory must belong to; not checked if not set.
    pub cluster: Option<String>,
    /// The rack that the node stands in; copies go to different racks where zones permit.
    pub rack: Option<String>,
    /// Gossip with other nodes; without it the node talks to clients only.
    #[serde(default)]
    pub gossip: GossipSettings,
    /// Whether each shard stays on a CPU of its own.
    pub pin: Option<bool>,
    /// How long a shard spins before it sleeps, in microseconds; 0, the default, where cores are shared.
    pub spin_us: Option<u64>,
    /// How the node reads again what it stores.
    #[serde(default)]
    pub scrub: ScrubSettings,
}

/// The table `[scrub]` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrubSettings {
    /// Within how many days everything stored is read again and verified, fractions allowed; 7, the default; or `"off"`.
    #[serde(default, deserialize_with = "number_or_word")]
    pub days: Option<String>,
}

/// The section `gossip`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GossipSettings {
    /// File with the cluster's key, made by `quarry cluster key`. What turns gossip on.
    pub key_file: Option<PathBuf>,
    /// `host:port` (UDP) to gossip at; the host of the control plane and its port + 1 if not set.
    pub listen: Option<String>,
    /// `host` or `host:port` that other nodes are told; the host of `advertise` if not set.
    pub advertise: Option<String>,
    /// `host:port` of nodes to begin with, this one perhaps among them.
    pub seeds: Option<Vec<String>>,
}

/// How to gossip, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipConfig {
    /// Where to gossip.
    pub listen: SocketAddr,
    /// The host that other nodes are told, and the port unless it is the one listened on.
    pub advertise: (String, Option<u16>),
    /// Nodes to begin with.
    pub seeds: Vec<String>,
    /// What seals every datagram.
    pub key: ClusterKey,
}

/// How to start a node, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartConfig {
    /// The data directory.
    pub data: PathBuf,
    /// Where the first shard listens.
    pub listen: SocketAddr,
    /// The host that clients are told, and the port unless it is the one that the first shard gets.
    pub advertise: (String, Option<u16>),
    /// Where the control plane listens.
    pub control: SocketAddr,
    /// The cluster that the data directory must belong to.
    pub cluster: Option<String>,
    /// The rack that the node stands in; empty if none.
    pub rack: String,
    /// Gossip with other nodes.
    pub gossip: Option<GossipConfig>,
    /// Whether each shard stays on a CPU of its own.
    pub pin: bool,
    /// How long a shard spins before it sleeps.
    pub spin: Duration,
    /// Within how long everything stored is read again and verified; none if it is not.
    pub scrub: Option<Duration>,
}

/// Why the settings do not make a node.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading {}: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        why: io::Error,
    },
    /// The file is not understood.
    #[error("{}: {why}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: Box<toml::de::Error>,
    },
    /// Something has to be set.
    #[error("{key} is not set: give --{key}, QUARRY_{}, or {key} = ... in the configuration file", key.to_uppercase())]
    Missing {
        /// The setting.
        key: &'static str,
    },
    /// The cluster key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A value does not do.
    #[error("{key} = {got:?}: {why}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What it is set to.
        got: String,
        /// Why that does not do, and what would.
        why: String,
    },
}

impl Settings {
    /// Reads a TOML file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Read { path: path.to_owned(), why })?;
        toml::from_str(&text).map_err(|why| ConfigError::Parse { path: path.to_owned(), why: Box::new(why) })
    }

    /// These settings, and where nothing is set those of `weaker`.
    #[must_use]
    pub fn or(self, weaker: Self) -> Self {
        Self {
            data: self.data.or(weaker.data),
            listen: self.listen.or(weaker.listen),
            advertise: self.advertise.or(weaker.advertise),
            control: self.control.or(weaker.control),
            cluster: self.cluster.or(weaker.cluster),
            rack: self.rack.or(weaker.rack),
            gossip: self.gossip.or(weaker.gossip),
            pin: self.pin.or(weaker.pin),
            spin_us: self.spin_us.or(weaker.spin_us),
            scrub: ScrubSettings { days: self.scrub.days.or(weaker.scrub.days) },
        }
    }

    /// Checks everything and fills in the defaults.
    pub fn check(self) -> Result<StartConfig, ConfigError> {
        let data = self.data.ok_or(ConfigError::Missing { key: "data" })?;
        let listen = self.listen.ok_or(ConfigError::Missing { key: "listen" })?;
        let listen = resolve("listen", &listen)?;
        let last = usize::from(listen.port()) + SHARDS_MAX;
        // One more for gossip.
        if last + 1 > usize::from(u16::MAX) {
            let why =
                format!("shards and the control plane need the {} ports above it, choose a lower one", SHARDS_MAX + 1);
            return Err(ConfigError::Value { key: "listen", got: listen.to_string(), why });
        }
        let control = match self.control {
            Some(control) => resolve("control", &control)?,
            None if listen.port() == 0 => listen,
            None => SocketAddr::new(listen.ip(), last as u16),
        };
        let advertise = match self.advertise {
            Some(advertise) => advertised(&advertise)?,
            None if listen.ip().is_unspecified() => {
                let why =
                    "clients cannot connect to a wildcard address: set advertise to the name they reach this node by";
                return Err(ConfigError::Value { key: "listen", got: listen.to_string(), why: why.into() });
            }
            None => (bracketed(&listen), None),
        };
        let spin_us = self.spin_us.unwrap_or(0);
        if spin_us > SPIN_US_MAX {
            let why = format!("at most {SPIN_US_MAX}");
            return Err(ConfigError::Value { key: "spin_us", got: spin_us.to_string(), why });
        }
        let rack = self.rack.unwrap_or_default();
        if rack.len() > ZONE_BYTES_MAX {
            let why = format!("at most {ZONE_BYTES_MAX} bytes");
            return Err(ConfigError::Value { key: "rack", got: rack, why });
        }
        let gossip = self.gossip.check(control, &advertise.0)?;
        let (cluster, pin, spin) = (self.cluster, self.pin.unwrap_or(false), Duration::from_micros(spin_us));
        let scrub = scrub_period(self.scrub.days.as_deref())?;
        Ok(StartConfig { data, listen, advertise, control, cluster, rack, gossip, pin, spin, scrub })
    }
}

impl GossipSettings {
    fn or(self, weaker: Self) -> Self {
        Self {
            key_file: self.key_file.or(weaker.key_file),
            listen: self.listen.or(weaker.listen),
            advertise: self.advertise.or(weaker.advertise),
            seeds: self.seeds.or(weaker.seeds),
        }
    }

    fn check(self, control: SocketAddr, host: &str) -> Result<Option<GossipConfig>, ConfigError> {
        let Some(key_file) = self.key_file else {
            // Half a section is a mistake: the node would stay alone without anybody noticing.
            let rest = self.listen.or(self.advertise).or_else(|| self.seeds.map(|seeds| seeds.join(", ")));
            return match rest {
                None => Ok(None),
                Some(got) => {
                    let why = "gossip needs a key: make one with `quarry cluster key > FILE` and set gossip.key_file";
                    Err(ConfigError::Value { key: "gossip", got, why: why.to_owned() })
                }
            };
        };
        let listen = match self.listen {
            Some(listen) => resolve("gossip.listen", &listen)?,
            None if control.port() == 0 => control,
            None => SocketAddr::new(control.ip(), control.port().saturating_add(1)),
        };
        let advertise = match self.advertise {
            Some(advertise) => advertised(&advertise)?,
            None => (host.to_owned(), None),
        };
        let seeds = self.seeds.unwrap_or_default();
        for seed in &seeds {
            // Names are looked up when they are called: a seed may be down, and unknown, now.
            if seed.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
                let why = "want host:port of a node's gossip".to_owned();
                return Err(ConfigError::Value { key: "gossip.seeds", got: seed.clone(), why });
            }
        }
        Ok(Some(GossipConfig { listen, advertise, seeds, key: ClusterKey::read(&key_file)? }))
    }
}

fn number_or_word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "want a number of days, or \"off\"")]
    enum Given {
        Whole(i64),
        Fraction(f64),
        Word(String),
    }
    Ok(Some(match Given::deserialize(from)? {
        Given::Whole(days) => days.to_string(),
        Given::Fraction(days) => days.to_string(),
        Given::Word(word) => word,
    }))
}

/// The period of scrub; none for `off`.
fn scrub_period(days: Option<&str>) -> Result<Option<Duration>, ConfigError> {
    let text = match days {
        Some("off") => return Ok(None),
        Some(text) => text,
        None => return Ok(Some(Duration::from_secs_f64(SCRUB_DAYS_DEFAULT * SECONDS_PER_DAY))),
    };
    match text.parse::<f64>() {
        Ok(days) if (SCRUB_DAYS_MIN..=SCRUB_DAYS_MAX).contains(&days) => {
            Ok(Some(Duration::from_secs_f64(days * SECONDS_PER_DAY)))
        }
        _ => {
            let why = format!(
                "want a number of days, from a second's {SCRUB_DAYS_MIN:.6} to {SCRUB_DAYS_MAX}, in which everything is read again; \"off\" to never look for rot"
            );
            Err(ConfigError::Value { key: "scrub.days", got: text.to_owned(), why })
        }
    }
}

fn bracketed(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

fn resolve(key: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
    let bad = |why: String| ConfigError::Value { key, got: text.to_owned(), why };
    let mut addresses = text.to_socket_addrs().map_err(|why| bad(format!("want host:port ({why})")))?;
    addresses.next().ok_or_else(|| bad("the name has no address".into()))
}

fn advertised(text: &str) -> Result<(String, Option<u16>), ConfigError> {
    let bad = |why: &str| ConfigError::Value { key: "advertise", got: text.to_owned(), why: why.to_owned() };
    let (host, port) = match text.rsplit_once(':') {
        // A bare IPv6 address has colons and no port.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| bad("want host or host:port"))?)),
        None => (text, None),
    };
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    if host.is_empty() || host.len() + ":65535".len() > ADDRESS_BYTES_MAX {
        return Err(bad("the host must have 1 to 249 bytes"));
    }
    Ok((host, port.filter(|port| *port != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &str) -> Settings {
        Settings { data: Some("/data".into()), listen: Some(listen.into()), ..Settings::default() }
    }

    #[test]
    fn a_file_is_read_and_unknown_keys_are_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("quarry.toml");
        std::fs::write(&path, "data = \"/data\"\nlisten = \"127.0.0.1:7700\"\npin = true\n").expect("written");
        let read = Settings::read(&path).expect("a good file");
        assert_eq!(read, Settings { pin: Some(true), ..settings("127.0.0.1:7700") });
        std::fs::write(&path, "data = \"/data\"\nlissten = \"127.0.0.1:7700\"\n").expect("written");
        let refused = Settings::read(&path).expect_err("an unknown key").to_string();
        assert!(refused.contains("lissten") && refused.contains("quarry.toml"), "{refused}");
    }

    fn days(text: &str) -> ScrubSettings {
        ScrubSettings { days: Some(text.into()) }
    }

    #[test]
    fn scrub_takes_days_or_off() {
        let period = |text: &str| {
            let text = format!("data = \"/data\"\nlisten = \"127.0.0.1:7700\"\n{text}");
            let settings: Settings = toml::from_str(&text).expect("a good file");
            settings.check().expect("good settings").scrub.map(|period| period.as_secs())
        };
        assert_eq!(period(""), Some(604_800));
        assert_eq!(period("[scrub]\ndays = 30"), Some(30 * 86_400));
        assert_eq!(period("[scrub]\ndays = 0.5"), Some(43_200));
        assert_eq!(period("[scrub]\ndays = \"off\""), None);
        assert!(toml::from_str::<Settings>("[scrub]\nweeks = 1").is_err());
    }

    #[test]
    fn the_stronger_source_wins_key_by_key() {
        let flags = Settings { listen: Some("127.0.0.1:1000".into()), ..Settings::default() };
        let file = Settings { spin_us: Some(7), ..settings("127.0.0.1:2000") };
        let both = flags.or(file).check().expect("complete");
        assert_eq!((both.listen.port(), both.spin), (1000, Duration::from_micros(7)));
        assert_eq!(both.control.port(), 1064);
        assert_eq!(both.advertise, ("127.0.0.1".into(), None));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let missing = Settings::default().check().expect_err("nothing is set").to_string();
        assert!(missing.contains("--data") && missing.contains("QUARRY_DATA"), "{missing}");
        for (bad, named) in [
            (settings("no-port"), "listen"),
            (settings("0.0.0.0:7700"), "advertise"),
            (settings("127.0.0.1:65500"), "lower"),
            (Settings { advertise: Some("host:port".into()), ..settings("127.0.0.1:0") }, "advertise"),
            (Settings { spin_us: Some(1_000_000), ..settings("127.0.0.1:0") }, "spin_us"),
            (Settings { scrub: days("0"), ..settings("127.0.0.1:0") }, "\"off\""),
            (Settings { scrub: days("-7"), ..settings("127.0.0.1:0") }, "scrub.days"),
            (Settings { scrub: days("NaN"), ..settings("127.0.0.1:0") }, "scrub.days"),
            (Settings { scrub: days("weekly"), ..settings("127.0.0.1:0") }, "scrub.days"),
        ] {
            let why = bad.clone().check().expect_err("refused").to_string();
            assert!(why.contains(named), "{bad:?}: {why}");
        }
    }

    #[test]
    fn gossip_needs_a_key_and_listens_beside_the_control_plane() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, key_file) = (directory.path().join("quarry.toml"), directory.path().join("key"));
        let read = |seeds: &str, key: bool| {
            let key = if key { format!("key_file = {key_file:?}\n") } else { String::new() };
            let text = format!(
                "data = \"/data\"\nlisten = \"127.0.0.1:7700\"\nrack = \"r7\"\n[gossip]\n{key}seeds = [{seeds:?}]\n"
            );
            std::fs::write(&path, text).expect("written");
            Settings::read(&path).expect("a good file").check()
        };
        let told = |result: Result<StartConfig, ConfigError>| result.expect_err("refused").to_string();
        assert!(told(read("n:1", false)).contains("quarry cluster key"));
        assert!(told(read("n:1", true)).contains("cluster key"), "there is no such file");
        let key = ClusterKey::random().expect("random");
        std::fs::write(&key_file, key.digits()).expect("written");
        std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
        assert!(told(read("nowhere", true)).contains("host:port"));
        let config = read("n:1", true).expect("complete");
        let gossip = config.gossip.expect("on");
        assert_eq!((gossip.listen.port(), gossip.seeds, gossip.key), (7765, vec!["n:1".to_owned()], key));
        assert_eq!((config.rack.as_str(), gossip.advertise), ("r7", ("127.0.0.1".to_owned(), None)));
        assert_eq!(settings("127.0.0.1:7700").check().expect("complete").gossip, None);
    }

    #[test]
    fn advertised_addresses_of_every_kind() {
        for (text, host, port) in [
            ("node-1", "node-1", None),
            ("node-1:80", "node-1", Some(80)),
            ("node-1:0", "node-1", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("fe80::1", "[fe80::1]", None),
        ] {
            assert_eq!(advertised(text).expect(text), (host.to_owned(), port));
        }
    }
}
