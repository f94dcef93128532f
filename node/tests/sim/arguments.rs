//! The command line: this simulator's own words, and those that `cargo test` hands to every test.

/// What to do.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// One seed, with all there is to say of it.
    pub(crate) seed: Option<u64>,
    pub(crate) seeds: Option<u64>,
    pub(crate) from: u64,
    pub(crate) steps: u64,
    /// Do not stop at the first failure.
    pub(crate) all: bool,
    /// One bug on purpose.
    pub(crate) planted: Option<String>,
    /// All of them, one after the other.
    pub(crate) planted_all: bool,
    pub(crate) certify: Option<String>,
    /// Where to write the steps of one log of one seed.
    pub(crate) trace: Option<String>,
    pub(crate) log: usize,
    /// `cargo test -- --list`.
    pub(crate) list: bool,
    /// A filter of `cargo test` that does not mean this test.
    pub(crate) filtered: bool,
}

/// Steps of a run's first phase, if nothing else is asked for.
const STEPS_DEFAULT: u64 = 2_000;

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            seed: None,
            seeds: None,
            from: 0,
            steps: STEPS_DEFAULT,
            all: false,
            planted: None,
            planted_all: false,
            certify: None,
            trace: None,
            log: 0,
            list: false,
            filtered: false,
        };
        let mut filters = Vec::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let (name, mut inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            let mut value = || inline.take().or_else(|| words.next()).ok_or_else(|| format!("{name} wants a value"));
            let number = |value: Result<String, String>| -> Result<u64, String> {
                let value = value?;
                value.parse().map_err(|_| format!("{name}: {value:?} is no number"))
            };
            match name.as_str() {
                "--seed" => parsed.seed = Some(number(value())?),
                "--seeds" => parsed.seeds = Some(number(value())?),
                "--from" => parsed.from = number(value())?,
                "--steps" => parsed.steps = number(value())?,
                "--all" => parsed.all = true,
                "--planted-all" => parsed.planted_all = true,
                "--planted" => parsed.planted = Some(value()?),
                "--trace" => parsed.trace = Some(value()?),
                "--log" => parsed.log = number(value())? as usize,
                "--certify" => parsed.certify = Some(value()?),
                "--list" => parsed.list = true,
                "--ignored" => parsed.filtered = true,
                // Words of libtest that take a value, and those that take none.
                "--test-threads" | "--skip" | "--format" | "--color" | "--logfile" | "-Z" | "--shuffle-seed" => {
                    drop(value()?);
                }
                flag if flag.starts_with('-') => {}
                filter => filters.push(filter.to_owned()),
            }
        }
        parsed.filtered |= !filters.is_empty() && !filters.iter().any(|filter| "sim".contains(filter.as_str()));
        Ok(parsed)
    }
}
