//! SARIF 2.1.0. The checks are those of the schema for the parts that are written, by hand: what must be there, what its
//! type is, what may be said at all; and what only the text of the standard asks for, such as that indices lead somewhere.

use std::sync::Arc;

use flow_compiler::settings::Settings;
use flow_compiler::{Code, Diagnostic, sarif};
use flow_grammar::span::Span;
use serde_json::{Value, json};

use crate::support::{apply, compile};

fn log(source: &str) -> Value {
    let (compilation, compiler) = compile(&[("dir with blanks/é.flow", source)], Settings::default());
    let sources = compiler.sources();
    let diagnostics = compilation.diagnostics();
    sarif::log(&[sarif::Project { root: "/home/a b", diagnostics: &diagnostics, sources: &sources }], "1.2.3")
}

const MIXED: &str = "# é\nwhen stripe.charge_failed where description is \"é\" and amuont > 1 do kustomer.create_conversation\n\n\
                     flow x\n  when stripe.charge_failed do {\n    let amount = event.amount\n    kustomer.create_conversation\n  }\n\n\
                     flow x\n  when stripe.charge_failed do kustomer.create_conversation\n";

/// A schema: names of members with what they hold; `!` marks those that must be there.
fn members(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        "log" => &[("version!", "text"), ("$schema", "text"), ("runs!", "[run]")],
        "run" => &[
            ("tool!", "tool"),
            ("invocations", "[invocation]"),
            ("originalUriBaseIds", "{artifactLocation}"),
            ("columnKind", "text"),
            ("defaultEncoding", "text"),
            ("artifacts", "[artifact]"),
            ("results", "[result]"),
        ],
        "tool" => &[("driver!", "toolComponent")],
        "toolComponent" => &[("name!", "text"), ("semanticVersion", "text"), ("rules", "[reportingDescriptor]")],
        "reportingDescriptor" => &[
            ("id!", "text"),
            ("shortDescription", "multiformat"),
            ("fullDescription", "multiformat"),
            ("help", "multiformat"),
            ("defaultConfiguration", "reportingConfiguration"),
        ],
        "reportingConfiguration" => &[("level", "level")],
        "multiformat" => &[("text!", "text"), ("markdown", "text")],
        "invocation" => &[("executionSuccessful!", "bool")],
        "artifact" => &[("location", "artifactLocation"), ("roles", "[text]"), ("encoding", "text")],
        "artifactLocation" => &[("uri", "uri"), ("uriBaseId", "text"), ("index", "int")],
        "result" => &[
            ("ruleId", "text"),
            ("ruleIndex", "int"),
            ("level", "level"),
            ("message!", "message"),
            ("locations", "[location]"),
            ("relatedLocations", "[location]"),
            ("partialFingerprints", "{text}"),
            ("fixes", "[fix]"),
        ],
        "message" => &[("text!", "text")],
        "location" => &[("id", "int"), ("physicalLocation", "physicalLocation"), ("message", "message")],
        "physicalLocation" => &[("artifactLocation!", "artifactLocation"), ("region", "region")],
        "region" => &[("startLine", "from 1"), ("startColumn", "from 1"), ("endLine", "from 1"), ("endColumn", "from 1")],
        "fix" => &[("description", "message"), ("artifactChanges!", "[artifactChange]")],
        "artifactChange" => &[("artifactLocation!", "artifactLocation"), ("replacements!", "[replacement]")],
        "replacement" => &[("deletedRegion!", "region"), ("insertedContent", "artifactContent")],
        "artifactContent" => &[("text", "text")],
        other => panic!("no schema for {other}"),
    }
}

fn check(value: &Value, kind: &str, place: &str) {
    if let Some(inner) = kind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let items = value.as_array().unwrap_or_else(|| panic!("{place} is no list: {value}"));
        items.iter().enumerate().for_each(|(at, item)| check(item, inner, &format!("{place}[{at}]")));
        return;
    }
    if let Some(inner) = kind.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
        object.iter().for_each(|(key, item)| check(item, inner, &format!("{place}.{key}")));
        return;
    }
    let fits = match kind {
        "text" => value.is_string(),
        "bool" => value.is_boolean(),
        "int" => value.as_i64().is_some_and(|number| number >= 0),
        "from 1" => value.as_i64().is_some_and(|number| number >= 1),
        "level" => matches!(value.as_str(), Some("none" | "note" | "warning" | "error")),
        "uri" => value.as_str().is_some_and(|uri| {
            uri.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%:".contains(&b)) && !uri.starts_with("//")
        }),
        object => {
            let members = members(object);
            let found = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
            for (name, kind) in members {
                match (found.get(name.trim_end_matches('!')), name.ends_with('!')) {
                    (Some(inner), _) => check(inner, kind, &format!("{place}.{name}")),
                    (None, required) => assert!(!required, "{place} has no {name}: {value:#}"),
                }
            }
            let known = |key: &str| members.iter().any(|(name, _)| name.trim_end_matches('!') == key);
            found.keys().for_each(|key| assert!(known(key), "{place} must not have {key}"));
            true
        }
    };
    assert!(fits, "{place} is not {kind}: {value}");
}

#[test]
fn the_log_is_well_formed() {
    let log = log(MIXED);
    check(&log, "log", "log");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids.len() >= 3, "{ids:?}");
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(ids[index], result["ruleId"], "{result:#}");
        let location = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        let index = usize::try_from(location["index"].as_u64().unwrap()).unwrap();
        assert_eq!(run["artifacts"][index]["location"]["uri"], location["uri"]);
        assert!(run["originalUriBaseIds"][location["uriBaseId"].as_str().unwrap()].is_object());
        for rule in rules {
            assert!(rule["help"]["markdown"].as_str().unwrap().starts_with(&format!("# {}", rule["id"].as_str().unwrap())));
        }
    }
    let prints: Vec<&Value> = run["results"].as_array().unwrap().iter().map(|one| &one["partialFingerprints"]).collect();
    assert!(prints.iter().enumerate().all(|(at, print)| !prints[..at].contains(print)), "{prints:?}");
}

#[test]
fn places_are_in_code_points_and_files_relative() {
    let log = log(MIXED);
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    assert_eq!(run["originalUriBaseIds"]["PROJECT"]["uri"], "file:///home/a%20b/");
    let unknown = run["results"].as_array().unwrap().iter().find(|one| one["ruleId"] == "E201").unwrap();
    let place = &unknown["locations"][0]["physicalLocation"];
    assert_eq!(
        place["artifactLocation"],
        json!({ "uri": "dir%20with%20blanks/%C3%A9.flow", "uriBaseId": "PROJECT", "index": 0 })
    );
    assert_eq!(place["region"], json!({ "startLine": 2, "startColumn": 56, "endLine": 2, "endColumn": 62 }));
    // The second of one name points at the first.
    let twice = run["results"].as_array().unwrap().iter().find(|one| one["ruleId"] == "E202").unwrap();
    assert_eq!(twice["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 4);
}

#[test]
fn safe_fixes_can_be_applied_from_the_log_alone() {
    let log = log(MIXED);
    let unknown = log["runs"][0]["results"].as_array().unwrap().iter().find(|one| one["ruleId"] == "E201").unwrap();
    let replacement = &unknown["fixes"][0]["artifactChanges"][0]["replacements"][0];
    let region = &replacement["deletedRegion"];
    let number = |key: &str| usize::try_from(region[key].as_u64().unwrap()).unwrap();
    let mut lines: Vec<String> = MIXED.lines().map(str::to_owned).collect();
    let line: Vec<char> = lines[number("startLine") - 1].chars().collect();
    let (before, behind) = (&line[..number("startColumn") - 1], &line[number("endColumn") - 1..]);
    let text = replacement["insertedContent"]["text"].as_str().unwrap();
    let joined = before.iter().collect::<String>() + text + &behind.iter().collect::<String>();
    lines[number("startLine") - 1] = joined;
    let expected = {
        let (compilation, _) = compile(&[("a.flow", MIXED)], Settings::default());
        let diagnostics = compilation.diagnostics();
        apply(MIXED, &diagnostics.iter().find(|one| one.code == Code::E201).unwrap().fixes[0])
    };
    assert_eq!(lines.join("\n") + "\n", expected);
    for result in log["runs"][0]["results"].as_array().unwrap() {
        // What needs a look is told, not offered.
        assert!(result["fixes"].is_null() || result["ruleId"] == "E201", "{result:#}");
    }
}

#[test]
fn no_secret_and_no_place_in_what_is_not_there() {
    let secret = "sk_live_51HxyzABCDEFGHIJKLMNOPQ";
    let log = log(&format!("when stripe.charge_failed where description is \"{secret}\" do kustomer.create_conversation\n"));
    assert!(log.to_string().contains("E801") && !log.to_string().contains(secret));

    let file: Arc<str> = Arc::from("gone.flow");
    let diagnostics = [Diagnostic::new(Code::E100, &file, Span::default(), "the file is no text")];
    let log = sarif::log(&[sarif::Project { root: "/", diagnostics: &diagnostics, sources: &Default::default() }], "1.0.0");
    check(&log, "log", "log");
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["region"], Value::Null);
    assert_eq!(log["runs"][0]["originalUriBaseIds"]["PROJECT"]["uri"], "file:///");
}

#[test]
fn two_projects_do_not_mix_their_files() {
    let source = "when stripe.charge_faild do kustomer.create_conversation\n";
    let (compilation, compiler) = compile(&[("a.flow", source)], Settings::default());
    let (diagnostics, sources) = (compilation.diagnostics(), compiler.sources());
    let project = |root| sarif::Project { root, diagnostics: &diagnostics, sources: &sources };
    let log = sarif::log(&[project("/one"), project("/two")], "1.0.0");
    check(&log, "log", "log");
    let results = log["runs"][0]["results"].as_array().unwrap();
    let bases: Vec<&Value> =
        results.iter().map(|one| &one["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"]).collect();
    assert_eq!(bases, ["PROJECT", "PROJECT_2"]);
    assert_eq!(log["runs"][0]["artifacts"].as_array().unwrap().len(), 2);
}
