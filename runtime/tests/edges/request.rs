use flow_plan::{Auth, Body, Currency, Effect, Encoding, Expr, Input, Money, Operation, PathPart, Value};
use std::sync::Arc;

use flow_runtime::eval::Nothing;
use flow_runtime::form::WireError;
use flow_runtime::request::{RequestError, build, build_request};
use flow_runtime::secret::Secret;

use crate::support::{Inputs, connection, field, operation, request, secret, shared, text};

fn literal(path: &str) -> Vec<PathPart> {
    vec![PathPart::Literal(path.to_owned())]
}

fn with_value(path: &str, value: &str) -> Vec<PathPart> {
    vec![PathPart::Literal(path.to_owned()), PathPart::Value(text(value))]
}

fn keyed(mut operation: Operation) -> Operation {
    operation.effect = Effect::Keyed { header: "Idempotency-Key".to_owned(), window_ms: 86_400_000 };
    operation
}

fn decoded(pairs: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = form_urlencoded::parse(pairs.as_bytes()).into_owned().collect();
    pairs.sort();
    pairs
}

#[test]
fn what_has_to_be_given_does_not_vanish_from_a_request() {
    let input = |name: &str, optional| Input { name: name.to_owned(), optional, ..Input::default() };
    let mut op = operation(request("POST", literal("/refunds")));
    op.inputs = vec![input("charge", false), input("amount", false), input("note", true)];
    let fields = (0..).zip(&op.inputs).map(|(at, input)| (input.name.clone(), Expr::Input(at))).collect();
    op.request.body = Some(Body { encoding: Encoding::Form, value: Expr::Record(fields), nulls: None });
    let any = connection("any", "https://api.example");
    let make = |inputs: &[Value]| build(&op, &any, &Inputs(inputs.to_vec())).map(|made| made.body);
    let (charge, amount) = (Value::text("ch_1"), Value::Number(100.into()));
    assert_eq!(make(&[charge.clone(), amount]), Ok("amount=100&charge=ch_1".into()));
    let without = make(&[charge, Value::Missing, Value::text("x")]);
    assert_eq!(without, Err(RequestError::MissingInput("amount".to_owned())));
    assert_eq!(make(&[]), Err(RequestError::MissingInput("charge".to_owned())));
}

/// What the service's own library puts on the wire for the same parameters.
#[test]
fn requests_are_those_of_the_official_library() {
    let Some(data) = shared("stripe/requests.json") else { return };
    let cases = data["requests"].as_array().unwrap();
    assert!(cases.len() >= 15);
    for case in cases {
        let (method, wanted) = (case["method"].as_str().unwrap(), case["path"].as_str().unwrap());
        let (path, query) = wanted.split_once('?').unwrap_or((wanted, ""));
        let params = Value::from_json(&case["params"]);
        let mut op = keyed(operation(request(method, literal(path))));
        if method == "POST" {
            op.request.body = Some(Body { encoding: Encoding::Form, value: Expr::Const(params), nulls: None });
        } else if let Value::Record(fields) = &params {
            op.request.query = fields.iter().map(|(name, value)| field(name, Expr::Const(value.clone()))).collect();
        }
        let mut stripe = connection("stripe", "https://api.stripe.com");
        Arc::make_mut(&mut stripe.plan.api).headers = vec![("Stripe-Version".to_owned(), text("2026-10-28.endive"))];
        let made = build(&op, &stripe, &Inputs::default()).unwrap();
        let (made_path, made_query) = made.url.split_once('?').unwrap_or((&made.url, ""));
        assert_eq!(made_path, format!("https://api.stripe.com{path}"), "{}", case["name"]);
        assert_eq!(decoded(made_query), decoded(query), "{}", case["name"]);
        let body = String::from_utf8(made.body.to_vec()).unwrap();
        assert_eq!(decoded(&body), decoded(case["body"].as_str().unwrap_or("")), "{}", case["name"]);
        let header =
            |name: &str| made.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        assert_eq!(header("authorization"), Some("Bearer sk_test_vector"));
        assert_eq!(header("stripe-version"), Some("2026-10-28.endive"));
        assert_eq!(header("idempotency-key"), Some("flow-test-key-1"));
    }
}

#[test]
fn a_value_is_one_segment() {
    let kustomer = connection("kustomer", "https://api.example/v1");
    for (value, encoded) in [
        ("a+b@example.com", "a%2Bb%40example.com"),
        ("a/b", "a%2Fb"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("100%", "100%25"),
        ("%2e%2e", "%252e%252e"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("zoë\r\nHost: x", "zo%C3%AB%0D%0AHost%3A%20x"),
        ("a\\b;c&d", "a%5Cb%3Bc%26d"),
    ] {
        let made = build_request(&request("GET", with_value("/customers/email=", value)), &kustomer, &Nothing, &[]).unwrap();
        assert_eq!(made.url, format!("https://api.example/v1/customers/email={encoded}"));
        // What the transport makes of it is the same address.
        let parsed = url::Url::parse(&made.url).unwrap();
        assert!(parsed.path().starts_with("/v1/customers/email="), "{parsed}");
        assert_eq!(parsed.host_str(), Some("api.example"));
    }
}

#[test]
fn addresses_that_would_lead_elsewhere_are_refused() {
    let any = connection("any", "https://api.example/v1");
    let make = |path| build_request(&request("GET", path), &any, &Nothing, &[]).map(|made| made.url);
    assert_eq!(make(with_value("/customers/", "..")), Err(RequestError::DotSegment));
    assert_eq!(make(with_value("/customers/", ".")), Err(RequestError::DotSegment));
    assert_eq!(make(with_value("/customers/.", ".")), Err(RequestError::DotSegment));
    assert_eq!(make(with_value("/customers/", "")), Err(RequestError::MissingPathValue));
    let missing = vec![PathPart::Literal("/customers/".to_owned()), PathPart::Value(Expr::Const(Value::Missing))];
    assert_eq!(make(missing), Err(RequestError::MissingPathValue));
    // Behind `?` a missing value leaves out its parameter.
    let query = vec![
        PathPart::Literal("/invoices?status=overdue&after=".to_owned()),
        PathPart::Value(Expr::Const(Value::Missing)),
        PathPart::Literal("&limit=".to_owned()),
        PathPart::Value(text("5&x=1")),
    ];
    assert_eq!(make(query), Ok("https://api.example/v1/invoices?status=overdue&limit=5%26x%3D1".to_owned()));
}

#[test]
fn base_url_replaces_the_origin_or_all_of_the_base() {
    let base = |own: Expr, given: Option<&str>| {
        let mut connection = connection("kustomer", "");
        Arc::make_mut(&mut connection.plan.api).base = own;
        connection.base_url = given.map(str::to_owned);
        build_request(&request("GET", literal("/users")), &connection, &Nothing, &[]).map(|made| made.url)
    };
    let own = || text("https://api.example/v1");
    assert_eq!(base(own(), None).unwrap(), "https://api.example/v1/users");
    assert_eq!(base(own(), Some("http://127.0.0.1:9000")).unwrap(), "http://127.0.0.1:9000/v1/users");
    assert_eq!(base(own(), Some("http://127.0.0.1:9000/")).unwrap(), "http://127.0.0.1:9000/v1/users");
    assert_eq!(base(own(), Some("http://127.0.0.1:9000/other/")).unwrap(), "http://127.0.0.1:9000/other/users");
    // A setting that only the origin needs may be missing then.
    let org = Expr::Env(flow_plan::Env::Setting("org".to_owned()));
    let of_org = || Expr::Text(vec![text("https://"), org.clone(), text(".api.example/v1")]);
    assert_eq!(base(of_org(), Some("http://[::1]:9000")).unwrap(), "http://[::1]:9000/v1/users");
    for bad in ["ftp://x", "nonsense", "https://user:pw@x", "https://x?y=1", "file:///etc/passwd"] {
        assert!(matches!(base(own(), Some(bad)), Err(RequestError::Base { .. })), "{bad}");
    }
    assert!(matches!(base(of_org(), None), Err(RequestError::Base { .. })));
}

#[test]
fn queries_repeat_bracket_and_leave_out() {
    let any = connection("any", "https://api.example");
    let types = Value::List(vec![Value::text("a.b"), Value::text("c")].into());
    let mut list = request("GET", literal("/events"));
    list.query = vec![
        field("types[]", Expr::Const(types.clone())),
        field("tags", Expr::Const(types)),
        field("created[gte]", Expr::Const(Value::Number("1795000000".parse().unwrap()))),
        field("none", Expr::Const(Value::Missing)),
        field("empty", text("")),
        field("on", Expr::Const(Value::Bool(true))),
        field("price", Expr::Const(Value::Number("12.50".parse().unwrap()))),
        field("since", Expr::Const(Value::Instant("2026-11-22T12:00:00.5Z".parse().unwrap()))),
    ];
    let made = build_request(&list, &any, &Nothing, &[("starting_after".to_owned(), Value::text("evt_1"))]).unwrap();
    assert_eq!(
        made.url,
        "https://api.example/events?types[]=a.b&types[]=c&tags[0]=a.b&tags[1]=c&created[gte]=1795000000&empty=&on=true\
         &price=12.5&since=2026-11-22T12%3A00%3A00.500Z&starting_after=evt_1"
    );
    let replaced = build_request(&list, &any, &Nothing, &[("types[]".to_owned(), Value::text("x"))]).unwrap();
    assert!(!replaced.url.contains("a.b&types") && replaced.url.ends_with("&types[]=x"), "{}", replaced.url);
}

#[test]
fn json_bodies_are_exact_and_without_missing_fields() {
    let any = connection("any", "https://api.example");
    let mut create = request("POST", literal("/c"));
    let value = Expr::Record(vec![
        ("n".to_owned(), Expr::Const(Value::Number("0.1000000000000000000000000001".parse().unwrap()))),
        ("note".to_owned(), Expr::Const(Value::Missing)),
        ("at".to_owned(), Expr::Const(Value::Instant("2026-11-22T12:00:00Z".parse().unwrap()))),
        ("tags".to_owned(), Expr::List(vec![text("a\"b")])),
        ("in".to_owned(), Expr::Input(0)),
    ]);
    create.body = Some(Body { encoding: Encoding::Json, value, nulls: None });
    let made = build(&operation(create), &any, &Inputs(vec![Value::Bool(false)])).unwrap();
    let body = std::str::from_utf8(&made.body).unwrap();
    assert_eq!(body, r#"{"at":"2026-11-22T12:00:00.000Z","in":false,"n":0.1000000000000000000000000001,"tags":["a\"b"]}"#);
    assert!(made.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
}

#[test]
fn money_never_goes_out_raw() {
    let any = connection("any", "https://api.example");
    let money = Value::Money(Money { amount: "1.00".parse().unwrap(), currency: Currency::parse("USD").unwrap() });
    for encoding in [Encoding::Json, Encoding::Form] {
        let mut create = request("POST", literal("/c"));
        let value = Expr::Record(vec![("total".to_owned(), Expr::Const(money.clone()))]);
        create.body = Some(Body { encoding, value, nulls: None });
        let error = build_request(&create, &any, &Nothing, &[]).map(|made| made.url).unwrap_err();
        assert_eq!(error, RequestError::Wire(WireError::PlainMoney("total".to_owned(), "1.00 USD".to_owned())));
    }
}

#[test]
fn keys_out_of_data_do_not_change_the_structure() {
    let any = connection("any", "https://api.example");
    let mut create = request("POST", literal("/c"));
    let metadata = Value::record([("x][admin".into(), Value::text("1"))]);
    let value = Expr::Record(vec![("metadata".to_owned(), Expr::Const(metadata))]);
    create.body = Some(Body { encoding: Encoding::Form, value, nulls: None });
    let error = build_request(&create, &any, &Nothing, &[]).map(|made| made.url).unwrap_err();
    assert_eq!(error, RequestError::Wire(WireError::Key("metadata".to_owned())));
}

#[test]
fn headers_take_no_line_breaks() {
    let any = connection("any", "https://api.example");
    for value in ["a\r\nX: y", "a\nb", "a\rb", "a\0b"] {
        let mut get = request("GET", literal("/c"));
        get.headers = vec![("X-Note".to_owned(), text(value))];
        let error = build_request(&get, &any, &Nothing, &[]).map(|made| made.url).unwrap_err();
        assert_eq!(error, RequestError::Header("X-Note".to_owned()));
    }
}

#[test]
fn schemes_of_authorisation() {
    let header = |scheme: &str, args: Vec<Expr>, name: &str| {
        let mut any = connection("any", "https://api.example");
        any.secrets.insert("password".to_owned(), Secret::new("p:w".to_owned()));
        Arc::make_mut(&mut any.plan.api).auth = Some(Auth { scheme: scheme.to_owned(), args });
        let made = build_request(&request("GET", literal("/c")), &any, &Nothing, &[])?;
        Ok::<_, RequestError>(made.headers.into_iter().find(|(known, _)| known == name).unwrap().1)
    };
    assert_eq!(header("bearer", vec![secret("key")], "authorization").unwrap(), "Bearer sk_test_vector");
    assert_eq!(header("basic", vec![secret("key")], "authorization").unwrap(), "Basic c2tfdGVzdF92ZWN0b3I6");
    assert_eq!(header("basic", vec![text("u"), secret("password")], "authorization").unwrap(), "Basic dTpwOnc=");
    assert_eq!(header("header", vec![text("X-Api-Key"), secret("key")], "X-Api-Key").unwrap(), "sk_test_vector");
    assert_eq!(header("bearer", vec![secret("none")], "x"), Err(RequestError::NoCredentials("any".to_owned())));
    assert_eq!(header("basic", vec![text("u"), secret("none")], "x"), Err(RequestError::NoCredentials("any".to_owned())));
    assert_eq!(header("magic", Vec::new(), "x"), Err(RequestError::UnknownScheme("magic".to_owned())));
}

#[test]
fn a_keyed_effect_without_a_key_is_not_sent() {
    let any = connection("any", "https://api.example");
    let error = build(&keyed(operation(request("POST", literal("/c")))), &any, &Nothing).map(|made| made.url);
    assert_eq!(error, Err(RequestError::NoKey));
}
