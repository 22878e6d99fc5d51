use flow_compiler::connector::builtin;
use flow_compiler::docs::{docs, docs_candidates};

/// Everything that can be named in a flow has a page, and its example is sound syntax.
#[test]
fn everything_has_a_page() {
    for connector in builtin().connectors.values() {
        let operations = connector.operations.values().filter(|operation| !operation.internal).map(|operation| &operation.name);
        for name in connector.triggers.keys().chain(operations).chain(connector.records.keys()) {
            let path = format!("{}.{name}", connector.name);
            let page = docs(builtin(), &path).unwrap_or_else(|| panic!("{path} has no page"));
            assert!(page.starts_with(&format!("# {path} (")), "{page}");
            if let Some((_, example)) = page.split_once("## Example\n\n") {
                let parsed = flow_grammar::parse(example.trim());
                assert!(parsed.errors.is_empty(), "{path}: {:#?}", parsed.errors);
            } else {
                assert!(page.contains("(record)"), "{path} has no example");
            }
        }
    }
}

#[test]
fn pages() {
    for path in [
        "",
        "stripe",
        "stripe.new_invoice",
        "stripe.create_refund",
        "stripe.find_customer",
        "kustomer.create_conversation",
        "stripe.Refund",
        "stripe.Charge.amount",
    ] {
        let name = if path.is_empty() { "index" } else { path };
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, docs(builtin(), path).unwrap()) });
    }
}

#[test]
fn what_has_no_page() {
    for path in ["paypal", "stripe.nothing", "stripe.customer_by_id", "stripe.Charge.nothing", "a.b.c.d"] {
        assert_eq!(docs(builtin(), path), None, "{path}");
    }
    for (path, candidate) in [
        ("stripe.charge_faild", "stripe.charge_failed"),
        ("strpe.charge_failed", "stripe.charge_failed"),
        ("charge_failed", "stripe.charge_failed"),
        ("stripe.refund", "stripe.create_refund"),
        ("kustomr", "kustomer"),
    ] {
        assert!(
            docs_candidates(builtin(), path).contains(&candidate.to_owned()),
            "{path}: {:?}",
            docs_candidates(builtin(), path)
        );
    }
}
