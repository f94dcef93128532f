//! Style as a test: what a reviewer would otherwise have to say again and again. Each rule names the file and line.

use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file before its inline tests.
const FILE_LINES_MAX: usize = 500;
/// Most lines of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Longest line, in characters. rustfmt breaks code at 120 and leaves long strings alone.
const LINE_CHARS_MAX: usize = 180;

/// Files that are longer, and by how much they may be. A ratchet like the next one.
const LONGER_FILES: [(&str, usize); 1] = [("node/src/store/replay/mod.rs", 504)];

/// Functions that are longer, and by how much they may be. A ratchet: only ever shorten or remove an entry.
const LONGER_FUNCTIONS: [(&str, &str, usize); 0] = [];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "manager", "handler", "misc", "shared_utils"];

/// Where `unsafe` may stand, each use with its reason (clippy sees to that).
const UNSAFE_ALLOWED: [&str; 2] = ["node/src/io/", "bench/src/device/"];

/// A Rust file of the workspace.
struct Source {
    /// From the workspace's root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Lines before the inline tests, with their numbers from 1.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let inline_tests = |line: &&str| line.trim_end() == "mod tests {";
        let end = self.text.lines().position(|line| inline_tests(&line)).unwrap_or(usize::MAX);
        self.lines().take(end)
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_path_buf()
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for package in ["protocol", "node", "client", "bench", "cli"] {
        collect(&root, &root.join(package), &mut found);
    }
    assert!(found.len() > 50, "only {} files: the walk is broken", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).expect("a directory of the workspace").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is text");
            let path = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}

/// Fails with every offence, not only the first.
fn refuse(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

#[test]
fn files_are_short_and_so_are_lines() {
    let mut offences = Vec::new();
    for source in sources() {
        let lines = source.production().count();
        let ratchet = LONGER_FILES.iter().find(|(path, _)| *path == source.path);
        let max = ratchet.map_or(FILE_LINES_MAX, |(_, max)| *max);
        if lines > max {
            offences.push(format!("{}: {lines} lines, at most {max}: split it by role", source.path));
        }
        if ratchet.is_some() && lines <= FILE_LINES_MAX {
            offences.push(format!("{}: it is short now, take it off the list", source.path));
        }
        for (number, line) in source.lines() {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX {
                offences.push(format!("{}:{number}: {chars} characters, at most {LINE_CHARS_MAX}", source.path));
            }
            if line.ends_with([' ', '\t']) {
                offences.push(format!("{}:{number}: ends in white space", source.path));
            }
        }
    }
    refuse("files and lines are short", &offences);
}

/// Name, first line and number of lines of every function, found by the indentation that rustfmt gives.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let lines: Vec<_> = source.text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = function_name(code) else { continue };
        let indent = &line[..line.len() - code.len()];
        let end = lines[start..].iter().position(|line| {
            let closes = line.strip_prefix(indent).is_some_and(|rest| rest == "}" || rest == "};");
            closes || (line.starts_with(&format!("{indent}}}")) && line.trim_end() == format!("{indent}}}"))
        });
        let one_line = code.ends_with('}') || code.ends_with(';');
        if let (false, Some(length)) = (one_line, end) {
            found.push((name, start + 1, length + 1));
        }
    }
    found
}

fn function_name(code: &str) -> Option<String> {
    let mut words = code.split_whitespace();
    for word in words.by_ref() {
        match word {
            "fn" => break,
            "const" | "async" | "unsafe" | "extern" | "pub" => {}
            word if word.starts_with("pub(") || word.starts_with('"') || word.ends_with(')') => {}
            _ => return None,
        }
    }
    let name = words.next()?;
    Some(name.split(['(', '<']).next().unwrap_or(name).to_owned())
}

#[test]
fn functions_fit_on_a_screen() {
    let mut offences = Vec::new();
    for source in sources() {
        for (name, line, length) in functions(&source) {
            let ratchet = LONGER_FUNCTIONS.iter().find(|(path, function, _)| *path == source.path && *function == name);
            let max = ratchet.map_or(FUNCTION_LINES_MAX, |(_, _, max)| *max);
            if length > max {
                offences.push(format!("{}:{line}: fn {name} has {length} lines, at most {max}", source.path));
            }
            if ratchet.is_some() && length <= FUNCTION_LINES_MAX {
                offences.push(format!("{}:{line}: fn {name} is short now, take it off the list", source.path));
            }
        }
    }
    refuse("functions fit on a screen", &offences);
}

/// The check above must be able to fail.
#[test]
fn the_length_of_a_function_is_measured() {
    let body = "        let x = 1;\n".repeat(80);
    let text = format!(
        "impl A {{\n    pub(super) async fn long<T>(\n        a: T,\n    ) {{\n{body}    }}\n}}\nfn short() {{}}\n"
    );
    let source = Source { path: "a.rs".into(), text };
    assert_eq!(functions(&source), [("long".to_owned(), 2, 84)]);
}

#[test]
fn nothing_is_left_undone() {
    // Spelt in two halves, so that this file does not contain them.
    let unfinished =
        [["todo", "!("], ["unimplemented", "!("], ["#[ign", "ore"], ["FIX", "ME"], ["TO", "DO:"], ["dbg", "!("]];
    let unfinished = unfinished.map(|halves| halves.concat());
    let mut offences = Vec::new();
    for source in sources() {
        for (number, line) in source.lines() {
            if let Some(word) = unfinished.iter().find(|word| line.contains(word.as_str())) {
                offences.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    refuse("nothing is left undone", &offences);
}

#[test]
fn files_are_named_for_what_is_in_them() {
    let offences: Vec<_> = sources()
        .iter()
        .filter(|source| source.path.trim_end_matches(".rs").split('/').any(|part| EMPTY_NAMES.contains(&part)))
        .map(|source| source.path.clone())
        .collect();
    refuse("files are named for what is in them", &offences);
}

/// A file that no `mod` names is dead.
#[test]
fn every_file_is_part_of_a_module_tree() {
    let sources = sources();
    let mut offences = Vec::new();
    for source in sources.iter().filter(|source| source.path.contains("/src/")) {
        let (dir, file) = source.path.rsplit_once('/').expect("a path has a directory");
        let stem = file.trim_end_matches(".rs");
        if ["lib", "main"].contains(&stem) && dir.ends_with("/src") {
            continue;
        }
        let (dir, stem) = if stem == "mod" { dir.rsplit_once('/').expect("a module's directory") } else { (dir, stem) };
        let parents = ["mod.rs", "lib.rs", "main.rs"].map(|name| format!("{dir}/{name}"));
        let declared = sources.iter().any(|parent| {
            let is_parent = parents.contains(&parent.path) || parent.path == format!("{dir}.rs");
            is_parent && parent.text.lines().any(|line| line.trim_end().ends_with(&format!("mod {stem};")))
        });
        if !declared {
            offences.push(format!("{}: no file has `mod {stem};`", source.path));
        }
    }
    refuse("every file is part of a module tree", &offences);
}

#[test]
fn the_executor_is_named_in_one_place_and_so_is_unsafe() {
    let mut offences = Vec::new();
    for source in sources() {
        let io = source.path.starts_with("node/src/io/");
        let may_be_unsafe = UNSAFE_ALLOWED.iter().any(|dir| source.path.starts_with(dir));
        for (number, line) in source.lines() {
            let code = line.split("//").next().unwrap_or("");
            if !io && ["glommio::", "use glommio"].iter().any(|name| code.contains(name)) && !code.contains('"') {
                offences.push(format!("{}:{number}: glommio outside node/src/io", source.path));
            }
            let unsafe_code =
                ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|form| code.contains(form));
            if unsafe_code && !may_be_unsafe && !code.contains('"') {
                offences.push(format!("{}:{number}: unsafe outside {UNSAFE_ALLOWED:?}", source.path));
            }
        }
    }
    refuse("glommio and unsafe stay where they are", &offences);
}

/// DESIGN 5: `node -> protocol <- client <- bench <- cli`, `cli -> node`; `node` and `client` never import each other.
#[test]
fn packages_depend_only_along_the_arrows() {
    let allowed: [(&str, &[&str]); 4] = [
        ("protocol", &[]),
        ("node", &["quarry-protocol"]),
        ("client", &["quarry-protocol"]),
        ("bench", &["quarry-protocol", "quarry-client"]),
    ];
    let mut offences = Vec::new();
    for (package, may) in allowed {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.lines().filter(|line| line.starts_with("quarry-"));
        for line in dependencies.filter(|line| {
            !may.iter().any(|name| line.starts_with(&format!("{name}.")) || line.starts_with(&format!("{name} ")))
        }) {
            offences.push(format!("{package}/Cargo.toml: {line}"));
        }
    }
    let protocol = fs::read_to_string(root().join("protocol/src/lib.rs")).expect("the protocol's root");
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        if !protocol.contains(attribute) {
            offences.push(format!("protocol/src/lib.rs: {attribute} is missing"));
        }
    }
    refuse("packages depend only along the arrows", &offences);
}

/// Words that the design avoids, and with which two people mean two things (DESIGN section 1).
#[test]
fn words_mean_one_thing() {
    let avoided = ["LSN", "WAL", "ballot"];
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.path != "cli/tests/tidy.rs" && !source.is_test()) {
        for (number, line) in source.production() {
            let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
            if let Some(word) = words.find(|word| avoided.contains(word)) {
                offences.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    refuse("words mean one thing", &offences);
}
