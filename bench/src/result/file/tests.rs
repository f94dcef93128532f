use super::*;
use crate::result::example;

/// Says how `example.json` is made anew after a change of the schema.
const ANEW: &str = "if the change is meant: QUARRY_WRITE_EXAMPLE=1 cargo test -p quarry-bench --lib the_example";

fn at(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("result.json")
}

/// Reads the example with one change to its JSON.
fn read_changed(change: impl FnOnce(&mut Value)) -> ResultFileError {
    let dir = tempfile::tempdir().unwrap();
    let mut value = serde_json::to_value(example::result()).unwrap();
    change(&mut value);
    fs::write(at(&dir), value.to_string()).unwrap();
    BenchResult::read(&at(&dir)).expect_err("it was changed")
}

#[test]
fn a_result_comes_back_from_its_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut result = example::result();
    // Not every number is a short one.
    result.seconds = 0.1 + 0.2;
    result.write(&at(&dir)).unwrap();
    assert_eq!(BenchResult::read(&at(&dir)).unwrap(), result);
    let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["result.json"], "nothing else is left behind");
}

#[test]
fn other_schemas_are_refused_with_what_to_do() {
    for (schema, shown) in
        [(Value::from("quarry-bench-result/1"), "\"quarry-bench-result/1\""), (Value::Null, "missing")]
    {
        let why = read_changed(|value| value["schema"] = schema).to_string();
        let all = [shown, SCHEMA, "result.json", "measure again"].iter().all(|part| why.contains(part));
        assert!(all, "{why}");
    }
    let missing = read_changed(|value| drop(value.as_object_mut().unwrap().remove("schema")));
    assert!(matches!(missing, ResultFileError::Schema { .. }), "{missing}");
}

/// At every depth: a field that this version does not know may change what the others mean.
#[test]
fn unknown_fields_are_refused_by_name() {
    let places = [
        "",
        "/environment",
        "/environment/disk",
        "/targets/0",
        "/cases/0",
        "/cases/0/baseline",
        "/cases/0/load/closed",
    ];
    let deeper =
        ["/cases/0/targets/0/stages/stages/0", "/cases/0/targets/0/rounds/0/cpu", "/cases/0/targets/0/verdict"];
    for place in places.iter().chain(&deeper) {
        let why = read_changed(|value| value.pointer_mut(place).expect(place)["colour"] = "red".into()).to_string();
        assert!(
            why.contains("colour") && why.contains("result.json") && why.contains("another version"),
            "{place}: {why}"
        );
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let contradictions: [(&str, Value, &str); 4] = [
        ("/cases/0/targets/0/target", 7.into(), "target 7"),
        ("/cases/0/targets/1/target", 0.into(), "twice"),
        ("/cases/1/name", "steady".into(), "\"steady\""),
        ("/targets/1/name", "nodes".into(), "\"nodes\""),
    ];
    for (place, value, shown) in contradictions {
        let why = read_changed(|json| *json.pointer_mut(place).expect(place) = value).to_string();
        assert!(why.contains(shown), "{place}: {why}");
    }
}

/// JSON has no word for what is not a number: serde writes null, which nobody could read back.
#[test]
fn what_would_not_be_read_back_is_kept_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let good = example::result();
    good.write(&at(&dir)).unwrap();
    let bad = BenchResult { seconds: f64::NAN, ..example::result() };
    let why = bad.write(&at(&dir)).expect_err("not a number");
    assert!(why.to_string().contains("result.json.unreadable"), "{why}");
    assert!(dir.path().join("result.json.unreadable").metadata().unwrap().len() > 1000, "what was measured is kept");
    assert_eq!(BenchResult::read(&at(&dir)).unwrap(), good, "the file that was there is as it was");
}

#[test]
fn a_file_that_is_not_there_or_not_json_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(BenchResult::read(&at(&dir)).expect_err("nothing there").to_string().contains("result.json"));
    fs::write(at(&dir), "[[[").unwrap();
    assert!(matches!(BenchResult::read(&at(&dir)), Err(ResultFileError::Shape { .. })));
}

/// Whoever replaces a file sees the old one until the new one is whole.
#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(at(&dir)).unwrap();
    let why = example::result().write(&at(&dir)).expect_err("a directory is in the way");
    assert!(matches!(why, ResultFileError::Io { .. }), "{why}");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no half of a file is left");
}

/// The example lies beside the code, for tests of other packages and for people.
#[test]
fn the_example_is_what_this_version_writes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/result/example.json");
    if std::env::var_os("QUARRY_WRITE_EXAMPLE").is_some() {
        example::result().write(&path).unwrap();
    }
    assert!(BenchResult::read(&path).expect(ANEW) == example::result(), "{ANEW}");
}

/// Every field of the example, as the document names it: `cases[].targets[].rounds[].bytes`.
fn fields_of(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields_of(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| {
            if value.is_object() {
                fields_of(value, &format!("{path}[]"), found);
            }
        }),
        Value::Null => {
            assert!(NOT_EVERYWHERE.iter().any(|field| path.ends_with(field)), "{path}: the example must have it");
        }
        _ => {}
    }
}

/// Fields that are null in some of the example's cases and not in others: those still document them.
const NOT_EVERYWHERE: [&str; 4] = ["].baseline", "].ladder", "].phase", "].stages"];

#[test]
fn the_document_names_every_field_and_no_other() {
    let mut fields = BTreeSet::new();
    fields_of(&serde_json::to_value(example::result()).unwrap(), "", &mut fields);
    let document = include_str!("../README.md");
    let named = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(field, _)| field.to_owned()));
    // Parts are the same wherever they stand; the document describes them once.
    let part =
        |field: &str| PARTS.iter().find_map(|place| field.strip_prefix(place).map(|rest| format!("PART.{rest}")));
    // So is a disk.
    let fields = fields.iter().filter(|field| !field.starts_with("targets[].disks[]."));
    let fields: BTreeSet<_> = fields.map(|field| part(field).unwrap_or_else(|| field.clone())).collect();
    let named: BTreeSet<_> = named.collect();
    let difference: Vec<_> = fields.symmetric_difference(&named).collect();
    assert!(difference.is_empty(), "in the structs or in README.md, not in both: {difference:?}");
}

/// Where parts of rounds stand.
const PARTS: [&str; 7] = [
    "cases[].baseline.device[].",
    "cases[].baseline.loopback[].",
    "cases[].baseline.pipe[].",
    "cases[].targets[].rounds[].",
    "cases[].targets[].ladder.steps[].part.",
    "cases[].targets[].phase.healthy[].",
    "cases[].targets[].stages.without[].",
];
