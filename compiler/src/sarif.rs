//! Diagnostics as SARIF 2.1.0, for code scanning services and editors that read it.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>. Columns are counted in code points, and said to be
//! so; files are relative to the folder of their project. No source text is copied, so no secret can be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_grammar::span::{LineIndex, Span};
use serde_json::{Value as Json, json};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Fix, Severity};
use crate::report::Sources;

/// What was found in one project.
#[derive(Debug)]
pub struct Project<'a> {
    /// The absolute path of its folder, with `/`.
    pub root: &'a str,
    /// What was found.
    pub diagnostics: &'a [Diagnostic],
    /// The texts that it points into, and all others that were looked at.
    pub sources: &'a Sources,
}

/// Returns the log of one run of flowc of this version.
pub fn log(projects: &[Project<'_>], version: &str) -> Json {
    let codes: BTreeSet<Code> = projects.iter().flat_map(|project| project.diagnostics).map(|one| one.code).collect();
    let codes: Vec<Code> = codes.into_iter().collect();
    let mut bases = serde_json::Map::new();
    let mut artifacts = Vec::new();
    let mut results = Vec::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for (at, project) in projects.iter().enumerate() {
        let base = if at == 0 { "PROJECT".to_owned() } else { format!("PROJECT_{}", at + 1) };
        bases.insert(base.clone(), json!({ "uri": format!("file://{}/", encoded(project.root.trim_end_matches('/'))) }));
        let mut files: BTreeMap<&Arc<str>, File<'_>> = BTreeMap::new();
        let pointed_at = project.diagnostics.iter().map(|one| &one.file);
        for file in project.sources.keys().chain(pointed_at).collect::<BTreeSet<_>>() {
            let source = project.sources.get(file).map_or("", |source| source);
            let location = json!({ "uri": encoded(file), "uriBaseId": base, "index": artifacts.len() });
            artifacts.push(json!({
                "location": { "uri": encoded(file), "uriBaseId": base },
                "roles": ["analysisTarget"],
                "encoding": "utf-8",
            }));
            files.insert(file, File { location, source, lines: LineIndex::new(source) });
        }
        for diagnostic in project.diagnostics {
            let Some(file) = files.get(&diagnostic.file) else { continue };
            let rule = codes.binary_search(&diagnostic.code).unwrap_or_default();
            results.push(result(diagnostic, file, rule, &mut seen));
        }
    }
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "flowc",
                "semanticVersion": version,
                "rules": codes.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            } },
            "invocations": [{ "executionSuccessful": true }],
            "originalUriBaseIds": bases,
            "columnKind": "unicodeCodePoints",
            "defaultEncoding": "utf-8",
            "artifacts": artifacts,
            "results": results,
        }],
    })
}

/// A file that results point into.
struct File<'a> {
    location: Json,
    source: &'a str,
    lines: LineIndex,
}

impl File<'_> {
    fn region(&self, span: Span) -> Json {
        let start = self.lines.position(self.source, span.start as usize);
        let end = self.lines.position(self.source, span.end as usize);
        json!({ "startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column })
    }

    fn place(&self, span: Span) -> Json {
        let mut place = json!({ "artifactLocation": self.location });
        // Of a file that is not there, or is no text, there is no place in it.
        if !self.source.is_empty() {
            place["region"] = self.region(span);
        }
        json!({ "physicalLocation": place })
    }
}

fn rule(code: Code) -> Json {
    let page = code.page();
    let meaning = page.split("\n\n").nth(1).unwrap_or_default().replace('\n', " ");
    json!({
        "id": code.as_str(),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": meaning },
        "help": { "text": page, "markdown": page },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(diagnostic: &Diagnostic, file: &File<'_>, rule: usize, seen: &mut BTreeMap<String, u32>) -> Json {
    let mut location = file.place(diagnostic.span);
    if !diagnostic.label.is_empty() {
        location["message"] = json!({ "text": diagnostic.label });
    }
    let mut result = json!({
        "ruleId": diagnostic.code.as_str(),
        "ruleIndex": rule,
        "level": level(diagnostic.severity),
        "message": { "text": message(diagnostic) },
        "locations": [location],
        "partialFingerprints": { "flow/v1": fingerprint(diagnostic, seen) },
    });
    if !diagnostic.labels.is_empty() {
        let related = diagnostic.labels.iter().enumerate().map(|(at, label)| {
            let mut place = file.place(label.span);
            place["id"] = json!(at);
            place["message"] = json!({ "text": label.text });
            place
        });
        result["relatedLocations"] = related.collect();
    }
    // Whoever applies a fix of a log does so without a look.
    let safe: Vec<Json> =
        diagnostic.fixes.iter().filter(|fix| fix.safe && !fix.edits.is_empty()).map(|one| fix(one, file)).collect();
    if !safe.is_empty() && !file.source.is_empty() {
        result["fixes"] = Json::Array(safe);
    }
    result
}

fn fix(fix: &Fix, file: &File<'_>) -> Json {
    let replacements: Vec<Json> = fix
        .edits
        .iter()
        .map(|edit| json!({ "deletedRegion": file.region(edit.span), "insertedContent": { "text": edit.text } }))
        .collect();
    json!({
        "description": { "text": fix.title },
        "artifactChanges": [{ "artifactLocation": file.location, "replacements": replacements }],
    })
}

/// The message with what can be done about it, for viewers that show nothing else.
fn message(diagnostic: &Diagnostic) -> String {
    let help = diagnostic.help.iter().cloned();
    let fixes = diagnostic.fixes.iter().map(|fix| format!("fix: {}", fix.title));
    std::iter::once(diagnostic.message.clone()).chain(help).chain(fixes).collect::<Vec<_>>().join("\n")
}

/// Names a result across runs: it stays the same when lines move.
fn fingerprint(diagnostic: &Diagnostic, seen: &mut BTreeMap<String, u32>) -> String {
    let key = flow_plan::short_hash(&format!("{}\n{}\n{}", diagnostic.code, diagnostic.file, diagnostic.message));
    let count = seen.entry(key.clone()).or_default();
    *count += 1;
    format!("{key}:{count}")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

/// Returns a path as part of a URI: RFC 3986 leaves letters, digits and `-._~` as they are; `/` parts the segments.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
