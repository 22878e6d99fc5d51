//! The documentation is executed: docs/language section for section, and the page of each code.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::page::{Block, blocks};
use crate::support::program::{flowc, flowc_with, project};

pub(crate) fn diagnostics(source: &str, settings: &str) -> Vec<Value> {
    checked(source, settings, &["check", "-", "--format", "json"])
}

/// Checks a program in a project with such a flow.toml.
fn checked(source: &str, settings: &str, args: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    if !settings.is_empty() {
        std::fs::write(folder.path().join("flow.toml"), settings).unwrap();
    }
    let outcome = flowc_with(folder.path(), args, source.as_bytes());
    let json: Value = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error} {outcome:?}"));
    json["diagnostics"].as_array().unwrap().clone()
}

#[test]
fn every_block_of_the_reference_does_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sections = 0;
    for entry in ["docs/language", "docs/operating", "docs/connectors"]
        .into_iter()
        .flat_map(|pages| std::fs::read_dir(root.join(pages)).unwrap())
    {
        let entry = entry.unwrap();
        let page = std::fs::read_to_string(entry.path()).unwrap();
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        for block in blocks(&page) {
            match block.language.as_str() {
                "flow" => files.entry(block.heading).or_default().push_str(&block.text),
                "toml settings" => settings.entry(block.heading).or_default().push_str(&block.text),
                _ => {}
            }
        }
        for (heading, source) in files {
            sections += 1;
            let mut expected: Vec<(usize, String, String)> = Vec::new();
            for (at, line) in source.lines().enumerate() {
                if let Some((_, note)) = line.split_once("# error: [") {
                    let (code, words) = note.split_once("] \"").unwrap();
                    expected.push((at + 1, code.to_owned(), words.trim_end().trim_end_matches('"').to_owned()));
                }
            }
            // Settings before the first heading hold for the whole page.
            let settings = settings.get(&heading).or_else(|| settings.get("")).map_or("", String::as_str);
            let mut found = diagnostics(&source, settings);
            // The examples of a section stand side by side: they are alternatives, not one rule set.
            let is_subject = expected.iter().any(|(_, code, _)| code == "W702");
            found.retain(|one| is_subject || one["code"] != "W702");
            let place = format!("{} ## {heading}", entry.path().display());
            assert_eq!(found.len(), expected.len(), "{place}\n{source}\n{found:#?}");
            for (diagnostic, (line, code, words)) in found.iter().zip(&expected) {
                assert_eq!(diagnostic["code"], code.as_str(), "{place}: {diagnostic:#}");
                assert_eq!(diagnostic["span"]["start"]["line"], *line, "{place}: {diagnostic:#}");
                assert!(diagnostic.to_string().contains(words.as_str()), "{place}: `{words}` is not in {diagnostic:#}");
            }
            if source.contains("test \"") && expected.is_empty() {
                let folder = project(&[("main.flow", &source), ("flow.toml", settings)]);
                let outcome = flowc(folder.path(), &["test"]);
                assert!(outcome.code == 0 && !outcome.out.contains("\n0 passed"), "{place}\n{}", outcome.out);
            }
        }
    }
    assert!(sections > 15, "{sections}");
}

#[test]
fn every_code_has_a_page_with_a_wrong_and_a_right_program() {
    for code in flow_compiler::Code::ALL {
        let page = code.page();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}");
        let blocks = blocks(page);
        let of = |heading: &str| -> Vec<&Block> { blocks.iter().filter(|block| block.heading.starts_with(heading)).collect() };
        let (wrong, right) = (of("Wrong"), of("Right"));
        // Codes about flow.toml and unreadable files have blocks of other languages, shown by tests/it/config.rs.
        let settings = |blocks: &[&Block]| -> String {
            blocks.iter().filter(|block| block.language == "toml settings").map(|block| block.text.as_str()).collect()
        };
        for block in wrong.iter().filter(|block| block.language == "flow") {
            let found = if code.severity() == flow_compiler::Severity::Advice {
                pedantic(&block.text)
            } else {
                diagnostics(&block.text, &settings(&wrong))
            };
            assert!(
                found.iter().any(|one| one["code"] == code.as_str()),
                "{code} is not what its wrong program gives:\n{}\n{found:#?}",
                block.text
            );
        }
        for block in right.iter().filter(|block| block.language == "flow") {
            let found = diagnostics(&block.text, &settings(&right));
            assert!(found.is_empty(), "the right program of {code} is not right:\n{}\n{found:#?}", block.text);
        }
        assert!(!wrong.is_empty() && !right.is_empty(), "{code} needs `## Wrong` and `## Right` with a block each");
    }
}

fn pedantic(source: &str) -> Vec<Value> {
    checked(source, "", &["check", "-", "--format", "json", "--pedantic"])
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("docs/connectors.md")];
    for folder in ["docs/language", "docs/tutorial", "docs/operating", "docs/connectors"] {
        pages.extend(std::fs::read_dir(root.join(folder)).unwrap().flatten().map(|entry| entry.path()));
    }
    let mut links = 0;
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {target}", page.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                let found = text.lines().filter_map(|line| line.strip_prefix("## ")).any(|title| slug(title) == anchor);
                assert!(found, "{}: {target}", page.display());
            }
        }
    }
    assert!(links > 50, "{links}");
}

/// The index of the built-in connectors is what the catalog has. `UPDATE=1` writes it anew.
#[test]
fn the_index_of_connectors_is_complete() {
    const BEGIN: &str = "<!-- the table: written by a test -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/connectors/README.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, is) = page.split_once(BEGIN).unwrap();
    let mut table = String::from("\n| connector | triggers and states | queries | actions |\n|---|---|---|---|\n");
    let listed = |names: Vec<&str>| if names.is_empty() { "–".to_owned() } else { format!("`{}`", names.join("` `")) };
    for connector in flow_compiler::connector::builtin().connectors.values() {
        let name = &connector.name;
        let own = path.with_file_name(format!("{name}.md"));
        let shown = if own.exists() { format!("[{name}]({name}.md)") } else { name.clone() };
        let starts = connector.triggers.keys().chain(connector.states.keys()).map(String::as_str).collect();
        let operations = |action: bool| {
            let public = connector.operations.values().filter(|operation| !operation.internal && operation.action == action);
            listed(public.map(|operation| operation.name.as_str()).collect())
        };
        table.push_str(&format!("| {shown} | {} | {} | {} |\n", listed(starts), operations(false), operations(true)));
    }
    if is != table && std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}")).unwrap();
        return;
    }
    assert_eq!(is, table, "with UPDATE=1 the table is written anew");
}

/// What a heading is called in a link.
fn slug(title: &str) -> String {
    let kept = title.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The table of promises names tests: each of them is there.
#[test]
fn every_test_that_shows_a_promise_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut named = 0;
    for name in page.split('`').skip(1).step_by(2) {
        let parts: Vec<&str> = name.split("::").collect();
        let folder = match parts.first() {
            Some(&"core") => "runtime/tests/core",
            Some(&"edges") => "runtime/tests/edges",
            Some(&"it") => "tests/it",
            _ => continue,
        };
        let Some((test, modules)) = parts[1..].split_last().filter(|(test, _)| **test != "…") else { continue };
        let place = |parts: &[&str]| root.join(folder).join(parts.join("/"));
        let text = |parts: &[&str]| {
            let path = place(parts);
            std::fs::read_to_string(path.with_extension("rs")).or_else(|_| std::fs::read_to_string(path.join("mod.rs")))
        };
        named += 1;
        let source = if modules.is_empty() { text(&[test]) } else { text(modules) };
        let source = source.unwrap_or_else(|error| panic!("{name}: {error}"));
        let wanted = format!("fn {}", test.trim_end_matches('*'));
        assert!(modules.is_empty() || source.contains(&wanted), "{name} is not there");
    }
    assert!(named > 60, "{named}");
}
