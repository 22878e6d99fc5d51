//! Mistakes of people who know other tools and have seen five flows: what each is told, and that what is offered mends it.
//!
//! The programs are in `tests/fixtures/mistakes`, one file for each part of the language.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use flow_compiler::compile::Compiler;
use flow_compiler::settings::Settings;
use flow_compiler::{Diagnostic, Fix, Severity};
use flow_grammar::span::Span;

use crate::{folder, texts};

/// What stands between two programs of a list.
const RULE: &str = "\n────\n";

/// A project into which one program after the other is put.
struct Desk(Compiler);

impl Desk {
    fn new() -> Self {
        let settings =
            Settings { timezone: Some("Europe/Paris".to_owned()), location: Some((48.85, 2.35)), ..Settings::default() };
        let mut compiler = Compiler::new(settings);
        for (name, text) in texts(&folder()) {
            compiler.set(&name, text);
        }
        Self(compiler)
    }

    /// Returns what is said about a program; advice only where nothing else is.
    fn check(&mut self, source: &str) -> Vec<Diagnostic> {
        self.0.set("test.flow", source);
        let mut found = self.0.compile().diagnostics();
        found.retain(|one| &*one.file == "test.flow");
        let worst = |one: &Diagnostic| one.severity == Severity::Advice;
        if !found.iter().all(worst) {
            found.retain(|one| !worst(one));
        }
        found
    }
}

fn lists() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/mistakes")
}

/// The programs of a list.
fn programs(list: &str) -> Vec<String> {
    let text = std::fs::read_to_string(lists().join(list).with_extension("txt")).unwrap();
    text.trim_end_matches('\n').split(RULE).map(str::to_owned).collect()
}

/// Returns the source with a fix applied.
fn applied(source: &str, fix: &Fix) -> String {
    let mut edits = fix.edits.clone();
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.span.start, edit.span.end)));
    let mut text = source.to_owned();
    for edit in edits {
        text.replace_range(edit.span.range(), &edit.text);
    }
    text
}

fn place(source: &str, span: Span) -> String {
    let line = 1 + source[..span.start as usize].matches('\n').count();
    let column = source[..span.start as usize].chars().rev().take_while(|&c| c != '\n').count() + 1;
    format!("{line}:{column} `{}`", span.text(source).replace('\n', "⏎"))
}

fn rendered(source: &str, diagnostic: &Diagnostic) -> String {
    let mut out = format!("{}[{}]: {}\n", diagnostic.severity.word(), diagnostic.code, diagnostic.message);
    let _ = writeln!(out, "  {} {}", place(source, diagnostic.span), diagnostic.label);
    for label in &diagnostic.labels {
        let _ = writeln!(out, "  {} {}", place(source, label.span), label.text);
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "  = {help}");
    }
    for fix in &diagnostic.fixes {
        let sure = if fix.safe { "fix" } else { "fix?" };
        let _ = write!(out, "  = {sure}: {}", fix.title);
        if !fix.edits.is_empty() {
            let _ = write!(out, " -> {}", applied(source, fix).replace('\n', "⏎"));
        }
        out.push('\n');
    }
    out
}

fn said(list: &str) {
    let mut desk = Desk::new();
    let mut out = String::new();
    for source in programs(list) {
        let found = desk.check(&source);
        let _ = writeln!(out, "{source}\n");
        for diagnostic in &found {
            out.push_str(&rendered(&source, diagnostic));
        }
        if found.is_empty() {
            out.push_str("nothing to say\n");
        }
        out.push_str("────\n");
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots/mistakes" }, {
        insta::assert_snapshot!(list, out);
    });
}

macro_rules! lists {
    ($($name:ident)*) => {
        /// The lists.
        const LISTS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                said(stringify!($name));
            }
        )*
    };
}

lists! { conditions connectors limits schedules states steps tests waits whole }

/// The wrong programs of the pages about codes.
fn pages() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for code in flow_compiler::Code::ALL {
        let wrong = code.page().split("\n## Wrong").nth(1).map_or("", |rest| rest.split("\n## ").next().unwrap_or(rest));
        for block in wrong.split("```flow\n").skip(1) {
            all.push((code.to_string(), block.split("\n```").next().unwrap_or(block).to_owned()));
        }
    }
    all
}

/// What is called safe is applied without a look: it mends its mistake and makes no other. What is not leaves a program
/// that can be read, so that one can go on from there.
#[test]
fn fixes_mend() {
    let mut desk = Desk::new();
    let mut sources = pages();
    assert!(sources.len() > 60, "{}", sources.len());
    for list in LISTS {
        sources.extend(programs(list).into_iter().map(|source| ((*list).to_owned(), source)));
    }
    let (mut safe, mut problems) = (0, String::new());
    for (origin, source) in &sources {
        let before: Vec<Diagnostic> = desk.check(source).into_iter().filter(Diagnostic::is_error).collect();
        let said: Vec<(flow_compiler::Code, &str)> = before.iter().map(|one| (one.code, one.message.as_str())).collect();
        let unread = |source: &str| flow_grammar::parse(source).errors.len();
        for diagnostic in &before {
            assert!(diagnostic.fixes.len() <= 3, "{source}");
            for fix in diagnostic.fixes.iter().filter(|fix| !fix.edits.is_empty()) {
                let mended = applied(source, fix);
                if !fix.safe {
                    if unread(&mended) > unread(source).saturating_sub(usize::from(diagnostic.code.as_str().starts_with("E1"))) {
                        let _ = writeln!(problems, "{origin}: cannot be read after `{}`\n{mended}\n", fix.title);
                    }
                    continue;
                }
                safe += 1;
                let after: Vec<Diagnostic> = desk.check(&mended).into_iter().filter(Diagnostic::is_error).collect();
                let stays = after.iter().any(|one| (one.code, one.message.as_str()) == (diagnostic.code, &*diagnostic.message));
                let new = after.iter().find(|one| !said.contains(&(one.code, one.message.as_str())));
                if after.len() >= before.len() && stays || new.is_some() {
                    let left: String = after.iter().map(|one| rendered(&mended, one)).collect();
                    let _ =
                        writeln!(problems, "{origin}: not mended by `{}` of {}\n{mended}\n{left}", fix.title, diagnostic.message);
                }
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
    assert!(safe > 100, "{safe}");
}

/// Lower case, no full stop, and nothing of how the compiler is made.
#[test]
fn messages_keep_the_manner() {
    let mut desk = Desk::new();
    for list in LISTS {
        for source in programs(list) {
            for one in desk.check(&source) {
                let text = rendered(
                    "",
                    &Diagnostic { span: Span { start: 0, end: 0 }, labels: Vec::new(), fixes: Vec::new(), ..one.clone() },
                );
                assert!(!one.message.ends_with('.'), "{text}");
                for word in ["only_", "EOI", "unwrap", "None", "Some(", "Rule::", "w_times", "pest", "token "] {
                    assert!(!text.contains(word) || source.contains(word), "{word}: {text}");
                }
            }
        }
    }
}

/// Every list of the folder has its test, and there are enough of them.
#[test]
fn no_list_is_forgotten() {
    let mut found: Vec<String> = std::fs::read_dir(lists())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, LISTS);
    let all: usize = LISTS.iter().map(|list| programs(list).len()).sum();
    assert!(all >= 250, "{all}");
}
