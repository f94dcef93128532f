//! What a bucket's rules say, in the words of S3 and of Google Cloud Storage's XML interface.
//!
//! ```text
//! S3       Rule { ID, Status, Prefix | Filter { Prefix | Tag | And { Prefix, Tag } }, Expiration { Days | Date }, .. }
//! Google   Rule { Action { Delete }, Condition { Age, MatchesPrefix, IsLive, NumNewerVersions, .. } }
//! ```
//! Everything else that rules do (older versions, unfinished uploads, moves to another class) deletes no object of Quarry's: it has
//! one version of each, and uploads in one piece. It gives objects no tags, so that a rule for tagged ones does not
//! concern it. Whatever else narrows a rule is taken to let it through: better refused than expired.

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Configuration {
    #[serde(default, rename = "Rule")]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    #[serde(rename = "ID")]
    id: Option<String>,
    status: Option<String>,
    prefix: Option<String>,
    filter: Option<Filter>,
    expiration: Option<Expiration>,
    action: Option<Action>,
    condition: Option<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    prefix: Option<String>,
    tag: Option<IgnoredAny>,
    and: Option<All>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct All {
    prefix: Option<String>,
    #[serde(default)]
    tag: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Expiration {
    days: Option<IgnoredAny>,
    date: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Action {
    delete: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    #[serde(default)]
    matches_prefix: Vec<String>,
    is_live: Option<String>,
    num_newer_versions: Option<IgnoredAny>,
    days_since_noncurrent_time: Option<IgnoredAny>,
    noncurrent_time_before: Option<IgnoredAny>,
}

/// The rule that lets objects below `prefix` expire, if one does, as people would find it. The error says what of the answer is no
/// list of rules.
pub(super) fn expiring(xml: &str, prefix: &str) -> Result<Option<String>, String> {
    if !xml.contains("LifecycleConfiguration") {
        return Err("the answer is no list of rules".to_owned());
    }
    let found: Configuration =
        quick_xml::de::from_str(xml).map_err(|why| format!("the rules are not understood: {why}"))?;
    let below = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    for (index, rule) in found.rules.iter().enumerate() {
        let Some(prefixes) = rule.expires() else { continue };
        // An object's name begins with both, if one of them begins with the other.
        let hits = |of: &&String| of.starts_with(&below) || below.starts_with(of.as_str());
        if let Some(hit) = prefixes.iter().find(hits) {
            let name = rule
                .id
                .as_ref()
                .map_or_else(|| format!("expiry rule {}", index + 1), |id| format!("expiry rule {id:?}"));
            let of = if hit.is_empty() { "for every object".to_owned() } else { format!("for prefix {hit:?}") };
            return Ok(Some(format!("{name} ({of})")));
        }
    }
    Ok(None)
}

impl Rule {
    /// The prefixes of what it lets expire; none if it does not concern untagged objects in their only version.
    fn expires(&self) -> Option<Vec<String>> {
        if let Some(Action { delete: Some(_) }) = self.action {
            return self.condition.as_ref().map_or_else(|| Some(vec![String::new()]), Condition::expires);
        }
        let Some(Expiration { days, date }) = &self.expiration else { return None };
        if self.status.as_deref() != Some("Enabled") || (days.is_none() && date.is_none()) {
            return None;
        }
        let filter = self.filter.as_ref();
        let and = filter.and_then(|filter| filter.and.as_ref());
        if filter.is_some_and(|filter| filter.tag.is_some()) || and.is_some_and(|and| !and.tag.is_empty()) {
            return None;
        }
        let named = [and.map(|and| &and.prefix), filter.map(|filter| &filter.prefix), Some(&self.prefix)];
        Some(vec![named.into_iter().flatten().flatten().next().cloned().unwrap_or_default()])
    }
}

impl Condition {
    fn expires(&self) -> Option<Vec<String>> {
        let only_older = self.is_live.as_deref() == Some("false")
            || self.num_newer_versions.is_some()
            || self.days_since_noncurrent_time.is_some()
            || self.noncurrent_time_before.is_some();
        if only_older {
            return None;
        }
        Some(if self.matches_prefix.is_empty() { vec![String::new()] } else { self.matches_prefix.clone() })
    }
}

/// The code of an error's answer.
pub(super) fn code(xml: &str) -> Option<&str> {
    let (_, rest) = xml.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(inside: &str) -> String {
        format!("<?xml version=\"1.0\"?><LifecycleConfiguration xmlns=\"http://s3/\">{inside}</LifecycleConfiguration>")
    }

    fn rule(inside: &str) -> String {
        s3(&format!("<Rule><ID>r</ID>{inside}</Rule>"))
    }

    const DAYS: &str = "<Expiration><Days>30</Days></Expiration>";
    const ON: &str = "<Status>Enabled</Status>";

    #[test]
    fn rules_that_expire_what_is_below_the_prefix_are_found() {
        for inside in [
            format!("{ON}<Filter><Prefix>logs/</Prefix></Filter>{DAYS}"),
            format!("{ON}<Filter><Prefix>lo</Prefix></Filter>{DAYS}"),
            format!("{ON}<Filter><Prefix>logs/0a</Prefix></Filter>{DAYS}"),
            format!("{ON}<Filter/>{DAYS}"),
            format!("{DAYS}{ON}"),
            format!("<Prefix></Prefix>{ON}<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>"),
            format!("<Prefix>logs</Prefix>{ON}{DAYS}"),
            format!("{ON}<Filter><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></Filter>{DAYS}"),
            format!(
                "{ON}<Filter><And><Prefix>logs/</Prefix><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>{DAYS}"
            ),
        ] {
            let found = expiring(&rule(&inside), "logs").unwrap_or_else(|why| panic!("{inside}: {why}"));
            assert!(
                found.as_ref().is_some_and(|found| found.starts_with("expiry rule \"r\" (")),
                "{inside}: {found:?}"
            );
        }
        let at_the_root = rule(&format!("{ON}<Filter><Prefix>a</Prefix></Filter>{DAYS}"));
        assert_eq!(expiring(&at_the_root, ""), Ok(Some("expiry rule \"r\" (for prefix \"a\")".to_owned())));
        let second = s3(&format!("<Rule><Status>Disabled</Status>{DAYS}</Rule><Rule>{ON}{DAYS}</Rule>"));
        assert_eq!(expiring(&second, "logs"), Ok(Some("expiry rule 2 (for every object)".to_owned())));
    }

    #[test]
    fn rules_that_do_not_concern_it_are_none() {
        for inside in [
            format!("<Status>Disabled</Status><Filter/>{DAYS}"),
            format!("{ON}<Filter><Prefix>logs2/</Prefix></Filter>{DAYS}"),
            format!(
                "{ON}<Filter><Prefix>logs/</Prefix></Filter><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"
            ),
            format!(
                "{ON}<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
            ),
            format!(
                "{ON}<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
            ),
            format!("{ON}<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>{DAYS}"),
            format!(
                "{ON}<Filter><And><Prefix>logs/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>{DAYS}"
            ),
            format!("{ON}<Filter/><Transition><Days>1</Days><StorageClass>GLACIER_IR</StorageClass></Transition>"),
        ] {
            assert_eq!(expiring(&rule(&inside), "logs"), Ok(None), "{inside}");
        }
        assert_eq!(expiring(&s3(""), "logs"), Ok(None));
    }

    #[test]
    fn google_says_it_in_other_words() {
        let rule =
            |condition: &str| s3(&format!("<Rule><Action><Delete/></Action><Condition>{condition}</Condition></Rule>"));
        for condition in [
            "<Age>30</Age>",
            "<Age>30</Age><MatchesPrefix>x</MatchesPrefix><MatchesPrefix>logs/</MatchesPrefix>",
            "<CreatedBefore>2030-01-01</CreatedBefore><IsLive>true</IsLive>",
        ] {
            assert!(expiring(&rule(condition), "logs").is_ok_and(|found| found.is_some()), "{condition}");
        }
        for condition in [
            "<Age>30</Age><MatchesPrefix>x</MatchesPrefix>",
            "<Age>30</Age><IsLive>false</IsLive>",
            "<NumNewerVersions>3</NumNewerVersions>",
            "<DaysSinceNoncurrentTime>3</DaysSinceNoncurrentTime>",
        ] {
            assert_eq!(expiring(&rule(condition), "logs"), Ok(None), "{condition}");
        }
        let colder = s3(
            "<Rule><Action><SetStorageClass>COLDLINE</SetStorageClass></Action><Condition><Age>1</Age></Condition></Rule>",
        );
        assert_eq!(expiring(&colder, "logs"), Ok(None));
    }

    #[test]
    fn what_is_no_list_of_rules_is_not_taken_for_an_empty_one() {
        for text in ["", "<html>welcome</html>", "<LifecycleConfiguration><Rule>"] {
            assert!(expiring(text, "logs").is_err(), "{text}");
        }
    }
}
