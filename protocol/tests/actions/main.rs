//! One list of action names: what the machines note, and what the specification's modules do (DESIGN 5).

use quarry_protocol::action::{ACTION_NAMES, NotedBy};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module of the specification that has actions.
struct Module {
    file: String,
    /// What its `Actions` says.
    named: BTreeSet<String>,
    /// The operators that its `Next` is made of.
    taken: BTreeSet<String>,
}

fn without_comments(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("(*") {
        plain.push_str(&rest[..at]);
        let Some(end) = rest[at..].find("*)") else { break };
        rest = &rest[at + end + 2..];
    }
    plain.push_str(rest);
    plain.lines().map(|line| line.split("\\*").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The definitions of a module: a name at the beginning of a line, perhaps parameters, `==`, and all up to the next one.
fn definitions(text: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let name: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_definition = !name.is_empty() && line.contains("==");
        if is_definition {
            current = Some(name.clone());
        } else if line.starts_with("----") || line.starts_with("====") {
            current = None;
        }
        if let Some(name) = &current {
            let body = if is_definition { line.split_once("==").expect("it is there").1 } else { line };
            let known = found.entry(name.clone()).or_default();
            known.push_str(body);
            known.push('\n');
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn module(path: &Path) -> Option<Module> {
    let text = without_comments(&std::fs::read_to_string(path).expect("read"));
    let definitions = definitions(&text);
    let (actions, next) = (definitions.get("Actions")?, definitions.get("Next")?);
    let named = actions.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let taken = words(next).filter(|word| is_action(&definitions, word)).map(str::to_owned).collect();
    Some(Module { file: path.display().to_string(), named, taken })
}

/// An action is an operator that says what a variable will be, or is made of one that does.
fn is_action(definitions: &BTreeMap<String, String>, word: &str) -> bool {
    let Some(body) = definitions.get(word) else { return false };
    let says = body.contains('\'') || body.contains("UNCHANGED");
    says || words(body).any(|inner| inner != word && is_action(definitions, inner))
}

fn modules() -> Vec<Module> {
    let tla = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tla");
    let mut paths: Vec<_> =
        std::fs::read_dir(&tla).expect("the specification").map(|e| e.expect("read").path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.extension().is_some_and(|e| e == "tla")).filter_map(|path| module(path)).collect()
}

#[test]
fn every_module_takes_the_actions_it_names() {
    let modules = modules();
    assert!(modules.len() >= 4, "{} modules have actions", modules.len());
    for Module { file, named, taken } in &modules {
        assert_eq!(named, taken, "{file}: Actions, and the operators of Next");
    }
}

#[test]
fn code_and_specification_have_one_list() {
    let specified: BTreeSet<String> = modules().into_iter().flat_map(|module| module.named).collect();
    let listed: BTreeSet<String> = ACTION_NAMES.iter().map(|action| action.name.to_owned()).collect();
    assert_eq!(listed.len(), ACTION_NAMES.len(), "a name is listed twice");
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    let (unlisted, unspecified) = (only(&specified, &listed), only(&listed, &specified));
    assert!(
        unlisted.is_empty() && unspecified.is_empty(),
        "only specified: {unlisted:?}; only listed: {unspecified:?}"
    );
}

/// What the code notes, the traces check: each such action has a rule in `TraceRules.tla`.
#[test]
fn traces_are_checked_for_everything_that_is_noted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tla/TraceRules.tla");
    let text = without_comments(&std::fs::read_to_string(path).expect("the trace specification"));
    let quoted: BTreeSet<&str> = text.split('"').skip(1).step_by(2).collect();
    for action in ACTION_NAMES.iter().filter(|action| matches!(action.noted_by, NotedBy::Machine | NotedBy::Driver)) {
        assert!(quoted.contains(action.name), "TraceRules.tla says nothing of {}", action.name);
    }
}
