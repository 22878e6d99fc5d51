//! Payloads: scanned for the fields of flows, decoded, and read as the envelopes of webhooks.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use flow_plan::{Currency, FieldShape, FieldSource, JsonPath, MoneyUnit, Segment, Shape, TimeFormat, Value, Writing};
use flow_runtime::decode::{decode, decode_field};
use flow_runtime::eval::path_get;
use flow_runtime::form;
use flow_runtime::scan::{PathSet, ScanError};
use flow_runtime::server::envelope::EnvelopeReader;

/// Paths of the built-in connectors' payloads, and some that end where others go on.
static PATHS: LazyLock<Vec<JsonPath>> = LazyLock::new(|| {
    let named = [
        "",
        "id",
        "type",
        "created",
        "data",
        "data.object",
        "data.object.id",
        "data.object.amount",
        "data.object.currency",
        "data.object.billing_details.email",
        "data.object.lines.data[0].amount",
        "items[0]",
        "items[1].a",
        "a",
        "a.b",
        "a.b[0]",
        "a[0]",
        "a[0].b",
        "b",
    ];
    let mut paths: Vec<JsonPath> = named.iter().filter_map(|text| JsonPath::parse(text).ok()).collect();
    paths.push(JsonPath(vec![Segment::Key(String::new())]));
    paths
});

/// A shape of each kind.
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(shapes);

fn shapes() -> Vec<Shape> {
    let path = |text: &str| JsonPath::parse(text).unwrap_or_default();
    let money = |unit| Shape::Money {
        amount: path("amount"),
        currency: path("currency"),
        instead: vec![(path("old_amount"), path("currency"))],
        unit,
        exponents: Currency::parse("isk").map(|isk| BTreeMap::from([(isk, 2)])).unwrap_or_default(),
    };
    let mut all = vec![
        Shape::Json,
        Shape::Text,
        Shape::Token,
        Shape::Bool,
        Shape::Integer,
        Shape::Number,
        money(MoneyUnit::Minor),
        money(MoneyUnit::Decimal),
        Shape::Date,
        Shape::Time,
        Shape::Duration(1),
        Shape::Duration(86_400_000),
        Shape::Enum { members: vec!["a".to_owned(), "b".to_owned()], open: false },
    ];
    let formats = [
        TimeFormat::Unix,
        TimeFormat::UnixMillis,
        TimeFormat::UnixMicros,
        TimeFormat::UnixAuto,
        TimeFormat::Rfc2822,
        TimeFormat::Iso,
    ];
    all.extend(formats.map(Shape::Instant));
    all.push(Shape::Coded {
        members: vec!["a".to_owned(), "b".to_owned()],
        codes: [(1, "a".to_owned()), (2, "b".to_owned())].into(),
        otherwise: Some("b".to_owned()),
    });
    all.push(Shape::Coded { members: vec!["a".to_owned()], codes: [(7, "a".to_owned())].into(), otherwise: None });
    let writings = [Writing::Base64, Writing::Hex, Writing::Lower, Writing::Upper, Writing::Text];
    all.extend(writings.map(Shape::Written));
    let fields = all.iter().enumerate().map(|(at, shape)| FieldShape {
        name: format!("f{at}"),
        from: vec![FieldSource::at(path("a")), FieldSource { of_event: true, ..FieldSource::at(path("b")) }],
        shape: shape.clone(),
        optional: at % 2 == 0,
        personal: false,
        default: (at % 3 == 0).then(|| Value::text("else")),
    });
    let record = Shape::Record(fields.collect());
    let wrapped: Vec<Shape> = all
        .iter()
        .flat_map(|shape| {
            let shape = || Box::new(shape.clone());
            [Shape::List(shape()), Shape::Map(shape()), Shape::Commas(shape())]
        })
        .collect();
    all.push(record);
    all.extend(wrapped);
    all
}

/// The webhooks of the built-in connectors.
static ENVELOPES: LazyLock<Vec<EnvelopeReader>> = LazyLock::new(|| {
    let text = "when stripe.charge_failed do kustomer.create_conversation(name: \"a\", customer: \"b\")\n\
                when kustomer.conversation_created do stripe.create_refund(charge: \"a\")\n\
                when http.received do stripe.create_refund(charge: \"a\")";
    let mut compiler = flow_compiler::compile::Compiler::new(flow_compiler::settings::Settings::default());
    compiler.set("main.flow", text);
    let compilation = compiler.compile();
    let sources = compilation.connections.values().flat_map(|connection| &connection.sources);
    let readers: Vec<EnvelopeReader> = sources.map(|source| EnvelopeReader::new(&source.envelope, &[])).collect();
    assert!(readers.len() >= 3, "{} sources", readers.len());
    readers
});

/// Any bytes are a payload or refused: what is taken out in one pass is what stands in the tree, each shape reads it or
/// says what is wrong, and each envelope says what it is.
pub fn payload(bytes: &[u8]) {
    let mut paths = PathSet::default();
    let leaves: Vec<usize> = PATHS.iter().map(|path| paths.insert(path)).collect();
    let scanned = paths.scan(bytes);
    let tree = flow_runtime::json::read::<serde_json::Value>(bytes);
    let tree = match (&scanned, &tree) {
        (Ok(_), Ok(tree)) => Value::from_json(tree),
        (Err(ScanError::Depth), _) | (Err(_), Err(_)) => return envelopes(bytes, false),
        (scanned, tree) => panic!("the scan says {:?}, the tree {:?}", scanned.as_ref().err(), tree.as_ref().err()),
    };
    let Ok(scanned) = scanned else { return };
    for (path, leaf) in PATHS.iter().zip(&leaves) {
        assert_eq!(scanned.value(*leaf), path_get(&tree, path), "{path:?}");
    }
    for shape in SHAPES.iter() {
        if let Err(misfit) = decode(shape, &tree) {
            assert!(!misfit.to_string().is_empty());
        } else if let Ok(value) = decode(shape, &tree) {
            shown(&value);
        }
    }
    if let Some(Shape::Record(fields)) = SHAPES.iter().find(|shape| matches!(shape, Shape::Record(_))) {
        for field in fields {
            let _ = decode_field(field, &|_, path| path_get(&tree, path)).map(|value| shown(&value));
        }
    }
    let mut pairs = form::Pairs::new();
    if form::push_body(&mut pairs, &tree).is_ok() {
        assert!(form::encode(&pairs).is_ascii());
    }
    envelopes(bytes, true);
}

/// What was read can be shown, kept and read back.
fn shown(value: &Value) {
    let (_, _) = (value.to_string(), value.to_json());
    let kept = serde_json::to_string(value).expect("a value is written");
    assert_eq!(serde_json::from_str::<Value>(&kept).ok().as_ref(), Some(value), "{kept}");
}

fn envelopes(bytes: &[u8], sound: bool) {
    let payload = Bytes::copy_from_slice(bytes);
    for reader in ENVELOPES.iter() {
        for signed in [None, Some("signed".to_owned())] {
            if let Ok(read) = reader.read(&payload, signed) {
                assert!(sound && !read.id.is_empty() && read.id.len() <= 512, "{read:?}");
            }
        }
    }
}
