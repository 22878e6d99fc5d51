use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_compiler::catalog::OperationBody;
use flow_compiler::connector::{builtin, builtin_fixture, builtin_sources, connection, declare};
use flow_compiler::settings::ConnectionSettings;
use flow_grammar::syntax::Item;
use flow_plan::ty::Type;
use flow_plan::{Effect, Value};

/// Nothing is wrong in a built-in connector, and nothing in its file is anything else.
#[test]
fn built_in_connectors_are_sound() {
    for (name, file, source) in builtin_sources() {
        let parsed = flow_grammar::parse(source);
        assert!(parsed.errors.is_empty(), "{file}: {:#?}", parsed.errors);
        let [Item::Connector(node)] = parsed.file.items.as_slice() else { panic!("{file} is not one connector") };
        let (connector, diagnostics) = declare(&Arc::from(*file), source, node);
        assert!(diagnostics.is_empty(), "{diagnostics:#?}");
        assert_eq!(connector.name, *name);
        assert_eq!(builtin().connectors[*name].triggers.len(), connector.triggers.len());
    }
    assert_eq!(builtin().connectors.keys().count(), builtin_sources().len());
}

/// Whoever reads the docs or hovers a name finds something.
#[test]
fn everything_public_is_documented() {
    for connector in builtin().connectors.values() {
        assert!(!connector.docs.is_empty());
        for trigger in connector.triggers.values() {
            assert!(!trigger.docs.is_empty(), "{}", trigger.name);
            assert!(trigger.options.iter().all(|option| !option.docs.is_empty()), "{}", trigger.name);
        }
        for record in connector.records.values() {
            assert!(!record.docs.is_empty(), "{}", record.name);
            for field in &record.fields {
                assert!(!field.docs.is_empty(), "{}.{}", record.name, field.name);
            }
        }
        for operation in connector.operations.values().filter(|operation| !operation.internal) {
            assert!(!operation.docs.is_empty(), "{}", operation.name);
        }
    }
}

#[test]
fn examples_are_there_and_used() {
    let mut used = 0;
    for connector in builtin().connectors.values() {
        for trigger in connector.triggers.values() {
            let file = trigger.example.as_deref().unwrap_or_else(|| panic!("{} has no example", trigger.name));
            assert!(builtin_fixture(file).is_some(), "{file}");
            used += 1;
        }
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/fixtures");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), used);
}

/// An action that may be repeated only after a look has a query that can look, and no `once` hides where it need not be.
#[test]
fn effect_classes() {
    let class = |name: &str| {
        let (connector, name) = name.split_once('.').unwrap();
        match &builtin().connectors[connector].operations[name].body {
            OperationBody::Http(http) => http.effect.clone(),
            OperationBody::Steps(_) => panic!("{name} is made of steps"),
        }
    };
    for name in ["create_customer", "create_payment_link", "create_subscription", "post_refund"] {
        let effect = class(&format!("stripe.{name}"));
        assert_eq!(effect, Effect::Keyed { header: "Idempotency-Key".to_owned(), window_ms: 24 * 3_600_000 }, "{name}");
    }
    for (name, query) in [
        ("post_conversation", "kustomer.conversation_by_external_id"),
        ("post_customer_with_email", "kustomer.customer_by_email"),
        ("add_note", "kustomer.note_by_text"),
        ("record_message", "kustomer.message_by_external_id"),
    ] {
        let Effect::Findable { by, .. } = class(&format!("kustomer.{name}")) else { panic!("{name} is not findable") };
        assert_eq!(by.query.name, query);
        assert_eq!(by.query.effect, Effect::Read);
        assert_eq!(by.args.len(), by.query.inputs.len());
    }
    assert_eq!(class("kustomer.post_draft"), Effect::Once);
    assert_eq!(class("kustomer.close_conversation"), Effect::Set);
}

#[test]
fn steps_cause_what_their_parts_cause() {
    let kustomer = &builtin().connectors["kustomer"];
    assert_eq!(kustomer.operations["create_conversation"].emits, ["conversation_created"]);
    assert_eq!(kustomer.operations["find_or_create_customer"].emits, ["customer_created"]);
    assert_eq!(kustomer.operations["send_message"].emits, ["message_sent"]);
}

#[test]
fn secrets_know_what_needs_them() {
    for (connector, key) in [("stripe", "key"), ("kustomer", "api_key")] {
        let secrets = &builtin().connectors[connector].secrets;
        let uses = |name: &str| {
            secrets.iter().find(|secret| secret.name == name).map(|secret| (secret.for_requests, secret.for_webhooks))
        };
        assert_eq!(uses(key), Some((true, false)));
        assert_eq!(uses("webhook_secret"), Some((false, true)));
    }
}

#[test]
fn a_connection_has_the_settings_given() {
    let kustomer = &builtin().connectors["kustomer"];
    let mut settings = ConnectionSettings { connector: "kustomer".to_owned(), ..ConnectionSettings::default() };
    settings.values.insert("org".to_owned(), Value::text("example-shop"));
    let connection = connection(kustomer, "support", &settings);
    assert_eq!((connection.name.as_str(), connection.connector.as_str()), ("support", "kustomer"));
    assert_eq!(connection.settings["org"], Value::text("example-shop"));
    assert!(connection.setting_decls[0].in_base && !connection.setting_decls[0].optional);
}

/// The one-liner of the first page needs these, and by these names.
#[test]
fn what_the_first_flow_needs() {
    let stripe = &builtin().connectors["stripe"];
    let kustomer = &builtin().connectors["kustomer"];
    let trigger = &stripe.triggers["charge_failed"];
    let record = &stripe.records[&trigger.record];
    assert_eq!(record.field("amount").unwrap().ty, Type::Money);
    let emails: Vec<_> = record.fields.iter().filter(|field| field.ty.to_string() == "email?").collect();
    assert!(
        matches!(emails.as_slice(), [email] if email.name == "customer_email" && email.personal && email.roles == ["customer"])
    );
    assert_eq!(stripe.summaries(trigger).count(), 4);
    let create = &kustomer.operations["create_conversation"];
    let required: Vec<&str> = create.inputs.iter().filter(|input| input.is_required()).map(|input| input.name.as_str()).collect();
    assert_eq!(required, ["customer", "name"]);
    let resolver = &kustomer.resolvers[0];
    assert_eq!((resolver.record.as_str(), resolver.from.as_str()), ("Customer", "email"));
}

/// A single `flowc check` reads both connectors, and is to answer within 10 ms: this guards against a slip, and is no
/// benchmark.
#[test]
fn declaring_is_fast() {
    let mut took = Duration::MAX;
    // A machine that is busy has its quiet moments.
    for _ in 0..20 {
        let start = Instant::now();
        for (_, file, source) in builtin_sources() {
            let parsed = flow_grammar::parse(source);
            for item in &parsed.file.items {
                if let Item::Connector(node) = item {
                    declare(&Arc::from(*file), source, node);
                }
            }
        }
        took = took.min(start.elapsed());
        if took.as_millis() < 2000 {
            break;
        }
    }
    assert!(took.as_millis() < 2000, "{took:?}");
}
