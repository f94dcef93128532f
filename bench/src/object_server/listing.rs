//! One page of a listing. Both dialects share the form of version 2 of S3's.

use super::bucket::Bucket;
use super::settings::Dialect;
use serde::Serialize;
use std::ops::Bound;

/// Most entries of a page.
const PAGE_ENTRIES_MAX: usize = 1000;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// The last key of the page before, or where to start.
    pub(super) after: Option<&'a str>,
    pub(super) entries_max: Option<usize>,
}

/// A page in the vendors' form.
#[derive(Debug, Default, Serialize)]
#[serde(rename = "ListBucketResult", rename_all = "PascalCase")]
pub(super) struct Page {
    is_truncated: bool,
    key_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_continuation_token: Option<String>,
    contents: Vec<Entry>,
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    last_modified: String,
    #[serde(rename = "ETag")]
    tag: String,
    size: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

/// The page that is asked for. A directory bucket promises no order, so its keys come from the last to the first.
pub(super) fn page(bucket: &Bucket, asked: &Asked<'_>) -> Page {
    let backwards = bucket.settings.dialect == Dialect::S3Express;
    let entries_max = asked.entries_max.unwrap_or(PAGE_ENTRIES_MAX).clamp(1, PAGE_ENTRIES_MAX);
    let (mut page, mut after) = (Page::default(), asked.after.map(str::to_owned));
    while page.key_count < entries_max {
        let Some(key) = next(bucket, asked.prefix, after.as_deref(), backwards) else { return page };
        let group = asked.delimiter.and_then(|delimiter| group_of(&key, asked.prefix, delimiter));
        page.key_count += 1;
        if let Some(group) = group {
            // Straight to the other side of the group, however many keys it has.
            after = Some(if backwards { group.clone() } else { format!("{group}\u{10FFFF}") });
            page.common_prefixes.push(CommonPrefix { prefix: group });
        } else {
            let object = &bucket.objects[&key];
            let last_modified = object.modified.format("%Y-%m-%dT%H:%M:%S.000Z").to_string();
            page.contents.push(Entry { key: key.clone(), last_modified, tag: object.tag.clone(), size: object.length });
            after = Some(key);
        }
    }
    if next(bucket, asked.prefix, after.as_deref(), backwards).is_some() {
        page.is_truncated = true;
        page.next_continuation_token = after;
    }
    page
}

/// The next key of a prefix, strictly beyond `after`.
fn next(bucket: &Bucket, prefix: &str, after: Option<&str>, backwards: bool) -> Option<String> {
    let beyond = format!("{prefix}\u{10FFFF}");
    let found = if backwards {
        let end = after.map_or(Bound::Included(beyond.as_str()), |after| Bound::Excluded(after.min(beyond.as_str())));
        let from = Bound::Included(prefix);
        if matches!(end, Bound::Excluded(end) if end <= prefix) {
            return None;
        }
        bucket.objects.range::<str, _>((from, end)).next_back()
    } else {
        let start = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        bucket.objects.range::<str, _>((start, Bound::Unbounded)).next()
    };
    found.map(|(key, _)| key.clone()).filter(|key| key.starts_with(prefix))
}

/// The common prefix that a key is listed under, if it is.
fn group_of(key: &str, prefix: &str, delimiter: &str) -> Option<String> {
    let rest = &key[prefix.len()..];
    rest.find(delimiter).map(|at| key[..prefix.len() + at + delimiter.len()].to_owned())
}
