//! Mistakes in connectors, as their author would be told of them.

use std::fmt::Write;
use std::sync::Arc;

use flow_compiler::connector::declare;
use flow_grammar::span::LineIndex;
use flow_grammar::syntax::Item;

/// Declares a connector with these members and returns what is said about it.
fn told(members: &str) -> String {
    let source = format!(
        "connector shop \"Shop\" {{\n  secret token\n  setting region: text?\n  base \"https://shop.example\"\n  \
         auth bearer(token)\n{members}\n}}\n"
    );
    told_of(&source)
}

fn told_of(source: &str) -> String {
    let parsed = flow_grammar::parse(source);
    assert!(parsed.errors.is_empty(), "{source}\n{:#?}", parsed.errors);
    let index = LineIndex::new(source);
    let mut out = String::new();
    for item in &parsed.file.items {
        let Item::Connector(node) = item else { continue };
        for diagnostic in declare(&Arc::from("shop.flow"), source, node).1 {
            let at = index.position(source, diagnostic.span.start as usize);
            let found = diagnostic.span.text(source).lines().next().unwrap_or("");
            let _ = writeln!(out, "{} at `{found}` in line {}: {}", diagnostic.code, at.line, diagnostic.message);
            for label in &diagnostic.labels {
                let _ = writeln!(out, "  `{}`: {}", label.span.text(source).lines().next().unwrap_or(""), label.text);
            }
            if let Some(help) = &diagnostic.help {
                let _ = writeln!(out, "  help: {help}");
            }
            for fix in &diagnostic.fixes {
                let _ = writeln!(out, "  fix: {}", fix.title);
            }
        }
    }
    out
}

/// One snapshot for each, with the source in front.
fn snapshots(name: &str, cases: &[&str]) {
    let mut out = String::new();
    for case in cases {
        let _ = write!(out, "{case}\n-----\n{}\n", told(case));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, out) });
}

#[test]
fn records() {
    snapshots(
        "records",
        &[
            "  record Order { id: id<Ordr> @key }",
            "  record Order { total: money }",
            "  record Order { total: money minor from (cents, currency) exponents { xyz: 2 } }",
            "  record Order { at: datetime }",
            "  record Order { at: datetime rfc2822 }",
            "  record Order { items: list }",
            "  record Order { lines: list<Line> } record Line { order: Order }",
            "  record Order { state: txt }",
            "  record Order { state: open | paid | open }",
            "  record Order { id: text  id: text }",
            "  record Order { id: text from \"a..b\" }",
            "  record Order { mail: email? @persnal }",
            "  record Order { id: text from \"id\" when object is \"order\" }",
            "  record Order { id: text } record Order { id: text }",
        ],
    );
}

#[test]
fn api() {
    snapshots(
        "api",
        &[
            "  limit 0 per minute",
            "  header \"X-Key\" tokn",
            "  header \"X-Region\" region\n  base \"https://two.example\"",
            "  retry on 4090",
            "  quota 50_000 per month shared by tokn",
            "  setting size: int 1..5 = 9",
            "  setting tier: gold | silver = \"goold\"",
            "  error text \"errors[x].message\"",
            "  exponents { isk: 9 }",
        ],
    );
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("no_base", told_of("connector shop { secret token  auth berer(token) }"));
        let bases = "connector shop { secret token  setting org: text?  base \"{org}.shop.example/{token}\" }";
        insta::assert_snapshot!("bases", told_of(bases));
    });
}

/// What is peculiar to few operations.
#[test]
fn peculiar() {
    snapshots(
        "peculiar",
        &[
            "  action buy(url: text?) { POST at url effect once }",
            "  action buy(url: int) { POST at url effect once }",
            "  action buy(url: text) { SEND at url effect once }",
            "  action buy(url: text, method: text) { SEND method at url effect once }",
            "  action buy(url: text, method: GET | POST) { POST method at url effect once }",
            "  action buy(url: text, expect: text) { POST at url done on expect effect once }",
            "  action buy(url: text, wait: text) { POST at url timeout wait effect once }",
            "  action buy(url: text) { POST at url timeout 1 hour effect once }",
            "  action buy(url: text) { POST at url effect once once more }",
            "  action buy(url: text) { POST at url effect set retry never }",
            "  action buy(text: text @length(5..1)) { POST \"/o\" json { text } effect once }",
            "  action buy(count: int @length(1..5)) { POST \"/o\" json { count } effect once }",
            "  one of (token, keey)",
            "  query ask(most: text) -> text @within(most) { GET \"/o\" }",
            "  query ask(record: text) -> json @typed(rekord) { GET \"/o\" }",
        ],
    );
}

#[test]
fn operations() {
    snapshots(
        "operations",
        &[
            "  action buy(item: text) -> { id: text } { POST \"/orders\" json { item } }",
            "  action buy(item: text) { POST \"/orders\" json { item: itm } effect once }",
            "  action buy(price: money) { POST \"/orders\" json { price } effect once }",
            "  action buy(since: datetime) { POST \"/orders\" form { since } effect once }",
            "  action buy(item: text?) { POST \"/orders/{item}\" effect once }",
            "  action buy(item: text) { POST \"orders\" json { item } effect once }",
            "  action buy(item: text) { POST \"/orders\" json { item: uper(item) } effect once }",
            "  action buy(item: text) { POST \"/orders\" json { item: unix(item) } effect once }",
            "  action buy(item: text) { POST \"/orders\" json { item: require item } effect once }",
            "  action buy(item: text) { POST \"/orders\" json { key: run.ky } effect once }",
            "  action buy(count: int = \"one\") { POST \"/orders\" json { count } effect once }",
            "  action buy(item: text, item: text) { POST \"/orders\" json { item } effect once }",
            "  action buy(item: text) { POST \"/orders\" json { item } effect once effect set }",
            "  action buy(item: text) { POST \"/orders\" json { item } effect once emits bought }",
            "  action buy(item: text) { POST \"/orders\" json { item } effect once one of (item, note) }",
            "  action buy(item: text) { POST \"/orders\" json { item } effect once emits \"item.bought\" }",
            "  action buy(item: text) @dangeros { POST \"/orders\" json { item } effect once }",
            "  query order(id: text) -> { id: text } { GET \"/orders/{id}\" none on 404 }",
            "  query order(id: text) -> { id: text }? { GET \"/orders/{id}\" none when status is 404 }",
            "  query order(id: text) -> { id: text }? { GET \"/orders/{id}\" none when \"gone\" }",
            "  query order(id: text) -> { id: text } { GET \"/orders/{id}\" json { id } }",
            "  query order(id: text) -> { id: text } { GET \"/orders/{id}\" effect set }",
            "  query order(id: text) -> { id: text } { GET \"/orders/{id}\" refused when \"code\" matches \"(\" }",
            "  action buy(item: text) { POST \"/orders\" json { item } sign { json.sign: item } effect once }",
            "  state level: number from query level()",
        ],
    );
}

#[test]
fn several_apis_and_what_a_request_is_made_of() {
    snapshots(
        "apis",
        &[
            "  api mail { auth bearer(token) }",
            "  api mail { base \"https://mail.shop.example\" base \"https://post.shop.example\" }",
            "  api mail { base \"https://mail.shop.example\" }\n  api mail { base \"https://post.shop.example\" }",
            "  api mail { base \"https://eu.shop.example\" when region is \"eu\" }",
            "  api mail { base \"https://mail.shop.example\" base \"https://eu.shop.example\" when regoin is \"eu\" }",
            "  api mail { base \"https://mail.shop.example\" }\n  query a -> json { GET \"/a\" via mial }",
            "  query a -> json { GET \"/a\" via mail }",
            "  action a(x: list<text>) { POST \"/a\" form { b: 1 } null x effect set }",
            "  action a(x: text?) { POST \"/a\" json { b: holds(x, 1), c: holds(x is present) } effect set }",
            "  action a(x: money) { POST \"/a\" json { b: decimal(12), c: ulid(x, \"a\") } effect set }",
            "  action a(x: text) { POST \"/a\" json { x } warn unless one of (x) because \"nothing\" effect set }",
            "  action a(x: text?) { POST \"/a\" json { x } warn unless one of (y) because \"nothing\" effect set }",
            "  source s { poll GET \"/s\" every 1 minute items \"data\" cursor \"meta.next\" + 1 id \"id\" }",
            "  source s { webhook verify token(secret: token) id \"id\" ignore when \"a\" is regoin }",
            "  refused when error is present",
        ],
    );
}

#[test]
fn findable() {
    let queries = "  record Order { id: text }\n  query by_key(key: text) -> Order? { GET \"/orders/key={key}\" none on 404 }\n  \
                   query all() -> list<Order> { GET \"/orders\" }";
    let case = |line: &str| {
        format!("{queries}\n  action buy(item: text, note: text?) -> Order {{ POST \"/orders\" json {{ item, note }} {line} }}")
    };
    let lines = [
        "effect findable by by_kee(key: run.key)",
        "effect findable by by_key(kee: run.key)",
        "effect findable by by_key()",
        "effect findable by by_key(key: note)",
        "effect findable by by_key(key: 5)",
        "effect findable by by_key(key: token)",
        "effect findable by all()",
        "effect findable by buy(item: item)",
    ];
    let mut out = String::new();
    for line in lines {
        let _ = write!(out, "{line}\n-----\n{}\n", told(&case(line)));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!("findable", out) });
    assert_eq!(told(&case("effect findable by by_key(key: run.key) on 409 find")), "");
}

#[test]
fn sources_and_triggers() {
    snapshots(
        "sources",
        &[
            "  source events { id \"id\" }",
            "  source events { webhook verify hmac_sha25(header: \"X\", secret: token) id \"id\" }",
            "  source events { webhook verify hmac_sha256(header: \"X\", key: token) id \"id\" }",
            "  source events { webhook verify standard_webhooks(secret: token) }",
            "  source events { poll GET \"/events\" items \"data\" id \"id\" }",
            "  source events { poll GET \"/events\" query { since: watermrk } every 1 minute id \"id\" }",
            "  source events { poll GET \"/events\" query { since: watermark } every 1 minute id \"id\" }",
            "  source events { poll GET \"/events\" every 1 minute id \"id\" pages page next.id }",
            "  source events { poll GET \"/events\" every 1 minute id \"id\" order latest by \"at\" first today }",
            "  source events { poll GET \"/events\" every 1 minute id \"id\" id \"uuid\" }",
            "  source events { poll GET \"/events\" every 1 minute id \"id\" register POST \"/hooks\" json { url: \"x\" } }",
            "  trigger sold: Order from events \"sold\"",
            "  record Order { id: text }\n  trigger sold: Ordr from events \"sold\"",
            "  record Order { id: text }\n  trigger sold: Order",
            "  record Order { id: text }\n  source events { poll GET \"/e\" every 1 minute id \"id\" }\n  trigger sold: Order from events \"sold\"",
            "  resolver Customer from email = find",
            "  record Customer { id: id<Customer> }\n  query find(phone: phone) -> Customer? { GET \"/c\" query { phone } none on 404 }\n  resolver Customer from email = find",
        ],
    );
}

/// Whatever is wrong, declaring ends and says so.
#[test]
fn nothing_panics() {
    let source = flow_compiler::connector::builtin_sources()[1].2;
    let starts: Vec<usize> = source.char_indices().map(|(at, _)| at).step_by(997).collect();
    for (at, start) in starts.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(source.len());
        let broken = format!("{}{}", &source[..*start], &source[end..]);
        let parsed = flow_grammar::parse(&broken);
        for item in &parsed.file.items {
            if let Item::Connector(node) = item {
                declare(&Arc::from("stripe.flow"), &broken, node);
            }
        }
    }
}

#[test]
fn signatures() {
    let lock = |lines: &str| {
        format!(
            "  record Bolt {{ state: locked | unlocked  at: datetime unix }}\n  query status() -> Bolt {{ GET \"/state\" }}\n  \
             query far(id: text) -> Bolt {{ GET \"/state/{{id}}\" }}\n  action lock(note: text?) {{ POST \"/cmd\" json {{ note }} effect set {lines} }}"
        )
    };
    let cases = [
        "sign { sign: note }",
        "sign { jsn.sign: \"x\" }",
        "sign { form.sign: \"x\" }",
        "sign { note }",
        "sign { json.sign: sha256(body) }",
        "sign { json.sign: aes_cmac(token, le32(sent_at)) }",
        "sign { json.sign: hex(slice(bytes(note else \"\"), 4, 1)) }",
        "sign { json.sign: hex(le32(note)) }",
        "sign { json.sign: md5_sorted(token, body) }",
        "sign { json.sign: hex(md5(bdy)) }",
        "sign { json.sign: \"x\", json.sign: \"y\" }",
        "confirm status every 30 seconds up to 15 seconds where state is \"locked\"",
        "confirm stats every 3 seconds up to 15 seconds where state is \"locked\"",
        "confirm far every 3 seconds up to 15 seconds where state is \"locked\"",
        "confirm lock every 3 seconds up to 15 seconds where state is \"locked\"",
        "confirm status every 3 seconds up to 15 seconds where bolt is \"locked\"",
        "confirm status every 3 seconds up to 15 seconds where state is \"locked\" and at >= token",
    ];
    let cases: Vec<String> = cases.iter().map(|case| lock(case)).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    snapshots("signatures", &cases);
}

#[test]
fn states() {
    let cases = [
        "state bolt: locked | unlocked",
        "state bolt: locked | unlocked from query status",
        "state bolt: locked | unlocked from query status().stat",
        "state bolt: locked | open from query status().state",
        "state bolt: number from query status().state",
        "state bolt: locked | unlocked from query far().state",
        "state bolt: locked | unlocked from query far(id: region).state",
        "state bolt: locked | unlocked from query steps().state",
        "state bolt: locked | unlocked from query 7",
        "state status: locked | unlocked from query status().state",
        "state bolt: locked | unlocked | unknown from query status().state every 0 seconds",
    ];
    let cases = cases.map(|case| {
        format!(
            "  record Bolt {{ state: locked | unlocked  at: datetime unix }}\n  query status() -> Bolt {{ GET \"/state\" }}\n  \
             query far(id: text) -> Bolt {{ GET \"/state/{{id}}\" }}\n  query steps() -> Bolt {{ return status() }}\n  {case}"
        )
    });
    snapshots("states", &cases.each_ref().map(String::as_str));
}

#[test]
fn codes_and_changes() {
    let source = |lines: &str, types: &str| {
        format!(
            "  record Bolt {{ at: datetime unix }}\n  query status() -> Bolt {{ GET \"/state\" }}\n  source log {{ \
             poll GET \"/log\" {lines} }}\n  trigger turned: Bolt from log {types}"
        )
    };
    let cases = [
        source(
            "when status.at changes items \"\" order oldest by \"at\" unix seen (\"id\", \"at\") codes \"type\" { locked: 1, 1 } collapse same",
            "\"locked\"",
        ),
        source("every 1 minute seen \"id\" codes \"type\" { locked: 1 } collapse same", "\"locked\""),
        source("every 1 minute seen \"id\" codes \"type\" { locked: 1 }", "\"lockd\""),
        source("every 1 minute seen \"id\" type \"kind\" codes \"type\" { locked: 1 }", "\"locked\""),
        source("every 1 minute seen \"id\" order oldest by \"at\" codes \"type\" { locked: 1 } collapse all", "\"locked\""),
        source("when status.att changes seen \"id\"", ""),
        source("when stats.at changes seen \"id\"", ""),
        source("every 1 minute seen \"id\" unregister DELETE \"/hooks/{id}\"", ""),
    ];
    snapshots("codes_and_changes", &cases.each_ref().map(String::as_str));
}

/// What a query tells beside a list, and how long a confirmation may take.
#[test]
fn told_and_confirmed() {
    let source = |lines: &str| {
        format!(
            "  record Bolt {{ at: datetime unix stands: open | shut | other charge: int? }}\n  record Turn {{ at: datetime unix }}\n  \
             query bolt() -> Bolt {{ GET \"/state\" }}\n  source log {{ poll GET \"/log\" {lines} items \"\" order oldest by \"at\" unix \
             seen \"id\" codes \"type\" {{ shut: 1 }} collapse same }}\n  trigger turned: Turn from log \"shut\""
        )
    };
    let action = |within: &str, line: &str, record: &str| {
        format!(
            "  record Bolt {{ at: datetime unix stands: open | shut | other charge: int? }}\n  record Done {{ {record} }}\n  \
             query bolt() -> Done {{ GET \"/state\" }}\n  action shut(within: {within}, note: text?) -> Done {{ POST \"/shut\" json {{}} effect set \
             confirm bolt every 3 seconds {line} }}"
        )
    };
    let cases = [
        source("every 1 minute with { charge }"),
        source("every 1 minute otherwise stands { shut: shut } at at"),
        source("when bolt changes with { charg }"),
        source("when bolt changes with { at, token }"),
        source("when bolt changes otherwise charge { shut: shut } at at"),
        source("when bolt changes otherwise stands { shut: closed opened: open } at charge"),
        source("when bolt changes with { charge, gate: connection } otherwise stands { shut: shut } at at"),
        action("duration = 15 seconds", "up to within as done where at >= sent_at", "at: datetime? unix done: bool?"),
        action("duration = 15 seconds", "up to within as done where at >= sent_at", "at: datetime unix done: bool?"),
        action("duration = 15 seconds", "up to within as don where at >= sent_at", "at: datetime? unix done: bool?"),
        action("duration = 15 seconds", "up to within as done where at >= sent_at", "at: datetime? unix done: bool"),
        action("duration = 15 seconds", "up to note where at >= sent_at", "at: datetime? unix"),
        action("duration = 15 seconds", "up to 11 minutes where at >= sent_at", "at: datetime unix"),
        action("duration = 15 seconds", "up to 2 seconds where at >= sent_at", "at: datetime unix"),
    ];
    snapshots("told_and_confirmed", &cases.each_ref().map(String::as_str));
}

/// Operations of steps are written out where they are called: what calls itself is told once, with its way.
#[test]
fn circles_of_calls() {
    snapshots(
        "circles_of_calls",
        &[
            "  action a { a() }",
            "  action a { b() b() b() b() b() b() b() b() }\n  action b { c() c() c() c() c() c() c() c() }\n  action c { a() a() a() a() a() a() a() a() }\n  action d { c() }",
            "  query find(id: text) -> text? { let x = look(id: id)  return x }\n  query look(id: text) -> text? { if id is present { let y = find(id: id)  return y }  return }",
            "  action one { two() }\n  action two { two() }",
        ],
    );
}

#[test]
fn money_that_nothing_writes() {
    snapshots(
        "money_that_nothing_writes",
        &[
            "  action buy(prices: list<money>) { POST \"/orders\" json { prices } effect once }",
            "  record Line { price: money decimal from (\"a\", \"c\") }\n  action buy(lines: list<Line>) { POST \"/orders\" json { lines } effect once }",
            "  record Line { price: money decimal from (\"a\", \"c\") }\n  action buy(lines: list<Line>) { POST \"/orders\" json { lines: money_as_text(lines) } effect once }",
        ],
    );
}

/// However deep or wide, a connector is told of in bounded time and memory.
#[test]
fn what_is_too_deep_or_too_wide_is_told_once() {
    let chain = |count: usize| (0..count).map(|at| format!("  record R{at} {{ n: R{} }}\n", at + 1)).collect::<String>();
    let wide = (0..40).map(|at| format!("  record R{at} {{ a: R{} b: R{} }}\n", at + 1, at + 1)).collect::<String>();
    let calls = (0..40).map(|at| format!("  action a{at} {{ a{}() a{}() }}\n", at + 1, at + 1)).collect::<String>();
    let end = "  record R40 { id: text }\n  action a40 { POST \"/\" effect set }";
    for (members, message) in [
        (format!("{}  record R600 {{ id: text }}", chain(600)), "lies too deep in other records"),
        (format!("{wide}{end}"), "has more than 20000 fields"),
        (format!("{calls}{end}"), "is more than 8 operations deep"),
    ] {
        let told = told(&members);
        assert!(told.contains(message), "{told}");
    }
    assert_eq!(told(&format!("{calls}{end}")).matches("E820").count(), 1);
}
