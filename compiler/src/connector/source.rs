//! Sources of events: webhooks and polls.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, BinaryOp, ExprKind, Ident, SourceLine, SourceLineKind};
use flow_plan::{
    Codes, Envelope, Expr, JsonPath, ListOrder, Pages, Poll, Refusal, Register, Registered, Segment, Source, TimeFormat, Value,
    Webhook, WhenChanges,
};

use super::Cx;
use super::builtin::ENGINE_SOURCE;
use super::wire::{Place, Scope};
use crate::catalog;
use crate::code::Code;

/// The parameters of an HMAC over the body, whatever its digest.
const HMAC: &[(&str, bool)] = &[
    ("header", true),
    ("secret", true),
    ("encoding", false),
    ("prefix", false),
    ("timestamp", false),
    ("signed", false),
    ("tolerance", false),
];

/// How a scheme that verifies webhooks is called: its parameters, those that it needs marked.
const SCHEMES: &[(&str, &[(&str, bool)])] = &[
    ("stripe_signature", &[("header", true), ("secret", true), ("tolerance", false)]),
    ("hmac_sha1", HMAC),
    ("hmac_sha256", HMAC),
    ("hmac_sha512", HMAC),
    ("basic", &[("secret", true), ("user", false)]),
    ("standard_webhooks", &[("secret", true), ("tolerance", false)]),
    ("token", &[("secret", true), ("header", false), ("query", false)]),
    ("none", &[]),
    // One of the others, by a setting.
    (
        "chosen",
        &[
            ("by", true),
            ("secret", true),
            ("header", false),
            ("query", false),
            ("user", false),
            ("encoding", false),
            ("prefix", false),
            ("timestamp", false),
            ("signed", false),
            ("tolerance", false),
        ],
    ),
];

/// The lines of a poll that stand apart from it.
#[derive(Default)]
struct PollLines {
    items: Option<JsonPath>,
    pages: Option<Pages>,
    cursor: Option<JsonPath>,
    cursor_of_items: Option<(JsonPath, i64)>,
    order: Option<ListOrder>,
    seen: Vec<JsonPath>,
    history_ms: Option<u64>,
    first_now: Option<bool>,
    when_changes: Option<Box<WhenChanges>>,
    within_quota: bool,
}

/// The lines behind `register`: `unregister`, `update`, `registered`.
type Behind<'n> =
    (Option<(Span, &'n syntax::Request)>, Option<(Span, &'n syntax::Request)>, Option<(Span, &'n syntax::Registered)>);

impl<'a> Cx<'a> {
    /// Declares every source, with the types of the triggers that draw from each.
    pub(super) fn declare_sources(&mut self, triggers: &BTreeMap<String, catalog::Trigger>) -> Vec<Source> {
        let node = self.node;
        let mut sources = Vec::new();
        for member in &node.members {
            let (name, source) = match &member.kind {
                syntax::MemberKind::Source(source @ syntax::Source { name: Some(name), .. }) => (name, source),
                syntax::MemberKind::Trigger(syntax::Trigger { name, own_source: Some(source), .. }) => (name, source),
                _ => continue,
            };
            if sources.iter().any(|source: &Source| source.name == name.text) {
                continue;
            }
            let drawn: BTreeMap<String, Vec<String>> = triggers
                .values()
                .filter(|trigger| trigger.state.is_none() && trigger.source == name.text)
                .map(|trigger| (trigger.name.clone(), trigger.types.clone()))
                .collect();
            let keys = drawn.keys().filter_map(|name| Some((name.clone(), self.key_of(&triggers.get(name)?.record)?))).collect();
            let listen = source.lines.iter().find_map(|line| match &line.kind {
                SourceLineKind::Listen { by, pattern, clears, every } => Some((by, [pattern, clears], every.as_ref())),
                _ => None,
            });
            let listen = listen.and_then(|(by, texts, every)| self.listen(by, texts, every, &drawn, triggers));
            sources.push(Source { keys, listen, ..self.source(name, source, drawn) });
        }
        sources
    }

    /// Returns where the key of a record is; `None` where it has none, or one made of several.
    fn key_of(&self, record: &str) -> Option<Vec<JsonPath>> {
        let record = self.records.get(record)?.as_ref()?;
        let mut keys = record.fields.iter().filter(|field| field.roles.iter().any(|role| role == "key"));
        let key = keys.next().filter(|_| keys.next().is_none())?;
        let paths: Vec<_> = key.shape.from.iter().filter(|from| !from.of_event).map(|from| from.path.clone()).collect();
        (!paths.is_empty()).then_some(paths)
    }

    fn source(&mut self, name: &'a Ident, node: &'a syntax::Source, triggers: BTreeMap<String, Vec<String>>) -> Source {
        let mut seen: BTreeMap<&'static str, Span> = BTreeMap::new();
        let mut webhook = None;
        let mut poll = None;
        let mut lines = PollLines::default();
        let mut envelope = Envelope::default();
        let mut register = None;
        let mut unregister = None;
        let (mut update, mut registered) = (None, None);
        let (mut changes, mut along, mut told): (&[Ident], _, _) = (&[], None, None);
        for line in &node.lines {
            let word = word(&line.kind);
            if !word.is_empty() {
                if let Some(first) = seen.get(word) {
                    let twice = self.diagnostic(Code::E202, line.span, format!("there are two `{word}` lines"));
                    self.push(twice.also(*first, "the first one"));
                    continue;
                }
                seen.insert(word, line.span);
            }
            match &line.kind {
                SourceLineKind::Webhook { whole, verify } => {
                    webhook = self.webhook(verify).map(|webhook| Webhook { whole: *whole, ..webhook });
                }
                SourceLineKind::Poll { request, every, within_quota, when_changes } => {
                    changes = when_changes;
                    if every.is_none() && when_changes.is_empty() {
                        let diagnostic = self.mistake(line.span, "how often is it polled?");
                        self.push(diagnostic.help("add `every 1 minute` behind the request"));
                    }
                    lines.within_quota = *within_quota;
                    self.check_within_quota(line.span, *within_quota);
                    poll = Some((request, every.as_ref().map_or(60_000, |every| self.millis(every))));
                }
                SourceLineKind::Register { request, secret_at, id_at } => {
                    register = Some((line.span, request, secret_at.as_ref(), id_at.as_ref()));
                }
                SourceLineKind::Unregister(request) => unregister = Some((line.span, request)),
                SourceLineKind::Update(request) => update = Some((line.span, request)),
                SourceLineKind::Registered(node) => registered = Some((line.span, node.as_ref())),
                SourceLineKind::Codes(codes) => envelope.codes = Some(self.codes(codes)),
                SourceLineKind::Along(fields) => along = Some(fields),
                SourceLineKind::Told(node) => told = Some(node),
                SourceLineKind::Type(path) => envelope.event_type = Some(self.path(path)),
                SourceLineKind::Id { path, else_body } => {
                    envelope.id = Some(self.path(path));
                    envelope.id_else_body = *else_body;
                }
                SourceLineKind::Object(path) => envelope.object = self.path(path),
                SourceLineKind::At(path, scheme) => {
                    let format = match scheme {
                        Some(scheme) => self.time_format(scheme),
                        None => Some(TimeFormat::Iso),
                    };
                    envelope.at = format.map(|format| (self.path(path), format));
                }
                SourceLineKind::Refuse { quietly, when, because } => {
                    let when = self.condition(when, &Scope::new(Place::Refuse, &[]));
                    let because = match because {
                        Some(because) => self.plain(because, "a reason"),
                        None => "this kind of event is not taken".to_owned(),
                    };
                    envelope.refuse.push(Refusal { when, because, quietly: *quietly });
                }
                _ => self.poll_line(line, &mut lines),
            }
        }
        lines.when_changes = self.when_changes(changes, along, told.map(|told| (told, &triggers))).map(Box::new);
        // An order by instants says when each item happened, where nothing else does.
        if envelope.at.is_none()
            && let Some(ListOrder { by, format: Some(format), .. }) = &lines.order
        {
            envelope.at = Some((by.clone(), *format));
        }
        let polled = poll.is_some() || seen.contains_key("listen");
        self.check_source(name, seen.contains_key("webhook"), polled, &envelope, &triggers, &lines);
        self.check_codes(node, &envelope, &triggers, lines.order.is_some());
        let register = self.register(register, (unregister, update, registered), seen.contains_key("webhook")).map(Box::new);
        let poll = poll.map(|(request, every_ms)| self.poll(request, every_ms, lines, &envelope));
        Source { name: name.text.clone(), webhook, poll, envelope, triggers, keys: BTreeMap::new(), register, listen: None }
    }

    fn poll_line(&mut self, line: &SourceLine, lines: &mut PollLines) {
        match &line.kind {
            SourceLineKind::Items(path) => lines.items = Some(self.path(path)),
            SourceLineKind::Pages { param, from, of, more } => lines.pages = self.pages(param, from, of.as_ref(), more.as_ref()),
            SourceLineKind::Cursor(path, plus) => self.cursor(path, plus.as_ref(), lines),
            SourceLineKind::Order(order) => lines.order = Some(self.order(order)),
            SourceLineKind::Seen(paths) => lines.seen = paths.iter().map(|path| self.path(path)).collect(),
            SourceLineKind::History(duration) => lines.history_ms = Some(self.millis(duration)),
            SourceLineKind::First(word) => match word.text.as_str() {
                "now" => lines.first_now = Some(true),
                "all" => lines.first_now = Some(false),
                other => {
                    self.unknown(
                        word.span,
                        format!("the first poll begins `now` or with `all`, not `{other}`"),
                        other,
                        ["now", "all"],
                    );
                }
            },
            SourceLineKind::Webhook { .. }
            | SourceLineKind::Poll { .. }
            | SourceLineKind::Listen { .. }
            | SourceLineKind::Register { .. }
            | SourceLineKind::Unregister(_)
            | SourceLineKind::Update(_)
            | SourceLineKind::Registered(_)
            | SourceLineKind::Codes(_)
            | SourceLineKind::Along(_)
            | SourceLineKind::Told(_)
            | SourceLineKind::Type(_)
            | SourceLineKind::Id { .. }
            | SourceLineKind::Object(_)
            | SourceLineKind::At(..)
            | SourceLineKind::Refuse { .. } => {}
        }
    }

    fn poll(&mut self, request: &syntax::Request, every_ms: u64, lines: PollLines, envelope: &Envelope) -> Poll {
        let format = envelope.at.as_ref().map(|(_, format)| *format);
        let request = self.request(request, &Scope::new(Place::Poll(format), &[]));
        let (order_by, order_format, then_by, newest_first) = match lines.order {
            Some(order) => (Some(order.by), order.format, order.then, order.newest_first),
            None => (None, None, None, false),
        };
        let seen = if lines.seen.is_empty() { envelope.id.iter().cloned().collect() } else { lines.seen };
        Poll {
            request,
            every_ms,
            items: lines.items.unwrap_or_default(),
            pages: lines.pages,
            cursor: lines.cursor,
            cursor_of_items: lines.cursor_of_items,
            order_by,
            newest_first,
            seen,
            history_ms: lines.history_ms,
            first_now: lines.first_now.unwrap_or(true),
            order_format,
            when_changes: lines.when_changes,
            then_by,
            within_quota: lines.within_quota,
        }
    }

    /// What is ordered by what.
    pub(super) fn order(&mut self, node: &syntax::Order) -> ListOrder {
        let first = &node.first;
        if !matches!(first.text.as_str(), "oldest" | "newest") {
            let message = format!("`{}` is no order", first.text);
            self.unknown(first.span, message, &first.text, ["oldest", "newest"]);
        }
        ListOrder {
            by: self.path(&node.by),
            format: node.scheme.as_ref().and_then(|scheme| self.time_format(scheme)),
            then: node.then.as_ref().map(|path| self.path(path)),
            newest_first: first.text == "newest",
        }
    }

    /// `within quota` needs one.
    pub(super) fn check_within_quota(&mut self, span: Span, within_quota: bool) {
        let has = self.node.members.iter().any(|member| matches!(member.kind, syntax::MemberKind::Quota { .. }));
        if within_quota && !has {
            let diagnostic = self.mistake(span, "there is no quota to keep within");
            self.push(diagnostic.help("add a line such as `quota 1000 per month shared by key`, or leave `within quota` out"));
        }
    }

    /// The numbers that stand for types of events, and which of them are one event.
    pub(super) fn codes(&mut self, node: &syntax::Codes) -> Codes {
        let path = self.path(&node.path);
        let types = self.code_table(&node.table);
        if let Some(word) = node.collapse.as_ref().filter(|word| word.text != "same") {
            let message = format!("there is no `collapse {}`", word.text);
            self.unknown(word.span, message, &word.text, ["same"]);
        }
        for name in node.among.iter().filter(|name| !types.contains_key(&name.text)) {
            let message = format!("`{}` has no codes here", name.text);
            self.unknown(name.span, message, &name.text, types.keys().map(String::as_str));
        }
        let among = node.among.iter().map(|name| name.text.clone()).collect();
        Codes { path, types, collapse: node.collapse.is_some(), among }
    }

    /// The table of the numbers that stand for names.
    pub(super) fn code_table(&mut self, table: &[(Ident, Vec<syntax::NumberLit>)]) -> BTreeMap<String, Vec<i64>> {
        let mut types: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let mut taken: BTreeMap<i64, Span> = BTreeMap::new();
        for (name, numbers) in table {
            for literal in numbers {
                let Ok(code) = literal.digits.parse::<i64>() else {
                    self.push(self.mistake(literal.span, "a code is a whole number"));
                    continue;
                };
                if let Some(first) = taken.insert(code, literal.span) {
                    let twice = self.diagnostic(Code::E202, literal.span, format!("the code {code} is there twice"));
                    self.push(twice.also(first, "the first one"));
                    continue;
                }
                types.entry(name.text.clone()).or_default().push(code);
            }
        }
        types
    }

    fn check_codes(&mut self, node: &syntax::Source, envelope: &Envelope, triggers: &BTreeMap<String, Vec<String>>, order: bool) {
        let Some(codes) = &envelope.codes else { return };
        let Some(line) = node.lines.iter().find(|line| matches!(line.kind, SourceLineKind::Codes(_))) else { return };
        let first = triggers.values().flatten().find(|name| !codes.types.contains_key(*name));
        let problem = if envelope.event_type.is_some() {
            Some(("the type of an event is read from `type` already".to_owned(), "leave one of the two lines out".to_owned()))
        } else if codes.collapse && !order {
            let help = "add `order oldest by \"…\"`: where it stands when each happened";
            Some(("which of them comes first?".to_owned(), help.to_owned()))
        } else {
            first.map(|name| {
                let known: Vec<&str> = codes.types.keys().map(String::as_str).collect();
                (format!("a trigger asks for `{name}`, which has no codes"), format!("there is {}", super::listed(&known)))
            })
        };
        if let Some((message, help)) = problem {
            let diagnostic = self.mistake(line.span, message);
            self.push(diagnostic.help(help));
        }
    }

    /// How the webhook is registered.
    fn register(
        &mut self,
        register: Option<(Span, &syntax::Request, Option<&syntax::WirePath>, Option<&syntax::WirePath>)>,
        (unregister, update, registered): Behind<'_>,
        webhook: bool,
    ) -> Option<Register> {
        let Some((span, request, secret_at, id_at)) = register else {
            let lines = [
                (unregister.map(|(span, _)| span), "removed"),
                (update.map(|(span, _)| span), "changed"),
                (registered.map(|(span, _)| span), "read"),
            ];
            for (span, done) in lines {
                if let Some(span) = span {
                    let diagnostic = self.mistake(span, format!("nothing is registered here that could be {done}"));
                    self.push(diagnostic.help("add `register POST …`, or leave this line out"));
                }
            }
            return None;
        };
        if !webhook {
            let diagnostic = self.mistake(span, "there is no webhook to register");
            self.push(diagnostic.help("add `webhook verify …`: how what comes in is checked"));
        }
        let request = self.request(request, &Scope::new(Place::Register, &[]));
        let secret_at = secret_at.map(|path| self.path(path));
        let id_at = id_at.map_or_else(|| JsonPath(vec![Segment::Key("id".to_owned())]), |path| self.path(path));
        let id = catalog::Input {
            name: "id".to_owned(),
            docs: String::new(),
            ty: flow_plan::ty::Type::text(),
            default: None,
            roles: Vec::new(),
            accepts_personal: false,
            summary: false,
            length: None,
            escaped: false,
        };
        let id = [id];
        let with_id = Scope::new(Place::Register, &id);
        let remove = unregister.map(|(_, request)| self.request(request, &with_id));
        let update = update.map(|(_, request)| self.request(request, &with_id));
        let registered = registered.and_then(|(span, node)| self.registered(span, node)).map(Box::new);
        Some(Register { request, secret_at, id_at, remove, update, registered })
    }

    /// How what is registered is read.
    fn registered(&mut self, span: Span, node: &syntax::Registered) -> Option<Registered> {
        let Some(ours) = &node.ours else {
            let diagnostic = self.mistake(span, "which of them is ours?");
            self.push(
                diagnostic.help("put `run.instance` into the request of `register`, and add `where \"…\" is run.instance` here"),
            );
            return None;
        };
        let mut path = |path: &Option<syntax::WirePath>| path.as_ref().map(|path| self.path(path));
        let (list_at, id_at) = (path(&node.list_at), path(&node.id_at));
        let (url_at, events_at) = (path(&node.url_at), path(&node.events_at));
        let scope = Scope::registered();
        let ours = self.condition(ours, &scope);
        let mut condition = |node: &Option<syntax::Expr>| node.as_ref().map(|node| self.condition(node, &scope));
        let (update_unless, replace_unless) = (condition(&node.update_unless), condition(&node.replace_unless));
        Some(Registered {
            request: self.request(&node.request, &Scope::new(Place::Register, &[])),
            list_at: list_at.unwrap_or_default(),
            ours,
            id_at: id_at.unwrap_or_else(|| JsonPath(vec![Segment::Key("id".to_owned())])),
            url_at,
            events_at,
            update_unless,
            replace_unless,
        })
    }

    fn webhook(&mut self, call: &syntax::Call) -> Option<Webhook> {
        let scheme = call.path.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let Some((_, known)) = SCHEMES.iter().find(|(name, _)| *name == scheme) else {
            let names = SCHEMES.iter().map(|(name, _)| *name);
            let span = call.path.first().map_or(call.span, |first| first.span);
            self.unknown(span, format!("there is no scheme `{scheme}` to verify webhooks"), &scheme, names);
            return None;
        };
        let mut params: BTreeMap<String, Expr> = BTreeMap::new();
        let before = self.diagnostics.len();
        for arg in &call.args {
            let Some(name) = &arg.name else {
                let diagnostic = self.mistake(arg.span, format!("the parameters of `{scheme}` have names"));
                self.push(diagnostic.help("write `header: \"…\", secret: …`"));
                continue;
            };
            if !known.iter().any(|(param, _)| *param == name.text) {
                let names = known.iter().map(|(param, _)| *param);
                self.unknown(name.span, format!("`{scheme}` has no parameter `{}`", name.text), &name.text, names);
                continue;
            }
            let value = self.wire(&arg.value, &Scope::new(Place::Webhook, &[])).expr;
            if name.text == "tolerance" && value == Expr::Const(Value::Duration(flow_plan::Duration::default())) {
                self.push(self.mistake(arg.span, "a tolerance of nothing would refuse every webhook"));
            }
            params.insert(name.text.clone(), value);
        }
        let lacking: Vec<&str> =
            known.iter().filter(|(param, needed)| *needed && !params.contains_key(*param)).map(|(param, _)| *param).collect();
        // A parameter with a slip in its name is one mistake, not two.
        if !lacking.is_empty() && self.diagnostics.len() == before {
            self.push(self.mistake(call.span, format!("`{scheme}` also needs {}", super::listed(&lacking))));
        }
        Some(Webhook { scheme, params, whole: false })
    }

    /// `cursor "meta.next"`: a place in the answer; `cursor last.id + 1`: a number of its items.
    fn cursor(&mut self, path: &syntax::WirePath, plus: Option<&syntax::NumberLit>, lines: &mut PollLines) {
        let Some(field) = path.text.strip_prefix("last.").filter(|_| !path.quoted) else {
            if let Some(plus) = plus {
                let diagnostic = self.mistake(plus.span, "only a number of the items is counted on");
                self.push(diagnostic.help("`cursor last.id + 1`: the `id` of the item that has the greatest, and one more"));
            }
            lines.cursor = Some(self.path(path));
            return;
        };
        let inner = syntax::WirePath { span: path.span, text: field.to_owned(), quoted: true };
        let plus = plus.map_or(0, |plus| i64::from(self.count(plus)));
        lines.cursor_of_items = Some((self.path(&inner), plus));
    }

    pub(super) fn pages(
        &mut self,
        param: &Ident,
        from: &syntax::Expr,
        of: Option<&syntax::NumberLit>,
        more: Option<&syntax::WirePath>,
    ) -> Option<Pages> {
        let of = of.map(|of| self.count(of));
        if let ExprKind::Binary(BinaryOp::Add, _, left, right) = &*from.kind
            && let ExprKind::Name(name) = &*left.kind
            && name.text == param.text
            && let Some(by_items) = match &*right.kind {
                ExprKind::Number(by) => (by.digits == "1").then_some(false),
                ExprKind::Name(by) => (by.text == "items").then_some(true),
                _ => None,
            }
        {
            return Some(Pages {
                param: param.text.clone(),
                from_last: JsonPath::default(),
                plus: 0,
                from_answer: None,
                more: more.map(|more| self.path(more)),
                counted: true,
                by_items,
                of,
            });
        }
        let mut segments = Vec::new();
        let (mut at, plus) = match &*from.kind {
            ExprKind::Binary(syntax::BinaryOp::Add, _, last, plus) => match &*plus.kind {
                ExprKind::Number(number) => (last, i64::from(self.count(number))),
                _ => (from, 0),
            },
            _ => (from, 0),
        };
        loop {
            match &*at.kind {
                ExprKind::Field(inner, field) => {
                    segments.push(Segment::Key(field.text.clone()));
                    at = inner;
                }
                ExprKind::Name(name) if name.text == "last" && !segments.is_empty() => break,
                ExprKind::Text(text) if segments.is_empty() && plus == 0 => {
                    let text = self.plain(text, "a path");
                    let from = self.path(&syntax::WirePath { span: from.span, text, quoted: true });
                    let more = more.map(|more| self.path(more));
                    return Some(Pages {
                        param: param.text.clone(),
                        from_last: JsonPath::default(),
                        plus: 0,
                        from_answer: Some(from),
                        more,
                        counted: false,
                        by_items: false,
                        of,
                    });
                }
                _ => {
                    self.no_next_page(from.span);
                    return None;
                }
            }
        }
        segments.reverse();
        let more = more.map(|more| self.path(more));
        let from_last = JsonPath(segments);
        let param = param.text.clone();
        Some(Pages { param, from_last, plus, from_answer: None, more, counted: false, by_items: false, of })
    }

    fn no_next_page(&mut self, span: Span) {
        let diagnostic = self.mistake(span, "what does the next page begin with?");
        self.push(
            diagnostic
                .advise("`last.id`: the field `id` of the last item of a page")
                .advise("`\"meta.next\"`: a place in the answer")
                .advise("`page + 1` behind `pages page`: pages are numbered")
                .advise("`skip + items` behind `pages skip`: so many items were there before"),
        );
    }

    fn check_source(
        &mut self,
        name: &Ident,
        webhook: bool,
        poll: bool,
        envelope: &Envelope,
        triggers: &BTreeMap<String, Vec<String>>,
        lines: &PollLines,
    ) {
        // What flowd itself makes comes neither way.
        let problem = if !webhook && !poll && name.text != ENGINE_SOURCE {
            ("it has neither a webhook nor a poll", "add `webhook verify …`, `poll GET …` or `listen …`")
        } else if envelope.id.is_none() && lines.seen.is_empty() {
            ("nothing tells one event from another", "add `id \"…\"`: where the id of an event stands")
        } else if webhook && envelope.id.is_none() {
            ("a webhook that comes twice could not be told from two events", "add `id \"…\"`: where the id of an event stands")
        } else if envelope.event_type.is_none() && envelope.codes.is_none() && triggers.values().any(|types| !types.is_empty()) {
            ("its triggers ask for types of events, and it does not say where the type stands", "add `type \"…\"`")
        } else {
            return;
        };
        let diagnostic = self.mistake(name.span, format!("`{}` does not work: {}", name.text, problem.0));
        self.push(diagnostic.help(problem.1));
    }
}

/// The word of a line that may stand once.
fn word(kind: &SourceLineKind) -> &'static str {
    match kind {
        SourceLineKind::Webhook { .. } => "webhook",
        SourceLineKind::Unregister(_) => "unregister",
        SourceLineKind::Update(_) => "update",
        SourceLineKind::Registered(_) => "registered",
        SourceLineKind::Register { .. } => "register",
        SourceLineKind::Poll { .. } => "poll",
        SourceLineKind::Listen { .. } => "listen",
        SourceLineKind::Items(_) => "items",
        SourceLineKind::Pages { .. } => "pages",
        SourceLineKind::Cursor(..) => "cursor",
        SourceLineKind::Order(_) => "order",
        SourceLineKind::Seen(_) => "seen",
        SourceLineKind::History(_) => "history",
        SourceLineKind::First(_) => "first",
        SourceLineKind::Type(_) => "type",
        SourceLineKind::Id { .. } => "id",
        SourceLineKind::At(..) => "at",
        SourceLineKind::Object(_) => "object",
        SourceLineKind::Codes(_) => "codes",
        SourceLineKind::Along(_) => "with",
        SourceLineKind::Told(_) => "otherwise",
        SourceLineKind::Refuse { .. } => "",
    }
}

/// The source for one connection: what its refusals compare with settings is known.
pub(super) fn with_settings(source: &Arc<Source>, settings: &BTreeMap<String, Value>) -> Arc<Source> {
    let mut refuse = source.envelope.refuse.clone();
    refuse.iter_mut().for_each(|refusal| fill_in(&mut refusal.when, settings));
    let mut source = Arc::clone(source);
    if source.envelope.refuse != refuse {
        Arc::make_mut(&mut source).envelope.refuse = refuse;
    }
    source
}

/// Puts settings in their places in a condition over a payload; one that is missing equals nothing.
fn fill_in(condition: &mut Expr, settings: &BTreeMap<String, Value>) {
    match condition {
        Expr::Env(flow_plan::Env::Setting(name)) => {
            *condition = Expr::Const(settings.get(name.as_str()).cloned().unwrap_or_default());
        }
        Expr::Not(inner) | Expr::IsPresent(inner) | Expr::IsEmpty(inner) => fill_in(inner, settings),
        Expr::And(parts) | Expr::Or(parts) => parts.iter_mut().for_each(|part| fill_in(part, settings)),
        Expr::Equal(left, right) | Expr::Contains(left, right) | Expr::InList(left, right) => {
            fill_in(left, settings);
            fill_in(right, settings);
        }
        _ => {}
    }
}
