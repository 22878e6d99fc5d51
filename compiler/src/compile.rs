//! The pipeline: sources in, flows and diagnostics out; what did not change is not done again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use flow_grammar::span::{LineIndex, Span};
use flow_grammar::{Parsed, syntax};
use flow_plan as plan;
use rayon::prelude::*;

use crate::allow::Allows;
use crate::catalog::{Catalog, Connections, Connector};
use crate::code::Code;
use crate::connector;
use crate::diagnostic::{Diagnostic, Fix, Label};
use crate::flow;
use crate::lint::{self, Rules};
use crate::lock;
use crate::pace;
use crate::report::Sources;
use crate::settings::{ConnectionSettings, Settings};
use crate::suggest::nearest;

/// So many bytes of text are looked through for names of connectors: those of a large project stand in its first files, too.
const LOOKED_AHEAD: usize = 64 * 1024;

/// The files of one project, compiled incrementally. A copy shares what is compiled, and goes its own way from there.
#[derive(Debug, Clone)]
pub struct Compiler {
    settings: Settings,
    files: BTreeMap<Arc<str>, FileState>,
    catalog: Arc<Catalog>,
    connections: Arc<Connections>,
    connector_diagnostics: Vec<Diagnostic>,
    stale_catalog: bool,
}

#[derive(Debug, Clone)]
struct FileState {
    text: Arc<str>,
    /// It is made of flow.toml, and lies in no folder.
    generated: bool,
    parsed: Option<Arc<Parsed>>,
    unit: Option<Arc<Unit>>,
}

impl FileState {
    /// A connector cannot be declared without its word.
    fn may_declare(&self) -> bool {
        self.text.contains("connector")
    }
}

/// What one file gives.
#[derive(Debug, Default)]
pub struct Unit {
    /// The flows that are sound; none where only a verdict is wanted.
    pub flows: Vec<Arc<plan::Flow>>,
    heads: Vec<Head>,
    /// The flows with everything written out, in the order of the text.
    pub expanded: Vec<syntax::Flow>,
    /// How many flows the file has, broken ones included.
    pub flow_count: usize,
    /// What is wrong with the file by itself.
    pub diagnostics: Vec<Diagnostic>,
    used_connections: BTreeSet<String>,
    /// What the checks over all flows need of each sound flow.
    summaries: Vec<lint::Summary>,
    /// The comments that silence something.
    allows: Allows,
    /// The sound tests; none where only a verdict is wanted.
    pub tests: Vec<plan::Test>,
    /// The flows that tests name.
    tested: Vec<syntax::Ident>,
    /// The names of all flows, broken ones included.
    names: BTreeSet<String>,
}

impl Unit {
    /// Returns the file for the checks over all flows.
    pub fn rules<'a>(&'a self, name: &'a Arc<str>, text: &'a str) -> lint::File<'a> {
        lint::File { name, text, flows: &self.summaries }
    }
}

/// Two flows of one name.
#[derive(Debug, Clone)]
pub struct Duplicate {
    /// The file of the second, in the order of the files.
    pub file: Arc<str>,
    /// The file of the first.
    pub first: Arc<str>,
    /// What is said about it, at the second.
    pub diagnostic: Diagnostic,
}

/// A sound flow, as far as the others have to know it.
#[derive(Debug)]
struct Head {
    /// Empty where only a verdict is wanted and no other flow of the file could be the same.
    id: String,
    named: bool,
    line: u32,
    /// Its name, or its first line.
    span: flow_grammar::span::Span,
    frozen: Vec<lock::Entry>,
}

/// The whole project.
#[derive(Debug, Clone)]
pub struct Compilation {
    /// By file.
    pub units: BTreeMap<Arc<str>, Arc<Unit>>,
    /// Names that stand twice.
    pub duplicates: Vec<Duplicate>,
    /// What only the whole can tell, without what is allowed; and comments that allow what is not there.
    whole: Arc<Vec<Diagnostic>>,
    connector_diagnostics: Arc<Vec<Diagnostic>>,
    /// The connections, by name.
    pub connections: BTreeMap<String, plan::Connection>,
    /// The connectors that the project knows.
    pub catalog: Arc<Catalog>,
}

impl Compilation {
    /// Tells whether nothing stops the build.
    pub fn is_sound(&self) -> bool {
        self.errors().next().is_none()
    }

    /// Returns everything that is wrong or worth knowing, by file and place.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut all: Vec<Diagnostic> = self.everything().cloned().collect();

        all.sort_by(|a, b| (&a.file, a.span, a.code).cmp(&(&b.file, b.span, b.code)));
        all
    }

    /// Returns what stops the build, in no order: cheap where little is wrong.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.everything().filter(|one| one.is_error())
    }

    /// Returns the errors of one file by itself, and none that another file is part of.
    pub fn own_errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.units.values().flat_map(|unit| &unit.diagnostics).filter(|one| one.is_error())
    }

    /// Returns what is filled in in each sound flow: file, id, place, entries. Nothing where the settings do not ask for it.
    pub fn frozen(&self) -> impl Iterator<Item = (&Arc<str>, &str, flow_grammar::span::Span, &[lock::Entry])> {
        self.units.iter().flat_map(|(file, unit)| {
            unit.heads.iter().map(move |head| (file, head.id.as_str(), head.span, head.frozen.as_slice()))
        })
    }

    fn everything(&self) -> impl Iterator<Item = &Diagnostic> {
        let own = self.units.values().flat_map(|unit| &unit.diagnostics);
        let twice = self.duplicates.iter().map(|one| &one.diagnostic);
        own.chain(&*self.connector_diagnostics).chain(twice).chain(&*self.whole)
    }

    /// Returns the errors of connectors: what they declare may change what any flow means.
    pub fn connector_errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.connector_diagnostics.iter().filter(|one| one.is_error())
    }

    /// Returns the sound flows in the order of files and lines.
    pub fn flows(&self) -> impl Iterator<Item = &Arc<plan::Flow>> {
        self.units.values().flat_map(|unit| &unit.flows)
    }

    /// Returns how many flows the project has, broken ones included.
    pub fn flow_count(&self) -> usize {
        self.units.values().map(|unit| unit.flow_count).sum()
    }
}

impl Compiler {
    /// Begins a project without files.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            files: BTreeMap::new(),
            catalog: connector::builtin().clone(),
            connections: Arc::default(),
            connector_diagnostics: Vec::new(),
            stale_catalog: true,
        }
    }

    /// Sets the text of a file; an equal text changes nothing.
    pub fn set(&mut self, file: &str, text: impl Into<Arc<str>>) {
        let text = text.into();
        if self.files.get(file).is_some_and(|state| state.text == text) {
            return;
        }
        // A connector that goes or comes changes what every flow may say.
        self.stale_catalog |= self.declares(file);
        self.files.insert(Arc::from(file), FileState { text, generated: false, parsed: None, unit: None });
    }

    /// Takes a file out.
    pub fn remove(&mut self, file: &str) {
        self.stale_catalog |= self.declares(file);
        self.files.remove(file);
    }

    /// Changes the settings: everything is checked anew where they differ.
    pub fn set_settings(&mut self, settings: Settings) {
        if self.settings != settings {
            self.settings = settings;
            self.stale_catalog = true;
        }
    }

    /// Returns the names of the files.
    pub fn files(&self) -> impl Iterator<Item = &Arc<str>> {
        self.files.iter().filter(|(_, state)| !state.generated).map(|(file, _)| file)
    }

    /// Returns the names of what is made of flow.toml.
    pub fn generated(&self) -> impl Iterator<Item = &Arc<str>> {
        self.files.iter().filter(|(_, state)| state.generated).map(|(file, _)| file)
    }

    /// Returns the text of a file.
    pub fn text(&self, file: &str) -> Option<&Arc<str>> {
        self.files.get(file).map(|state| &state.text)
    }

    /// Returns the texts, for reports.
    pub fn sources(&self) -> Sources {
        self.files.iter().map(|(file, state)| (file.clone(), state.text.clone())).collect()
    }

    /// Returns the catalog: the built-in connectors and those of the files so far. It parses what is new.
    pub fn catalog(&mut self) -> Arc<Catalog> {
        self.parse();
        self.declare();
        self.catalog.clone()
    }

    /// Compiles what changed and returns the project.
    pub fn compile(&mut self) -> Compilation {
        self.parse();
        self.declare();
        self.read_ahead();
        let (catalog, connections, settings) = (&self.catalog, &self.connections, &self.settings);
        self.files.par_iter_mut().filter(|(_, state)| state.unit.is_none()).for_each(|(file, state)| {
            // Parsed and checked in one go: what was just made is still in the cache.
            let parsed = state.parsed.take().unwrap_or_else(|| Arc::new(flow_grammar::parse(&state.text)));
            let context = flow::Context { catalog, connections, settings, file, source: &state.text };
            state.unit = Some(Arc::new(check_file(&context, &parsed)));
            state.parsed = (!settings.verdict_only).then_some(parsed);
        });
        self.link()
    }

    fn declares(&self, file: &str) -> bool {
        self.files.get(file).is_some_and(FileState::may_declare)
    }

    /// Parses the files that may declare connectors: they decide what everything else means.
    fn parse(&mut self) {
        let fresh: Vec<bool> = self
            .files
            .par_iter_mut()
            .filter(|(_, state)| state.parsed.is_none() && state.may_declare())
            .map(|(_, state)| {
                let parsed = flow_grammar::parse(&state.text);
                let declares = has_connector(&parsed);
                state.parsed = Some(Arc::new(parsed));
                declares
            })
            .collect();
        self.stale_catalog |= fresh.contains(&true);
    }

    fn declare(&mut self) {
        if !self.stale_catalog {
            return;
        }
        self.stale_catalog = false;
        self.connector_diagnostics.clear();
        let mut nodes = Vec::new();
        for (file, state) in &self.files {
            for item in state.parsed.iter().flat_map(|parsed| &parsed.file.items) {
                if let syntax::Item::Connector(node) = item {
                    nodes.push((file.clone(), state.text.clone(), node.clone()));
                }
            }
        }
        self.catalog = if nodes.is_empty() { connector::builtin().clone() } else { self.with_own(&nodes) };
        let mut listed: BTreeMap<String, Arc<Connector>> = self
            .settings
            .connections
            .iter()
            .flatten()
            .filter_map(|(name, settings)| Some((name.clone(), self.catalog.connectors.get(&settings.connector)?.clone())))
            .collect();
        pace::apply(&mut listed, &self.settings);
        let mut connections = Connections::new(listed, self.catalog.clone());
        let all = self.settings.connections.is_none();
        for name in self.catalog.connectors.keys().filter(|name| all || connector::is_implicit(name)) {
            connections.add_unread(name);
        }
        self.files.retain(|_, state| !state.generated);
        for (file, text) in crate::expose::files(&self.settings, &connections) {
            let state = FileState { text: text.into(), generated: true, parsed: None, unit: None };
            self.files.entry(file.into()).or_insert(state);
        }
        self.connections = Arc::new(connections);
        for state in self.files.values_mut() {
            state.unit = None;
        }
    }

    /// Without a flow.toml, reads what the flows seem to name side by side: they would read one behind the other.
    fn read_ahead(&self) {
        if self.settings.connections.is_some() {
            return;
        }
        let mut names = BTreeSet::new();
        let mut left = LOOKED_AHEAD;
        for text in self.files.values().filter(|state| state.unit.is_none()).map(|state| &state.text) {
            let words =
                text.split('.').filter_map(|before| before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next());
            names.extend(words.filter(|word| self.catalog.connectors.is_unread(word)));
            left = left.saturating_sub(text.len());
            if left == 0 {
                break;
            }
        }
        connector::read_ahead(names.into_iter());
    }

    /// Tells whether a connection is there without a line in flow.toml.
    fn is_unnamed(&self, name: &str) -> bool {
        connector::is_implicit(name) && !self.settings.connections.as_ref().is_some_and(|all| all.contains_key(name))
    }

    fn with_own(&mut self, nodes: &[(Arc<str>, Arc<str>, syntax::Connector)]) -> Arc<Catalog> {
        let mut catalog = (**connector::builtin()).clone();
        let mut seen: BTreeMap<String, (Arc<str>, flow_grammar::span::Span)> = BTreeMap::new();
        for (file, text, node) in nodes {
            let name = &node.name;
            if let Some((first_file, first)) = seen.get(&name.text) {
                let mut diagnostic =
                    Diagnostic::new(Code::E202, file, name.span, format!("there are two connectors named `{}`", name.text));
                if first_file == file {
                    diagnostic = diagnostic.also(*first, "the first one");
                } else {
                    diagnostic = diagnostic.help(format!("the other one is in {first_file}"));
                }
                self.connector_diagnostics.push(diagnostic);
                continue;
            }
            seen.insert(name.text.clone(), (file.clone(), name.span));
            let (declared, mut diagnostics) = connector::declare(file, text, node);
            if !diagnostics.is_empty()
                && let Some(parsed) = self.files.get(file).and_then(|state| state.parsed.as_ref())
            {
                without_consequences(node.members.iter().map(|member| member.span), parsed, &mut diagnostics);
            }
            self.connector_diagnostics.extend(diagnostics);
            // A connector of the project wins over a built-in one of its name: it is a copy that somebody changed.
            catalog.connectors.insert(declared.name.clone(), Arc::new(declared));
        }
        for (_, text, node) in nodes {
            if let Some(declared) = catalog.connectors.get(&node.name.text).cloned() {
                self.connector_diagnostics.extend(flow::check_connector(&declared, node, text, &catalog));
            }
        }
        Arc::new(catalog)
    }

    /// What only the whole can tell: names that stand twice, connections that nobody uses.
    fn link(&self) -> Compilation {
        let mut duplicates = Vec::new();
        let mut first: HashMap<&str, (&Arc<str>, &Head)> = HashMap::new();
        let mut units = BTreeMap::new();
        for (file, state) in &self.files {
            let Some(unit) = &state.unit else { continue };
            for head in unit.heads.iter().filter(|head| !head.id.is_empty()) {
                if let Some(other) = first.insert(&head.id, (file, head)) {
                    duplicates.push(Duplicate {
                        file: file.clone(),
                        first: other.0.clone(),
                        diagnostic: self.twice((file, head), other),
                    });
                    first.insert(&head.id, other);
                }
            }
            units.insert(file.clone(), unit.clone());
        }
        let default = ConnectionSettings::default();
        let connections = self
            .connections
            .that_were_read()
            // What nobody has to name in flow.toml counts where a flow does.
            .filter(|(name, _)| !self.is_unnamed(name) || units.values().any(|unit| unit.used_connections.contains(*name)))
            .map(|(name, declared)| {
                let settings = self.settings.connections.as_ref().and_then(|all| all.get(name)).unwrap_or(&default);
                (name.to_owned(), connector::connection(declared, name, settings))
            })
            .collect();
        let mut compilation = Compilation {
            units,
            duplicates,
            whole: Arc::default(),
            connector_diagnostics: Arc::new(self.connector_diagnostics.clone()),
            connections,
            catalog: self.catalog.clone(),
        };
        let mut whole = self.lost_tests();
        whole.extend(self.rules(&compilation));
        compilation.whole = Arc::new(self.allowed(&mut compilation, whole));
        compilation
    }

    /// The checks over all flows of the project.
    fn rules(&self, compilation: &Compilation) -> Vec<Diagnostic> {
        let text = |file: &Arc<str>| self.files.get(file).map_or("", |state| &*state.text);
        let rules = Rules::new(
            compilation.units.iter().map(|(file, unit)| unit.rules(file, text(file))),
            &compilation.connections,
            &self.settings,
        );
        let mut found: Vec<Diagnostic> = rules.errors().into_iter().map(|problem| problem.diagnostic).collect();
        // Of two flows of one name it is said already that there are two.
        if !self.settings.errors_only && compilation.duplicates.is_empty() {
            found.extend(rules.warnings());
        }
        found
    }

    /// Takes out what comments allow; adds those that allow what is not there.
    fn allowed(&self, compilation: &mut Compilation, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut allows: BTreeMap<&Arc<str>, Allows> = BTreeMap::new();
        let units = compilation.units.clone();
        for (file, unit) in units.iter().filter(|(_, unit)| !unit.allows.is_empty()) {
            allows.insert(file, unit.allows.clone());
        }
        let mut found = found;
        let mut is_allowed = |one: &Diagnostic| allows.get_mut(&one.file).is_some_and(|allows| allows.silences(one));
        found.retain(|one| !is_allowed(one));
        Arc::make_mut(&mut compilation.connector_diagnostics).retain(|one| !is_allowed(one));
        // Beside an error it is not known what else would be found.
        let sound = !self.settings.errors_only && compilation.is_sound() && !found.iter().any(Diagnostic::is_error);
        for (file, allows) in allows.iter().filter(|_| sound) {
            let source = self.files.get(*file).map_or("", |state| &*state.text);
            found.extend(allows.unused(file, source, !self.settings.quick));
        }
        found
    }

    /// Tests whose flow is in no file.
    fn lost_tests(&self) -> Vec<Diagnostic> {
        let units = || self.files.iter().filter_map(|(file, state)| Some((file, state.unit.as_ref()?)));
        if units().all(|(_, unit)| unit.tested.is_empty()) {
            return Vec::new();
        }
        let names: BTreeSet<&str> = units().flat_map(|(_, unit)| unit.names.iter().map(String::as_str)).collect();
        let lost = units().flat_map(|(file, unit)| unit.tested.iter().map(move |name| (file, name)));
        lost.filter(|(_, name)| !names.contains(name.text.as_str()))
            .map(|(file, name)| {
                let diagnostic = Diagnostic::new(Code::E201, file, name.span, format!("there is no flow `{}`", name.text));
                match nearest(&name.text, names.iter().copied()) {
                    Some(found) => {
                        diagnostic.help(format!("did you mean `{found}`?")).fix(format!("`{found}`"), name.span, found, true)
                    }
                    None if names.is_empty() => {
                        diagnostic.help("only a flow with a name can be tested alone: `flow NAME` before it")
                    }
                    None => {
                        let known: Vec<String> = names.iter().take(6).map(|name| format!("`{name}`")).collect();
                        let more = if names.len() > known.len() { ", …" } else { "" };
                        let are = if names.len() == 1 { "the flow with a name is" } else { "the flows with a name are" };
                        diagnostic.help(format!("{are} {}{more}", known.join(", ")))
                    }
                }
            })
            .collect()
    }

    /// Two flows of one name, or the same nameless flow twice.
    fn twice(&self, (file, head): (&Arc<str>, &Head), (other_file, other): (&Arc<str>, &Head)) -> Diagnostic {
        let span = head.span;
        let place = format!("{other_file}:{}", other.line);
        match head.named {
            true => {
                let name = &head.id;
                let diagnostic = Diagnostic::new(Code::E202, file, span, format!("there are two flows named `{name}`")).help(
                    format!("the other one is at {place}; history, limits and metrics belong to the name, so each needs its own"),
                );
                if other_file == file { diagnostic.also(other.span, "the first one") } else { diagnostic }
            }
            false => Diagnostic::new(Code::E202, file, span, "the same flow is there twice")
                .help(format!("the other one is at {place}: take one out, or give each a name: `flow NAME` before it")),
        }
    }

    /// Returns the connections that flow.toml names and no flow uses, for a warning there.
    pub fn unused_connections(&self) -> Vec<String> {
        let used: BTreeSet<&String> =
            self.files.values().filter_map(|state| state.unit.as_ref()).flat_map(|unit| &unit.used_connections).collect();
        self.settings.connections.iter().flat_map(|all| all.keys()).filter(|name| !used.contains(name)).cloned().collect()
    }
}

fn has_connector(parsed: &Parsed) -> bool {
    parsed.file.items.iter().any(|item| matches!(item, syntax::Item::Connector(_)))
}

fn line_of(index: &LineIndex, text: &str, node: &syntax::Flow) -> u32 {
    // The flow begins at its first word, not at its doc comment.
    let start = node.name.as_ref().map_or(
        match &node.start {
            syntax::Start::When(when) => when.span.start,
            syntax::Start::Every(every) => every.span.start,
        },
        |name| name.span.start,
    );
    u32::try_from(index.position(text, start as usize).line).unwrap_or(u32::MAX)
}

/// The lines of the tests that a filter consists of, in their order.
fn clause_lines(index: &LineIndex, text: &str, node: &syntax::Flow, flow: &plan::Flow) -> Vec<u32> {
    let mut starts = Vec::new();
    for clause in &node.clauses {
        if let syntax::ClauseKind::Where(condition) = &clause.kind {
            tests_of(condition, &mut starts);
        }
    }
    // A test that became several has no line of its own.
    if flow.filter.as_ref().map_or(0, count_tests) != starts.len() {
        return Vec::new();
    }
    starts.iter().map(|start| u32::try_from(index.position(text, *start).line).unwrap_or(u32::MAX)).collect()
}

/// Where the tests of a condition begin: what it is made of with `and`, `or` and `not`.
fn tests_of(condition: &syntax::Expr, starts: &mut Vec<usize>) {
    match condition.kind.as_ref() {
        syntax::ExprKind::Paren(inner) | syntax::ExprKind::Not(inner) => tests_of(inner, starts),
        syntax::ExprKind::Binary(syntax::BinaryOp::And | syntax::BinaryOp::Or, _, left, right) => {
            tests_of(left, starts);
            tests_of(right, starts);
        }
        _ => starts.push(condition.span.start as usize),
    }
}

fn count_tests(condition: &plan::Condition) -> usize {
    match condition {
        plan::Condition::All(parts) | plan::Condition::Any(parts) => parts.iter().map(count_tests).sum(),
        plan::Condition::Not(inner) => count_tests(inner),
        plan::Condition::Test { .. } => 1,
    }
}

/// The first line of an unnamed flow, behind its doc comment.
fn sentence(text: &str, node: &syntax::Flow) -> flow_grammar::span::Span {
    let start = match &node.start {
        syntax::Start::When(when) => when.span.start,
        syntax::Start::Every(every) => every.span.start,
    };
    first_line(text, flow_grammar::span::Span { start, end: node.span.end })
}

fn first_line(text: &str, span: flow_grammar::span::Span) -> flow_grammar::span::Span {
    let len = span.text(text).lines().next().map_or(0, str::len);
    flow_grammar::span::Span::new(span.start as usize, span.start as usize + len)
}

fn check_file(context: &flow::Context<'_>, parsed: &Parsed) -> Unit {
    let mut unit =
        Unit { diagnostics: parsed.errors.iter().map(|error| from_syntax(context.file, error)).collect(), ..Unit::default() };
    let index = LineIndex::new(context.source);
    let mut nameless: Vec<(u64, usize, &syntax::Flow)> = Vec::new();
    for item in &parsed.file.items {
        match item {
            syntax::Item::Flow(node) => {
                unit.flow_count += 1;
                unit.names.extend(node.name.as_ref().map(|name| name.text.clone()));
                let outcome = flow::compile_flow(context, node);
                unit.diagnostics.extend(outcome.diagnostics);
                unit.used_connections.extend(outcome.used_connections);
                unit.expanded.extend(outcome.expanded);
                if let (true, Some(summary)) = (node.name.is_none(), &outcome.summary) {
                    nameless.push((summary.alike, unit.heads.len(), node));
                }
                unit.summaries.extend(outcome.summary);
                if let Some(mut flow) = outcome.flow {
                    flow.line = line_of(&index, context.source, node);
                    flow.clause_lines = clause_lines(&index, context.source, node, &flow);
                    unit.heads.push(Head {
                        id: flow.id.clone(),
                        named: flow.name.is_some(),
                        line: flow.line,
                        span: node.name.as_ref().map_or_else(|| sentence(context.source, node), |name| name.span),
                        frozen: outcome.frozen,
                    });
                    if !context.settings.verdict_only {
                        unit.flows.push(Arc::new(flow));
                    }
                }
            }
            syntax::Item::Test(node) => {
                let outcome = flow::compile_test(context, node, &index);
                unit.diagnostics.extend(outcome.diagnostics);
                unit.used_connections.extend(outcome.used_connections);
                unit.tested.extend(node.flow.clone());
                if let Some(test) = outcome.test.filter(|_| !context.settings.verdict_only) {
                    unit.tests.push(test);
                }
            }
            // Connectors are declared before; what was no item has its diagnostic among the syntax errors.
            syntax::Item::Bad(span) => unit.flow_count += usize::from(is_meant_as_flow(context.source, *span)),
            syntax::Item::Connector(_) => {}
        }
    }
    if context.settings.tells_apart_only() {
        // To write a flow in its canonical form takes as long as to check it: only for those that may be the same.
        nameless.sort_by_key(|(alike, ..)| *alike);
        for (_, at, node) in nameless.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1).flatten() {
            if let Some(head) = unit.heads.get_mut(*at) {
                head.id = flow::nameless_id(context.file, node);
            }
        }
    }
    // What one edit mends is one mistake, however often its value is used.
    let mut seen = Vec::new();
    unit.diagnostics.retain(|one| {
        let Some(fix) = one.fixes.first().filter(|fix| one.code == Code::E302 && !fix.edits.is_empty()) else { return true };
        let known = seen.contains(&(one.message.clone(), fix.edits.clone()));
        if !known {
            seen.push((one.message.clone(), fix.edits.clone()));
        }
        !known
    });
    if !parsed.errors.is_empty() {
        let items = parsed.file.items.iter().map(|item| match item {
            syntax::Item::Flow(node) => node.span,
            syntax::Item::Test(node) => node.span,
            syntax::Item::Connector(node) => node.span,
            syntax::Item::Bad(span) => *span,
        });
        without_consequences(items, parsed, &mut unit.diagnostics);
    }
    unit.allows = Allows::of(context.file, context.source, parsed);
    unit.allows.silence(&mut unit.diagnostics);
    unit.diagnostics.append(&mut unit.allows.diagnostics);
    for item in &parsed.file.items {
        if let syntax::Item::Flow(node) = item {
            drop_consequences(context.source, &parsed.errors, node.span, &mut unit.diagnostics);
        }
    }
    unit
}

/// What follows from more mistakes than anybody reads at once is not asked.
const MOST_UNREAD: usize = 200;

/// Leaves out what is said about a flow only because a part of it could not be read: one cause, one diagnostic.
///
/// What needs the whole (is every value covered, is this reached, is the wait bounded) is not known, and what touches the
/// unreadable part is another word about the same slip.
fn drop_consequences(
    source: &str,
    errors: &[flow_grammar::SyntaxError],
    flow: flow_grammar::span::Span,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let within = |span: flow_grammar::span::Span| flow.start <= span.start && span.end <= flow.end;
    let unread: Vec<&flow_grammar::SyntaxError> = errors.iter().filter(|error| within(error.span)).collect();
    if unread.is_empty() {
        return;
    }
    let places: HashSet<(u32, u32, &str)> = unread.iter().map(|error| (error.span.start, error.span.end, error.code)).collect();
    let is_syntax = |one: &Diagnostic| places.contains(&(one.span.start, one.span.end, one.code.as_str()));
    diagnostics.retain(|one| {
        if !within(one.span) || is_syntax(one) {
            return true;
        }
        let needs_all = matches!(one.code, Code::E305 | Code::E609 | Code::W707);
        // A flow as a whole is not what touches it.
        let touches = one.span != flow
            && unread.iter().take(MOST_UNREAD).any(|error| {
                let between = |a: u32, b: u32| source.get(a as usize..b as usize).is_none_or(|gap| gap.trim().is_empty());
                between(one.span.end, error.span.start) && between(error.span.end, one.span.start)
            });
        !needs_all && !touches
    });
}

/// Whether text that is no item was meant as a flow, and not as a test or a connector, or as the end of the item before.
fn is_meant_as_flow(source: &str, bad: flow_grammar::span::Span) -> bool {
    let text = bad.text(source);
    let first = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let begins_line = bad.start == 0 || source.as_bytes().get(bad.start as usize - 1) == Some(&b'\n');
    match first.to_ascii_lowercase().as_str() {
        "when" | "every" | "flow" => true,
        "test" | "connector" | "" => false,
        _ => begins_line && text.split_whitespace().any(|word| word == "do"),
    }
}

/// Leaves out what follows from text that could not be read: what is said to be missing may well stand in there.
fn without_consequences(places: impl Iterator<Item = Span>, parsed: &Parsed, diagnostics: &mut Vec<Diagnostic>) {
    let inside = |outer: Span, inner: Span| outer.start <= inner.start && inner.end <= outer.end;
    let unread: Vec<Span> = places.filter(|place| parsed.errors.iter().any(|error| inside(*place, error.span))).collect();
    diagnostics.retain(|one| {
        let missing = matches!(one.code, Code::E401 | Code::E609 | Code::E820 | Code::W707);
        // The same place cannot be read, and is then found to be no name either.
        let again = matches!(one.code, Code::E201 | Code::E505)
            && parsed.errors.iter().any(|error| {
                error.fixes.iter().any(|fix| fix.safe && fix.edits.iter().any(|(span, _)| inside(*span, one.span)))
                    || inside(error.span, one.span)
            });
        // `x = 5` was read as far as `x`.
        let cut = one.code == Code::E301
            && one.message.ends_with("is no condition")
            && parsed.errors.iter().any(|error| error.span.start >= one.span.end && error.span.start - one.span.end <= 1);
        !(cut || missing && unread.iter().any(|place| inside(*place, one.span)) || again)
    });
}

/// A syntax error as a diagnostic.
pub fn from_syntax(file: &Arc<str>, error: &flow_grammar::SyntaxError) -> Diagnostic {
    let code = Code::parse(error.code).unwrap_or(Code::E102);
    let mut diagnostic = Diagnostic::new(code, file, error.span, error.message.clone()).label(error.label.clone());
    diagnostic.labels = error.labels.iter().map(|(span, text)| Label { span: *span, text: text.clone() }).collect();
    diagnostic.help = error.help.clone();
    diagnostic.fixes = error
        .fixes
        .iter()
        .map(|fix| Fix {
            title: fix.title.clone(),
            edits: fix.edits.iter().map(|(span, text)| crate::diagnostic::Edit { span: *span, text: text.clone() }).collect(),
            safe: fix.safe,
        })
        .collect();
    diagnostic
}
